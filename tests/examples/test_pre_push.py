"""The pre-push hook: in a real repository with a real remote, only who still holds the claim pushes."""

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Final

import pytest

from tests.cli.command import environment, run
from tests.daemon import Daemon

from .program import EXAMPLES

HOOK: Final = EXAMPLES / "hooks" / "pre-push"
GIT_S: Final = 30.0


class Clone:
    """A clone of a bare remote in which the hook is installed. Its worker is `ann`."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder / "clone"
        self.remote = folder / "remote.git"
        self.url = url
        subprocess.run(["git", "init", "-q", "--bare", "-b", "main", self.remote], check=True, env=self.env())
        subprocess.run(["git", "init", "-q", "-b", "main", self.folder], check=True, env=self.env())
        self.git("remote", "add", "origin", str(self.remote))
        (self.folder / ".git/hooks").mkdir(exist_ok=True)
        shutil.copy(HOOK, self.folder / ".git/hooks/pre-push")
        self.claim_file = self.folder / ".git/relay-claim"

    def env(self, **more: str) -> dict[str, str]:
        """Nobody's git configuration, the `relay` of this checkout, and ann's name."""
        path = os.pathsep.join([sysconfig.get_path("scripts"), str(Path(sys.executable).parent), os.environ["PATH"]])
        ours = {"PATH": path, "RELAY_URL": self.url, "RELAY_AS": "ann", "HOME": str(self.folder.parent)}
        who = {
            f"GIT_{role}_{what}": "ann@example.org" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
        }
        kept = {name: value for name, value in environment().items() if not name.startswith("GIT_")}
        return kept | ours | who | {"GIT_CONFIG_NOSYSTEM": "1"} | more

    def git(self, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["git", *arguments], cwd=self.folder, env=self.env(**env), capture_output=True, text=True, timeout=GIT_S
        )

    def push(self, text: str, **env: str) -> subprocess.CompletedProcess[str]:
        """Commit something and push it."""
        (self.folder / "work.txt").write_text(text)
        assert self.git("add", "work.txt").returncode == 0
        done = self.git("commit", "-q", "-m", text)
        assert done.returncode == 0, done.stderr
        return self.git("push", "-q", "origin", "main", **env)

    def pushed(self) -> str:
        """What stands at the remote's head."""
        show = ["git", "-C", str(self.remote), "log", "-1", "--format=%s", "main"]
        return subprocess.run(show, capture_output=True, text=True, env=self.env(), check=True).stdout.strip()


@pytest.fixture
def clone(tmp_path: Path, daemon: Daemon) -> Clone:
    return Clone(tmp_path, daemon.url)


def relay(clone: Clone, *arguments: str, name: str = "ann") -> None:
    done = run(*arguments, "--url", clone.url, "--as", name)
    assert done.code == 0, done.err


def claimed(clone: Clone) -> str:
    """A task that ann holds, with her claim in the file that the hook reads."""
    submitted = run("submit", "ann", "fix it", "--hold", "--json", "--url", clone.url, "--as", "lead")
    task = str(submitted.records[0]["message"])
    relay(clone, "claim", task, "--file", str(clone.claim_file))
    return task


def test_who_holds_the_claim_pushes_and_who_lost_it_does_not(clone: Clone) -> None:
    task = claimed(clone)
    first = clone.push("first")
    assert (first.returncode, first.stderr) == (0, "")

    relay(clone, "release", task)
    relay(clone, "claim", task, name="ben")
    late = clone.push("too late")
    assert late.returncode != 0
    line, *_ = late.stderr.splitlines()
    assert line == f"relay: fence is 1; message {task} is at fence 2: the claim was lost and given out again"
    assert clone.pushed() == "first"


def test_when_the_work_is_over_or_canceled_nothing_is_pushed(clone: Clone) -> None:
    task = claimed(clone)
    relay(clone, "cancel", task, "--reason", "not wanted", name="lead")
    assert clone.push("unwanted").returncode != 0
    task = claimed(clone)
    relay(clone, "done", task)
    assert clone.push("afterwards").returncode != 0
    assert clone.git("ls-remote", "origin").stdout == ""


def test_parked_work_is_still_ones_own(clone: Clone) -> None:
    relay(clone, "park", claimed(clone), "--needs", "human", "--reason", "may I?")
    assert clone.push("meanwhile").returncode == 0


def test_without_a_claim_or_with_a_broken_one_nothing_is_pushed(clone: Clone) -> None:
    missing = clone.push("unclaimed")
    assert missing.returncode != 0
    assert "relay: no claim: .git/relay-claim can't be read: No such file or directory" in missing.stderr
    clone.claim_file.write_text("12\n")
    broken = clone.push("unclaimed, too")
    assert broken.returncode != 0
    assert "is not one line MESSAGE FENCE" in broken.stderr
    assert clone.git("ls-remote", "origin").stdout == ""


def test_without_a_relay_nothing_is_pushed(clone: Clone, daemon: Daemon) -> None:
    claimed(clone)
    daemon.kill()
    alone = clone.push("alone")
    assert alone.returncode != 0
    assert alone.stderr.startswith("relay: ")
    assert clone.git("ls-remote", "origin").stdout == ""
    daemon.start()
    assert clone.git("push", "-q", "origin", "main").returncode == 0


def test_the_claim_may_be_in_the_environment(clone: Clone) -> None:
    task = claimed(clone)
    clone.claim_file.unlink()
    assert clone.push("first", RELAY_MESSAGE=task, RELAY_FENCE="1").returncode == 0
    assert clone.push("second", RELAY_MESSAGE=task, RELAY_FENCE="2").returncode != 0
    assert clone.push("third", RELAY_MESSAGE=task).returncode != 0
    assert clone.pushed() == "first"


def test_a_linked_work_tree_has_a_claim_of_its_own(clone: Clone) -> None:
    claimed(clone)
    assert clone.push("first").returncode == 0
    assert clone.git("worktree", "add", "-q", "-b", "side", "../side").returncode == 0
    refused = clone.git("-C", "../side", "push", "-q", "origin", "side")
    assert refused.returncode != 0
    assert "worktrees/side/relay-claim can't be read" in refused.stderr
