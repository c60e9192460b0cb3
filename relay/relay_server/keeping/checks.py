"""The checks of ledger.sql, read once: what a sound store has none of."""

from dataclasses import dataclass
from importlib import resources
from typing import Final

HEAD: Final = "-- name: "
FIELDS: Final = ("-- table: ", "-- finds: ")


@dataclass(frozen=True, slots=True)
class Check:
    """`statement` gives a row for each thing that is wrong: first its id. `finds` is what is said of it, with the names
    of the statement's columns in braces."""

    name: str
    table: str
    finds: str
    statement: str


def _read(text: str) -> tuple[Check, ...]:
    checks = []
    for part in text.split(HEAD)[1:]:
        name, *lines = part.splitlines()
        said = {field: line.removeprefix(field) for field in FIELDS for line in lines if line.startswith(field)}
        statement = "\n".join(line for line in lines if line.strip() and not line.startswith("--")).rstrip(";")
        table, finds = (said[field] for field in FIELDS)
        checks.append(Check(name.strip(), table, finds, statement))
    assert len({check.name for check in checks}) == len(checks), "two checks have one name"
    return tuple(checks)


CHECKS: Final = _read(resources.files(__package__).joinpath("ledger.sql").read_text(encoding="utf-8"))
