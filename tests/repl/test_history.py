"""history: a file for each profile, for its owner alone, without secrets."""

import secrets
import stat
import time
from pathlib import Path

import pytest
from prompt_toolkit.history import InMemoryHistory

from relay_client.repl.history import HISTORY_BYTES_MAX, PrivateHistory, holds_secret, open_history


@pytest.fixture(autouse=True)
def _state_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def lines_of(profile: str | None = None) -> list[str]:
    """What a next run finds, the newest first."""
    return list(open_history(profile).load_history_strings())


def test_lines_are_found_again_and_the_file_is_the_owner_s_alone(tmp_path: Path) -> None:
    history = open_history()
    history.append_string("agents")
    history.append_string("send bob two\nlines")
    assert lines_of() == ["send bob two\nlines", "agents"]
    path = tmp_path / "state" / "relay" / "repl-history"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_each_profile_has_its_own(tmp_path: Path) -> None:
    open_history("ops/night").append_string("tasks")
    assert lines_of() == []
    assert lines_of("ops/night") == ["tasks"]
    assert (tmp_path / "state" / "relay" / "repl-history-ops-night").exists()


@pytest.mark.parametrize("line", ["token=" * 40_000, "token" * 50_000, "key: " * 50_000, "a1A-" * 60_000])
def test_a_long_line_that_was_pasted_is_looked_through_at_once(line: str) -> None:
    began = time.process_time()
    holds_secret(line)
    assert time.process_time() - began < 1


@pytest.mark.parametrize(
    "line",
    [
        f"send bob here it is: {secrets.token_urlsafe(32)}aA1",
        "send bob " + "0f" * 32,
        "send bob the password is hunter2",
        "send bob TOKEN=abc123def",
        'raw {"op": "register", "token": "s3cret-one"}',
        "send bob Authorization: Bearer a1b2c3d4",
        "send bob it is swordfish",
        " send bob a line that begins with a space",
    ],
)
def test_what_looks_like_a_secret_is_not_written(line: str, tmp_path: Path) -> None:
    history = open_history(None, "swordfish")
    assert isinstance(history, PrivateHistory)
    history.append_string(line)
    assert history.get_strings() == [line]  # until the end of this run
    assert lines_of() == []


@pytest.mark.parametrize(
    "line",
    [
        "send bob the tokens per second went up by 12%",
        "send bob look at /srv/build/logs/2026-11-21/second-step-of-the-build.log",
        "reply 12 tests/relay/store/test_some_long_name_of_a_file.py fails",
        "ask any:cap:review where is the secret of this?",
    ],
)
def test_talk_about_tokens_and_long_paths_is_kept(line: str) -> None:
    assert not holds_secret(line)


def test_a_file_that_grew_too_long_loses_its_older_half(tmp_path: Path) -> None:
    history = open_history()
    history.append_string("agents")
    path = tmp_path / "state" / "relay" / "repl-history"
    entry = "\n# 2026-11-21 14:10:00.000000\n+send bob hello\n"
    with path.open("a") as file:
        file.write(entry * (HISTORY_BYTES_MAX // len(entry) + 1) + "\n# 2026-11-21 14:10:00.000000\n+last\n")
    lines = lines_of()
    assert lines[0] == "last"
    assert "agents" not in lines
    assert 0.4 * HISTORY_BYTES_MAX < path.stat().st_size < 0.6 * HISTORY_BYTES_MAX
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_without_a_place_for_it_it_is_kept_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    assert isinstance(open_history(), InMemoryHistory)
