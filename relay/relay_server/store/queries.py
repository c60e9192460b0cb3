"""The named statements of sql/*.sql, read once: a file for each subject.

Statements live in a .sql file so that they can be read, explained and tested as SQL. The name is the attribute:
`queries.put_message`.
"""

from importlib import resources
from typing import Final


def _parse(text: str) -> dict[str, str]:
    statements: dict[str, str] = {}
    for part in text.split("-- name: ")[1:]:
        name, _, rest = part.partition("\n")
        lines = [line for line in rest.splitlines() if line.strip() and not line.lstrip().startswith("--")]
        statements[name.strip()] = "\n".join(lines).rstrip(";")
    return statements


STATEMENTS: Final[dict[str, str]] = {}
for _file in sorted(resources.files(__package__).joinpath("sql").iterdir(), key=lambda file: file.name):
    _statements = _parse(_file.read_text(encoding="utf-8"))
    assert not _statements.keys() & STATEMENTS.keys(), f"{_file.name} has a name that another file has"
    STATEMENTS.update(_statements)


# Plain globals, so that a statement costs no more to name than any other constant.
globals().update(STATEMENTS)


def __getattr__(name: str) -> str:
    raise AttributeError(f"no statement in sql/ is named {name}")
