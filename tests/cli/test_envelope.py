"""envelope: what the options of send and ask become on the way to the relay."""

from collections.abc import Callable
from typing import Any

import click
import pytest

from relay_client.cli.envelope import envelope_options, task_options


def taken(
    *arguments: str, options: Callable[[Callable[..., None]], Callable[..., None]] = envelope_options
) -> dict[str, Any]:
    """What a command with these options is called with."""
    seen: list[dict[str, Any]] = []

    @click.command()
    @options
    def command(**fields: Any) -> None:
        seen.append(fields)

    command.main(list(arguments), standalone_mode=False)
    return seen[0]


def test_each_option_is_a_field_of_the_send_with_times_in_seconds() -> None:
    fields = taken(
        "any:cap:review", "look", "--subject", "s", "--channel", "ci", "--reply-to", "#3", "--thread", "2",
        "--caused-by", "4", "--content-type", "text/plain", "--header", "path=a=b", "--header", "n=1", "--claimable",
        "--offer", "2m", "--hold", "--ttl", "1d", "--priority", "0", "--payload", '{"n": [1]}',
    )  # fmt: skip
    assert fields == {
        "to": "any:cap:review", "body": "look", "subject": "s", "channel": "ci", "reply_to": 3, "thread": 2,
        "caused_by": 4, "content_type": "text/plain", "headers": {"path": "a=b", "n": "1"}, "claimable": True,
        "offer_s": 120.0, "hold": True, "ttl_s": 86_400.0, "priority": 0, "payload": {"n": [1]},
    }  # fmt: skip


def test_what_is_not_said_is_not_sent() -> None:
    fields = taken("builder", "look")
    assert {name for name, value in fields.items() if value not in (None, False)} == {"to", "body"}


def test_an_empty_text_is_a_usage_error_unless_something_else_says_what_it_is_about() -> None:
    for arguments, options in ((("ann", ""), envelope_options), (("ann", " ", "body"), task_options)):
        with pytest.raises(click.UsageError, match="is empty"):
            taken(*arguments, options=options)
    assert taken("ann", "", "--subject", "done")["body"] == ""
    assert taken("ann", "", "--payload", "false")["body"] == ""
    assert taken("ann", "title", "", options=task_options)["body"] == ""


def test_a_task_has_a_title_and_perhaps_a_body_and_is_work_anyway() -> None:
    fields = taken("ann", "fix it", options=task_options)
    assert {name: value for name, value in fields.items() if value not in (None, False)} == {
        "to": "ann", "title": "fix it", "body": ""
    }  # fmt: skip
    assert not fields.keys() & {"subject", "claimable"}
    fields = taken(
        "any:cap:x", "fix it", "now", "--channel", "ci", "--delay", "1h", "--supersedes", "#3", "--key", "k", "--ttl",
        "2h", "--priority", "9", "--thread", "2", "--offer", "5s", "--hold", "--header", "a=b", options=task_options,
    )  # fmt: skip
    assert {name: value for name, value in fields.items() if value is not None} == {
        "to": "any:cap:x", "title": "fix it", "body": "now", "channel": "ci", "delay_s": 3600.0, "supersedes": 3,
        "key": "k", "ttl_s": 7200.0, "priority": 9, "thread": 2, "offer_s": 5.0, "hold": True, "headers": {"a": "b"},
    }  # fmt: skip


@pytest.mark.parametrize("header", ["novalue", "=x", ""])
def test_a_header_has_a_name_and_a_value(header: str) -> None:
    with pytest.raises(click.BadParameter, match="is not NAME=VALUE"):
        taken("builder", "look", "--header", header)


@pytest.mark.parametrize("target", ["two words", "any:label:x", "thread:x", "cap:"])
def test_what_is_no_target_is_a_usage_error(target: str) -> None:
    with pytest.raises(click.BadParameter):
        taken(target, "look")
