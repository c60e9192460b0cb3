"""A user's account in a temporary folder: a HOME, and a PATH on which systemctl and its like are stand-ins.

A stand-in writes down how it was called, answers what the test says, and does nothing: no test reaches the systemd or
launchd of the machine it runs on.
"""

from pathlib import Path

from tests.cli.command import Outcome, run

FAKE = """#!/bin/sh
name="${0##*/}"
here="${0%/*}"
printf '%s\\n' "$name $*" >> "$here/../calls"
for word in "$@"; do
    if [ -e "$here/../$name-${word##*/}.fails" ]; then
        while read -r line; do printf '%s\\n' "$line" >&2; done < "$here/../$name-${word##*/}.fails"
        exit 1
    fi
done
for word in "$@"; do
    if [ -e "$here/../$name-${word##*/}.says" ]; then
        while IFS= read -r line; do printf '%s\\n' "$line"; done < "$here/../$name-${word##*/}.says"
        exit 0
    fi
done
exit 0
"""


def _last(word: str) -> str:
    """What a stand-in goes by of an argument that is a path."""
    return word.rpartition("/")[2]


class Account:
    """One user. `env` is what its shell has."""

    def __init__(self, root: Path, *programs: str) -> None:
        self.root = root
        self.home = root / "home"
        self.bin = root / "bin"
        self.home.mkdir()
        self.bin.mkdir()
        for name in programs:
            self.add(name)
        self.env = {
            "HOME": str(self.home),
            "PATH": str(self.bin),
            "XDG_CONFIG_HOME": str(self.home / ".config"),
            "XDG_DATA_HOME": str(self.home / ".local" / "share"),
        }

    @property
    def config(self) -> Path:
        return self.home / ".config" / "relay"

    @property
    def data(self) -> Path:
        return self.home / ".local" / "share" / "relay"

    @property
    def unit(self) -> Path:
        return self.home / ".config" / "systemd" / "user" / "relay.service"

    @property
    def plist(self) -> Path:
        return self.home / "Library" / "LaunchAgents" / "local.relay-broker.plist"

    def add(self, name: str, text: str = FAKE) -> None:
        path = self.bin / name
        path.write_text(text)
        path.chmod(0o755)

    def says(self, program: str, word: str, text: str) -> None:
        """What the stand-in prints when `word` is among its arguments."""
        (self.root / f"{program}-{_last(word)}.says").write_text(f"{text.rstrip()}\n")

    def fails(self, program: str, word: str, text: str) -> None:
        """With what the stand-in fails when `word` is among its arguments."""
        (self.root / f"{program}-{_last(word)}.fails").write_text(f"{text}\n")

    @property
    def calls(self) -> list[str]:
        """How the stand-ins were called up to now, in order."""
        path = self.root / "calls"
        return path.read_text().splitlines() if path.exists() else []

    def relay(self, *arguments: str, stdin: str = "", env: dict[str, str] | None = None) -> Outcome:
        return run(*arguments, stdin=stdin.encode(), env=self.env | (env or {}))
