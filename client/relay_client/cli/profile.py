"""`relay profile`: the profiles of this user, and the settings that hold with one of them."""

import os
from typing import Any

import click

from ..profiles import SettingsError, find_profile, profile_names, profiles_path
from ..settings import Value, resolve
from .door import profiles_that_begin
from .output import Form, output_options, put, put_record, put_records, width
from .render import table


@click.group(short_help="Show the profiles of this user, and what is in one.")
def profile() -> None:
    """Profiles: names for a relay, who one is there, and what one is found by.

    They stand in ~/.config/relay/profiles.json ($XDG_CONFIG_HOME/relay/profiles.json), an object of profiles by their
    names. --profile NAME or RELAY_PROFILE chooses one; without it the one called default is used, if there is one.

    \b
    {"reviewer": {"url": "http://build:4850", "token_file": "reviewer.token",
                  "agent": "rev-1", "label": "Reviewer", "tags": ["ci"],
                  "capabilities": ["review"], "channels": ["main"],
                  "approval": "ask", "meta": {"team": "core"}}}
    """


@profile.command("list", short_help="Show the names of all profiles.")
@output_options
def list_profiles(form: Form) -> None:
    """Show the names of all profiles, each with its relay and its agent. One with a mistake is said at the end."""
    records: list[dict[str, Any]] = []
    mistake: SettingsError | None = None
    for name in profile_names(os.environ):
        try:
            one = find_profile(os.environ, name)
        except SettingsError as exc:
            mistake = mistake or exc
        else:
            assert one is not None, name
            records.append({"profile": one.name, **one.values})
    if form.is_json:
        put_records(form, records)
    elif records:
        rows = ((one["profile"], one.get("url", ""), one.get("agent", ""), one.get("label", "")) for one in records)
        put(table(("PROFILE", "URL", "AGENT", "LABEL"), rows, width()))
    elif mistake is None:
        click.echo(f"there is no profile in {profiles_path(os.environ) or 'any file: this user has no home'}", err=True)
    if mistake is not None:
        raise mistake


@profile.command(short_help="Show the settings that hold with a profile.")
@click.argument("name", metavar="[NAME]", required=False, shell_complete=profiles_that_begin)
@output_options
def show(name: str | None, form: Form) -> None:
    """Show each setting of the client as it is with profile NAME, and where it comes from. No token is shown."""
    values = resolve(os.environ, name).values
    if form.is_json:
        put_record({value.name: {"value": _plain(value), "source": value.source} for value in values})
    else:
        rows = ((value.name, _text(value), value.source) for value in values)
        put(table(("SETTING", "VALUE", "FROM"), rows, width()))


def _plain(value: Value) -> Any:
    """A setting for programs; of a token only that there is one."""
    if value.name == "token" and value.value is not None:
        return masked(value.value)
    return list(value.value) if isinstance(value.value, tuple) else value.value


def _text(value: Value) -> str:
    plain = _plain(value)
    if plain is None:
        return "-"
    if isinstance(plain, dict):
        return ", ".join(f"{key}={item}" for key, item in plain.items())
    return ", ".join(plain) if isinstance(plain, list) else str(plain)


def masked(secret: str) -> str:
    """What is shown in the place of a secret."""
    return f"set, {len(secret)} characters"
