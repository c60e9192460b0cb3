"""export: everything as lines of JSON, to a file or into a pipe."""

import json
from pathlib import Path

import click
import pytest

from relay_client.cli.export import Tail
from relay_server.keeping.export import Export
from relay_server.keeping.source import open_source
from tests.cli.command import run
from tests.daemon import Daemon


def test_it_goes_into_a_pipe_or_a_private_file(daemon: Daemon, tmp_path: Path) -> None:
    assert run("send", "ben", "hello", "--hold", "--as", "ada", "--url", daemon.url).code == 0
    outcome = run("export", "--url", daemon.url)
    assert (outcome.code, outcome.err) == (0, "4 records\n")
    head, *records, end = map(json.loads, outcome.out.splitlines())
    assert (head["record"], end["record"], end["records"]) == ("relay", "end", 4)
    assert [record["body"] for record in records if record["record"] == "message"] == ["hello"]
    file = tmp_path / "x.jsonl"
    outcome = run("export", str(file), "--url", daemon.url)
    assert (outcome.code, outcome.out) == (0, "")
    assert outcome.err == f"{file}: 4 records, {file.stat().st_size} bytes\n"
    assert file.stat().st_mode & 0o777 == 0o600
    assert run("export", str(file), "--url", daemon.url).code == 1, "it is there already"
    assert run("export", str(file), "--force", "--url", daemon.url).code == 0
    daemon.stop()
    again = run("export", "--data", str(daemon.data))
    assert again.out.splitlines()[1:] == file.read_text().splitlines()[1:]


@pytest.mark.parametrize("piece", [1, 7, 100_000])
def test_the_last_line_is_looked_at_however_it_comes(piece: int, daemon: Daemon) -> None:
    daemon.stop()
    source = open_source(daemon.data / "relay.db")
    data = b"".join(Export(source, 1).chunks())
    source.close()

    def looked_at(data: bytes) -> int:
        tail = Tail()
        for at in range(0, len(data), piece):
            tail.feed(data[at : at + piece])
        return tail.records()

    assert looked_at(data) == 1
    for bad in (data[:-20], data[: data.rindex(b'{"record":"end"')], b"", data.replace(b'"counter"', b'"caunter"')):
        with pytest.raises(click.ClickException, match="the export is not whole"):
            looked_at(bad)
