"""standing.py: what is known of agents, in words, and chains of waits."""

from pathlib import Path

from relay_proto.frames import Bye, Claim, Heartbeat, Register, Send
from relay_server.standing import CHAIN_MAX
from tests.relay.asking_why import START, opened, why
from tests.relay.desk import Desk


async def state_of(desk: Desk, agent: str) -> str:
    return (await why(desk, agent=agent)).sentences[0]


async def test_presence_is_said_with_its_reason_and_what_was_seen(desk: Desk) -> None:
    bob = await desk.agent("bob", status="busy")
    assert await state_of(desk, "bob") == "bob is busy, last heard of just now."
    desk.now = 119
    assert await state_of(desk, "bob") == "bob is busy, last heard of 1 min 59 s ago."
    desk.now = 120
    assert await state_of(desk, "bob") == f"bob is stale: connected, and silent since {START} (2 min)."
    await desk.say(bob, Heartbeat())
    desk.broker.lost(bob)
    await desk.turn()
    desk.now = 130
    heard = "its connection was lost; it was last heard of at 2023-11-14 22:15:20 UTC"
    assert await state_of(desk, "bob") == f"bob is stale: {heard} (10 s ago)."
    desk.now = 240
    assert await state_of(desk, "bob") == f"bob is offline: {heard} (2 min ago)."
    bob = await desk.agent("bob")
    await desk.say(bob, Bye())
    desk.now = 300
    assert await state_of(desk, "bob") == "bob has been offline since 2023-11-14 22:17:20 UTC (1 min): it said bye."


async def test_who_has_not_come_back_since_a_restart(tmp_path: Path) -> None:
    async with opened(tmp_path) as desk:
        await desk.agent("bob")
    async with opened(tmp_path, now=50.0) as desk:
        assert await state_of(desk, "bob") == (
            f"bob is offline: it has not connected since the relay started; it was last heard of at {START} (50 s ago)."
        )


async def test_who_was_pruned_and_who_only_visited(desk: Desk) -> None:
    bob, cyd = await desk.agent("bob"), desk.connect()
    await desk.say(bob, Bye())
    await desk.pass_time(25 * 3600)
    assert (await state_of(desk, "bob")).endswith("it said bye; it is in no group until it registers again.")
    await desk.say(cyd, Register(id=1, agent="cyd", visit=True))
    assert await state_of(desk, "cyd") == "cyd has only visited: it is given nothing until it registers."


async def test_a_wait_for_one_of_several_names_them_and_ends_there(desk: Desk) -> None:
    ada = await desk.agent("ada")
    bob = await desk.agent("bob", caps=["review"])
    await desk.agent("cyd", caps=["review"])
    await desk.say(ada, Send(id=1, to="cap:review", body="?", claimable=True, expect_reply_s=60))
    told = await why(desk, agent="ada")
    assert "ada waits for bob or cyd (message 1)." in told.sentences
    assert told.sentences[-1] == "To go on: bob or cyd must reply to message 1."
    assert told.waits_for == ["bob", "cyd"]
    await desk.say(bob, Claim(id=1, message=1))
    told = await why(desk, agent="ada")
    assert "ada waits for bob (message 1), who is online, last heard of just now." in told.sentences
    assert told.waits_for == ["bob"]


async def test_a_long_chain_ends_at_its_limit(desk: Desk) -> None:
    sessions = [await desk.agent(f"a{i}") for i in range(CHAIN_MAX + 3)]
    for i in range(CHAIN_MAX + 2):
        await desk.say(sessions[i], Send(id=1, to=f"a{i + 1}", body="?", expect_reply_s=60))
    (chain,) = [text for text in (await why(desk, agent="a0")).sentences if text.startswith("a0 waits for")]
    assert chain.count("waits for") == CHAIN_MAX


async def test_an_agent_that_waits_for_several_has_a_chain_for_each(desk: Desk) -> None:
    ada = await desk.agent("ada")
    for name in ("bob", "cyd"):
        await desk.agent(name)
        await desk.say(ada, Send(id=1, to=name, body="?", expect_reply_s=60))
    told = await why(desk, agent="ada")
    assert [text[:26] for text in told.sentences if "waits for" in text] == [
        "ada waits for bob (message", "ada waits for cyd (message"
    ]  # fmt: skip
    assert told.waits_for == ["bob", "cyd"]
