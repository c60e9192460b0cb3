"""upgrade: the command is shown, run when agreed to, and refused where it is not ours to run. No network is touched."""

import subprocess
import sys
from pathlib import Path

import pytest

from relay_client.service import installed
from relay_proto.version import __version__
from tests.cli.command import RUN_S, Outcome
from tests.service.machine import Account

SOURCES = Path(installed.__file__).parents[2]


class Venv:
    """A venv with the metadata that uv would have left in it; our sources and what they need are on its path."""

    def __init__(self, account: Account) -> None:
        self.account = account
        self.prefix = account.root / "venv"
        subprocess.run(
            [sys.executable, "-m", "venv", "--without-pip", "--system-site-packages", self.prefix], check=True
        )
        self.python = self.prefix / "bin" / "python"
        self.info = next((self.prefix / "lib").glob("python*/site-packages")) / "relay_broker-0.0.1.dist-info"
        self.info.mkdir()
        (self.info / "METADATA").write_text("Metadata-Version: 2.1\nName: relay-broker\nVersion: 0.0.1\n")
        (self.info / "INSTALLER").write_text("uv\n")
        paths = [SOURCES, SOURCES.parent / "proto", *(path for path in sys.path if path.endswith("site-packages"))]
        (self.info.parent / "needs.pth").write_text("".join(f"{path}\n" for path in paths))

    def upgrade(self, *arguments: str, stdin: str = "") -> Outcome:
        done = subprocess.run(
            [self.python, "-m", "relay_client.cli", "upgrade", *arguments],
            input=stdin.encode(),
            env=self.account.env,
            capture_output=True,
            timeout=RUN_S,
        )
        return Outcome(done.returncode, done.stdout.decode(), done.stderr.decode())


@pytest.fixture
def venv(tmp_path: Path) -> Venv:
    return Venv(Account(tmp_path, "uv", "systemctl"))


def asked(venv: Venv) -> str:
    return f"uv pip install --python {venv.python} --upgrade relay-broker"


def test_dry_run_shows_the_command_and_does_not_run_it(venv: Venv) -> None:
    assert venv.upgrade("--dry-run") == (0, f"relay-broker 0.0.1, by uv pip\nrun {asked(venv)}\n", "")
    assert venv.account.calls == []


def test_yes_runs_it_and_says_what_to_restart(venv: Venv) -> None:
    code, out, _ = venv.upgrade("--yes")
    assert (code, venv.account.calls) == (0, [asked(venv)])
    assert out.splitlines()[-2:] == [
        f"0.0.1 -> {__version__}",
        "a relay that runs goes on with the old version until it is restarted",
    ]
    venv.account.unit.parent.mkdir(parents=True)
    venv.account.unit.touch()
    assert "relay daemon install brings it up to date" in venv.upgrade("--yes").out


def test_it_asks_and_takes_no_for_no(venv: Venv) -> None:
    assert venv.upgrade(stdin="n\n").code == 0
    assert venv.account.calls == []
    nobody = venv.upgrade()
    assert (nobody.code, "--yes runs it, --dry-run shows it" in nobody.err) == (2, True)
    assert venv.upgrade(stdin="y\n").code == 0
    assert venv.account.calls == [asked(venv)]


def test_a_tool_that_fails_or_is_not_there_is_a_failure(venv: Venv) -> None:
    venv.account.add("uv", "#!/bin/sh\nexit 3\n")
    code, out, err = venv.upgrade("--yes")
    assert (code, "->" in out) == (1, False)
    assert err == f"relay: {asked(venv)} failed with status 3\n"
    (venv.account.bin / "uv").unlink()
    code, _, err = venv.upgrade("--yes")
    assert code == 1
    assert "there is no uv on the PATH" in err


def test_a_new_version_that_does_not_start_is_a_failure(venv: Venv) -> None:
    venv.account.add(
        "uv", f"#!/bin/sh\nprintf 'raise SystemExit(\"broken wheel\")' > {venv.info.parent}/relay_proto.py\n"
    )
    code, out, err = venv.upgrade("--yes")
    assert (code, out.splitlines()[-1]) == (1, f"run {asked(venv)}")
    assert err.startswith("relay: the new version does not start, a relay that runs goes on with the old one: ")
    assert err.endswith("broken wheel\n")


def test_an_editable_checkout_is_left_to_git(venv: Venv) -> None:
    (venv.info / "direct_url.json").write_text('{"url": "file:///work/relay", "dir_info": {"editable": true}}')
    for option in ("--dry-run", "--yes"):
        code, out, err = venv.upgrade(option)
        assert (code, out) == (1, "relay-broker 0.0.1, by editable checkout, from file:///work/relay\n")
        assert "nothing is upgraded: this is an editable checkout: git -C /work/relay pull" in err
    assert venv.account.calls == []


def test_one_of_the_two(venv: Venv) -> None:
    assert venv.upgrade("--dry-run", "--yes").code == 2
