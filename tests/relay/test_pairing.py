"""Pairs at the desk: who may do what, who comes first, and what ends one. The clock is the test's."""

from typing import Any

import pytest

from relay_proto import limits
from relay_proto.errors import Unavailable
from relay_proto.frames import (
    Ack,
    Bye,
    GetPair,
    Heartbeat,
    Inbox,
    Pair,
    PairAccept,
    PairHangup,
    PairOpen,
    PairReject,
    Pairs,
    PairSend,
    Register,
    Remove,
    Send,
    Withdraw,
)
from relay_server.session import Session
from relay_server.store import interface as ask
from relay_server.times import RETENTION_S
from tests.relay.desk import START_MS, Desk, kinds

GRACE_S = limits.PAIR_GRACE_S


async def visit(desk: Desk, name: str) -> Session:
    session = desk.connect()
    await desk.say(session, Register(id=0, agent=name, visit=True))
    return session


async def two(desk: Desk) -> tuple[Session, Session]:
    """ada and ben in an active pair, number 1; what they heard of it is dropped."""
    ada, ben = await desk.agent("ada"), await desk.agent("ben")
    await desk.say(ada, PairOpen(id=1, to="ben", objective="fix it"))
    await desk.say(ben, PairAccept(id=1, pair=1))
    desk.heard(ada)
    return ada, ben


async def state(desk: Desk, pair: int = 1) -> str:
    (found,) = await desk.store.look_up([ask.OnePair(None, 0, pair)], desk.now_ms)
    return found.state  # type: ignore[union-attr]


def short(frames: list[dict[str, Any]]) -> list[str]:
    """What came: ok 3 active, error busy, deliver 5, pair.ended by ada."""
    out = []
    for frame, kind in zip(frames, kinds(frames), strict=True):
        if frame["op"] == "event":
            out.append(f"{frame['event']} by {frame.get('agent', 'the relay')}")
        elif frame["op"] == "ok" and isinstance(frame.get("item"), dict):
            out.append(f"ok {frame['item']['pair']} {frame['item']['state']}")
        else:
            out.append(kind)
    return out


# -- from the invitation to the end ----------------------------------------------------------------------------------


async def test_an_invitation_is_a_message_and_its_answer_names_the_pair(desk: Desk) -> None:
    ada, ben = await desk.agent("ada"), await desk.agent("ben")
    answer, told = await desk.say(ada, PairOpen(id=1, to="ben", objective="fix the build"))
    pair = {
        "pair": 1, "from": "ada", "to": "ben", "state": "pending", "thread": 1, "opened_at": START_MS,
        "changed_at": START_MS, "objective": "fix the build",
    }  # fmt: skip
    assert answer == {
        "op": "ok", "re": 1, "message": 1, "thread": 1, "recipients": 1, "online": 1, "item": pair,
    }  # fmt: skip
    assert told == {"op": "event", "event": "pair.opened", "at": START_MS, "message": 1, "agent": "ada", "pair": pair}
    delivered, heard = desk.heard(ben)
    expected = {
        "message": 1, "from": "ada", "to": "ben", "subject": "pair: fix the build", "body": "fix the build",
        "type": "pair.open", "thread": 1,
    }  # fmt: skip
    assert {name: delivered.get(name) for name in expected} == expected
    assert heard == told


async def test_a_pair_goes_its_way_and_both_hear_of_it(desk: Desk) -> None:
    ada, ben = await desk.agent("ada"), await desk.agent("ben")
    await desk.say(ada, PairOpen(id=1, to="ben"))
    desk.heard(ben)
    desk.now = 5.0
    heard = await desk.say(ben, PairAccept(id=1, pair=1))
    assert short(heard) == ["ok 1 active", "pair.accepted by ben"]
    assert heard[0]["item"]["accepted_at"] == heard[0]["item"]["changed_at"] == START_MS + 5000
    assert short(desk.heard(ada)) == ["pair.accepted by ben"]
    said = PairSend(id=2, pair=1, body="hi", subject="s", headers={"a": "b"}, content_type="text/plain", payload="{}")
    (sent,) = await desk.say(ada, said)
    assert (sent["message"], sent["thread"], sent["recipients"], sent["online"]) == (2, 1, 1, 1)
    (delivered,) = desk.heard(ben)
    expected = {
        "message": 2, "from": "ada", "to": "ben", "thread": 1, "subject": "s", "body": "hi", "headers": {"a": "b"},
        "content_type": "text/plain", "payload": "{}",
    }  # fmt: skip
    assert {name: delivered.get(name) for name in expected} == expected
    await desk.say(ben, PairSend(id=3, pair=1, body="hi back", reply_to=2))
    (reply,) = desk.heard(ada)
    assert (reply["reply_to"], reply["thread"], reply["from"]) == (2, 1, "ben")
    heard = await desk.say(ben, PairHangup(id=4, pair=1, reason="done"))
    assert short(heard) == ["ok 1 ended", "pair.ended by ben"]
    assert (heard[0]["item"]["ended_by"], heard[0]["item"]["reason"], heard[1]["reason"]) == ("ben", "done", "done")
    assert short(desk.heard(ada)) == ["pair.ended by ben"]


async def test_an_invitation_may_be_rejected_and_taken_back(desk: Desk) -> None:
    ada, ben = await desk.agent("ada"), await desk.agent("ben")
    await desk.say(ada, PairOpen(id=1, to="ben"))
    assert short(await desk.say(ben, PairReject(id=1, pair=1, reason="no time")))[-2:] == [
        "ok 1 rejected", "pair.rejected by ben",
    ]  # fmt: skip
    assert desk.heard(ada)[-1]["reason"] == "no time"
    await desk.say(ada, PairOpen(id=2, to="ben"))
    assert short(await desk.say(ada, PairHangup(id=3, pair=2))) == ["ok 2 ended", "pair.ended by ada"]
    await desk.say(ada, PairOpen(id=4, to="ben"))
    desk.heard(ben)
    assert short(await desk.say(ben, PairHangup(id=2, pair=3))) == ["ok 3 rejected", "pair.rejected by ben"]
    assert short(await desk.say(ben, PairOpen(id=5, to="ada")))[0] == "ok 4 pending", "both are free"


async def test_an_objective_of_any_length_makes_a_subject(desk: Desk) -> None:
    ada, ben = await desk.agent("ada"), await desk.agent("ben")
    assert kinds(await desk.say(ada, PairOpen(id=1, to="ben", objective="x" * 1024)))[0] == "ok"
    delivered = desk.heard(ben)[0]
    assert (len(delivered["subject"]), len(delivered["body"])) == (256, 1024)


async def test_an_absent_partner_loses_nothing(desk: Desk) -> None:
    ada, ben = await two(desk)
    desk.broker.lost(ben)
    await desk.say(ada, PairSend(id=2, pair=1, body="while you were away"))
    ben = desk.connect()
    heard = await desk.say(ben, Register(id=0, agent="ben"))
    assert [frame["body"] for frame in heard if frame["op"] == "deliver"] == ["fix it", "while you were away"]
    assert await state(desk) == "active"


# -- who may ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "word",
    [PairAccept(id=9, pair=1), PairReject(id=9, pair=1), PairHangup(id=9, pair=1), PairSend(id=9, pair=1, body="x")],
)
async def test_a_third_one_has_no_say_in_it(desk: Desk, word: Any) -> None:
    ada, ben = await desk.agent("ada"), await desk.agent("ben")
    await desk.say(ada, PairOpen(id=1, to="ben"))
    desk.heard(ben)
    for _ in ("pending", "active"):
        (refused,) = await desk.say(await desk.agent("cleo"), word)
        assert refused["code"] == "forbidden"
        assert "between ada and ben" in refused["message"]
        await desk.say(ben, PairAccept(id=1, pair=1))
    assert await state(desk) == "active"


@pytest.mark.parametrize("word", [PairAccept(id=9, pair=1), PairReject(id=9, pair=1)])
async def test_who_opened_it_can_neither_accept_nor_reject_it(desk: Desk, word: Any) -> None:
    ada, _ = await desk.agent("ada"), await desk.agent("ben")
    await desk.say(ada, PairOpen(id=1, to="ben"))
    (refused,) = await desk.say(ada, word)
    assert (refused["code"], "only ben, who was invited" in refused["message"]) == ("forbidden", True)
    assert await state(desk) == "pending"


@pytest.mark.parametrize(
    "word",
    [
        PairAccept(id=9, pair=7), PairReject(id=9, pair=7), PairHangup(id=9, pair=7), PairSend(id=9, pair=7, body="x"),
        GetPair(id=9, pair=7),
    ],
)  # fmt: skip
async def test_a_pair_that_there_is_not_is_unknown(desk: Desk, word: Any) -> None:
    ada, _ = await desk.agent("ada"), await desk.agent("ben")
    await desk.say(ada, Send(id=1, to="ben", body="no invitation"))
    for pair in (7, 1):
        word.pair = pair
        (refused,) = await desk.say(ada, word)
        assert (refused["code"], refused["detail"]) == ("unknown_pair", {"pair": pair})


async def test_a_pair_takes_another_one_that_is_known(desk: Desk) -> None:
    ada = await desk.agent("ada")
    (refused,) = await desk.say(ada, PairOpen(id=1, to="ada"))
    assert (refused["code"], "another agent" in refused["message"]) == ("bad_request", True)
    (refused,) = await desk.say(ada, PairOpen(id=2, to="adda"))
    assert (refused["code"], refused["detail"]) == ("unknown_agent", {"suggestions": ["ada"]})
    assert short(await desk.say(ada, PairOpen(id=3, to="zoe", hold=True)))[0] == "ok 1 pending"
    zoe = desk.connect()
    heard = await desk.say(zoe, Register(id=0, agent="zoe"), PairAccept(id=1, pair=1))
    assert "ok 1 active" in short(heard)


# -- it is exclusive, and the store decides who comes first ----------------------------------------------------------


async def test_who_is_in_a_pair_is_busy(desk: Desk) -> None:
    ada, ben = await two(desk)
    cleo = await desk.agent("cleo")
    for session, to, who in ((cleo, "ben", "ben"), (cleo, "ada", "ada"), (ada, "cleo", "ada"), (ben, "cleo", "ben")):
        (refused,) = await desk.say(session, PairOpen(id=2, to=to))
        assert (refused["code"], refused["detail"]) == ("busy", {"agent": who, "pair": 1})
    (refused,) = await desk.say(ada, PairOpen(id=3, to="ben"))
    assert refused["code"] == "busy", "it is active: there is nothing to open"
    await desk.say(ben, PairHangup(id=2, pair=1))
    assert short(await desk.say(cleo, PairOpen(id=3, to="ben")))[0] == "ok 2 pending"


async def test_an_opener_has_one_invitation_out_and_may_be_invited_meanwhile(desk: Desk) -> None:
    ada, _, cleo = await desk.agent("ada"), await desk.agent("ben"), await desk.agent("cleo")
    await desk.say(ada, PairOpen(id=1, to="ben"))
    (refused,) = await desk.say(ada, PairOpen(id=2, to="cleo"))
    assert (refused["code"], refused["detail"]) == ("busy", {"agent": "ada", "pair": 1})
    assert short(await desk.say(cleo, PairOpen(id=1, to="ada")))[0] == "ok 2 pending"
    desk.heard(ada)
    (refused,) = await desk.say(ada, PairAccept(id=3, pair=2))
    assert (refused["code"], refused["detail"]) == ("busy", {"agent": "ada", "pair": 1})
    heard = short(await desk.say(ada, PairHangup(id=4, pair=1), PairAccept(id=5, pair=2)))
    assert heard == ["ok 1 ended", "pair.ended by ada", "ok 2 active", "pair.accepted by ada"]


async def test_of_two_who_open_to_each_other_in_one_turn_the_second_is_told_of_the_first(desk: Desk) -> None:
    ada, ben = await desk.agent("ada"), await desk.agent("ben")
    desk.put(ada, PairOpen(id=1, to="ben"))
    desk.put(ben, PairOpen(id=1, to="ada"))
    await desk.turn()
    assert short(desk.heard(ada)) == ["ok 1 pending", "pair.opened by ada"]
    heard = desk.heard(ben)
    assert short(heard) == ["deliver 1", "pair.opened by ada", "error busy"]
    assert heard[-1]["detail"] == {"agent": "ada", "pair": 1}
    assert short(await desk.say(ben, PairAccept(id=2, pair=heard[-1]["detail"]["pair"])))[0] == "ok 1 active"


async def test_of_two_invitations_that_are_accepted_in_one_turn_the_first_counts(desk: Desk) -> None:
    ada, ben, cleo = await desk.agent("ada"), await desk.agent("ben"), await desk.agent("cleo")
    await desk.say(ada, PairOpen(id=1, to="cleo"))
    await desk.say(ben, PairOpen(id=1, to="cleo"))
    desk.heard(cleo)
    other = await visit(desk, "cleo")
    desk.put(other, PairAccept(id=1, pair=2))
    desk.put(cleo, PairAccept(id=1, pair=1))
    await desk.turn()
    assert short(desk.heard(other)) == ["ok 2 active"]
    heard = desk.heard(cleo)
    assert short(heard) == ["pair.accepted by cleo", "error busy"]
    assert heard[-1]["detail"] == {"agent": "cleo", "pair": 2}
    assert (await state(desk, 1), await state(desk, 2)) == ("pending", "active")


@pytest.mark.parametrize("first", ["ben", "cleo"])
async def test_who_is_accepted_can_t_accept_another_in_that_turn(desk: Desk, first: str) -> None:
    ada, ben, cleo = await desk.agent("ada"), await desk.agent("ben"), await desk.agent("cleo")
    await desk.say(ada, PairOpen(id=1, to="ben"))
    await desk.say(ben, PairOpen(id=1, to="cleo"))
    said = {"ben": (ben, PairAccept(id=2, pair=1)), "cleo": (cleo, PairAccept(id=2, pair=2))}
    desk.heard(ben)
    for name in (first, "cleo" if first == "ben" else "ben"):
        desk.put(*said[name])
    await desk.turn()
    assert (await state(desk, 1), await state(desk, 2)) == ("pending", "active")
    assert [frame["code"] for frame in desk.heard(ben) if frame["op"] == "error"] == ["busy"]


async def test_accepting_what_is_taken_back_in_that_turn_is_decided_by_who_was_first(desk: Desk) -> None:
    ada, ben = await desk.agent("ada"), await desk.agent("ben")
    await desk.say(ada, PairOpen(id=1, to="ben"))
    desk.heard(ben)
    desk.put(ada, PairHangup(id=2, pair=1))
    desk.put(ben, PairAccept(id=1, pair=1))
    await desk.turn()
    heard = desk.heard(ben)
    assert short(heard) == ["pair.ended by ada", "error not_active"]
    assert heard[-1]["detail"] == {"pair": 1, "state": "ended"}
    assert not desk.broker.pairs.of, "nobody is in it"


# -- said again ------------------------------------------------------------------------------------------------------


async def test_an_open_that_is_said_again_is_the_same_pair(desk: Desk) -> None:
    ada, ben = await desk.agent("ada"), await desk.agent("ben")
    await desk.say(ada, PairOpen(id=1, to="ben", objective="x", key="k"))
    desk.heard(ben)
    for request, key in ((2, "k"), (3, None), (4, "later")):
        (answer,) = await desk.say(ada, PairOpen(id=request, to="ben", objective="x", key=key))
        assert (answer["item"]["pair"], answer["duplicate"], answer["message"]) == (1, True, 1)
    assert desk.heard(ben) == []
    await desk.say(ben, PairReject(id=1, pair=1))
    desk.heard(ada)
    for key in ("k", "later"):
        (answer,) = await desk.say(ada, PairOpen(id=5, to="ben", objective="x", key=key))
        assert (answer["item"]["state"], answer["duplicate"]) == ("rejected", True)
    assert short(await desk.say(ada, PairOpen(id=6, to="ben")))[0] == "ok 2 pending"


async def test_an_open_that_is_said_again_without_its_partner_in_sight_is_the_same_pair(desk: Desk) -> None:
    """What would refuse it now is not asked: it was taken before."""
    ada = await desk.agent("ada")
    await desk.say(ada, PairOpen(id=1, to="zoe", hold=True, key="k"))
    (answer,) = await desk.say(ada, PairOpen(id=2, to="zoe", key="k"))
    assert (answer["op"], answer.get("duplicate")) == ("ok", True)
    (answer,) = await desk.say(ada, PairOpen(id=3, to="zoe"))
    assert answer["code"] == "unknown_agent", "without a key there is nothing to ask the store for"


@pytest.mark.parametrize(("to", "key"), [("cleo", "k"), ("cleo", "later"), ("ben", "sent")])
async def test_a_key_that_made_something_else_is_refused(desk: Desk, to: str, key: str) -> None:
    ada, _, _ = await desk.agent("ada"), await desk.agent("ben"), await desk.agent("cleo")
    await desk.say(ada, PairOpen(id=1, to="ben", key="k"), PairOpen(id=2, to="ben", key="later"))
    await desk.say(ada, Send(id=3, to="ben", body="", subject="pair", type="pair.open", key="sent"))
    (refused,) = await desk.say(ada, PairOpen(id=4, to=to, key=key))
    assert refused["code"] == "key_conflict"


async def test_what_is_said_twice_means_the_same_and_is_told_once(desk: Desk) -> None:
    ada, ben = await two(desk)
    assert short(await desk.say(ben, PairAccept(id=2, pair=1))) == ["ok 1 active"]
    await desk.say(ada, PairHangup(id=3, pair=1, reason="first"))
    desk.heard(ben)
    for session in (ada, ben):
        (answer,) = await desk.say(session, PairHangup(id=4, pair=1, reason="second"))
        assert answer["item"]["reason"] == "first"
    await desk.say(ada, PairOpen(id=5, to="ben"))
    await desk.say(ben, PairReject(id=6, pair=2))
    desk.heard(ada)
    assert short(await desk.say(ben, PairReject(id=7, pair=2))) == ["ok 2 rejected"]
    assert desk.heard(ada) == []


async def test_a_message_of_a_pair_that_is_over_is_answered_when_it_was_taken_before(desk: Desk) -> None:
    ada, ben = await two(desk)
    (first,) = await desk.say(ada, PairSend(id=2, pair=1, body="hi", key="k"))
    await desk.say(ben, PairHangup(id=2, pair=1))
    desk.heard(ada)
    (again,) = await desk.say(ada, PairSend(id=3, pair=1, body="hi", key="k"))
    assert (again["message"], again["duplicate"]) == (first["message"], True)
    for key in ("new", None):
        (refused,) = await desk.say(ada, PairSend(id=4, pair=1, body="hi", key=key))
        assert (refused["code"], refused["detail"]) == ("not_active", {"pair": 1, "state": "ended"})
        assert "ended by ben" in refused["message"]
    await desk.say(ada, PairOpen(id=5, to="ben"))
    await desk.say(ben, PairAccept(id=6, pair=3))
    desk.heard(ada)
    (refused,) = await desk.say(ada, PairSend(id=7, pair=3, body="hi", key="k"))
    assert (refused["code"], refused["detail"]) == ("key_conflict", {"message": first["message"]})


@pytest.mark.parametrize("who", ["ada", "ben"])
async def test_in_a_pair_that_is_not_accepted_nothing_is_said(desk: Desk, who: str) -> None:
    sessions = {"ada": await desk.agent("ada"), "ben": await desk.agent("ben")}
    await desk.say(sessions["ada"], PairOpen(id=1, to="ben"))
    for session in sessions.values():
        desk.heard(session)
    (refused,) = await desk.say(sessions[who], PairSend(id=2, pair=1, body="hi"))
    assert (refused["code"], refused["detail"]) == ("not_active", {"pair": 1, "state": "pending"})
    assert [desk.heard(session) for session in sessions.values()] == [[], []]


async def test_what_is_accepted_and_said_in_one_breath_is_said(desk: Desk) -> None:
    ada, ben = await desk.agent("ada"), await desk.agent("ben")
    await desk.say(ada, PairOpen(id=1, to="ben"))
    desk.heard(ada)
    await desk.say(ben, PairAccept(id=1, pair=1), PairSend(id=2, pair=1, body="hello"))
    assert kinds(desk.heard(ada)) == ["pair.accepted 1 ben", "deliver 2"]


async def test_what_can_t_be_rejected_or_accepted_any_more_says_so(desk: Desk) -> None:
    ada, ben = await two(desk)
    (refused,) = await desk.say(ben, PairReject(id=2, pair=1))
    assert (refused["code"], refused["detail"]["state"]) == ("not_active", "active")
    await desk.say(ada, PairHangup(id=2, pair=1))
    desk.heard(ben)
    for word in (PairReject(id=3, pair=1), PairAccept(id=3, pair=1)):
        (refused,) = await desk.say(ben, word)
        assert (refused["code"], refused["detail"]["state"]) == ("not_active", "ended")


async def test_a_reply_to_a_message_of_another_thread_is_refused(desk: Desk) -> None:
    ada, _ = await two(desk)
    await desk.say(ada, Send(id=2, to="ben", body="elsewhere"))
    (refused,) = await desk.say(ada, PairSend(id=3, pair=1, body="x", reply_to=2))
    assert refused["code"] == "bad_request"


# -- one of them is gone ---------------------------------------------------------------------------------------------


async def test_a_bye_ends_it_at_once(desk: Desk) -> None:
    ada, ben = await two(desk)
    await desk.say(ben, Bye())
    (told,) = desk.heard(ada)
    assert (told["event"], told["agent"], told["reason"]) == ("pair.ended", "ben", "ben said bye")
    assert told["pair"]["ended_by"] == "ben"
    assert not desk.broker.pairs.live


async def test_the_bye_of_a_visit_ends_nothing(desk: Desk) -> None:
    ada, _ = await two(desk)
    await desk.say(await visit(desk, "ben"), Bye())
    assert desk.heard(ada) == []
    assert await state(desk) == "active"


async def test_an_opener_that_says_bye_takes_its_invitation_back_and_one_who_was_invited_does_not(desk: Desk) -> None:
    ada, ben = await desk.agent("ada"), await desk.agent("ben")
    await desk.say(ada, PairOpen(id=1, to="ben"))
    await desk.say(ben, Bye())
    assert await state(desk) == "pending"
    await desk.say(ada, Bye())
    assert await state(desk) == "ended"


async def test_an_opening_and_a_bye_in_one_breath_leave_nothing_open(desk: Desk) -> None:
    ada, _ = await desk.agent("ada"), await desk.agent("ben")
    await desk.say(ada, PairOpen(id=1, to="ben"), Bye())
    assert await state(desk) == "ended"
    assert not desk.broker.pairs.of


async def test_an_agent_that_is_removed_is_in_no_pair(desk: Desk) -> None:
    ada, ben = await two(desk)
    await desk.say(ben, Remove(id=2, agent="ben"))
    assert "pair.ended by ben" in short(desk.heard(ada))


async def beat(desk: Desk, session: Session, seconds: float) -> None:
    """Time goes by, in which this one is heard of."""
    until = desk.now + seconds
    while desk.now < until:
        await desk.pass_time(min(30.0, until - desk.now))
        await desk.say(session, Heartbeat())


async def test_a_partner_that_is_lost_ends_it_when_the_grace_is_over(desk: Desk) -> None:
    ada, ben = await two(desk)
    await beat(desk, ada, 50)
    desk.broker.lost(ben)
    await desk.turn()
    await beat(desk, ada, GRACE_S - 0.01)
    assert await state(desk) == "active"
    desk.heard(ada)
    await desk.pass_time(0.02)
    (told,) = desk.heard(ada)
    assert told["event"] == "pair.ended"
    assert "agent" not in told
    assert told["reason"] == "ben was not heard of for 120 s"
    assert "ended_by" not in told["pair"]


async def test_a_partner_that_comes_back_in_time_is_in_it_still(desk: Desk) -> None:
    ada, ben = await two(desk)
    desk.broker.lost(ben)
    await beat(desk, ada, GRACE_S - 1)
    ben = await desk.agent("ben", instance="another")
    await beat(desk, ada, GRACE_S - 1)
    assert await state(desk) == "active"
    await desk.say(ben, Heartbeat())
    await beat(desk, ada, GRACE_S - 1)
    assert await state(desk) == "active"
    await beat(desk, ada, 2)
    assert await state(desk) == "ended", "its socket is open, and it says nothing"


async def test_an_opener_that_is_lost_takes_its_invitation_back(desk: Desk) -> None:
    ada, ben = await desk.agent("ada"), await desk.agent("ben")
    await desk.say(ada, PairOpen(id=1, to="ben"))
    desk.broker.lost(ada)
    await beat(desk, ben, GRACE_S + 1)
    assert await state(desk) == "ended"


async def test_who_was_invited_may_take_its_time(desk: Desk) -> None:
    ada = await desk.agent("ada")
    await desk.agent("ben")
    await desk.say(ada, PairOpen(id=1, to="ben"))
    await beat(desk, ada, 10 * GRACE_S)
    assert await state(desk) == "pending"


async def test_who_only_visits_is_heard_of_by_its_visits(desk: Desk) -> None:
    ada = await desk.agent("ada")
    ben = await visit(desk, "ben")
    await desk.say(ben, PairOpen(id=1, to="ada"))
    await desk.say(ada, PairAccept(id=1, pair=1))
    for _ in range(4):
        await beat(desk, ada, GRACE_S - 10)
        await desk.say(ben, Inbox(id=2))
        assert await state(desk) == "active"
    await beat(desk, ada, GRACE_S + 1)
    assert await state(desk) == "ended"


async def test_a_short_grace_is_for_who_is_lost_and_not_for_who_has_nothing_to_say(desk: Desk) -> None:
    desk.broker.pairs.grace_s = 3.0
    ada, ben = await two(desk)
    await desk.pass_time(100)
    assert await state(desk) == "active"
    desk.broker.lost(ben)
    await desk.turn()
    await desk.pass_time(2.9)
    ben = await desk.agent("ben")
    await desk.pass_time(10)
    assert await state(desk) == "active"
    desk.broker.lost(ben)
    await desk.turn()
    await desk.pass_time(3.1)
    assert desk.heard(ada)[-1]["reason"] == "ben was not heard of for 3 s"


async def test_a_socket_that_says_nothing_stands_for_its_agent_until_that_is_stale(desk: Desk) -> None:
    desk.broker.pairs.grace_s = 3.0
    ada, ben = await two(desk)
    await beat(desk, ada, 119)
    assert await state(desk) == "active"
    desk.broker.lost(ben)  # it had been silent for long, but was not stale: its grace begins now
    await desk.turn()
    await beat(desk, ada, 2.5)
    assert await state(desk) == "active"
    ben = await desk.agent("ben")
    await beat(desk, ada, 123.1)
    (pair,) = await desk.store.look_up([ask.OnePair(None, 0, 1)], desk.now_ms)
    assert isinstance(pair, Pair)
    assert (pair.state, pair.reason) == ("ended", "ben was not heard of for 120 s")


async def test_one_that_was_stale_when_its_socket_was_lost_gets_no_grace_for_that(desk: Desk) -> None:
    desk.broker.pairs.grace_s = 200.0
    ada, ben = await two(desk)
    await beat(desk, ada, 190)
    desk.broker.lost(ben)
    await desk.turn()
    await beat(desk, ada, 9)
    assert await state(desk) == "active"
    await beat(desk, ada, 2)
    assert await state(desk) == "ended"


@pytest.mark.parametrize("grace_s", [3.0, GRACE_S])
async def test_one_that_is_registered_over_http_is_there_by_its_requests(desk: Desk, grace_s: float) -> None:
    desk.broker.pairs.grace_s = grace_s
    ada, ben = await two(desk)
    ben.polled, ben.writable = True, False
    for _ in range(3):
        await beat(desk, ada, grace_s - 1)
        desk.broker.hear("ben", desk.now)
    assert await state(desk) == "active"
    await beat(desk, ada, grace_s + 0.5)
    assert await state(desk) == "ended", "not only when its session is given up, and another grace later"


async def test_who_is_missed_in_a_pair_that_is_over_is_not_missed_in_the_next(desk: Desk) -> None:
    ada, ben = await two(desk)
    desk.put(ben, PairHangup(id=2, pair=1), PairOpen(id=3, to="ada"))
    desk.broker.commands.append(ask.LosePair(None, None, "ben", 1, "late"))
    await desk.turn()
    assert (await state(desk, 1), await state(desk, 2)) == ("ended", "pending")
    before = len(desk.deadlines)
    for request in range(20):
        await desk.say(ben, PairHangup(id=4, pair=request + 2), PairOpen(id=5, to="ada"))
    for session in (ada, ben, ada, ben):
        await beat(desk, session, GRACE_S / 4)
    await beat(desk, ben, GRACE_S - 1)
    assert len(desk.deadlines) <= before, "nobody looks after what is over"


async def test_an_end_that_the_store_does_not_take_now_comes_later_unless_the_agent_is_back(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada, ben = await two(desk)
    desk.broker.lost(ben)
    await desk.turn()
    commit = desk.store.commit

    async def refuse(commands: list[ask.Command], now_ms: int) -> list[ask.Outcome]:
        outcomes = await commit([one for one in commands if not isinstance(one, ask.LosePair)], now_ms)
        rest = iter(outcomes)
        return [Unavailable("locked") if isinstance(one, ask.LosePair) else next(rest) for one in commands]

    monkeypatch.setattr(desk.store, "commit", refuse)
    await beat(desk, ada, GRACE_S + 5)
    assert await state(desk) == "active"
    ben = await desk.agent("ben")
    monkeypatch.setattr(desk.store, "commit", commit)
    await beat(desk, ada, 20)
    assert await state(desk) == "active", "it came back before the store took it"
    desk.broker.lost(ben)
    monkeypatch.setattr(desk.store, "commit", refuse)
    await beat(desk, ada, GRACE_S + 5)
    monkeypatch.setattr(desk.store, "commit", commit)
    await desk.pass_time(2)
    assert await state(desk) == "ended"


async def test_a_pair_outlives_a_restart_and_everyone_has_a_full_grace_to_come_back(desk: Desk) -> None:
    ada, _ = await two(desk)
    await desk.restart(down_s=10 * GRACE_S)
    ada = await desk.agent("ada")
    await beat(desk, ada, GRACE_S - 1)
    ben = await desk.agent("ben")
    desk.heard(ada)
    await desk.say(ben, PairSend(id=1, pair=1, body="back again"))
    assert [frame["body"] for frame in desk.heard(ada)] == ["back again"]
    (refused,) = await desk.say(await desk.agent("cleo"), PairOpen(id=1, to="ben"))
    assert refused["code"] == "busy"


@pytest.mark.parametrize("name", ["ada", "ben"])
async def test_a_pair_to_which_one_of_the_two_does_not_come_back_is_over(desk: Desk, name: str) -> None:
    await two(desk)
    await desk.restart()
    await beat(desk, await desk.agent(name), GRACE_S - 1)
    assert await state(desk) == "active"
    await desk.pass_time(2)
    assert await state(desk) == "ended"


async def test_who_is_in_a_pair_and_was_invited_into_another_is_missed_in_the_first(desk: Desk) -> None:
    ada, ben, cleo = await desk.agent("ada"), await desk.agent("ben"), await desk.agent("cleo")
    await desk.say(ada, PairOpen(id=1, to="ben"))
    await desk.say(cleo, PairOpen(id=1, to="ben"))
    await desk.say(ben, PairAccept(id=1, pair=1))
    await desk.restart()
    await beat(desk, await desk.agent("ada"), GRACE_S + 1)
    assert await state(desk, 1) == "ended"


async def test_an_invitation_outlives_a_restart(desk: Desk) -> None:
    ada, _ = await desk.agent("ada"), await desk.agent("ben")
    await desk.say(ada, PairOpen(id=1, to="ben"))
    await desk.restart()
    await beat(desk, await desk.agent("ada"), 2 * GRACE_S)
    ben = await desk.agent("ben")
    assert short(await desk.say(ben, PairAccept(id=1, pair=1)))[0] == "ok 1 active"


@pytest.mark.parametrize(("by", "how"), [("ada", {"reason": "wrong one"}), ("cleo", {"force": True})])
async def test_an_invitation_that_is_withdrawn_ends_its_pair_and_nobody_accepts_it(
    desk: Desk, by: str, how: dict[str, Any]
) -> None:
    sessions = {name: await desk.agent(name) for name in ("ada", "ben", "cleo")}
    ada, ben = sessions["ada"], sessions["ben"]
    await desk.say(ada, PairOpen(id=1, to="ben"))
    desk.heard(ben)
    desk.put(sessions[by], Withdraw(id=2, message=1, **how))
    await desk.turn()
    assert f"pair.ended by {by}" in short(desk.heard(ada))
    assert short(desk.heard(ben)) == ["withdrawn by the relay", f"pair.ended by {by}"]
    (refused,) = await desk.say(ben, PairAccept(id=1, pair=1))
    assert (refused["code"], refused["detail"]["state"]) == ("not_active", "ended")
    (shown,) = await desk.say(ben, GetPair(id=2, pair=1))
    assert (shown["item"]["ended_by"], shown["item"].get("reason")) == (by, how.get("reason"))
    assert short(await desk.say(ada, PairOpen(id=3, to="cleo")))[0] == "ok 2 pending", "ada is free again"
    assert desk.broker.pairs.live.keys() == {2}


async def test_the_pair_of_an_invitation_that_is_withdrawn_after_it_was_accepted_goes_on(desk: Desk) -> None:
    ada, _ = await two(desk)
    await desk.say(ada, Withdraw(id=2, message=1))
    assert await state(desk) == "active"


# -- looking up ------------------------------------------------------------------------------------------------------


async def test_pairs_are_listed_oldest_first_and_by_who_and_how_they_stand(desk: Desk) -> None:
    ada, ben, _ = await desk.agent("ada"), await desk.agent("ben"), await desk.agent("cleo")
    await desk.say(ada, PairOpen(id=1, to="ben"))
    await desk.say(ben, PairReject(id=1, pair=1))
    await desk.say(ada, PairOpen(id=2, to="cleo"))
    await desk.say(ben, PairOpen(id=2, to="cleo"))
    for session in (ada, ben):
        desk.heard(session)

    async def listed(**filters: Any) -> list[int]:
        (answer,) = await desk.say(ada, Pairs(id=9, **filters))
        return [item["pair"] for item in answer["items"]]

    assert await listed() == [1, 2, 3]
    assert await listed(agent="ben") == [1, 3]
    assert await listed(agent="ada") == [1, 2]
    assert await listed(state="pending") == [2, 3]
    assert await listed(state="rejected") == [1]
    assert await listed(state="rejected", agent="cleo") == []
    assert await listed(agent="cleo", state="pending", after=2) == [3]
    (page,) = await desk.say(ada, Pairs(id=9, limit=2))
    assert ([item["pair"] for item in page["items"]], page["next"]) == ([1, 2], 2)
    assert await listed(after=2) == [3]
    (refused,) = await desk.say(ada, Pairs(id=9, agent="bem"))
    assert (refused["code"], refused["detail"]["suggestions"]) == ("unknown_agent", ["ben"])
    (one,) = await desk.say(ada, GetPair(id=9, pair=1))
    assert (one["item"]["state"], one["item"]["ended_by"]) == ("rejected", "ben")


async def test_a_list_that_passes_over_much_goes_on(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("relay_server.store.pairs.SCAN_MAX", 2)
    ada, ben = await desk.agent("ada"), await desk.agent("ben")
    for request in range(5):
        await desk.say(ada, PairOpen(id=request, to="ben"))
        await desk.say(ben, PairReject(id=request, pair=request + 1) if request < 4 else PairAccept(id=9, pair=5))
    found: list[int] = []
    page: dict[str, Any] = {"next": 0}
    while "next" in page:
        desk.heard(ada)
        (page,) = await desk.say(ada, Pairs(id=9, agent="ada", state="active", after=page["next"]))
        found += [item["pair"] for item in page["items"]]
    assert found == [5]


async def test_an_invitation_is_kept_as_long_as_its_pair_and_then_goes_with_it(desk: Desk) -> None:
    ada, ben = await two(desk)
    await desk.say(ben, Ack(id=2, messages=[1]))
    await desk.say(ada, PairHangup(id=3, pair=1))
    await desk.say(ada, PairOpen(id=4, to="ben", key="k"), PairOpen(id=5, to="ben", key="later"))
    await desk.say(ben, Ack(id=5, messages=[2]), PairAccept(id=6, pair=2))
    desk.heard(ada)
    desk.broker.pairs.grace_s = 100 * RETENTION_S
    assert [await reap(desk, session, pair) for session, pair in ((ada, 1), (ada, 2))] == ["unknown_pair", "active"]
    await desk.say(ada, PairHangup(id=8, pair=2))
    desk.now += RETENTION_S - 10
    assert await reap(desk, ada, 2, after_s=0) == "ended", "it is not old enough yet"
    assert await reap(desk, ada, 2, after_s=20) == "unknown_pair"


async def reap(desk: Desk, session: Session, pair: int, after_s: float = RETENTION_S + 1) -> str:
    """What there is of a pair when all that is old and over was deleted: its state, or that it is unknown."""
    desk.now += after_s
    desk.broker.commands.append(ask.Reap(None, None, 0, desk.now_ms - int(RETENTION_S * 1000), 500))
    await desk.turn()
    desk.heard(session)
    (answer,) = await desk.say(session, GetPair(id=9, pair=pair))
    return str(answer.get("code") or answer["item"]["state"])
