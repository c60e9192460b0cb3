"""completion: what the table and the live relay offer at the cursor."""

from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document

from relay_client.repl.commands import COMMANDS
from relay_client.repl.completion import LiveCompleter, targets_of
from relay_proto.frames import AgentCard
from tests.repl.standing import StandIn, desk_of

CARDS = [
    AgentCard(agent="me", status="online", epoch=1, last_seen_at=0),
    AgentCard(agent="builder", status="busy", epoch=1, last_seen_at=0, caps=["build"], tags=["blue"],
              label="The Builder"),
    AgentCard(agent="bob", status="offline", epoch=1, last_seen_at=0, caps=["build"], channels=["ci"]),
]  # fmt: skip


async def completions(text: str) -> list[str]:
    agent = StandIn()
    agent.cards = CARDS
    desk = desk_of(agent, [])
    for identifier, body in ((12, "first"), (13, "\x1bsecond")):
        agent.deliver(identifier, body)
        desk.unread[identifier] = agent.delivered.get_nowait()
    completer = LiveCompleter(desk, COMMANDS)
    found = completer.get_completions_async(Document(text), CompleteEvent(completion_requested=True))
    return [completion.text async for completion in found]


async def test_the_first_word_is_a_command() -> None:
    assert await completions("re") == ["reply", "refuse", "release"]
    assert set(await completions("")) == set(COMMANDS)


async def test_a_target_is_a_live_agent_or_a_group_that_someone_is_in() -> None:
    assert await completions("send b") == ["builder", "bob"]
    assert await completions("send cap:") == ["cap:build"]
    assert "me" not in await completions("send ")


async def test_an_id_is_an_unread_message_newest_first() -> None:
    assert await completions("ack ") == ["13", "12"]
    assert await completions("ack 12 13 1") == ["13", "12"]
    assert await completions("reply 12") == ["12"]


async def test_options_are_offered_before_the_parameters_and_their_values_after_them() -> None:
    assert await completions("send --t") == ["--thread", "--ttl"]
    assert await completions("send --ttl 5m --s") == ["--subject", "--supersedes"]
    assert await completions("send --supersedes 1") == ["13", "12"]
    assert await completions("send --ttl ") == []
    assert await completions("send --hold b") == ["builder", "bob"]
    assert await completions("send --ttl 5m --hold b") == ["builder", "bob"]
    assert await completions("send builder --t") == []
    assert await completions("inbox --") == []


async def test_an_agent_is_who_is_known_and_why_takes_a_message_too() -> None:
    assert await completions("owed b") == ["builder", "bob"]
    assert await completions("owed m") == ["me"]
    assert await completions("why b") == ["builder", "bob"]
    assert await completions("why 1") == ["13", "12"]
    assert await completions("thread 1") == ["13", "12"]


async def test_free_text_and_unknown_commands_complete_to_nothing() -> None:
    assert await completions("send builder he") == []
    assert await completions("nonsense b") == []
    assert await completions("inbox ") == []


def test_each_target_says_who_is_behind_it() -> None:
    targets = dict(targets_of(CARDS, "me"))
    assert targets == {
        "builder": "busy",
        "bob": "offline",
        "any:cap:build": "2 agents",
        "any:tag:blue": "1 agent",
        "cap:build": "2 agents",
        "channel:ci": "1 agent",
        'label:"The Builder"': "1 agent",
        "tag:blue": "1 agent",
        "ALL": "everyone",
    }


async def test_the_preview_of_a_message_is_escaped() -> None:
    agent = StandIn()
    desk = desk_of(agent, [])
    agent.deliver(13, "\x1bsecond")
    desk.unread[13] = agent.delivered.get_nowait()
    completer = LiveCompleter(desk, COMMANDS)
    metas = [item.display_meta_text for item in completer.get_completions(Document("ack "), CompleteEvent())]
    assert metas == [r"builder: \x1bsecond"]
