"""Claims under fire: real clients in processes of their own, paused, killed, cut off and misled, against a real daemon.

What each of them said and heard is one history for each task, and there must be an order of events that explains it
(`linear.py`). The same campaign against a relay that does not check fences finds no such order. RELAY_LONG=1 goes on
for longer. A failure prints its seed; with RELAY_TEST_SEED=<that seed> the same is done at the same times, as far as
processes do the same at the same times.
"""

import os
import random
import sys
from pathlib import Path

import pytest

from tests.daemon import Daemon
from tests.work.campaign import FAULTS, PROLOGUES, Campaign
from tests.work.history import History
from tests.work.linear import NotLinearizable, check

SEED = int(os.environ.get("RELAY_TEST_SEED") or random.randrange(2**32))
IS_LONG = os.environ.get("RELAY_LONG") == "1"
SECONDS = 180.0 if IS_LONG else 9.0
ANSWERS = {
    "claim: ok", "claim: claimed", "claim: finished", "claim_next: ok", "renew: ok", "renew: stale_fence",
    "progress: ok", "release: ok", "release: stale_fence", "complete: ok", "complete: stale_fence", "read: ok",
    "check: ok",
}  # fmt: skip
"""What the fleet has to have heard, or it did not try what it is there for."""


class Unfenced(Daemon):
    """A relay that does not look at fences: see unfenced.py."""

    kind = "statements"

    def command(self) -> list[str]:
        return [sys.executable, str(Path(__file__).with_name("unfenced.py")), self.kind, *super().command()[3:]]


@pytest.mark.timeout(SECONDS + 60)
async def test_what_a_fleet_under_fire_saw_of_a_task_can_be_told_as_one_thing_after_the_other(
    tmp_path: Path,
) -> None:
    print(f"RELAY_TEST_SEED={SEED} (logs: {tmp_path})")
    campaign = Campaign(tmp_path, Daemon(tmp_path / "data"), SEED, SECONDS)
    histories = await campaign.run()
    campaign.judge(histories)
    operations = sum(len(history.operations) for history in histories)
    print(f"{operations} operations on {len(histories)} tasks", *_lines(campaign), sep="\n")
    for thing in (
        *FAULTS,
        *ANSWERS,
        "lease that ended in silence",
        "word without an answer",
        "word that was said again",
    ):
        assert campaign.fired[thing], f"this never happened: {thing}"


@pytest.mark.timeout(SECONDS + 60)
@pytest.mark.parametrize(
    ("kind", "prologue", "caught"),
    [
        ("statements", 0, "renew fence=1 -> ok fence=1 lease_s=60   (right: stale_fence fence=2)"),
        ("words", 1, "complete fence=1 -> ok   (right: stale_fence fence=2)"),
    ],
    ids=["statements", "words"],
)
async def test_a_relay_that_does_not_check_the_fence_is_caught(
    kind: str, prologue: int, caught: str, tmp_path: Path
) -> None:
    print(f"RELAY_TEST_SEED={SEED} (logs: {tmp_path})")
    daemon = Unfenced(tmp_path / "data")
    daemon.kind = kind
    campaign = Campaign(tmp_path, daemon, SEED, SECONDS / 6, until_all_fired=False)
    histories = await campaign.run()
    with pytest.raises(NotLinearizable) as failure:
        check(histories[prologue])  # what one agent did on a task of its own: in each campaign, the same each time
    assert caught in str(failure.value)
    fought_over = histories[len(PROLOGUES) :]
    broken = sum(map(is_broken, fought_over))
    print(f"and of the tasks that were fought over, {broken} of {len(fought_over)}")
    assert broken or not IS_LONG


def is_broken(history: History) -> bool:
    """No order explains it."""
    try:
        check(history)
    except NotLinearizable:
        return True
    return False


def _lines(campaign: Campaign) -> list[str]:
    return [f"{count:7}  {thing}" for thing, count in sorted(campaign.fired.items())]
