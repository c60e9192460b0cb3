"""Alerts of Prometheus become tasks: firing makes one, or counts as one more report of it; resolved ends it.

    RELAY_TOKEN=.. python docs/examples/integrations/alertmanager_webhook.py [PORT]

The receiver in alertmanager.yml (the fingerprint of an alert, which is that of its labels, says what is the same):

    receivers:
      - name: relay
        webhook_configs:
          - url: http://127.0.0.1:4862
            send_resolved: true
            http_config: {authorization: {credentials: THE_WEBHOOK_TOKEN}}

WEBHOOK_TOKEN is that credential; without it everyone on this machine may send alerts. RELAY_TARGET says who is on call
(cap:oncall). When the relay is away the answer is 503, and Alertmanager sends the group again.
"""

import hmac
import os
import sys
from email.message import Message
from typing import Any

from relay_door import Rejected, parsed, post_event, resolve, serve

TITLE_CHARS_MAX = 256
SEVERITIES = {"critical": "critical", "page": "critical", "error": "error", "warning": "warning", "info": "info"}


def main() -> None:
    token, target = os.environ.get("WEBHOOK_TOKEN", ""), os.environ.get("RELAY_TARGET", "cap:oncall")

    def hook(headers: Message, body: bytes) -> str:
        said = headers.get("Authorization", "")
        if token and not hmac.compare_digest(said.encode(), f"Bearer {token}".encode()):
            raise Rejected(401, "Authorization is missing or wrong")
        return take(parsed(body), target)

    serve(hook, int(sys.argv[1]) if len(sys.argv) > 1 else 4862)


def take(said: dict[str, Any], target: str) -> str:
    """One notification: a group of alerts, each firing or resolved."""
    if said.get("version") != "4":
        raise Rejected(422, f"version is {said.get('version')!r}; this reads version 4")
    try:
        done = [take_alert(alert, said, target) for alert in said["alerts"]]
    except (KeyError, TypeError, AttributeError) as exc:
        raise Rejected(422, f"this is no notification as Alertmanager sends them: {exc!r}") from None
    if said.get("truncatedAlerts"):
        done.append(f"{said['truncatedAlerts']} were left out by max_alerts")
    return ", ".join(done)


def take_alert(alert: dict[str, Any], group: dict[str, Any], target: str) -> str:
    labels, annotations, key = alert["labels"], alert["annotations"], f"alert/{alert['fingerprint']}"
    if alert["status"] == "resolved":
        # Alertmanager sends a group again when an answer was lost: that must not end the next alert of these labels.
        resolve(key, f"resolved at {alert['endsAt']}", f"{key}/{alert['endsAt']}")
        return f"resolved {key}"
    name = labels.get("alertname", "alert")
    answer = post_event(
        title=f"{name}: {annotations.get('summary') or labels.get('instance', '')}"[:TITLE_CHARS_MAX],
        body=annotations.get("description", ""),
        target=target,
        type="alert",
        severity=SEVERITIES.get(labels.get("severity", ""), "warning"),
        dedupeKey=key,
        payload={
            "labels": labels,
            "annotations": annotations,
            "startsAt": alert["startsAt"],
            "source": alert["generatorURL"],
            "alertmanager": group.get("externalURL"),
        },
    )
    return f"firing {key}: task {answer['task']['id']}"


if __name__ == "__main__":
    main()
