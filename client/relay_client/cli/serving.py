"""What the relay of this user's service would begin with: its host, port and data folder, or why it would not begin.

The service has none of a shell's variables: what counts is relay.env, then config.toml. Where there is no relay.env, no
service was set up, and what counts is what `relay serve` would take here.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import click

from relay_proto import limits

from .seam import folder_work

if TYPE_CHECKING:
    from ..service.places import Places

OF_A_SERVICE: Final = ("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME")
"""The variables that a shell and a service of the same user have in common."""


class Serving(NamedTuple):
    """`problem`: why a relay would not start, then the rest is a guess. `config_file`: that was read, or None."""

    host: str
    port: int
    data: Path
    problem: str | None = None
    config_file: str | None = None


def serving(places: "Places", environ: Mapping[str, str]) -> Serving:
    """What would serve. A client that was installed without the server knows the defaults alone."""
    usual = Serving("127.0.0.1", limits.DEFAULT_PORT, places.data)
    try:
        there = places.env_file.exists()
    except OSError as exc:  # a folder above it that is not ours to look into
        return usual._replace(problem=f"{places.env_file} can't be looked at: {exc.strerror}")
    kept = {name: environ[name] for name in OF_A_SERVICE if name in environ} if there else dict(environ)
    try:
        report: dict[str, Any] = folder_work("config show")(kept, None, places.env_file if there else None)
    except click.ClickException:
        return usual
    rows = {row["setting"]: row for row in report["settings"]}
    if not rows:
        return usual._replace(problem=report["problem"])
    data = rows["data"]
    return Serving(
        host=str(rows["host"]["value"]),
        port=int(rows["port"]["value"]),
        # Without a word of anybody's it is ./data, for whoever tries a relay out; a service has a place of its own.
        data=places.data if data["source"] == "default" else Path(os.path.abspath(Path.home() / data["value"])),
        problem=report["problem"],
        config_file=report["config_file"],
    )
