"""Times, spans, counts and names as a person would write them, in the one form that every sentence of ours has.

A time is always absolute and UTC, and with it stands how far away it is: who reads a log of last night should not have
to know when it was asked for. Times are ms since 1970; there is no clock here.
"""

from collections.abc import Sequence
from typing import Final

DAY_S: Final = 86_400
_UNITS: Final = ((DAY_S, "d"), (3600, "h"), (60, "min"), (1, "s"))


def moment(at: int) -> str:
    """`2023-11-14 22:13:20 UTC`. By arithmetic: the modules that know calendars read clocks too."""
    days, second = divmod(at // 1000, DAY_S)
    # Years here begin in March, so that the odd day of a leap year is the last one of its year.
    era, day = divmod(days + 719_468, 146_097)  # eras of 400 years, from 0000-03-01
    year = (day - day // 1460 + day // 36_524 - day // 146_096) // 365
    day -= 365 * year + year // 4 - year // 100
    month = (5 * day + 2) // 153
    day -= (153 * month + 2) // 5 - 1
    year, month = (era * 400 + year, month + 3) if month < 10 else (era * 400 + year + 1, month - 9)
    minute, second = divmod(second, 60)
    return f"{year:04}-{month:02}-{day:02} {minute // 60:02}:{minute % 60:02}:{second:02} UTC"


def span(seconds: float) -> str:
    """`12 s`, `5 min 3 s`, `2 h`, `3 d 4 h`: the two largest units; less than a second is `0 s`."""
    left = max(0, int(seconds))
    for i, (length, unit) in enumerate(_UNITS):
        if left >= length:
            words = f"{left // length} {unit}"
            if unit != "s" and (rest := left % length // _UNITS[i + 1][0]):
                words += f" {rest} {_UNITS[i + 1][1]}"
            return words
    return "0 s"


def since(at: int, now: int) -> str:
    """`since 2023-11-14 22:13:20 UTC (5 min)`."""
    return f"since {moment(at)} ({span((now - at) / 1000)})"


def ago(seconds: float) -> str:
    """`5 min ago`, `just now`."""
    return f"{span(seconds)} ago" if seconds >= 1 else "just now"


def when(at: int, now: int) -> str:
    """`2023-11-14 22:13:20 UTC (5 min ago)`, or `(in 5 min)` when it is still to come."""
    return f"{moment(at)} ({f'in {span((at - now) / 1000)}' if at > now else ago((now - at) / 1000)})"


def count(number: int, noun: str) -> str:
    """`1 message`, `3 messages`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def listed(names: Sequence[str], last: str = "and", shown_max: int = 5) -> str:
    """`ada, bob and cyd`; of many only the first ones: `a, b, c, d, e and 7 more`."""
    if len(names) > shown_max + 1:  # "and 1 more" would be no shorter than the name
        return f"{', '.join(names[:shown_max])} and {len(names) - shown_max} more"
    return f" {last} ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))
