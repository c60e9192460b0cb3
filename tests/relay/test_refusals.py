"""Bad input to the real daemon: the error names field, value and limit, nothing is stored, the connection stays."""

import math
from collections.abc import Callable
from typing import Any

import pytest

from tests.daemon import Daemon
from tests.peer import Peer, Refused

MONTH_S = 2_592_000
DAYS = 86_400
ID_BEYOND = 2**63
NAME_RULE = "1-64 characters of A-Z a-z 0-9"

TIMES = [
    *(("ttl_s", value, f"0.001 to {MONTH_S} s") for value in (0, -1, MONTH_S + 1, MONTH_S + 0.5, 1e300)),
    ("ttl_s", math.nan, f"0.001 to {MONTH_S} s"),
    ("ttl_s", math.inf, f"0.001 to {MONTH_S} s"),
    ("ttl_s", "60", "got str"),
    ("ttl_s", True, "got bool"),
    ("delay_s", -1, ">= 0"),
    ("delay_s", -0.001, ">= 0"),
    ("delay_s", -math.inf, ">= 0"),
    ("delay_s", math.nan, ">= 0"),
    ("delay_s", MONTH_S + 1, f"<= {MONTH_S}"),
    ("delay_s", [1], "got array"),
    *(("expect_reply_s", value, f"0.001 to {7 * DAYS} s") for value in (0, -1, 7 * DAYS + 1, math.nan)),
    ("expect_reply_s", "soon", "got str"),
]
NUMBERS = [
    ("priority", -1, ">= 0"),
    ("priority", 10, "<= 9"),
    ("priority", 2**64 - 1, "<= 9"),
    ("priority", 1.5, "got float"),
    *((field, 0, ">= 1") for field in ("supersedes", "caused_by", "reply_to", "thread")),
    *((field, -7, ">= 1") for field in ("supersedes", "caused_by", "reply_to", "thread")),
    *((field, ID_BEYOND, f"<= {2**63 - 1}") for field in ("supersedes", "caused_by", "reply_to", "thread")),
    ("supersedes", "1", "got str"),
]
OTHERS = [
    ("waits", "yes", "expected bool"),
    ("hold", 1, "expected bool"),
    ("claimable", 0, "expected bool"),
    ("channel", "two words", NAME_RULE),
    ("channel", "", NAME_RULE),
    ("channel", "x" * 65, NAME_RULE),
    ("intent", "shout", "one of request inform ack"),
]
TARGETS = [
    *(("to", target, NAME_RULE) for target in ("any:cap:", "any:tag:two words", "channel:", "tag:x y")),
    *(("to", target, "any:cap:x, any:tag:x, thread:id") for target in ("any:label:x", "any:bob", "group:x")),
    *(
        ("to", f"thread:{id_}", "a thread is the id of its first message")
        for id_ in ("", "0", "-1", "01", "x", "1" * 19)
    ),
    ("to", "label:", "a label is 1-128 characters"),
    ("to", "x" * 161, "length <= 160"),
]


def shown(value: Any) -> str:
    """As an error shows it; what is long is cut."""
    return repr(value)[:60]


async def nothing_was_stored(peer: Peer) -> None:
    """Of the agent scout: its next message is the first there is, and alone in its inbox; the connection serves."""
    assert await peer.tell("scout", "probe") == 1
    page = await peer.request("inbox", unread=False)
    assert [item["message"] for item in page["items"]] == [1]
    assert len((await peer.request("receipts", message=1))["deliveries"]) == 1
    assert (await peer.request("owed"))["items"] == []


@pytest.mark.parametrize("cases", [TIMES, NUMBERS, OTHERS, TARGETS], ids=["times", "numbers", "others", "targets"])
async def test_a_field_beyond_its_limit_is_refused_by_name_value_and_limit(
    daemon: Daemon, cases: list[tuple[str, Any, str]]
) -> None:
    async with await Peer.join(daemon.url, "scout", caps=["x"], tags=["x"], channels=["x"]) as peer:
        for field, value, limit in cases:
            with pytest.raises(Refused) as refused:
                await peer.request("send", **({"to": "scout", "body": "x", "key": "k"} | {field: value}))
            text = str(refused.value)
            assert refused.value.code == "bad_request", (field, value)
            assert text.startswith(f"bad_request: {field} is {shown(value)}"), text
            assert limit in text, text
        await nothing_was_stored(peer)


@pytest.mark.parametrize(
    ("value", "limit"), [(0, ">= 1"), (0.5, ">= 1"), (-5, ">= 1"), (DAYS + 1, f"<= {DAYS}"), ("1", "got str")]
)
async def test_an_absurd_offer_is_refused(daemon: Daemon, value: Any, limit: str) -> None:
    async with await Peer.join(daemon.url, "lead") as lead, await Peer.join(daemon.url, "scout", caps=["x"]) as peer:
        with pytest.raises(Refused, match=f"^bad_request: offer_s is {shown(value)}.*{limit}"):
            await lead.request("send", to="any:cap:x", body="x", offer_s=value)
        for target in ("scout", "cap:x", "ALL"):
            with pytest.raises(Refused, match=r"^bad_request: offer_s is 5; only a message to any:cap:x or any:tag:x"):
                await lead.request("send", to=target, body="x", offer_s=5)
        await nothing_was_stored(peer)


async def test_what_is_over_before_it_is_due_is_refused(daemon: Daemon) -> None:
    async with await Peer.join(daemon.url, "scout") as peer:
        for ttl_s, delay_s in ((5, 5), (1, 60), (0.5, 0.501)):
            with pytest.raises(Refused, match=f"ttl_s is {ttl_s}; with delay_s {delay_s} it would be over"):
                await peer.request("send", to="scout", body="x", ttl_s=ttl_s, delay_s=delay_s)
        await nothing_was_stored(peer)


async def test_a_message_that_is_named_and_does_not_exist_is_unknown(daemon: Daemon) -> None:
    async with await Peer.join(daemon.url, "scout") as peer:
        for fields in ({"reply_to": 99}, {"thread": 99}, {"caused_by": 99}, {"supersedes": 99}, {"to": "thread:99"}):
            ((field, value),) = fields.items()
            with pytest.raises(Refused, match=f"^unknown_message: {field} is {value}; there is no such") as refused:
                await peer.request("send", **({"to": "scout", "body": "x", "key": "k"} | fields))
            assert refused.value.detail == {"messages": [99]}
        await nothing_was_stored(peer)


async def test_a_message_of_another_can_not_be_replaced(daemon: Daemon) -> None:
    async with await Peer.join(daemon.url, "scout") as peer, await Peer.join(daemon.url, "eve") as eve:
        message = await peer.tell("scout", "mine")
        with pytest.raises(Refused, match=f"^forbidden: supersedes is {message}; that message is from scout"):
            await eve.request("send", to="scout", body="x", supersedes=message)
        assert (await peer.request("message", message=message))["item"]["deliveries"][0]["stage"] == "pushed"
        assert await peer.tell("scout", "next") == message + 1


async def test_a_reply_to_a_thread_one_is_not_part_of_is_allowed_and_noted(daemon: Daemon) -> None:
    async with await Peer.join(daemon.url, "scout") as peer, await Peer.join(daemon.url, "eve") as eve:
        message = await peer.tell("scout", "to myself")
        ok = await eve.request("send", to="scout", body="may I?", reply_to=message)
        assert (ok["thread"], ok["note"]) == (message, f"eve had no part in thread {message} before this message")


@pytest.mark.parametrize(
    ("op", "fields", "said"),
    [
        ("subscribe", {"events": []}, r"events is \[\]; .*>= 1"),
        ("subscribe", {"events": ["mood"]}, r"events\[0\] is 'mood'; expected one of receipt presence"),
        ("subscribe", {"events": ["receipt"] * 9}, r"events is \['receipt', .*<= 8"),
        ("subscribe", {}, "events is missing; subscribe needs it"),
        ("unsubscribe", {"events": "receipt"}, "events is 'receipt'; expected array"),
        ("thread", {"thread": 0}, "thread is 0; expected int >= 1"),
        ("thread", {"thread": 1, "limit": 0}, "limit is 0; expected int >= 1"),
        ("thread", {"thread": 1, "limit": 1001}, "limit is 1001; expected int <= 1000"),
        ("thread", {"thread": 1, "after": -1}, "after is -1; expected int >= 0"),
        ("owed", {"agent": "two words"}, "agent is 'two words'; expected 1-128 characters"),
        ("why", {}, "why is about one thing: either agent or message"),
        ("why", {"agent": "scout", "message": 1}, "why is about one thing: either agent or message"),
        ("why", {"message": 0}, "message is 0; expected int >= 1"),
        ("agents", {"status": "gone"}, "status is 'gone'; expected one of online idle busy stale offline"),
        ("update", {"channels": ["two words"]}, rf"channels\[0\] is 'two words'; expected {NAME_RULE}"),
        ("update", {"channels": ["x"] * 65}, r"channels is \['x', .*<= 64"),
    ],
)
async def test_a_question_beyond_its_limits_is_refused_and_the_connection_stays(
    daemon: Daemon, op: str, fields: dict[str, Any], said: str
) -> None:
    async with await Peer.join(daemon.url, "scout") as peer:
        with pytest.raises(Refused, match=f"^bad_request: {said}"):
            await peer.request(op, **fields)
        await nothing_was_stored(peer)


@pytest.mark.parametrize(
    ("op", "fields", "code"),
    [
        ("thread", {"thread": 99}, "unknown_message"),
        ("why", {"message": 99}, "unknown_message"),
        ("why", {"agent": "nobody"}, "unknown_agent"),
    ],
)
async def test_a_question_about_what_does_not_exist_says_so(
    daemon: Daemon, op: str, fields: dict[str, Any], code: str
) -> None:
    async with await Peer.join(daemon.url, "scout") as peer:
        with pytest.raises(Refused) as refused:
            await peer.request(op, **fields)
        assert refused.value.code == code
        await nothing_was_stored(peer)


@pytest.mark.parametrize(
    ("will", "code", "said"),
    [
        ("gone", "bad_request", "will is 'gone'"),
        ({"to": "bob"}, "bad_request", "will.body is missing"),
        ({"body": "x"}, "bad_request", "will.to is missing"),
        ({"to": "two words", "body": "x"}, "bad_request", "will.to is 'two words'; an agent id is"),
        ({"to": "thread:0", "body": "x"}, "bad_request", "will.to is 'thread:0'"),
        ({"to": "bob", "body": 5}, "bad_request", "will.body is 5; expected str"),
        ({"to": "bob", "body": "x" * 262_145}, "too_large", "will.body is 262145 bytes; the limit is 262144"),
        ({"to": "bob", "body": "x", "subject": "s" * 257}, "bad_request", "will.subject is 'sss"),
        ({"to": "bob", "body": "x", "channel": "a b"}, "bad_request", "will.channel is 'a b'"),
    ],
)
async def test_a_will_that_could_not_be_sent_is_refused_when_it_is_left(
    daemon: Daemon, will: Any, code: str, said: str
) -> None:
    async with await Peer.connect(daemon.url) as peer:
        with pytest.raises(Refused) as refused:
            await peer.register("scout", will=will)
        assert refused.value.code == code
        assert said in str(refused.value)
        assert await peer.closed() == 4400
    async with await Peer.join(daemon.url, "lead") as lead:
        assert [card["agent"] for card in (await lead.request("agents"))["items"]] == ["lead"]


async def test_beyond_a_quota_a_send_is_refused_with_code_limit_and_time_and_stores_nothing(
    make_daemon: Callable[..., Daemon],
) -> None:
    daemon = make_daemon("--inbox-messages", "3", "--group-rate", "1", "--pair-rate", "1", "--hop-limit", "1").start()
    async with await Peer.join(daemon.url, "scout") as peer, await Peer.join(daemon.url, "lead") as lead:
        assert await lead.tell("ALL") == 1
        error = await refusal(lead, to="ALL")
        assert (error.code, error.detail) == ("rate_limited", {"code": "group_rate", "limit": 1})
        assert 59 < error.frame["retry_after_s"] <= 60
        assert await lead.tell("scout", caused_by=1) == 2
        assert await peer.tell("lead") == 3
        error = await refusal(lead, to="scout")
        assert (error.code, error.detail) == ("rate_limited", {"code": "pair_rate", "limit": 1, "with": "scout"})
        assert 59 < error.frame["retry_after_s"] <= 60
        error = await refusal(lead, to="lead", caused_by=2)
        assert (error.code, error.detail) == ("hop_limit", {"hops": 2, "limit": 1})
        assert [await lead.tell("lead") for _ in range(2)] == [4, 5]
        error = await refusal(lead, to="lead")
        assert (error.code, error.detail["messages"], error.detail["messages_max"]) == ("inbox_full", 3, 3)
        assert error.frame["retry_after_s"] > 0
        assert await lead.tell("nobody", hold=True) == 6, "none of these left a trace"


async def refusal(peer: Peer, **fields: Any) -> Refused:
    with pytest.raises(Refused) as refused:
        await peer.request("send", **({"body": "x"} | fields))
    return refused.value
