"""capture: docs/repl.md shows what is really on the screen."""

from pathlib import Path

from relay_client.cli.render import cells
from tests.terminal.capture import PAGE, SIZE, captured, normal, shown


async def test_the_screen_in_the_docs_is_what_one_sees(tmp_path: Path) -> None:
    lines = await captured(tmp_path)
    assert normal(lines) == normal(shown(PAGE.read_text())), "run `python -m tests.terminal.capture`"
    assert len(lines) == SIZE[1]
    assert all(cells(line) <= SIZE[0] for line in lines)
