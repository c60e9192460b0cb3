"""How `relay setup` writes the daemon's env file, and changes one that is there. Pure: no file is touched here.

The language of these files is relay_proto.env_file. What is changed is a line; every other line stays as somebody wrote
it, comments and all.
"""

from collections.abc import Mapping
from typing import Final

from relay_proto.env_file import env_line, parse_env_file

OPEN: Final = frozenset(
    prefix + name for prefix in ("", "AGENT_") for name in ("RELAY_HOST", "RELAY_PORT", "RELAY_DATA", "RELAY_DB_PATH")
)
"""The variables whose values are shown. Every other one may be a secret, or hold some: RELAY_INTEGRATIONS does."""


class EnvFileError(ValueError):
    """The file can't be used as it is; `str()` of it is one line that names the file and shows no value."""


def read(text: str, name: str) -> dict[str, str]:
    """The variables of the file called `name`. Raises EnvFileError, which names file and line."""
    try:
        return parse_env_file(text)
    except ValueError as exc:
        raise EnvFileError(f"{name}: {exc}") from None


def render(values: Mapping[str, str], about: str) -> str:
    """A new file: `about` as comments, then the variables in their order. Raises EnvFileError for a value with NUL."""
    comments = "".join(f"# {line}".rstrip() + "\n" for line in about.splitlines())
    return comments + "".join(_line(name, value) for name, value in values.items())


def changed(text: str, values: Mapping[str, str], name: str) -> str:
    """The file called `name` with these variables changed where they stand, or added at its end.

    Raises EnvFileError for a file that is wrong, and for one where a change of lines is not the change that was meant
    (a value over several lines).
    """
    before = read(text, name)
    left = dict(values)
    lines = []
    for line in _lines(text):
        variable = line.partition("=")[0].strip()
        if variable not in values:
            lines.append(line)
        elif variable in left:
            lines.append(_line(variable, left.pop(variable)))
    lines.extend(_line(variable, value) for variable, value in left.items())
    result = "".join(lines)
    if read(result, name) != before | dict(values):
        raise EnvFileError(
            f"{name}: {', '.join(values)} can't be changed, with values over several lines there; edit it"
        )
    return result


def masked(text: str, name: str) -> str:
    """The file called `name`, to be looked at: of every value that is not OPEN its length. Raises EnvFileError."""
    left = read(text, name)
    spread = any("\n" in value for value in left.values()) or "\\\n" in text  # then a comment may be a part of a value
    lines = []
    for line in _lines(text):
        variable = line.partition("=")[0].strip()
        if variable[:1] in ("", "#", ";"):
            if not spread:
                lines.append(line.strip() if "=" not in line else "# (a comment)")
        elif variable in left:
            value = left.pop(variable)
            shown = env_line(variable, value) if variable in OPEN else ""
            lines.append(shown or f"{variable}=(a secret of {len(value)} characters)")
    return "".join(f"{line}\n" for line in lines)


def _lines(text: str) -> list[str]:
    """The lines with their ends. Not by `splitlines`, which ends one at a form feed, too."""
    return [f"{line}\n" for line in text.removesuffix("\n").split("\n")] if text else []


def _line(name: str, value: str) -> str:
    try:
        return env_line(name, value) + "\n"
    except ValueError as exc:
        raise EnvFileError(str(exc)) from None
