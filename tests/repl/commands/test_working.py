"""working: work is taken, held, ended and handed out, each word under the fence of its claim."""

import click
import pytest

import relay_client
from relay_client.cli.failure import NotYet
from relay_proto.errors import Claimed, NotClaimable, StaleFence
from tests.daemon import Daemon
from tests.repl.desks import do, say, two


async def test_claim_shows_what_was_taken_and_done_ends_it(shared: Daemon) -> None:
    async with two(shared) as (desk, you):
        work = (await you.submit(desk.agent.name, "the parser", "look at\x1b it")).message
        taken = await do(desk, f"claim --lease 5m {work}")
        fence = taken.records[0]["fence"]
        assert taken.lines == [
            f"#{work} is yours: the parser (from {you.name}, fence {fence})",
            r"    look at\x1b it",
            f"done {work}, fail, park or release ends it; its lease is renewed while you are here",
        ]
        assert (taken.records[0]["lease_s"], desk.fences) == (300, {work: taken.records[0]["fence"]})
        assert await say(desk, f"done {work} all fine") == [f"#{work} is done"]
        task = await you.task(work)
        assert (task.state, task.result, desk.fences) == ("done", "all fine", {})


async def test_claim_without_an_id_takes_the_next_ones(shared: Daemon) -> None:
    async with two(shared) as (desk, you):
        me = desk.agent.name
        with pytest.raises(NotYet, match=f"no work is ready for {me}"):
            await do(desk, f"claim --to {me}")
        ids = [(await you.submit(me, f"job {i}", type="build", channel="ci")).message for i in range(3)]
        taken = await do(desk, f"claim --next 2 --to {me} --type build --channel ci")
        assert [one["message"] for one in taken.records] == ids[:2]
        assert list(desk.fences) == ids[:2]
        assert taken.lines[0].startswith(f"#{ids[0]} is yours: [ci] job 0 (build, from {you.name}, fence ")
        assert taken.lines[-1].startswith("done ID, fail, park or release ends it")
        assert [one["message"] for one in (await do(desk, "claim")).records] == ids[2:]
        assert (await say(desk, f"done {ids[0]}")) == [f"#{ids[0]} is done"]
        with pytest.raises(click.UsageError, match="ID names one task"):
            await do(desk, f"claim --next 2 {ids[1]}")


async def test_a_claim_that_someone_else_has_says_who(shared: Daemon) -> None:
    async with two(shared) as (desk, you):
        cap = f"cap-of-{you.name}"
        await do(desk, f"caps {cap}")
        async with relay_client.connect(shared.url, agent=f"other-{you.name}", caps=[cap]) as other:
            work = (await you.submit(f"cap:{cap}", "do it")).message
            await other.claim_message(work)
            with pytest.raises(Claimed) as caught:
                await do(desk, f"claim {work}")
            assert caught.value.detail["holder"] == other.name
            with pytest.raises(click.ClickException, match=f"you hold no claim on #{work}: {other.name} does"):
                await do(desk, f"done {work}")


async def test_what_a_visit_claimed_in_this_name_can_be_ended_here(shared: Daemon) -> None:
    async with two(shared) as (desk, you):
        work = (await you.submit(desk.agent.name, "do it")).message
        await do(desk, f"claim {work}")
        desk.fences.clear()  # as if the claim were not from here
        assert await say(desk, f"done {work}") == [f"#{work} is done"]
        with pytest.raises(click.ClickException, match=f"you hold no claim on #{work}: it is done"):
            await do(desk, f"done {work}")


async def test_a_claim_that_was_lost_is_told_when_it_is_used(shared: Daemon) -> None:
    async with two(shared) as (desk, you):
        work = (await you.submit(desk.agent.name, "do it")).message
        await do(desk, f"claim {work}")
        fence = desk.fences[work]
        await do(desk, f"release {work}")
        await do(desk, f"claim {work}")
        desk.fences[work] = fence
        with pytest.raises(StaleFence):
            await do(desk, f"done {work}")


async def test_release_and_fail_give_work_back(shared: Daemon) -> None:
    async with two(shared) as (desk, you):
        work = (await you.submit(desk.agent.name, "do it")).message
        with pytest.raises(click.ClickException, match=f"it is ready; claim {work} takes it"):
            await do(desk, f"release {work}")
        await do(desk, f"claim {work}")
        assert await say(desk, f"release {work}") == [f"#{work} is given back; someone else may claim it"]
        await do(desk, f"claim {work}")
        failed = await do(desk, f"fail {work} no \x1b disk")
        assert failed.lines[0].startswith(rf"#{work} failed: no \x1b disk; it is ")
        assert failed.lines[0].endswith("(attempt 1 of 3)")
        assert failed.records[0]["state"] in ("delayed", "ready")
        other = (await you.submit(desk.agent.name, "and this")).message
        await do(desk, f"claim {other}")
        assert "it is failed" in (await say(desk, f"fail --no-retry {other} never"))[0]


@pytest.mark.parametrize(
    ("said", "shown", "share", "note"),
    [
        ("40%", "working 40%", 0.4, None),
        ("0.5 the tests run", "working 50% the tests run", 0.5, "the tests run"),
        ("the tests run", "working the tests run", None, "the tests run"),
    ],
)
async def test_progress_takes_a_share_a_note_or_both(
    shared: Daemon, said: str, shown: str, share: float | None, note: str | None
) -> None:
    async with two(shared) as (desk, you):
        work = (await you.submit(desk.agent.name, "do it")).message
        await do(desk, f"claim {work}")
        assert await say(desk, f"progress {work} {said}") == [f"#{work} is {shown}; 1m of lease"]
        task = await you.task(work)
        assert (task.progress, task.note) == (share, note)
        with pytest.raises(click.UsageError, match=r"there is nothing to say: .*; progress ID \[SHARE\]"):
            await do(desk, f"progress {work}")


async def test_park_waits_for_what_it_needs_and_resume_goes_on(shared: Daemon) -> None:
    async with two(shared) as (desk, you):
        first, work = [(await you.submit(desk.agent.name, title)).message for title in ("first", "second")]
        await do(desk, f"claim {work}")
        parked = await do(desk, f"park --deadline 2h {work} human may I push?")
        assert parked.lines[0].startswith(f"#{work} is parked, needs human, until ")
        assert (await you.task(work)).reason == "may I push?"
        assert await say(desk, f"resume --lease 2m {work}") == [f"#{work} goes on; 2m of lease"]
        await do(desk, f"park --on {first} {work} dependency")
        assert (await you.task(work)).waiting_for == [first]
        for line in (f"park {work} dependency", f"park --on {first} {work} human"):
            with pytest.raises(click.UsageError, match="--on ID says which"):
                await do(desk, line)


async def test_submit_takes_a_title_and_below_it_a_body(shared: Daemon) -> None:
    async with two(shared) as (desk, you):
        first = await do(desk, f"submit --type review --severity error {you.name} look at it\n\nall\nof it")
        number = first.records[0]["message"]
        assert first.lines == [f"#{number} → {you.name}: one may take it, online"]
        task = await you.task(number)
        assert (task.title, task.body, task.type, task.severity) == ("look at it", "all\nof it", "review", "error")
        second = await do(desk, f"submit --depends-on {number} --attempts 1 {you.name} then this")
        assert (await you.task(second.records[0]["message"])).waiting_for == [number]


async def test_a_thing_has_one_open_task_until_it_is_resolved(shared: Daemon) -> None:
    async with two(shared) as (desk, you):
        line = f"submit --dedupe-key disk {you.name} the disk is full"
        number = (await do(desk, line)).records[0]["message"]
        again = await do(desk, line)
        assert again.lines == [f"#{number} is open already: seen 2 times"]
        assert again.records[0]["occurrences"] == 2
        assert await say(desk, 'resolve --result "made room" disk by hand') == [f"#{number} is done"]
        assert (await you.task(number)).result == "made room"


async def test_cancel_and_kick(shared: Daemon) -> None:
    async with two(shared) as (desk, you):
        number = (await do(desk, f"submit --attempts 1 {you.name} break it")).records[0]["message"]
        fence, _ = await you.claim_message(number)
        await you.fail(number, fence, "broken")
        with pytest.raises(NotClaimable):
            await do(desk, f"kick {(await do(desk, f'submit {you.name} fine')).records[0]['message']}")
        assert await say(desk, f"kick {number} try again") == [f"#{number} is ready again, for one more attempt"]
        assert await say(desk, f"cancel {number} enough") == [f"#{number} is canceled"]
        task = await you.task(number)
        assert (task.state, task.reason) == ("canceled", "enough")
