"""output: lines, flushed, as wide as the terminal is; or JSON, as one document or as lines."""

import pty
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import click
import pytest

from relay_client.cli.output import Form, now, output_options, put, put_record, put_records, width


def test_lines_are_there_when_put_returns(capfd: pytest.CaptureFixture[str]) -> None:
    put(["one", "two"])
    assert capfd.readouterr().out == "one\ntwo\n"
    put([])
    assert capfd.readouterr().out == ""


def test_nothing_is_cut_when_stdout_is_no_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    assert width() is None


def test_a_terminal_has_a_width() -> None:
    _, theirs = pty.openpty()
    program = "import sys; from relay_client.cli.output import width; sys.exit(width() != 80)"
    assert subprocess.run([sys.executable, "-c", program], stdout=theirs, env={"COLUMNS": "80"}).returncode == 0


def test_now_knows_its_zone() -> None:
    assert abs(now() - datetime.now(UTC)) < timedelta(seconds=5)


# -- for programs ----------------------------------------------------------------------------------------------------


@click.command()
@output_options
def listed(form: Form) -> None:
    """A command that shows a list."""
    put_records(form, [{"a": 1}, {"b": "\x1b"}] if form.is_json else [])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--json"], '[{"a":1},\n{"b":"\\u001b"}]\n'),
        (["--jsonl"], '{"a":1}\n{"b":"\\u001b"}\n'),
        ([], ""),
    ],
)
def test_json_is_one_document_and_jsonl_one_object_a_line(
    arguments: list[str], said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    listed.main(arguments, standalone_mode=False)
    assert capfd.readouterr().out == said


def test_both_at_once_are_refused() -> None:
    with pytest.raises(click.UsageError, match="--json and --jsonl: one of them"):
        listed.main(["--json", "--jsonl"], standalone_mode=False)


def test_no_record_is_an_empty_list_or_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    put_records(Form.JSON, [])
    put_records(Form.JSONL, [])
    assert capfd.readouterr().out == "[]\n"


def test_one_record_is_one_object_in_either_form(capfd: pytest.CaptureFixture[str]) -> None:
    put_record({"a": 1})
    assert capfd.readouterr().out == '{"a":1}\n'
