"""completion: what the table and the live relay offer at the cursor."""

import json
from pathlib import Path

import pytest
from prompt_toolkit.completion import CompleteEvent, Completion
from prompt_toolkit.document import Document

from relay_client.repl.commands import COMMANDS
from relay_client.repl.completion import CHOICES_MAX, LiveCompleter, found, targets_of
from relay_client.repl.desk import Desk
from relay_proto.errors import RelayError
from relay_proto.frames import AgentCard
from tests.repl.standing import StandIn, desk_of
from tests.repl.test_desk import task_of

CARDS = [
    AgentCard(agent="me", status="online", epoch=1, last_seen_at=0),
    AgentCard(agent="bob", status="offline", epoch=1, last_seen_at=0, caps=["build"], channels=["ci"]),
    AgentCard(agent="builder", status="busy", epoch=1, last_seen_at=0, caps=["build"], tags=["blue"],
              label="The Builder"),
]  # fmt: skip


def live_desk() -> Desk:
    """A desk with three agents known, two messages and work unread, an invitation, a claim."""
    agent = StandIn()
    agent.cards = CARDS
    desk = desk_of(agent, [])
    for identifier, body in ((12, "first"), (13, "\x1bsecond")):
        desk.unread[identifier] = agent.message_of(identifier, body)
    desk.unread[14] = agent.message_of(14, "do it", claimable=True)
    desk.unread[15] = agent.message_of(15, "talk?", type="pair.open")
    desk.note(agent.message_of(7, "long ago"))
    desk.note(task_of(34, "mend it"))
    desk.fences = {34: 1}
    return desk


async def offered(text: str, desk: Desk | None = None, behind: str = "") -> list[Completion]:
    completer = LiveCompleter(desk or live_desk(), COMMANDS)
    event = CompleteEvent(completion_requested=True)
    document = Document(text + behind, len(text))
    return [completion async for completion in completer.get_completions_async(document, event)]


async def completions(text: str, desk: Desk | None = None) -> list[str]:
    return [completion.text.rstrip() for completion in await offered(text, desk)]


async def test_the_first_word_is_a_command() -> None:
    assert {"reply", "refuse", "release"} <= set(await completions("re"))
    assert set(await completions("")) == set(COMMANDS)
    assert await completions("pair re") == ["reject"]


async def test_what_is_put_in_leaves_room_for_the_next_word_once() -> None:
    assert [one.text for one in await offered("sen")] == ["send "]
    assert [one.text for one in await offered("sen", behind=" bob")] == ["send"]


async def test_a_target_is_a_live_agent_or_a_group_that_someone_is_in_first_who_would_answer() -> None:
    assert await completions("send b") == ["builder", "bob"]
    assert await completions("send cap:") == ["cap:build"]
    assert "me" not in await completions("send ")


async def test_what_has_the_word_somewhere_is_found_when_nothing_begins_with_it() -> None:
    assert await completions("send uild") == ["builder", "any:cap:build", "cap:build", 'label:"The Builder"']


async def test_a_label_of_two_words_is_quoted() -> None:
    assert await completions('send label:"The B') == ['label:"The Builder"']
    assert await completions("agents --label The") == ['"The Builder"']


async def test_an_id_is_an_unread_message_newest_first_then_what_was_seen() -> None:
    assert await completions("reply ") == ["15", "14", "13", "12", "7"]
    assert await completions("ack 12 13 1") == ["15", "14", "13", "12"]
    assert await completions("reply #12") == ["12"]


async def test_work_is_offered_to_be_claimed_and_what_one_holds_to_be_ended() -> None:
    assert "12" not in await completions("claim ")
    assert "14" in await completions("claim ")
    assert (await completions("done "))[0] == "34"
    assert [one.display_meta_text for one in await offered("done 34")] == ["you hold it: ready: mend it"]


async def test_an_invitation_is_offered_to_be_accepted() -> None:
    assert await completions("pair accept ") == ["15"]


async def test_options_are_offered_where_they_may_stand_with_their_values() -> None:
    assert await completions("send --t") == ["--thread", "--ttl", "--type"]
    assert set(await completions("send --ttl 5m --s")) == {"--subject", "--supersedes", "--severity"}
    assert "13" in await completions("send --supersedes 1")
    assert "5m" in await completions("send --ttl ")
    assert await completions("send --priority ") == [str(number) for number in range(9, -1, -1)]
    assert await completions("send --channel ") == ["ci"]
    assert await completions("send --hold b") == ["builder", "bob"]
    assert await completions("send builder --t") == []


async def test_choices_settings_and_their_values() -> None:
    assert await completions("agents --status o") == ["online", "offline"]
    assert await completions("set fo") == ["form"]
    assert await completions("set form j") == ["json", "jsonl"]
    assert "receipts" in await completions("watch ")
    assert await completions("tags +bl") == ["blue"]
    assert await completions("caps ") == ["build"]


async def test_an_agent_is_who_is_known_and_why_takes_a_message_too() -> None:
    assert await completions("owed b") == ["builder", "bob"]
    assert await completions("owed m") == ["me"]
    assert await completions("why b") == ["builder", "bob"]
    assert "13" in await completions("why 1")


async def test_free_text_and_unknown_commands_complete_to_nothing() -> None:
    assert await completions("send builder he") == []
    assert await completions("nonsense b") == []
    desk = live_desk()
    desk.peer = "bob"
    assert await completions("anything at all", desk) == []


async def test_profiles_come_from_their_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert await completions("use ") == []
    (tmp_path / "relay").mkdir()
    (tmp_path / "relay" / "profiles.json").write_text(json.dumps({"night": {}, "day": {}}))
    assert await completions("use ") == ["night", "day"]
    (tmp_path / "relay" / "profiles.json").write_text("{")
    assert await completions("use ") == []


def test_each_target_says_who_is_behind_it() -> None:
    assert dict(targets_of(CARDS, "me")) == {
        "builder": 'busy, "The Builder", build',
        "bob": "offline, build",
        "any:cap:build": "one of 2 agents",
        "any:tag:blue": "one of 1 agent",
        "cap:build": "2 agents",
        "channel:ci": "1 agent",
        'label:"The Builder"': "1 agent",
        "tag:blue": "1 agent",
        "ALL": "everyone",
    }


async def test_the_preview_of_a_message_is_escaped() -> None:
    assert [one.display_meta_text for one in await offered("reply 13")] == [r"builder: \x1bsecond"]


async def test_a_label_that_could_do_harm_is_shown_escaped_and_never_put_into_the_line() -> None:
    desk = live_desk()
    evil = AgentCard(agent="evil", status="online", epoch=1, last_seen_at=0, label="a\x1b[2J\u202eb")
    desk.agent.cards = [evil]  # type: ignore[attr-defined]  # a stand-in
    assert [(one.text, one.display_meta_text) for one in await offered("send e", desk)] == [
        ("evil ", r'online, "a\x1b[2J\u202eb"')
    ]
    assert await completions("send label:", desk) == []
    assert await completions("agents --label ", desk) == []


async def test_who_can_not_be_asked_for_is_not_offered() -> None:
    desk = live_desk()

    async def fails() -> list[AgentCard]:
        raise RelayError("gone")

    desk.refresh_cards = fails  # type: ignore[method-assign]
    desk.cards = CARDS
    assert await completions("owed b", desk) == []


def test_a_menu_has_an_end() -> None:
    assert len(found("", [(str(number), "") for number in range(5000)])) == CHOICES_MAX
