"""tail_filter.py: which events are shown."""

from typing import Any

import pytest

from relay_client.cli.tail_filter import KINDS, SHOWN_MAX, Filter, parse_kinds, parse_pattern


def message(id: int = 7, **fields: Any) -> dict[str, Any]:
    return {"id": id, "from": "ann", "to": "cap:review", "body": "the parser", "threadId": id} | fields


def test_without_filters_everything_is_shown() -> None:
    wanted = Filter()
    assert all(wanted.wants(kind, {"id": 1}) for kind in KINDS)
    assert wanted.wants("of.tomorrow", {})


def test_kinds_may_be_patterns() -> None:
    wanted = Filter(kinds=parse_kinds("task.*,agent.status"))
    shown = {kind for kind in KINDS if wanted.wants(kind, {"id": 1})}
    assert shown == {kind for kind in KINDS if kind.startswith("task.")} | {"agent.status"}
    for text in ("message.nwe", "", "task.", "message.new,"):
        with pytest.raises(ValueError, match=r"is no event; there are message.new, .*'task\.\*'"):
            parse_kinds(text)


@pytest.mark.parametrize(
    ("filters", "other"),
    [
        ({"sender": "ann"}, {"from": "ben"}),
        ({"to": "cap:review"}, {"to": "cap:reviews"}),
        ({"channel": "ci"}, {"channel": "cd"}),
        ({"thread": 5}, {"threadId": 6}),
        ({"text": parse_pattern("PARS.R")}, {"body": "the lexer"}),
        ({"text": parse_pattern("^urgent")}, {"subject": "not urgent"}),
    ],
)
def test_each_filter_of_messages_lets_through_what_has_it(filters: dict[str, Any], other: dict[str, Any]) -> None:
    has_it = message(channel="ci", threadId=5, subject="urgent: a.py")
    assert Filter(**filters).wants("message.new", has_it)
    assert not Filter(**filters).wants("message.new", has_it | other)
    assert not Filter(**filters).wants("agent.status", {"id": "ann", "status": "busy"}), "it says nothing of messages"


def test_what_becomes_of_a_message_that_was_shown_is_shown() -> None:
    wanted = Filter(sender="ann")
    assert wanted.wants("message.new", message(7))
    assert not wanted.wants("message.new", message(8, **{"from": "ben"}))
    assert [wanted.wants("task.done", {"id": id}) for id in (7, 8)] == [True, False]
    assert [wanted.wants("message.deleted", {"id": id}) for id in (7, 8)] == [True, False]


def test_a_message_of_a_kind_that_is_not_shown_is_remembered_all_the_same() -> None:
    wanted = Filter(kinds=("task.done",), sender="ann")
    assert not wanted.wants("message.new", message(7))
    assert wanted.wants("task.done", {"id": 7})
    assert not wanted.wants("task.claimed", {"id": 7})


def test_all_filters_must_hold() -> None:
    wanted = Filter(sender="ann", channel="ci")
    assert not wanted.wants("message.new", message(channel="cd"))
    assert wanted.wants("message.new", message(channel="ci"))


def test_so_many_messages_are_remembered_and_no_more() -> None:
    wanted = Filter(sender="ann")
    for id in range(1, SHOWN_MAX + 2):
        wanted.wants("message.new", message(id))
    assert [wanted.wants("task.done", {"id": id}) for id in (1, 2, SHOWN_MAX + 1)] == [False, True, True]


def test_the_words_of_an_event_are_looked_through_whatever_they_are() -> None:
    assert Filter(text=parse_pattern("7")).wants("message.new", message(body=7))
    with pytest.raises(ValueError, match=r"'\(' is no regular expression"):
        parse_pattern("(")
