"""The feed: what happens at the desk comes to those who listen, each event once, in order, and no gap goes unsaid."""

import itertools
import random
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from relay_proto.frames import (
    Ack,
    Bye,
    Cancel,
    Claim,
    ClaimNext,
    Complete,
    Fail,
    Heartbeat,
    Kick,
    Park,
    Progress,
    Register,
    Release,
    Remove,
    Send,
    Submit,
    Withdraw,
)  # fmt: skip
from relay_server import feed as feed_module
from relay_server.feed import BYTES_MAX, EVENTS_MAX, Feed, Listener
from relay_server.presence import STALE_S
from relay_server.times import PRUNE_S
from tests.relay.desk import START_MS, Desk

CHUNK = 1 << 16


def parsed(text: bytes) -> list[tuple[str, Any]]:
    """Each event's name and data; a gap's and a hello's, too. Comments have no name."""
    events = []
    for block in text.decode().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
        if "event" in fields:
            events.append((fields["event"], msgspec.json.decode(fields["data"])))
    return events


def ids(text: bytes) -> list[str]:
    return [line.removeprefix("id: ") for line in text.decode().splitlines() if line.startswith("id: ")]


def take_all(feed: Feed, listener: Listener) -> bytes:
    text = b""
    while feed.has_news(listener):
        text += feed.take(listener, CHUNK)
    return text


def heard(feed: Feed, listener: Listener) -> list[str]:
    """What it is told now, in short: the event and whom or what it is about."""
    return [
        f"{kind} {data.get('id') or data.get('message') or data.get('to') or data.get('cursor')}"
        for kind, data in parsed(take_all(feed, listener))
    ]


def deaf_to_hello(feed: Feed, agent: str | None = None, after: str | None = None) -> Listener:
    listener = feed.listen(agent, after)
    take_all(feed, listener)
    return listener


class Number(msgspec.Struct):
    id: int


def put(feed: Feed, number: int, *about: str, size: int = 0) -> None:
    feed.put("it", about or None, size, Number, number)


@pytest.fixture
def feed() -> Feed:
    feed = Feed()
    feed.run = "abc"
    return feed


# -- the ring, without a desk ----------------------------------------------------------------------------------------


def test_who_listens_is_told_of_each_event_once_in_order(feed: Feed) -> None:
    listener = feed.listen(None, None)
    assert parsed(feed.take(listener, CHUNK)) == [("hello", {"run": "abc", "cursor": "abc-1"})]
    put(feed, 10)
    put(feed, 11)
    text = take_all(feed, listener)
    assert text == b'id: abc-2\nevent: it\ndata: {"id":10}\n\nid: abc-3\nevent: it\ndata: {"id":11}\n\n'
    assert not feed.has_news(listener)
    assert feed.take(listener, CHUNK) == b""


def test_it_is_off_until_somebody_listens_and_again_when_nobody_does(feed: Feed) -> None:
    assert not feed.is_on
    first, second = feed.listen(None, None), feed.listen("ada", None)
    assert feed.is_on
    assert len(feed) == 2
    feed.leave(first)
    feed.leave(first)
    feed.rest()
    assert feed.is_on
    feed.leave(second)
    assert feed.is_on, "who comes back soon goes on where it was"
    feed.rest()
    assert not feed.is_on
    assert len(feed) == 0


def test_a_listener_for_one_agent_is_told_what_concerns_it_and_what_concerns_everyone(feed: Feed) -> None:
    ada, bob = deaf_to_hello(feed, "ada"), deaf_to_hello(feed, "bob")
    put(feed, 1, "ada", "bob")
    put(feed, 2, "ada")
    put(feed, 3)
    put(feed, 4, "carl")
    put(feed, 5, "bob", "bob")
    assert heard(feed, ada) == ["it 1", "it 2", "it 3"]
    assert heard(feed, bob) == ["it 1", "it 3", "it 5"]


def test_an_event_is_encoded_once_however_many_hear_it(feed: Feed) -> None:
    count = 0

    def encode(data: Any) -> bytes:
        nonlocal count
        count += 1
        return msgspec.json.encode(data)

    feed.encode = encode
    listeners = [deaf_to_hello(feed, agent) for agent in (None, "ada") for _ in range(20)]
    put(feed, 1, "ada")
    assert count == 0, "not on the desk's time"
    assert [heard(feed, listener) for listener in listeners] == [["it 1"]] * 40
    assert count == 1


def test_chunks_are_as_long_as_asked_for_and_hold_at_least_one_event(feed: Feed) -> None:
    listeners = [deaf_to_hello(feed), deaf_to_hello(feed, "ada")]
    for number in range(10):
        put(feed, number, "ada")
    for listener in listeners:
        chunks = []
        while feed.has_news(listener):
            chunks.append([data["id"] for _, data in parsed(feed.take(listener, 1))])
        assert chunks == [[number] for number in range(10)]


def test_who_comes_back_with_the_last_id_goes_on_behind_it(feed: Feed) -> None:
    first, keeper = deaf_to_hello(feed), deaf_to_hello(feed, "ada")
    put(feed, 1, "ada")
    put(feed, 2, "bob")
    last = ids(take_all(feed, first))[-1]
    feed.leave(first)
    put(feed, 3, "ada")
    put(feed, 4, "bob")
    assert heard(feed, feed.listen(None, last)) == ["hello abc-3", "it 3", "it 4"]
    assert heard(feed, feed.listen("bob", last)) == ["hello abc-3", "it 4"]
    assert heard(feed, feed.listen("bob", "abc-2")) == ["hello abc-2", "it 2", "it 4"]
    assert heard(feed, keeper) == ["it 1", "it 3"]


def test_a_client_that_breaks_off_after_hello_has_the_id_to_go_on_from(feed: Feed) -> None:
    deaf_to_hello(feed)
    put(feed, 1)
    text = feed.take(feed.listen(None, "abc-1"), CHUNK)
    assert ids(text) == ["abc-1", "abc-2"]


@pytest.mark.parametrize("after", ["xyz-2", "abc-999", "abc-x", "abc-0", "", "<script>-1", "-", "abc-" + "9" * 40])
@pytest.mark.parametrize("agent", [None, "ada"])
def test_who_comes_back_from_where_nothing_is_kept_is_told_of_a_gap(feed: Feed, after: str, agent: str | None) -> None:
    deaf_to_hello(feed)
    put(feed, 1, "ada")
    text = take_all(feed, feed.listen(agent, after))
    told = {"from": after} if after in ("xyz-2", "abc-999", "abc-0") else {}
    assert parsed(text) == [
        ("hello", {"run": "abc", "cursor": "abc-1"}),
        ("gap", {"to": "abc-1"} | told),
        ("it", {"id": 1}),
    ]
    assert ids(text) == ["abc-1", "abc-2"], "the hello has none: it would hide the gap from who comes back once more"


def test_what_happened_while_nobody_listened_is_a_gap(feed: Feed) -> None:
    listener = deaf_to_hello(feed)
    put(feed, 1)
    last = ids(take_all(feed, listener))[-1]
    feed.leave(listener)
    feed.rest()
    # Here things happen, and nobody notes them.
    assert [kind for kind, _ in parsed(take_all(feed, feed.listen(None, last)))] == ["hello", "gap"]


@pytest.mark.parametrize("agent", [None, "ada"])
def test_a_reader_that_is_too_slow_is_told_of_a_gap_and_goes_on(feed: Feed, agent: str | None) -> None:
    listener = deaf_to_hello(feed, agent)
    put(feed, 9, "ada")
    assert heard(feed, listener) == ["it 9"]
    for number in range(1, EVENTS_MAX + 101):
        put(feed, number, "ada")
    text = take_all(feed, listener)
    told = parsed(text)
    assert told[0] == ("gap", {"from": "abc-2", "to": "abc-102"})
    assert [data["id"] for _, data in told[1:]] == list(range(101, EVENTS_MAX + 101))
    assert ids(text)[:2] == ["abc-102", "abc-103"]
    assert feed.gaps == 1


def test_a_slow_reader_holds_on_to_no_more_than_is_kept(feed: Feed) -> None:
    listener = deaf_to_hello(feed, "ada")
    for number in range(3 * EVENTS_MAX):
        put(feed, number, "ada")
    assert listener.circle is not None
    assert len(listener.circle.numbers) <= 2 * EVENTS_MAX


def test_what_others_hear_is_no_gap_for_one_that_it_does_not_concern(feed: Feed) -> None:
    listener = deaf_to_hello(feed, "ada")
    for number in range(2 * EVENTS_MAX):
        put(feed, number, "bob")
    put(feed, 7, "ada")
    assert heard(feed, listener) == ["it 7"]
    assert feed.gaps == 0


def test_large_events_are_kept_up_to_a_number_of_bytes(feed: Feed) -> None:
    listener = deaf_to_hello(feed)
    each = BYTES_MAX // 8
    for number in range(20):
        put(feed, number, size=each)
    told = heard(feed, listener)
    assert told[0].startswith("gap")
    assert told[1:] == [f"it {number}" for number in range(13, 20)], "of eight with their heads one has no room"
    put(feed, 1, size=10 * BYTES_MAX)
    assert heard(feed, listener) == ["it 1"]
    for number in range(8):
        put(feed, number, size=each)
    assert heard(feed, listener)[-1] == "it 7"


def test_names_count_too_so_that_broadcasts_do_not_fill_the_memory(feed: Feed) -> None:
    deaf_to_hello(feed)
    names = frozenset(f"agent-{number}" for number in range(1000))
    for _ in range(1000):
        feed.put("it", names, 0, Number, 1)
    assert 200 < feed.last - feed.oldest < 300


def test_a_ping_moves_the_id_over_what_did_not_concern_the_listener(feed: Feed) -> None:
    listener = deaf_to_hello(feed, "ada")
    for number in range(EVENTS_MAX + 10):
        put(feed, number, "bob")
    ping = feed.ping(listener)
    assert ping.startswith(b": ping\n")
    assert parsed(ping) == []
    for number in range(EVENTS_MAX + 1):
        put(feed, number, "ada")
    assert parsed(feed.take(listener, 1))[0][1]["from"] == ids(ping)[0], "it was told of all up to the ping"


def test_who_comes_back_with_the_id_of_a_ping_has_missed_nothing(feed: Feed) -> None:
    listener = deaf_to_hello(feed, "ada")
    for number in range(EVENTS_MAX + 10):
        put(feed, number, "bob")
    ping = feed.ping(listener)
    feed.leave(listener)
    put(feed, 1, "ada")
    assert heard(feed, feed.listen("ada", ids(ping)[0]))[1:] == ["it 1"], "no gap"


def test_it_stirs_once_until_it_is_asked_who_is_hungry(feed: Feed) -> None:
    stirred = 0

    def stir() -> None:
        nonlocal stirred
        stirred += 1

    feed.stir = stir
    everyone, ada, bob = deaf_to_hello(feed), deaf_to_hello(feed, "ada"), deaf_to_hello(feed, "bob")
    put(feed, 1, "ada")
    put(feed, 2, "carl")
    assert stirred == 1
    assert set(feed.hungry()) == {everyone, ada}
    for listener in (everyone, ada):
        heard(feed, listener)
    assert feed.hungry() == []
    feed.leave(everyone)
    put(feed, 3, "carl")
    assert stirred == 1, "it concerns nobody who listens"
    put(feed, 4, "bob")
    assert stirred == 2
    assert feed.hungry() == [bob]


def test_random_listeners_miss_nothing_that_they_are_not_told_of(feed: Feed, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is put, taken, left and resumed in whatever order: numbers grow, and what is missing stands in a gap."""
    monkeypatch.setattr(feed_module, "EVENTS_MAX", 32)
    feed._events = [None] * 32
    monkeypatch.setattr(feed_module, "NUMBERS_MIN", 2)
    chance = random.Random(5)
    names = ["ada", "ada", "bob", None, None]
    listeners = [deaf_to_hello(feed, name) for name in names]
    last = [f"abc-{feed.last}"] * len(names)
    concerned: dict[int, str] = {}
    told: list[list[int]] = [[] for _ in names]
    lost: list[set[int]] = [set() for _ in names]

    def take(who: int, bytes_max: int) -> None:
        for block in feed.take(listeners[who], bytes_max).decode().split("\n\n")[:-1]:
            fields = dict(line.split(": ", 1) for line in block.splitlines())
            last[who] = fields.get("id", last[who])
            if fields["event"] == "gap":
                gap = msgspec.json.decode(fields["data"])
                first, end = (int(gap[part].rpartition("-")[2]) for part in ("from", "to"))
                lost[who].update(range(first + 1, end + 1))
            elif fields["event"] == "it":
                told[who].append(int(fields["id"].rpartition("-")[2]))

    for _ in range(6000):
        who = chance.randrange(len(names))
        match chance.choices(["put", "take", "come back", "ping"], [70, 30, 3, 3])[0]:
            case "put":
                name = chance.choice(["ada", "bob", "carl"])
                put(feed, 0, name)
                concerned[feed.last] = name
            case "take" if feed.has_news(listeners[who]):
                take(who, chance.choice([1, 100, CHUNK]))
            case "come back":
                feed.leave(listeners[who])
                listeners[who] = feed.listen(names[who], last[who])
            case "ping" if not feed.has_news(listeners[who]):
                [last[who]] = ids(feed.ping(listeners[who]))
    for who, whom in enumerate(names):
        while feed.has_news(listeners[who]):
            take(who, CHUNK)
        assert told[who] == sorted(set(told[who]))
        expected = {number for number, one in concerned.items() if whom in (None, one)}
        assert expected - lost[who] <= set(told[who]) <= expected
        assert lost[who], "this test has had no gap to look at"
        assert len(told[who]) > 300


def test_what_everybody_was_told_is_not_kept_for_each_name_that_is_listened_for(feed: Feed) -> None:
    listeners = [feed.listen("ann", None), feed.listen("ann", None), feed.listen("ben", None)]
    for _ in range(10 * feed_module.NUMBERS_MIN):
        feed.put("agent.status", None, 0, dict)
        for listener in listeners[:2]:
            take_all(feed, listener)
    told, untold = (listener.circle for listener in listeners[1:])
    assert told is not None
    assert untold is not None
    assert len(told.numbers) <= feed_module.NUMBERS_MIN
    assert len(untold.numbers) == 10 * feed_module.NUMBERS_MIN
    assert len(parsed(take_all(feed, listeners[2]))) == 1 + 10 * feed_module.NUMBERS_MIN, "hello, and all of it"


def test_many_who_listen_for_one_agent_cost_the_desk_no_more_than_one(feed: Feed) -> None:
    listeners = [deaf_to_hello(feed, "ada") for _ in range(50)]
    put(feed, 1, "ada")
    (numbers,) = {
        id(listener.circle.numbers): listener.circle.numbers for listener in listeners if listener.circle
    }.values()
    assert len(numbers) == 1
    assert set(feed.hungry()) == set(listeners)
    assert [heard(feed, listener) for listener in listeners] == [["it 1"]] * 50


# -- what the desk gives it ------------------------------------------------------------------------------------------


async def listening(desk: Desk, *agents: str) -> Iterator[Listener]:
    return iter([deaf_to_hello(desk.broker.feed, agent) for agent in agents])


async def test_while_nobody_listens_nothing_is_noted(desk: Desk) -> None:
    ada, _ = await desk.agent("ada"), await desk.agent("bob")
    await desk.say(ada, Send(id=1, to="bob", body="x"))
    assert desk.broker.feed.last == 0
    assert not desk.broker.watches_tasks


async def test_a_message_is_told_with_all_that_it_carries(desk: Desk) -> None:
    ada, _ = await desk.agent("ada"), await desk.agent("bob")
    everyone = deaf_to_hello(desk.broker.feed)
    await desk.say(
        ada,
        Send(
            id=1, to="bob", body="hi", subject="s", channel="ops", payload='{"a":1}', headers={"h": "v"}, ttl_s=60,
            delay_s=2, priority=7, intent="inform", content_type="text/plain",
        ),
    )  # fmt: skip
    [(kind, data)] = parsed(take_all(desk.broker.feed, everyone))
    assert kind == "message.new"
    assert data == {
        "message": 1, "from": "ada", "to": "bob", "body": "hi", "sent_at": START_MS, "thread": 1, "hops": 0,
        "subject": "s", "channel": "ops", "payload": '{"a":1}', "headers": {"h": "v"}, "priority": 7,
        "intent": "inform", "content_type": "text/plain", "expires_at": START_MS + 60_000, "due_at": START_MS + 2000,
    }  # fmt: skip


async def test_a_message_concerns_its_sender_and_its_recipients_and_nobody_else(desk: Desk) -> None:
    ada, _, _ = await desk.agent("ada"), await desk.agent("bob", tags=["t"]), await desk.agent("carl", tags=["t"])
    them = list(await listening(desk, "ada", "bob", "carl", "dora"))
    await desk.say(ada, Send(id=1, to="bob", body="x"))
    await desk.say(ada, Send(id=2, to="tag:t", body="x"))
    await desk.say(ada, Send(id=3, to="dora", body="x", hold=True))
    await desk.say(ada, Send(id=4, to="thread:1", body="x"))
    told = [heard(desk.broker.feed, one) for one in them]
    assert told == [
        [f"message.new {number}" for number in (1, 2, 3, 4)],
        [f"message.new {number}" for number in (1, 2, 4)],
        ["message.new 2"],
        ["message.new 3"],
    ]


async def test_a_broadcast_to_many_concerns_each_of_them_once(desk: Desk) -> None:
    sessions = [await desk.agent(f"a{number}") for number in range(40)]
    first, last, other = await listening(desk, "a0", "a39", "dora")
    await desk.say(sessions[0], Send(id=1, to="broadcast", body="x"))
    feed = desk.broker.feed
    assert heard(feed, first) == heard(feed, last) == ["message.new 1"]
    assert heard(feed, other) == []
    assert heard(feed, feed.listen("a20", f"{feed.run}-{feed.last - 1}"))[1:] == ["message.new 1"]


async def test_a_repeat_and_a_refusal_are_no_events(desk: Desk) -> None:
    ada, _ = await desk.agent("ada"), await desk.agent("bob")
    everyone = deaf_to_hello(desk.broker.feed)
    await desk.say(ada, Send(id=1, to="bob", body="x", key="k"), Send(id=2, to="nobody", body="x"))
    await desk.say(ada, Send(id=3, to="bob", body="x", key="k"))
    assert heard(desk.broker.feed, everyone) == ["message.new 1"]


async def test_a_claim_is_told_to_its_sender_and_to_all_candidates(desk: Desk) -> None:
    ada, bob = await desk.agent("ada"), await desk.agent("bob", caps=["x"])
    await desk.agent("carl", caps=["x"])
    them = list(await listening(desk, "ada", "bob", "carl", "dora"))
    await desk.say(ada, Submit(id=1, to="cap:x", title="t", body="b"))
    await desk.say(bob, Claim(id=1, message=1))
    await desk.say(bob, Progress(id=2, message=1, fence=1, progress=0.5, note="half"))
    await desk.say(bob, Complete(id=3, message=1, fence=1))
    ada_told, bob_told, carl_told, dora_told = (parsed(take_all(desk.broker.feed, one)) for one in them)
    assert [kind for kind, _ in carl_told] == ["message.new", "task.ready", "message.claimed", "task.claimed"]
    own = ["message.new", "task.ready", "message.claimed", "task.claimed", "task.progress", "task.done"]
    assert [kind for kind, _ in ada_told] == [kind for kind, _ in bob_told] == own
    assert dora_told == []
    at = START_MS
    assert [data for _, data in ada_told[1:]] == [
        {"id": 1, "state": "ready", "event": "submit", "at": at, "agentId": "ada"},
        {"id": 1, "claimedBy": "bob", "fence": 1, "claimedAt": at},
        {"id": 1, "state": "claimed", "event": "claim", "at": at, "agentId": "bob", "fence": 1},
        {
            "id": 1, "state": "working", "event": "progress", "at": at, "agentId": "bob", "fence": 1, "progress": 0.5,
            "note": "half",
        },
        {"id": 1, "state": "done", "event": "complete", "at": at, "agentId": "bob", "fence": 1},
    ]  # fmt: skip


async def test_work_that_comes_back_is_told_to_its_candidates_and_to_who_lost_it(desk: Desk) -> None:
    ada, bob = await desk.agent("ada"), await desk.agent("bob", caps=["x"])
    await desk.agent("carl", caps=["x"])
    await desk.say(ada, Submit(id=1, to="cap:x", title="t", body="b", attempts=1))
    await desk.say(bob, Claim(id=1, message=1))
    bob_listens, carl_listens = await listening(desk, "bob", "carl")
    feed = desk.broker.feed
    await desk.say(bob, Release(id=2, message=1, fence=1))
    assert heard(feed, carl_listens) == heard(feed, bob_listens) == ["task.ready 1"]
    await desk.say(bob, ClaimNext(id=3, n=1))
    assert heard(feed, carl_listens) == ["message.claimed 1", "task.claimed 1"]
    await desk.say(bob, Fail(id=4, message=1, fence=2, reason="no"))
    await desk.say(ada, Kick(id=2, message=1, reason="again"))
    assert heard(feed, bob_listens) == [
        "message.claimed 1", "task.claimed 1", "task.buried 1", "task.ready 1"
    ]  # fmt: skip
    assert heard(feed, carl_listens) == ["task.ready 1"]
    await desk.say(bob, Claim(id=5, message=1))
    heard(feed, bob_listens)
    await desk.say(ada, Cancel(id=3, message=1, reason="no more"))
    assert heard(feed, bob_listens) == ["task.canceled 1"]


async def test_work_that_is_ended_is_told_to_those_who_could_take_it_and_to_who_holds_it(desk: Desk) -> None:
    ada, bob = await desk.agent("ada"), await desk.agent("bob", caps=["x"])
    await desk.agent("carl", caps=["x"])
    await desk.say(ada, Submit(id=1, to="cap:x", title="t", body="b"), Submit(id=2, to="cap:x", title="t", body="b"))
    await desk.say(bob, Claim(id=1, message=1), Ack(messages=[1]))
    bob_listens, carl_listens = await listening(desk, "bob", "carl")
    await desk.say(ada, Cancel(id=3, message=1), Cancel(id=4, message=2))
    assert heard(desk.broker.feed, bob_listens) == ["task.canceled 1", "task.canceled 2"]
    assert heard(desk.broker.feed, carl_listens) == ["task.canceled 2"]


async def test_a_parked_claim_that_runs_again_is_told_to_who_holds_it(desk: Desk) -> None:
    ada, bob = await desk.agent("ada"), await desk.agent("bob")
    await desk.say(ada, Submit(id=1, to="bob", title="t", body="b"))
    await desk.say(bob, Claim(id=1, message=1), Park(id=2, message=1, fence=1, needs="input", deadline_s=10))
    (listener,) = await listening(desk, "bob")
    await desk.pass_time(11)
    assert heard(desk.broker.feed, listener) == ["task.working 1"]


async def test_a_lease_that_runs_out_is_told_to_who_held_it(desk: Desk) -> None:
    ada, bob = await desk.agent("ada"), await desk.agent("bob")
    await desk.say(ada, Submit(id=1, to="bob", title="t", body="b"))
    await desk.say(bob, Claim(id=1, message=1, lease_s=30))
    (listener,) = await listening(desk, "bob")
    await desk.pass_time(60)
    told = [data for kind, data in parsed(take_all(desk.broker.feed, listener)) if kind == "task.ready"]
    assert [(data["event"], data["note"]) for data in told] == [("expire", "bob fell silent")]


async def test_work_that_nobody_may_have_yet_concerns_its_sender_alone(desk: Desk) -> None:
    ada, _ = await desk.agent("ada"), await desk.agent("bob")
    ada_listens, bob_listens = await listening(desk, "ada", "bob")
    await desk.say(ada, Submit(id=1, to="bob", title="t", body="b", delay_s=10))
    assert heard(desk.broker.feed, ada_listens) == ["message.new 1", "task.delayed 1"]
    assert heard(desk.broker.feed, bob_listens) == []
    await desk.pass_time(11)
    assert heard(desk.broker.feed, ada_listens) == heard(desk.broker.feed, bob_listens) == ["task.ready 1"]


async def test_who_an_offer_is_passed_on_to_is_told_of_the_message(desk: Desk) -> None:
    ada = await desk.agent("ada")
    await desk.agent("bob", caps=["x"])
    await desk.agent("carl", caps=["x"])
    bob_listens, carl_listens, dora_listens = await listening(desk, "bob", "carl", "dora")
    await desk.say(ada, Send(id=1, to="any:cap:x", body="b", offer_s=10))
    feed = desk.broker.feed
    first = [heard(feed, one) for one in (bob_listens, carl_listens)]
    assert sorted(first) == [[], ["message.new 1"]]
    await desk.pass_time(11)
    later = [heard(feed, one) for one in (bob_listens, carl_listens)]
    assert later == first[::-1]
    assert heard(feed, dora_listens) == []


async def test_a_withdrawn_message_is_told_to_those_who_were_to_have_it(desk: Desk) -> None:
    ada, _ = await desk.agent("ada"), await desk.agent("bob")
    ada_listens, bob_listens, carl_listens = await listening(desk, "ada", "bob", "carl")
    await desk.say(ada, Send(id=1, to="bob", body="b"))
    await desk.say(ada, Withdraw(id=2, message=1, reason="a mistake"))
    await desk.say(ada, Withdraw(id=3, message=1))
    deleted = {"id": 1, "deletedAt": START_MS, "deletedBy": "ada", "reason": "a mistake"}
    for one in (ada_listens, bob_listens):
        assert parsed(take_all(desk.broker.feed, one))[1:] == [("message.deleted", deleted)]
    assert heard(desk.broker.feed, carl_listens) == []


async def test_what_agents_are_is_told_to_everyone(desk: Desk) -> None:
    listener = deaf_to_hello(desk.broker.feed, "ada")
    bob = await desk.agent("bob")
    await desk.say(bob, Heartbeat(status="busy"))
    await desk.say(bob, Heartbeat(status="busy"))
    await desk.pass_time(STALE_S)
    await desk.say(bob, Bye())
    told = parsed(take_all(desk.broker.feed, listener))
    assert {kind for kind, _ in told} == {"agent.status"}
    assert [(data["id"], data["status"], data["epoch"]) for _, data in told] == [
        ("bob", status, 1) for status in ("online", "busy", "stale", "busy", "offline")
    ]
    assert told[-1][1]["reason"] == "it said bye 0 s ago"


async def test_an_agent_that_is_not_listed_any_more_is_told_of(desk: Desk) -> None:
    ada = await desk.agent("ada")
    bob = await desk.agent("bob")
    await desk.say(bob, Bye())
    listener = deaf_to_hello(desk.broker.feed)
    await desk.say(ada, Remove(id=1, agent="ada"))
    await desk.pass_time(PRUNE_S + 120)
    told = [data for kind, data in parsed(take_all(desk.broker.feed, listener)) if kind == "agent.removed"]
    assert [(data["id"], data["reason"]) for data in told] == [
        ("ada", "it was removed"), ("bob", "it was away for too long")
    ]  # fmt: skip


async def test_a_listener_hears_of_claims_without_any_agent_that_subscribed(desk: Desk) -> None:
    """The store says what happens to claims only when it is asked to: a listener asks."""
    ada, bob = await desk.agent("ada"), await desk.agent("bob")
    await desk.say(ada, Send(id=1, to="bob", body="b", claimable=True))
    listener = deaf_to_hello(desk.broker.feed)
    assert desk.broker.watches_tasks
    await desk.say(bob, Claim(id=1, message=1), Complete(id=2, message=1, fence=1))
    assert heard(desk.broker.feed, listener) == ["message.claimed 1", "task.claimed 1", "task.done 1"]


async def test_events_stand_in_the_order_of_what_happened(desk: Desk) -> None:
    sessions = [await desk.agent(f"a{number}") for number in range(5)]
    listener = deaf_to_hello(desk.broker.feed)
    for session, number in itertools.product(sessions, range(4)):
        desk.put(session, Send(id=number, to="a0", body="x"))
    await desk.turn()
    assert heard(desk.broker.feed, listener) == [f"message.new {number}" for number in range(1, 21)]


async def test_a_registration_that_takes_over_tells_its_new_epoch(desk: Desk) -> None:
    await desk.agent("bob", instance="one")
    listener = deaf_to_hello(desk.broker.feed)
    await desk.say(desk.connect(), Register(id=0, agent="bob", instance="two"))
    [(kind, data)] = parsed(take_all(desk.broker.feed, listener))
    assert (kind, data["status"], data["epoch"]) == ("agent.status", "online", 2)
