"""What a setting may be: how it is read from a text (an option, a variable) and from config.toml, and how it is shown.

Rules
- What does not fit is a ValueError that goes on after the setting's name: "is '70000'; it must be .. 0 to 65535".
- The same bounds hold wherever a value comes from. In config.toml a number is a number and a list a list; a length of
  time may be either a number of seconds or a text with its unit.
- A secret is neither shown nor part of an error.
"""

import math
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from relay_proto import limits
from relay_proto.spans import FORM, UNITS_S, parse_span, span_text

from .integrations import SECRET_CHARS_MIN
from .store.files import DATABASE_NAME

NOT_SET: Final = "not set"
_BOOLEANS: Final = {
    **dict.fromkeys(("1", "true", "yes", "on", "t", "y"), True),
    **dict.fromkeys(("0", "false", "no", "off", "f", "n"), False),
}
_MAKE_ONE: Final = "python3 -c 'import secrets; print(secrets.token_urlsafe(32))' makes one"


class Kind:
    """Text of any form; the others say what is different. `expected` is what an error says that is right."""

    metavar = "TEXT"
    secret = False

    def __init__(self, expected: str = "a text", metavar: str = "") -> None:
        self.expected = expected
        self.metavar = metavar or self.metavar

    def of_text(self, text: str) -> Any:
        """What an option or a variable says. Raises ValueError."""
        return text

    def of_toml(self, value: Any, folder: Path) -> Any:
        """What config.toml says, which lies in `folder`. Raises ValueError."""
        if not isinstance(value, str):
            raise self.wrong(value)
        return self.of_text(value)

    def shown(self, value: Any) -> str:
        """The value as people read it."""
        return NOT_SET if value is None else str(value)

    def plain(self, value: Any) -> Any:
        """The value as JSON has it."""
        return value

    def wrong(self, value: Any) -> ValueError:
        return ValueError(f"is {value!r:.80}; it must be {self.expected}")


class Matching(Kind):
    """A text of a certain form."""

    def __init__(self, pattern: "re.Pattern[str]", expected: str, metavar: str) -> None:
        super().__init__(expected, metavar)
        self._pattern = pattern

    def of_text(self, text: str) -> str:
        if not self._pattern.match(text):
            raise self.wrong(text)
        return text


class Number(Kind):
    """A whole number of `least` to `most`; with `none`, 0 switches off what it bounds."""

    metavar = "NUMBER"

    def __init__(self, least: int, most: int, *, none: bool = False) -> None:
        bounds = f"{least} to {most}"
        super().__init__(f"0 (no limit) or a whole number, {bounds}" if none else f"a whole number, {bounds}")
        self._least, self._most, self._none = least, most, none

    def of_text(self, text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,20}", text, re.ASCII):
            raise self.wrong(text)
        return self._checked(int(text), text)

    def of_toml(self, value: Any, folder: Path) -> int:
        if type(value) is not int:
            raise self.wrong(value)
        return self._checked(value, value)

    def _checked(self, number: int, said: Any) -> int:
        if not (self._least <= number <= self._most or (self._none and number == 0)):
            raise self.wrong(said)
        return number


class Span(Kind):
    """A length of time, in seconds. `unit_s`: what a number without a unit counts; with `never`, 0 is for ever."""

    metavar = "TIME"

    def __init__(self, least_s: float, most_s: float, *, never: str = "", unit_s: float = 1.0) -> None:
        bounds = f"{span_text(least_s)} to {span_text(most_s)}"
        super().__init__(f"{FORM}, {bounds}" + (f", or 0: {never}" if never else ""))
        self.never = never
        self._least_s, self._most_s, self._unit_s = least_s, most_s, unit_s

    def in_units_of(self, unit_s: float) -> "Span":
        """The same length, said as a plain number of other units, as agent-relay-server does."""
        other = Span(self._least_s, self._most_s, never=self.never, unit_s=unit_s)
        unit = {0.001: "ms", 86_400.0: "days"}[unit_s]
        least, most = (f"{bound / unit_s:.12g}" for bound in (self._least_s, self._most_s))
        other.expected = f"a number of {unit}, {least} to {most}" + (f", or 0: {self.never}" if self.never else "")
        return other

    def of_text(self, text: str) -> float:
        if self._unit_s != 1.0:
            if not re.fullmatch(r"[0-9]{1,15}(\.[0-9]{1,9})?", text, re.ASCII):
                raise self.wrong(text)
            return self._checked(float(text) * self._unit_s, text)
        try:
            return self._checked(parse_span(text), text)
        except ValueError:
            raise self.wrong(text) from None

    def of_toml(self, value: Any, folder: Path) -> float:
        if type(value) in (int, float):
            return self._checked(float(value), value)
        return float(super().of_toml(value, folder))

    def _checked(self, seconds: float, said: Any) -> float:
        if self.never and seconds == 0:
            return math.inf
        if not self._least_s <= seconds <= self._most_s:  # NaN is not, either
            raise self.wrong(said)
        return seconds

    def shown(self, value: Any) -> str:
        return f"0 ({self.never})" if value == math.inf else span_text(value)

    def plain(self, value: Any) -> Any:
        return 0 if value == math.inf else value


class Flag(Kind):
    """Yes or no."""

    metavar = ""

    def __init__(self) -> None:
        super().__init__("true or false")

    def of_text(self, text: str) -> bool:
        value = _BOOLEANS.get(text.strip().lower())
        if value is None:
            raise self.wrong(text)
        return value

    def of_toml(self, value: Any, folder: Path) -> bool:
        if not isinstance(value, bool):
            raise self.wrong(value)
        return value

    def shown(self, value: Any) -> str:
        return "yes" if value else "no"


class Names(Kind):
    """Several texts without blanks; in a variable commas or blanks stand between them."""

    metavar = "NAME"

    def __init__(self, expected: str, metavar: str) -> None:
        super().__init__(expected, metavar)

    def of_text(self, text: str) -> tuple[str, ...]:
        return tuple(dict.fromkeys(part for part in re.split(r"[,\s]+", text) if part))

    def of_toml(self, value: Any, folder: Path) -> tuple[str, ...]:
        if not isinstance(value, list) or not all(
            isinstance(one, str) and self.of_text(one) == (one,) for one in value
        ):
            raise self.wrong(value)
        return tuple(dict.fromkeys(value))

    def shown(self, value: Any) -> str:
        return ", ".join(value) or "none"

    def plain(self, value: Any) -> Any:
        return list(value)


class Place(Kind):
    """A path; `~` is the home folder. In config.toml it goes on from the folder of that file."""

    def __init__(self, expected: str, metavar: str, of: Callable[[Path], Any] = lambda path: path) -> None:
        super().__init__(expected, metavar)
        self._of = of

    def of_text(self, text: str) -> Any:
        if not text or "\0" in text:
            raise self.wrong(text)
        return self._of(Path(os.path.expanduser(text)))

    def of_toml(self, value: Any, folder: Path) -> Any:
        if not isinstance(value, str) or not value:
            raise self.wrong(value)
        return self.of_text(str(folder / os.path.expanduser(value)))

    def plain(self, value: Any) -> Any:
        return None if value is None else str(value)


class Secret(Kind):
    """A token: said, and never shown."""

    metavar = "TOKEN"
    secret = True

    def __init__(self) -> None:
        super().__init__(f"{SECRET_CHARS_MIN} to {limits.TOKEN_CHARS_MAX} characters ({_MAKE_ONE})")

    def of_text(self, text: str) -> str:
        if not SECRET_CHARS_MIN <= len(text) <= limits.TOKEN_CHARS_MAX:
            raise ValueError(f"has {len(text)} characters; it must have {self.expected}")
        return text

    def of_toml(self, value: Any, folder: Path) -> str:
        if not isinstance(value, str):
            raise ValueError(f"is no text; it must have {self.expected}")
        return self.of_text(value)

    def shown(self, value: Any) -> str:
        return NOT_SET if value is None else f"set, {len(value)} characters"

    def plain(self, value: Any) -> Any:
        return None if value is None else self.shown(value)


def database_name(text: str) -> str:
    """The name of a database file in the data folder. Raises ValueError."""
    if not DATABASE_NAME.match(text):
        raise ValueError(f"names the file {text!r:.80}; it must be {DATABASE_NAME_EXPECTED}")
    return text


DATABASE_NAME_EXPECTED: Final = (
    "a file name of 1 to 100 characters A-Z a-z 0-9 . _ - that is not relay.lock or ballast, nor ends in -wal, -shm or "
    "-journal"
)
YEARS_S: Final = 100 * 365 * UNITS_S["d"]
"""A hundred of them: who wants longer says never."""
