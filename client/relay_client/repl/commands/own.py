"""Commands about oneself and about the REPL: what others find one by, what is told, how things are shown, leaving."""

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

import click

from relay_proto.frames import AgentCard, Status

from ...cli.escape import escape
from ...cli.failure import did_you_mean
from ...cli.records import json_line, struct_record
from ..desk import WATCHES
from ..forms import FORMS
from ..result import Result, listed, told
from ..shape import joined
from .leaving import Quit, Switch

if TYPE_CHECKING:
    from ..desk import Desk

SETTINGS: Final[dict[str, tuple[str, ...]]] = {"form": FORMS, "bell": ("on", "off"), "editor": ()}
"""What `set` can change, and to what; an editor is any command."""
ALL: Final = "all"
HUMAN: Final = "human"
"""The tag of what a person writes through; the prompt sets it."""


# -- what others find one by -----------------------------------------------------------------------------------------


async def _own_card(desk: "Desk") -> AgentCard:
    """What the relay says of this agent."""
    return next(card for card in await desk.agent.agents() if card.agent == desk.agent.name)


async def label(desk: "Desk", new: str | None) -> Result:
    if new is None:
        new = (await _own_card(desk)).label
        return told(f"your label is {escape(new)}" if new else "you have no label", label=new)
    await desk.agent.update(label=new)
    return told(f"your label is {escape(new)}", label=new)


async def tags(desk: "Desk", words: list[str] | None, *, clear: bool = False) -> Result:
    return await _names(desk, "tags", words, clear)


async def caps(desk: "Desk", words: list[str] | None, *, clear: bool = False) -> Result:
    return await _names(desk, "caps", words, clear)


async def channels(desk: "Desk", words: list[str] | None, *, clear: bool = False) -> Result:
    return await _names(desk, "channels", words, clear)


async def _names(desk: "Desk", field: str, words: list[str] | None, clear: bool) -> Result:
    """Shows one's tags, caps or channels, or changes them: +x and -x one by one, other words are all there are."""
    names: list[str] = list(getattr(await _own_card(desk), field))
    if clear and words:
        raise click.UsageError(f"--clear leaves none; name {field} without it")
    if words and any(word[0] in "+-" for word in words) and not all(word[0] in "+-" for word in words):
        raise click.UsageError(f"either +x and -x change your {field}, or words without a sign are all of them")
    stays = ""
    if clear or words:
        kept = changed(names, words or [])
        if field == "tags" and HUMAN in names and HUMAN not in kept and f"-{HUMAN}" not in (words or ()):
            kept.append(HUMAN)
            stays = f"; {HUMAN} stays, a person writes here: tags -{HUMAN} takes it away"
        names = kept
        await desk.agent.update(**{field: names})  # type: ignore[arg-type]  # field is one of the three
    what = f"your {field}: {escape(' '.join(names))}" if names else _NONE[field]
    return told(what + stays, **{field: names})


_NONE: Final = {
    "tags": "you have no tags",
    "caps": "you have no capabilities",
    "channels": "you follow no channel in particular: you get what goes to all of them",
}


def changed(names: Iterable[str], words: list[str]) -> list[str]:
    """Names after `+x -y`; words without a sign replace them. In the order in which they came, each once."""
    kept = list(names) if words and words[0][0] in "+-" else []
    for word in words:
        if word.startswith("-"):
            kept = [name for name in kept if name != word[1:]]
        else:
            kept.append(word.removeprefix("+"))
    return list(dict.fromkeys(kept))


async def status(desk: "Desk", new: Status | None) -> Result:
    if new is None:
        card = await _own_card(desk)
        return Result([f"you are {card.status}"], [struct_record(card)], columns=("status",))
    await desk.agent.update(status=new)
    return told(f"you are {new}", status=new)


# -- what is told and how --------------------------------------------------------------------------------------------


async def watch(desk: "Desk", kinds: list[str] | None) -> Result:
    if kinds:
        await desk.watch(*(WATCHES if ALL in kinds else kinds))
    return _watched(desk)


async def unwatch(desk: "Desk", kinds: list[str] | None) -> Result:
    await desk.unwatch(*(kinds if kinds and ALL not in kinds else WATCHES))
    return _watched(desk)


def _watched(desk: "Desk") -> Result:
    names = [name for name in WATCHES if name in desk.settings.watch]
    line = f"you watch {', '.join(names)}" if names else f"you watch nothing; watch {'|'.join(WATCHES)} tells you more"
    return told(line, watch=names)


async def set_(desk: "Desk", name: str | None, value: str | None) -> Result:
    """Changes a setting, or shows one or all."""
    if name is not None and name not in SETTINGS:
        near = did_you_mean(name, SETTINGS)
        raise click.UsageError(joined(f"there is no setting {name[:40]!r}{near}", "set shows them"))
    if name is not None and value is not None:
        choices = SETTINGS[name]
        if choices and value not in choices:
            near = did_you_mean(value, choices)
            raise click.UsageError(f"{name} is {value[:40]!r}; it must be {', '.join(choices)}{near}")
        _change(desk, name, value)
    shown = _settings(desk)
    records = [{"setting": one, "value": shown[one]} for one in ([name] if name is not None else SETTINGS)]
    lines = [f"{one['setting']:<8}{escape(one['value'])}" for one in records]
    return listed(lines, records, ("setting", "value"))


def _change(desk: "Desk", name: str, value: str) -> None:
    match name:
        case "form":
            desk.form = value
        case "bell":
            desk.settings.bell = value == "on"
        case "editor":
            desk.settings.editor = value


def _settings(desk: "Desk") -> dict[str, str]:
    editor = desk.settings.editor or os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
    return {"form": desk.form, "bell": "on" if desk.settings.bell else "off", "editor": editor}


async def clear(desk: "Desk") -> Result:
    desk.clear()
    return Result()


# -- the wire --------------------------------------------------------------------------------------------------------


async def raw(desk: "Desk", frame: Any) -> Result:
    if not isinstance(frame, dict):
        raise click.UsageError('a frame is a JSON object: raw {"op": "agents"}')
    answer = without_bytes(await desk.agent.ask_raw(frame))
    return Result([json_line(answer)], [answer])


def without_bytes(value: Any) -> Any:
    """A value of the wire as JSON has it: bytes as base64, under the name with `_base64` behind it."""
    import base64

    match value:
        case dict():
            return {
                f"{key}_base64" if isinstance(one, bytes) else key: without_bytes(one) for key, one in value.items()
            }
        case list():
            return [without_bytes(one) for one in value]
        case bytes():
            return base64.b64encode(value).decode()
        case _:
            return value


# -- leaving ---------------------------------------------------------------------------------------------------------


async def use(desk: "Desk", profile: str | None) -> Result:
    """Goes on with another profile. One that is not there is an error here, before the session is given up."""
    from ...profiles import find_profile, profile_names

    if profile is None:
        names = profile_names(os.environ)
        lines = [f"{'*' if name == desk.profile else ' '} {escape(name)}" for name in names]
        records = [{"profile": name, "used": name == desk.profile} for name in names]
        return listed(lines or ["there are no profiles"], records, ("profile", "used"))
    find_profile(os.environ, profile)
    raise Switch(profile)


async def quit_(desk: "Desk") -> Result:
    raise Quit
