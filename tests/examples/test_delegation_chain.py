"""The delegation chain: hops, the instruction that was taken back, the ring that was not closed."""

import re
from pathlib import Path

from tests.daemon import Daemon

from .program import EXAMPLES, facts, run_example


def test_the_chain_goes_down_and_up_and_the_stale_instruction_is_never_seen(tmp_path: Path) -> None:
    done = run_example("delegation_chain.py", tmp_path)
    assert len(facts(done)) == 5
    hops = re.findall(r"^ +(\d) +#\d+ +(\w+) -> (\w+)", done.stdout, re.MULTILINE)
    thread, stale = hops[:-1], hops[-1]
    assert thread == [
        ("0", "lead", "planner"),
        ("1", "planner", "builder"),
        ("2", "builder", "tester"),
        ("3", "tester", "lead"),
        ("3", "tester", "builder"),
        ("4", "builder", "planner"),
        ("5", "planner", "lead"),
    ]
    assert stale == ("0", "lead", "planner")
    assert "pack the folder above" not in done.stdout.split("The thread")[0]
    assert re.search(r"pack the folder above +superseded at planner$", done.stdout, re.MULTILINE)
    assert "tester   can't ask back: tester can't wait for lead now" in done.stdout
    assert f'{{"compiled": {len(list(EXAMPLES.glob("*.py")))}, "broken": 0}}' in done.stdout


def test_what_does_not_compile_is_told_up_the_chain(tmp_path: Path) -> None:
    sources, temporary = tmp_path / "sources", tmp_path / "temporary"
    sources.mkdir()
    temporary.mkdir()
    (sources / "good.py").write_text("x = 1\n")
    (sources / "broken.py").write_text("def f(:\n")
    (sources / "warns.py").write_text('"a" is "b"\n')  # a SyntaxWarning: the tester is strict, as nobody can tell it
    done = run_example("delegation_chain.py", temporary, str(sources))
    assert facts(done)
    assert '{"compiled": 1, "broken": 2}' in done.stdout


def test_it_runs_again_and_again_on_a_relay_that_runs_already(tmp_path: Path) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    daemon = Daemon(tmp_path / "data").start()
    try:
        for _ in range(2):
            assert facts(run_example("delegation_chain.py", temporary, RELAY_URL=daemon.url))
    finally:
        daemon.close()


def test_a_relay_that_lets_nobody_in_is_no_success(tmp_path: Path) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    daemon = Daemon(tmp_path / "data", env={"RELAY_TOKEN": "another-token-0123456789"}).start()
    try:
        done = run_example("delegation_chain.py", temporary, RELAY_URL=daemon.url)
    finally:
        daemon.close()
    assert done.returncode == 1
    assert "Unauthorized" in done.stderr
