"""tmux: the eyes and hands of these tests see what there is, and notice what there should not be."""

from pathlib import Path

import pytest

from tests.terminal.tmux import Tmux


def test_it_types_and_sees_and_notices_the_end(tmp_path: Path) -> None:
    with Tmux(tmp_path, ["sh", "-c", 'read word; echo "got $word"'], {"PATH": "/usr/bin:/bin"}) as pane:
        pane.line("hello; Enter")
        pane.wait_for("^got hello; Enter$")
        pane.wait_until_over()
        with pytest.raises(AssertionError, match="was not seen"):
            pane.wait_for("goodbye", within_s=0.1)


def test_it_notices_a_title_a_clipboard_and_what_is_drawn_over(tmp_path: Path) -> None:
    hostile = r"printf 'one\n\033]0;EVIL\007\033]52;c;aGFoYQ==\007\033[1;1Htwo'; read word"
    with Tmux(tmp_path, ["sh", "-c", hostile], {"PATH": "/usr/bin:/bin"}, 40, 10) as pane:
        pane.wait_for("^two$")
        assert "EVIL" in pane.title
        assert "haha" in pane.clipboards
        assert b"\x1b]0;EVIL" in pane.output.read_bytes()
        assert len(pane.screen()) == 10


def test_it_changes_its_size(tmp_path: Path) -> None:
    with Tmux(tmp_path, ["sh", "-c", "while read word; do stty size; done"], {"PATH": "/usr/bin:/bin"}) as pane:
        pane.resize(100, 30)
        pane.press("Enter")
        pane.wait_for("^30 100$")
