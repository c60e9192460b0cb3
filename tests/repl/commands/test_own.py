"""own: what others find one by, what is watched and set, the wire by hand, and leaving."""

import json
from pathlib import Path

import click
import pytest

from relay_client import Agent
from relay_client.profiles import SettingsError
from relay_client.repl.commands import Quit, Switch
from relay_client.repl.commands.own import changed
from relay_client.repl.grammar import GrammarError
from relay_proto.errors import BadRequest, UnknownAgent, UnknownOp
from relay_proto.frames import AgentCard
from tests.daemon import Daemon
from tests.repl.desks import do, say, two


async def card_of(name: str, looker: Agent) -> AgentCard:
    """What the relay says of an agent."""
    return next(card for card in await looker.agents() if card.agent == name)


@pytest.mark.parametrize(
    ("names", "words", "then"),
    [
        (["a", "b"], ["c"], ["c"]),
        (["a", "b"], ["+c", "-a"], ["b", "c"]),
        (["a"], ["+a"], ["a"]),
        (["a"], ["-x"], ["a"]),
        (["a"], [], []),
        ([], ["b", "a", "b"], ["b", "a"]),
    ],
)
def test_signs_change_names_and_words_replace_them(names: list[str], words: list[str], then: list[str]) -> None:
    assert changed(names, words) == then


async def test_tags_caps_channels_label_and_status_are_what_others_see(shared: Daemon) -> None:
    async with two(shared) as (desk, you):
        me = desk.agent.name
        assert await say(desk, "tags") == ["you have no tags"]
        assert await say(desk, "tags blue green") == ["your tags: blue green"]
        assert await say(desk, "tags +red -blue") == ["your tags: green red"]
        assert await say(desk, "caps +review") == ["your caps: review"]
        assert await say(desk, "channels ci") == ["your channels: ci"]
        assert await say(desk, 'label "Build master"') == ["your label is Build master"]
        assert await say(desk, "label") == ["your label is Build master"]
        assert await say(desk, "status busy") == ["you are busy"]
        assert await say(desk, "status") == ["you are busy"]
        card = await card_of(me, you)
        assert (card.tags, card.caps, card.channels) == (["green", "red"], ["review"], ["ci"])
        assert (card.label, card.status) == ("Build master", "busy")
        assert await say(desk, "tags --clear") == ["you have no tags"]
        assert (await card_of(me, you)).tags == []


async def test_what_is_no_name_is_refused_before_it_is_sent(shared: Daemon) -> None:
    async with two(shared) as (desk, _):
        for line, said in {
            "tags a +b": "either \\+x and -x",
            "tags --clear a": "--clear leaves none",
            'tags "two words"': "is no tag",
            "status asleep": "'asleep' is none of online, idle, busy",
            "watch everything": "is none of receipts",
        }.items():
            with pytest.raises(click.UsageError, match=said):
                await do(desk, line)


async def test_a_person_stays_one_unless_they_say_so(shared: Daemon) -> None:
    async with two(shared) as (desk, _):
        await do(desk, "tags human blue")
        assert await say(desk, "tags red") == [
            "your tags: red human; human stays, a person writes here: tags -human takes it away"
        ]
        assert (await do(desk, "tags --clear")).records == [{"tags": ["human"]}]
        assert (await do(desk, "tags -human +red")).records == [{"tags": ["red"]}]


async def test_watch_and_unwatch_say_what_is_watched(shared: Daemon) -> None:
    async with two(shared) as (desk, you):
        assert (await say(desk, "watch"))[0].startswith("you watch nothing; watch receipts|")
        assert await say(desk, "watch presence receipts") == ["you watch receipts, presence"]
        events = desk.agent.events()
        await do(desk, f"send {you.name} hello")
        heard = [(await anext(events)).event for _ in range(1)]
        assert heard == ["receipt"]
        assert await say(desk, "unwatch receipts") == ["you watch presence"]
        assert await say(desk, "watch all") == ["you watch receipts, presence, submitted, tasks, pairs"]
        assert (await do(desk, "unwatch")).records == [{"watch": []}]


async def test_set_shows_and_changes_settings(shared: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setenv("EDITOR", "ed")
    async with two(shared) as (desk, _):
        assert await say(desk, "set") == ["form    table", "bell    off", "editor  ed"]
        assert await say(desk, "set form json") == ["form    json"]
        assert desk.form == "json"
        assert (await do(desk, "set bell on")).records == [{"setting": "bell", "value": "on"}]
        assert desk.settings.bell
        await do(desk, 'set editor "code --wait"')
        assert await say(desk, "set editor") == ["editor  code --wait"]
        with pytest.raises(click.UsageError, match="there is no setting 'from'; did you mean 'form'"):
            await do(desk, "set from json")
        with pytest.raises(click.UsageError, match="form is 'jsn'; it must be table, json, jsonl, raw; did you mean"):
            await do(desk, "set form jsn")


async def test_raw_says_a_frame_and_shows_the_answer(shared: Daemon) -> None:
    async with two(shared) as (desk, you):
        answer = await do(desk, 'raw {"op": "agents", "id": 77}')
        assert answer.records[0]["op"] == "ok"
        assert answer.records[0]["re"] == 77
        assert you.name in [card["agent"] for card in answer.records[0]["items"]]
        assert json.loads(answer.lines[0]) == answer.records[0]
        sent = await do(desk, f'raw {{"op": "send", "to": "{you.name}", "body": "by hand", "key": "{you.name}-1"}}')
        assert (await you.receive()).message == sent.records[0]["message"]


@pytest.mark.parametrize(
    ("frame", "error", "said"),
    [
        ('{"op": "bye"}', BadRequest, "a connection says that by itself"),
        ('{"op": "register", "agent": "x"}', BadRequest, "a connection says that by itself"),
        ('{"to": "x"}', BadRequest, "op is None"),
        ("[1]", click.UsageError, "a frame is a JSON object"),
        ("{op: 1}", GrammarError, "is no JSON"),
        ('{"op": "send", "to": 5, "body": "x", "key": "k"}', BadRequest, "to is 5"),
        ('{"op": "dance"}', UnknownOp, "dance"),
        ('{"op": "owed", "agent": "never-seen"}', UnknownAgent, "never-seen"),
        ('{"op": "agents", "nested": [[[1]]]}', Exception, "holds what no field does"),
    ],
)
async def test_raw_refuses_what_is_no_request(shared: Daemon, frame: str, error: type[Exception], said: str) -> None:
    async with two(shared) as (desk, _):
        with pytest.raises(error, match=said):
            await do(desk, f"raw {frame}")
        assert (await do(desk, "who")).records  # the session lives on


async def test_use_goes_on_with_a_profile_that_is_there(
    shared: Daemon, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    async with two(shared) as (desk, _):
        assert await say(desk, "use") == ["there are no profiles"]
        (tmp_path / "relay").mkdir()
        (tmp_path / "relay" / "profiles.json").write_text('{"reviewer": {"agent": "rev-1"}, "other": {}}')
        desk.profile = "other"
        assert await say(desk, "use") == ["  reviewer", "* other"]
        with pytest.raises(Switch) as switch:
            await do(desk, "use reviewer")
        assert switch.value.profile == "reviewer"
        with pytest.raises(SettingsError, match="did you mean 'reviewer'"):
            await do(desk, "use reviewr")


async def test_clear_and_quit(shared: Daemon) -> None:
    async with two(shared) as (desk, _):
        cleared: list[bool] = []
        desk.clear = lambda: cleared.append(True)
        assert (await say(desk, "clear"), cleared) == ([], [True])
        for line in ("quit", "exit"):
            with pytest.raises(Quit):
                await do(desk, line)
