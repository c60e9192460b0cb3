"""steps: what is shown is what is done, files are written whole, and a secret is shown by its length."""

import os
import stat
from pathlib import Path

import pytest

from relay_client.service import steps
from relay_client.service.steps import Folder, Private, Remove, Run, Step, StepError, Write, described, do, output_of
from relay_client.service.systemd import START_S


def test_steps_are_done_in_their_order(tmp_path: Path) -> None:
    file = tmp_path / "new" / "file"
    todo: list[Step] = [
        Folder(tmp_path / "a" / "b"),
        Write(file, "text\n", 0o600),
        Run(("/bin/sh", "-c", f"test -e {file} && echo done > {tmp_path}/ran")),
        Private(tmp_path / "ran", 0o400),
    ]
    do(todo)
    assert stat.S_IMODE((tmp_path / "a" / "b").stat().st_mode) == 0o700
    assert (file.read_text(), stat.S_IMODE(file.stat().st_mode)) == ("text\n", 0o600)
    assert (tmp_path / "ran").read_text() == "done\n"
    assert stat.S_IMODE((tmp_path / "ran").stat().st_mode) == 0o400
    do([Remove(file), Remove(file)])
    assert list(file.parent.iterdir()) == []  # nor anything half written


def test_a_file_is_replaced_with_its_mode_and_through_a_link(tmp_path: Path) -> None:
    real = tmp_path / "dotfiles"
    real.write_text("old")
    real.chmod(0o666)
    (tmp_path / "link").symlink_to(real)
    do([Write(tmp_path / "link", "new", 0o600)])
    assert (tmp_path / "link").is_symlink()
    assert (real.read_text(), stat.S_IMODE(real.stat().st_mode)) == ("new", 0o600)


def test_a_mode_is_what_was_said_whatever_the_umask_is(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        do([Write(tmp_path / "unit", "text", 0o644)])
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "unit").stat().st_mode) == 0o644


def test_what_can_t_be_written_leaves_what_was_there_and_names_it(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("a file, and no folder")
    with pytest.raises(StepError, match=r"file/x can't be written: .*(Not a directory|File exists)"):
        do([Write(tmp_path / "file" / "x", "text")])
    folder = tmp_path / "folder"
    folder.mkdir()
    with pytest.raises(StepError, match="folder can't be written"):
        do([Write(folder, "text")])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]


def test_what_is_no_file_is_not_replaced_by_one(tmp_path: Path) -> None:
    """A unit that was masked is a link to /dev/null, and root could put a file in its place."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("pipe")
    (tmp_path / "relay.service").symlink_to("/dev/null")
    (tmp_path / "loop").symlink_to("loop")
    for name, said in (
        ("pipe", r"pipe can't be written: it is no file"),
        ("link", r"link can't be written: \S+/pipe is no file"),
        ("relay.service", r"is masked; systemctl --user unmask relay\.service"),
        ("loop", r"loop is a link that leads to itself"),
    ):
        with pytest.raises(StepError, match=said):
            do([Write(tmp_path / name, "text")])
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "loop", "pipe", "relay.service"]


@pytest.mark.parametrize("was", [None, "as it was\n"])
def test_what_somebody_else_wrote_meanwhile_stays(tmp_path: Path, was: str | None) -> None:
    path = tmp_path / "file"
    write = Write(path, "ours\n", was=was)
    path.write_text("theirs\n")
    with pytest.raises(StepError, match="by somebody else meanwhile, and stays"):
        do([write])
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("file", "theirs\n")]
    path.unlink()
    if was is not None:
        path.write_text(was)
    do([write])
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("file", "ours\n")]


def test_a_start_has_as_long_as_the_relay_s_own_and_a_question_has_not() -> None:
    assert steps.RUN_S > START_S > steps.ASK_S


def test_a_command_that_does_not_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "RUN_S", 0.2)
    with pytest.raises(StepError, match=r"sleep 60 did not end within 0\.2 s"):
        do([Run(("sleep", "60"))])


def test_a_command_that_fails_ends_it_with_what_it_said_and_what_is_known_about_that(tmp_path: Path) -> None:
    todo: list[Step] = [
        Run(("/bin/sh", "-c", "echo never mind >&2; exit 3"), may_fail=True),
        Run(("/bin/sh", "-c", "echo first >&2; echo second >&2; exit 3")),
        Write(tmp_path / "never", ""),
    ]
    with pytest.raises(StepError) as caught:
        do(todo, lambda step, said: f"known: {said.split()[0]}")
    assert str(caught.value).endswith("failed with status 3: first second; known: first")
    assert not (tmp_path / "never").exists()


def test_a_command_that_is_not_there_is_said_even_if_it_may_fail() -> None:
    with pytest.raises(StepError, match="relay-has-no-such-program"):
        do([Run(("relay-has-no-such-program", "x"), may_fail=True)])
    assert output_of(("relay-has-no-such-program",))[0] == 127


def test_a_command_is_tried_as_often_as_it_may_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "AGAIN_S", 0)
    once = f"test -e {tmp_path}/tried || {{ : > {tmp_path}/tried; exit 5; }}"
    do([Run(("/bin/sh", "-c", once), tries=2)])
    with pytest.raises(StepError, match="status 5"):
        do([Run(("/bin/sh", "-c", "exit 5"))])


def test_a_secret_is_shown_by_its_length() -> None:
    lines = described(Write(Path("/x"), "abcdef\n", 0o600, shown="(a secret of 6 characters)\n\tindented\n"))
    assert lines == ["write /x (mode 0600):", "    (a secret of 6 characters)", "      indented"]
    assert described(Run(("a", "b c"), may_fail=True)) == ["run a 'b c' (which may fail)"]
    assert described(Folder(Path("/f"))) == ["make the folder /f (mode 0700)"]
    assert described(Private(Path("/f"), 0o600)) == ["make /f private (mode 0600)"]
    assert described(Remove(Path("/f"))) == ["remove /f"]
