"""fences: where a fence comes from, and what a file of a claim may be."""

from pathlib import Path
from typing import cast

import click
import pytest

import relay_client
from relay_client import Agent
from relay_client.cli.door import Door
from relay_client.cli.fences import fence_option, held_fence, read_claim, say
from relay_client.fence_file import FenceFile
from relay_proto.frames import State, Task
from tests.daemon import Daemon


def taken(*arguments: str, **env: str) -> int | None:
    """The fence that a command about message 12 is called with."""
    seen: list[int | None] = []

    @click.command()
    @click.argument("identifier", type=int)
    @fence_option
    def command(identifier: int, fence: int | None) -> None:
        seen.append(fence)

    with pytest.MonkeyPatch.context() as patch:
        for name in ("RELAY_FENCE", "RELAY_MESSAGE"):
            patch.delenv(name, raising=False)
        for name, value in env.items():
            patch.setenv(name, value)
        command.main(["12", *arguments], standalone_mode=False)
    return seen[0]


def test_a_fence_is_the_one_that_was_given_then_that_of_the_environment_then_none() -> None:
    assert taken("--fence", "3", RELAY_FENCE="2") == 3
    assert taken(RELAY_FENCE="2") == 2
    assert taken() is None


def test_an_environment_for_another_message_is_not_asked() -> None:
    assert taken(RELAY_FENCE="2", RELAY_MESSAGE="13") is None
    assert taken(RELAY_FENCE="2", RELAY_MESSAGE="#12") == 2
    assert taken("--fence", "3", RELAY_FENCE="2", RELAY_MESSAGE="13") == 3


@pytest.mark.parametrize("fence", ["0", "x", "1 2"])
def test_a_fence_in_the_environment_that_is_none_is_a_usage_error(fence: str) -> None:
    with pytest.raises(click.BadParameter, match="is no fence"):
        taken(RELAY_FENCE=fence)


class Holder:
    """An agent of which only this is asked."""

    name = "ann"

    def __init__(self, state: State, holder: str | None) -> None:
        self.state = state
        self.holder = holder

    async def task(self, message: int) -> Task:
        return Task(
            message=message, sender="x", to="y", state=self.state, a2a="working", sent_at=0, changed_at=0, attempts=1,
            attempts_max=3, fence=7, thread=message, holder=self.holder,
        )  # fmt: skip


@pytest.mark.parametrize("state", ["claimed", "working", "parked"])
async def test_the_fence_of_what_one_holds_is_known_by_the_relay(state: State) -> None:
    assert await held_fence(cast(Agent, Holder(state, "ann")), 12) == 7


async def test_who_holds_nothing_is_told_who_does() -> None:
    with pytest.raises(click.ClickException, match="ann holds no claim on message 12: ben does; --as says who you are"):
        await held_fence(cast(Agent, Holder("working", "ben")), 12)
    states: tuple[State, ...] = ("ready", "done", "buried")
    for state in states:
        with pytest.raises(click.ClickException, match=f"ann holds no claim on message 12: it is {state}"):
            await held_fence(cast(Agent, Holder(state, "ann")), 12)


async def test_a_word_that_is_said_again_carries_the_fence_that_it_had(daemon: Daemon) -> None:
    door = Door(daemon.url, None, "ann", timeout_s=30.0)
    said: list[int] = []

    async def end_it_and_be_cut_off(agent: Agent, fence: int) -> None:
        said.append(fence)
        await agent.complete(1, fence, "fine")
        if len(said) == 1:
            raise relay_client.Disconnected("cut off")

    async with relay_client.connect(daemon.url, agent="ann") as ann:
        await ann.submit("ann", "x")
        await ann.claim_message(1)
        assert await say(door, 1, None, end_it_and_be_cut_off) == (1, None)
    assert said == [1, 1]


def test_what_was_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "claim"
    FenceFile(path, 2**63 - 1, 2**63 - 2)
    assert read_claim(path) == (2**63 - 1, 2**63 - 2)


@pytest.mark.parametrize(
    "data",
    [
        b"", b"12", b"12\n", b"12 3", b"12 3 4\n", b"12  3\n", b"12 0\n", b"0 3\n", b"12 3\n\n", b"12 3\r\n", b"12 x\n",
        b"\xff\xfe", b"12 3\n13 4\n", b" 12 3\n", b"1" * 30 + b" 3\n", b"12 " + b"0" * 99 + b"3\n", b"-12 3\n",
    ],
)  # fmt: skip
def test_a_file_with_anything_else_in_it_is_no_claim(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "claim"
    path.write_bytes(data)
    with pytest.raises(click.ClickException, match=r"no claim: .* is not one line MESSAGE FENCE"):
        read_claim(path)


def test_a_file_that_is_not_there_or_is_none_is_no_claim(tmp_path: Path) -> None:
    with pytest.raises(click.ClickException, match=r"no claim: .*nothing can't be read: No such file"):
        read_claim(tmp_path / "nothing")
    with pytest.raises(click.ClickException, match=r"no claim: .* can't be read: Is a directory"):
        read_claim(tmp_path)
