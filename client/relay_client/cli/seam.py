"""Work on a relay's data folder that commands do without a relay: the one place that names functions of relay_server.

The names are strings, as `serve` is in the table of `app.py`: no module of `relay_client` imports `relay_server`, and a
client that was installed without the server says so in one line instead of failing with a traceback.
"""

import functools
import importlib
import sqlite3
from collections.abc import Callable
from typing import Any, Final

import click

FOLDER_WORK: Final[dict[str, str]] = {
    "backup": "relay_server.keeping.backup:backup_folder",
    "doctor": "relay_server.examine:examine_folder",
    "config path": "relay_server.settings_report:config_path",
    "config show": "relay_server.settings_report:report",
    "export": "relay_server.keeping.export:export_folder",
    "import": "relay_server.keeping.import_:import_file",
    "verify": "relay_server.keeping.verify:verify_folder",
    "verify file": "relay_server.keeping.verify:verify_file",
}
"""What a command asks for, and where it is: `module:attribute`."""
REFUSALS: Final = tuple(
    name.partition(":")
    for name in ("relay_server.store.interface:StoreRefused", "relay_server.store.interface:StoreFailed")
)
"""The server's exceptions that say in one line what is wrong and what to do."""


def folder_work(name: str) -> Callable[..., Any]:
    """The function that `name` stands for in FOLDER_WORK.

    Raises KeyError for a name that is not in the table, click.ClickException when the server is not installed. What the
    function refuses (REFUSALS, and what SQLite says) leaves it as a click.ClickException.
    """
    module, _, attribute = FOLDER_WORK[name].partition(":")
    try:
        found: Callable[..., Any] = getattr(importlib.import_module(module), attribute)
    except ModuleNotFoundError as exc:
        if exc.name is None or exc.name.partition(".")[0] != "relay_server":
            raise
        raise click.ClickException(
            f"{name} works on a relay's data folder, and relay_server, which can do that, is not installed here; "
            "install the relay with its server, or run this command on the machine where the relay runs"
        ) from None
    refusals = tuple(getattr(importlib.import_module(name), kind) for name, _, kind in REFUSALS)

    @functools.wraps(found)
    def work(*arguments: Any, **named: Any) -> Any:
        try:
            return found(*arguments, **named)
        except (*refusals, sqlite3.Error) as exc:
            raise click.ClickException(str(exc)) from exc

    return work
