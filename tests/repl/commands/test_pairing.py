"""pairing: who is in a pair, and where bare text goes meanwhile."""

import click
import pytest

from relay_proto.errors import Busy
from tests.daemon import Daemon
from tests.repl.desks import desk_at, do, say, two


async def test_what_one_says_in_a_pair_goes_to_the_other_until_one_hangs_up(shared: Daemon) -> None:
    async with two(shared) as (desk, you):
        me, theirs = desk.agent.name, desk_at(you)
        opened = await do(desk, f"pair open {you.name} the release")
        number = opened.records[0]["pair"]
        assert opened.lines == [f"#{number}: {me} with {you.name} is pending; {you.name} may accept it"]
        assert (desk.pair, desk.opened) == (None, number)
        desk.peer = "builder"
        theirs.peer = "somebody"
        assert await say(theirs, "pair accept") == [
            f"#{number}: {me} with {you.name} is active; bare text goes there now"
        ]
        assert theirs.pair is not None
        assert theirs.peer is None
        said = await do(theirs, "shall we?")
        assert said.lines == [f"#{said.records[0]['message']} → {me}: online (pair #{number})"]
        message = await desk.agent.receive()
        assert (message.body, message.thread) == ("shall we?", number)
        assert await say(theirs, "to") == [f"bare text goes to {me} (pair #{number}); to --off ends that"]
        assert await say(desk, "pair say yes") == [
            f"#{said.records[0]['message'] + 1} → {you.name}: online (pair #{number})"
        ]
        assert desk.pair is not None
        assert await say(desk, "pair hangup all done") == [
            f"#{number}: {me} with {you.name} is ended by {me}: all done; bare text goes to builder again"
        ]
        assert (desk.pair, desk.peer) == (None, "builder")
        assert number not in [item.message for item in await you.inbox()]  # the answer dealt with the invitation
        assert desk.opened is None


async def test_an_invitation_can_be_declined_with_a_reason(shared: Daemon) -> None:
    async with two(shared) as (desk, you):
        me = desk.agent.name
        pair = await you.pair_open(me)
        assert await say(desk, "pair reject later, please") == [
            f"#{pair.pair}: {you.name} with {me} is rejected by {me}: later, please"
        ]
        again = await you.pair_open(me)
        assert "is rejected" in (await say(desk, f"pair reject {again.pair}"))[0]


async def test_pair_lists_ones_own_and_those_of_others(shared: Daemon) -> None:
    async with two(shared) as (desk, you):
        assert await say(desk, "pair") == ["no pair matches"]
        number = (await do(desk, f"pair open {you.name}")).records[0]["pair"]
        assert [one["pair"] for one in (await do(desk, "pair")).records] == [number]
        assert [one["pair"] for one in (await do(desk, f"pair list {you.name}")).records] == [number]
        assert (await do(desk, "pair list --state active")).records == []
        assert number in [one["pair"] for one in (await do(desk, "pair list --all")).records]
        assert (await say(desk, "pair list"))[0].startswith("PAIR")


async def test_without_a_number_there_must_be_one_that_is_meant(shared: Daemon) -> None:
    async with two(shared) as (desk, you):
        for line in ("pair accept", "pair reject", "pair hangup", "pair say hello"):
            with pytest.raises(click.ClickException, match="no pair "):
                await do(desk, line)
        await do(desk, f"pair open {you.name}")
        with pytest.raises(click.ClickException, match="no pair waits for your answer"):
            await do(desk, "pair accept")  # one's own invitation is the other's to accept
        await do(desk_at(you), "pair accept")
        with pytest.raises(Busy):
            await do(desk, "pair open --hold other")


async def test_an_invitation_can_be_taken_back_by_its_number(shared: Daemon) -> None:
    async with two(shared) as (desk, you):
        number = (await do(desk, f"pair open {you.name}")).records[0]["pair"]
        assert "is ended by" in (await say(desk, f"pair hangup {number} never mind"))[0]
