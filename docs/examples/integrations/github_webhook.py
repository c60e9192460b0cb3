"""GitHub issues become tasks: opened and reopened make one, closed and deleted end it.

    RELAY_TOKEN=.. GITHUB_SECRET=.. python docs/examples/integrations/github_webhook.py [PORT]

The secret is the webhook's, in the settings of the repository; what is not signed with it is refused. RELAY_TARGET says
who is to triage (cap:triage). GitHub's delivery id is the idempotency key, so "Redeliver" makes no second task.
"""

import hashlib
import hmac
import os
import sys
from email.message import Message
from typing import Any

from relay_door import Rejected, parsed, post_event, resolve, serve

TITLE_CHARS_MAX = 256
BODY_CHARS_MAX = 60_000
OPENED, CLOSED = {"opened", "reopened"}, {"closed", "deleted", "transferred"}


def main() -> None:
    secret = os.environ.get("GITHUB_SECRET", "")
    if not secret:
        sys.exit("github: set GITHUB_SECRET, the secret of the webhook: without it anyone could send issues")
    target = os.environ.get("RELAY_TARGET", "cap:triage")

    def hook(headers: Message, body: bytes) -> str:
        check_signature(secret, headers.get("X-Hub-Signature-256"), body)
        if headers.get("X-GitHub-Event") != "issues":
            return "not an issue"
        return take(parsed(body), headers.get("X-GitHub-Delivery"), target)

    serve(hook, int(sys.argv[1]) if len(sys.argv) > 1 else 4861)


def check_signature(secret: str, said: str | None, body: bytes) -> None:
    """Raises Rejected unless GitHub signed these very bytes."""
    mac = "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    if said is None or not hmac.compare_digest(said.encode(), mac.encode()):
        raise Rejected(401, "X-Hub-Signature-256 is missing or wrong")


def take(said: dict[str, Any], delivery: str | None, target: str) -> str:
    """One delivery of the event `issues`."""
    try:
        action, issue, repository = said["action"], said["issue"], said["repository"]
        key = f"github/{repository['id']}/{issue['number']}"
        if action in CLOSED:
            reason = f"{action} by {said['sender']['login']}" + (
                f": {why}" if (why := issue.get("state_reason")) else ""
            )
            resolve(key, reason, delivery)
            return f"{action} {key}"
        if action not in OPENED:
            return f"nothing to do for {action}"
        labels = [label["name"] for label in issue["labels"]]
        answer = post_event(
            title=f"{repository['full_name']}#{issue['number']} {issue['title']}"[:TITLE_CHARS_MAX],
            body=(issue["body"] or "")[:BODY_CHARS_MAX],
            target=target,
            type="github.issue",
            severity="error" if "bug" in labels else "info",
            dedupeKey=key,
            idempotencyKey=delivery,
            payload={"url": issue["html_url"], "author": issue["user"]["login"], "labels": labels},
        )
    except (KeyError, TypeError) as exc:
        raise Rejected(422, f"this is no issues event as GitHub sends them: {exc!r}") from None
    return f"{action} {key}: task {answer['task']['id']}"


if __name__ == "__main__":
    main()
