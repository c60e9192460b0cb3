"""relay claim: what one needs to do the work, and nothing that is someone else's."""

import asyncio
import os
import re
import signal
from pathlib import Path
from typing import Any

import pytest

import relay_client
from relay_client.cli.claim import take
from relay_client.cli.door import Door
from tests.cli.command import Outcome, listening, run
from tests.daemon import Daemon


def submit(daemon: Daemon, to: str, title: str, *options: str) -> None:
    done = run("submit", to, title, *options, "--hold", "--url", daemon.url, "--as", "lead")
    assert done.code == 0, done.err


def claim(daemon: Daemon, *arguments: str, name: str = "ann") -> Outcome:
    return run("claim", *arguments, "--url", daemon.url, "--as", name)


def fences(done: Outcome) -> list[tuple[int, int]]:
    assert done.code == 0, done.err
    return [(record["message"], record["fence"]) for record in done.records]


def test_a_claim_by_id_shows_fence_lease_and_body(daemon: Daemon) -> None:
    submit(daemon, "ann", "fix it\x1b", "the body\nfence:    9", "--type", "bug", "--severity", "error")
    done = claim(daemon, "#1", "--lease", "5m")
    assert done == (
        0,
        "claimed:  #1\nfence:    1\nlease:    5m\ntitle:    fix it\\x1b\nfrom:     lead → ann\ntype:     bug\n"
        "severity: error\n\n    the body\n    fence:    9\n",
        "",
    )


def test_it_stays_when_the_command_is_over(daemon: Daemon) -> None:
    submit(daemon, "ann", "x")
    assert fences(claim(daemon, "1", "--json")) == [(1, 1)]
    record = run("task", "1", "--json", "--url", daemon.url).records[0]
    assert (record["state"], record["holder"], record["fence"]) == ("claimed", "ann", 1)
    other = claim(daemon, "1", name="ben")
    assert (other.code, other.out) == (1, "")
    assert other.err == "relay: message 1 is claimed by ann\n"


def test_without_an_id_it_takes_what_comes_next_by_priority(daemon: Daemon) -> None:
    submit(daemon, "ann", "a")
    submit(daemon, "ann", "b", "--severity", "critical")
    submit(daemon, "ben", "not ann's")
    submit(daemon, "ann", "c", "body c")
    assert fences(claim(daemon, "--json")) == [(2, 1)]
    both = claim(daemon, "--next", "5", "--json")
    assert fences(both) == [(1, 1), (4, 1)]
    last = both.records[1]
    assert (last["subject"], last["body"], last["from"], last["lease_s"]) == ("c", "body c", "lead", 60.0)
    assert claim(daemon).code == 3


def test_several_are_told_apart_and_what_comes_next_is_said(daemon: Daemon) -> None:
    submit(daemon, "ann", "a")
    submit(daemon, "ann", "b")
    done = claim(daemon, "--next", "2")
    first, second = done.out.split("\n\n")
    assert ("claimed:  #1" in first, "claimed:  #2" in second) == (True, True)
    assert done.err == "next: relay done ID, relay fail ID or relay release ID, as the same agent\n"


def test_what_waits_is_refused_with_how_long_and_for_what(daemon: Daemon) -> None:
    submit(daemon, "ann", "a", "--delay", "1h")
    refused = claim(daemon, "1")
    assert refused.code == 1
    seconds = re.search(r"work that waits for (\d+\.\d) s more; it can't be claimed yet", refused.err)
    assert seconds is not None, refused.err
    assert 3500 < float(seconds[1]) <= 3600


def test_its_filters_choose(daemon: Daemon) -> None:
    with listening(daemon.url, "ann", "--cap", "code") as listener:
        listener.kill()
    submit(daemon, "ann", "a", "--type", "bug")
    submit(daemon, "cap:code", "b", "--channel", "ci")
    submit(daemon, "cap:code", "c", "--type", "chore")
    assert fences(claim(daemon, "--json", "--to", "cap:code")) == [(2, 1)]
    assert claim(daemon, "--json", "--channel", "ci").code == 3
    assert fences(claim(daemon, "--json", "--type", "chore")) == [(3, 1)]


def test_nothing_ready_is_code_3_and_says_for_whom(daemon: Daemon) -> None:
    assert claim(daemon) == (3, "", "relay: no work is ready for ann; --as says who you are\n")
    assert claim(daemon, "--json") == (3, "", "relay: no work is ready for ann; --as says who you are\n")


@pytest.mark.parametrize(
    ("identifier", "said"),
    [
        ("1", "not sent as claimable"),
        ("2", "its work is done"),
        ("3", "can't be claimed yet"),
        ("9", "there is no such message"),
    ],
)
def test_what_can_not_be_claimed_is_refused_in_one_line(daemon: Daemon, identifier: str, said: str) -> None:
    run("send", "ann", "hello", "--hold", "--url", daemon.url)
    submit(daemon, "ann", "done", "--dedupe-key", "k")
    run("resolve", "k", "--url", daemon.url, "--as", "lead")
    submit(daemon, "ann", "later", "--delay", "1h")
    refused = claim(daemon, identifier)
    assert (refused.code, refused.out) == (1, "")
    assert said in refused.err
    assert refused.err.count("\n") == 1


def test_the_file_says_message_and_fence(daemon: Daemon, tmp_path: Path) -> None:
    submit(daemon, "ann", "x")
    path = tmp_path / "claim"
    assert claim(daemon, "1", "--file", str(path)).code == 0
    assert path.read_text() == "1 1\n"
    run("release", "1", "--url", daemon.url, "--as", "ann")
    assert claim(daemon, "--file", str(path)).code == 0
    assert path.read_text() == "1 2\n"


def test_a_file_that_can_not_be_written_gives_the_claim_back(daemon: Daemon, tmp_path: Path) -> None:
    submit(daemon, "ann", "x")
    refused = claim(daemon, "1", "--file", str(tmp_path / "no" / "folder"))
    assert (refused.code, refused.out) == (1, "")
    assert refused.err.endswith("can't be written: No such file or directory; message 1 is given back\n")
    record = run("task", "1", "--json", "--url", daemon.url).records[0]
    assert (record["state"], record["attempts"]) == ("ready", 0)


def test_many_who_claim_at_once_share_the_tasks_and_none_is_had_twice(daemon: Daemon) -> None:
    for _ in range(4):
        submit(daemon, "cap:code", "x")
    names = [f"worker-{number}" for number in range(6)]
    for name in names:
        with listening(daemon.url, name, "--cap", "code") as listener:
            listener.kill()

    async def all_at_once() -> list[Outcome]:
        return await asyncio.gather(*(asyncio.to_thread(claim, daemon, "--json", name=name) for name in names))

    outcomes = asyncio.run(all_at_once())
    assert sorted(record["message"] for done in outcomes for record in done.records) == [1, 2, 3, 4]
    assert sorted(done.code for done in outcomes) == [0, 0, 0, 0, 3, 3]


async def test_a_claim_that_may_have_been_made_is_not_made_again_and_says_so(daemon: Daemon) -> None:
    await asyncio.to_thread(submit, daemon, "ann", "x")
    next_work = relay_client.Agent.next_work

    async def claim_and_stop(agent: relay_client.Agent, *arguments: Any, **options: Any) -> Any:
        os.kill(daemon.pid, signal.SIGSTOP)
        return await next_work(agent, *arguments, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(relay_client.Agent, "next_work", claim_and_stop)
        try:
            with pytest.raises(TimeoutError) as caught:
                await take(Door(daemon.url, None, "ann", timeout_s=1.0), None, 1, None, {})
        finally:
            os.kill(daemon.pid, signal.SIGCONT)
    assert caught.value.__notes__ == ["work may or may not be claimed; relay tasks --holder ann shows it"]


async def test_work_that_is_next_is_not_claimed_a_second_time_after_a_lost_connection(daemon: Daemon) -> None:
    for title in ("a", "b"):
        await asyncio.to_thread(submit, daemon, "ann", title)
    next_work = relay_client.Agent.next_work
    tries = 0

    async def claim_and_be_cut_off(agent: relay_client.Agent, *arguments: Any, **options: Any) -> Any:
        nonlocal tries
        tries += 1
        await next_work(agent, *arguments, **options)
        raise relay_client.Disconnected("cut off")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(relay_client.Agent, "next_work", claim_and_be_cut_off)
        with pytest.raises(relay_client.Disconnected) as caught:
            await take(Door(daemon.url, None, "ann", timeout_s=30.0), None, 1, None, {})
    assert tries == 1
    assert "relay tasks --holder ann shows it" in caught.value.__notes__[0]


async def test_a_claim_by_id_is_made_sure_of_after_a_lost_connection(daemon: Daemon) -> None:
    await asyncio.to_thread(submit, daemon, "ann", "a")
    claim_message = relay_client.Agent.claim_message
    tries = 0

    async def claim_and_be_cut_off(agent: relay_client.Agent, *arguments: Any) -> tuple[int, float]:
        nonlocal tries
        tries += 1
        granted = await claim_message(agent, *arguments)
        if tries == 1:
            raise relay_client.Disconnected("cut off")
        return granted

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(relay_client.Agent, "claim_message", claim_and_be_cut_off)
        (taken,) = await take(Door(daemon.url, None, "ann", timeout_s=30.0), 1, 1, None, {})
    assert (taken.item.message, taken.fence, tries) == (1, 1, 2)
