"""seam.py: the table names functions that exist, and a client without a server says so in one line."""

import sqlite3
import subprocess
import sys
from pathlib import Path

import click
import pytest

from relay_client.cli import seam
from relay_client.cli.seam import FOLDER_WORK, folder_work


@pytest.mark.parametrize("name", FOLDER_WORK)
def test_each_name_stands_for_a_function(name: str) -> None:
    assert callable(folder_work(name))


def test_a_name_that_is_not_in_the_table_is_a_fault_of_ours() -> None:
    with pytest.raises(KeyError):
        folder_work("polish")


def test_without_a_server_it_is_said_what_to_do(tmp_path: Path) -> None:
    program = (
        "import sys; sys.modules['relay_server'] = None\n"
        "from relay_client.cli import main\n"
        f"sys.exit(main(['verify', '--data', {str(tmp_path)!r}]))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 1
    assert "relay_server, which can do that, is not installed here; install the relay with its server" in done.stderr
    assert "Traceback" not in done.stderr


def test_what_the_server_refuses_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(click.ClickException, match=r"is a folder with no relay\.db in it"):
        folder_work("verify")(tmp_path)
    monkeypatch.setitem(seam.FOLDER_WORK, "connect", "sqlite3:connect")
    with pytest.raises(click.ClickException, match="unable to open database file"):
        folder_work("connect")(tmp_path / "no" / "folder")
    connection = folder_work("connect")(":memory:")
    assert isinstance(connection, sqlite3.Connection)
    connection.close()
