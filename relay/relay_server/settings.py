"""Everything that can be set about a daemon: one table. Of it are made the options of `relay serve`, the checks of
config.toml, what the environment may say, `relay config show` and the documentation.

A setting comes from an option, else from the environment, else from a file of variables (--env-file), else from
config.toml, else it is the default. sources.py holds that order, setting_kinds.py says how each kind is read.
"""

import re
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final

from relay_proto import limits

from .integrations import RATE_PER_MIN, RATE_PER_MIN_MAX
from .quota import Limits
from .setting_kinds import (
    DATABASE_NAME_EXPECTED,
    YEARS_S,
    Flag,
    Kind,
    Matching,
    Names,
    Number,
    Place,
    Secret,
    Span,
    database_name,
)
from .store.files import DATABASE, DATABASE_NAME
from .times import Times

FALLBACK: Final = "AGENT_"
"""What stands before a name of the environment in its fallback: AGENT_RELAY_PORT."""
QUOTA_MAX: Final = 2**53 - 1
"""The largest number that every client's language can hold exactly: some of these are told to clients."""
PING_S: Final = 20.0


@dataclass(frozen=True, slots=True)
class Variable:
    """A name of the environment. `kind`: what stands there, when it is not what the option takes."""

    name: str
    kind: Kind | None = None


@dataclass(frozen=True, slots=True)
class Setting:
    """One row. `name` is also its key in config.toml, in the table `table` if there is one.

    `option`: the option of `relay serve`, "" where there is none. `variables`: the names of the environment, each
    with its fallback; those behind the first are what agent-relay-server calls it.
    """

    name: str
    kind: Kind
    default: Any
    help: str
    option: str = ""
    variables: tuple[Variable, ...] = ()
    table: str = ""

    @property
    def key(self) -> str:
        """Its place in config.toml."""
        return f"{self.table}.{self.name}" if self.table else self.name

    @property
    def default_shown(self) -> str:
        return self.kind.shown(self.default)


def _setting(
    name: str, kind: Kind, default: Any, help: str, *others: Variable, option: str = "", env: str = ""
) -> Setting:
    """A row whose option and first variable are called like the setting, where nothing else is said."""
    option = option or f"--{name.replace('_', '-')}"
    return Setting(name, kind, default, help, option, (Variable(env or f"RELAY_{name.upper()}"), *others))


def _quota(name: str, field: str, help: str, least: int = 1) -> Setting:
    default = getattr(Limits(), field)
    variable = Variable(f"RELAY_{name.upper()}")
    kind = Number(least, QUOTA_MAX, none=True)
    return Setting(name, kind, default, f"{help} 0: no limit.", f"--{name.replace('_', '-')}", (variable,), "quotas")


QUOTAS: Final = {
    "send_rate": ("send_per_s", "Messages a second of one agent.", 1),
    "group_rate": ("group_per_minute", "Group messages a minute of one agent; claimable work is not counted.", 1),
    "pair_rate": (
        "pair_per_minute",
        "Exchanges a minute between two agents without progress or a human's word.",
        1,
    ),
    "hop_limit": ("hops_max", "Messages in one chain of messages that caused each other.", 1),
    "inbox_messages": ("inbox_messages_max", "Messages in one inbox that are not dealt with.", 1),
    "inbox_bytes": (
        "inbox_bytes_max",
        f"Bytes of their bodies, at least {limits.BODY_BYTES_MAX} (one body).",
        limits.BODY_BYTES_MAX,
    ),
}
"""Setting -> field of Limits, help, the least that can be set."""
assert {field for field, _, _ in QUOTAS.values()} == {field.name for field in fields(Limits)}

HOST: Final = Matching(
    re.compile(r"[A-Za-z0-9._:%-]{1,255}\Z"), "an address or a host name, 0.0.0.0 for all", "ADDRESS"
)
NAME: Final = Matching(DATABASE_NAME, DATABASE_NAME_EXPECTED, "NAME")
FILE: Final = Place("a path of a file", "FILE")
STALE: Final = Span(1, 86_400)
PRUNE: Final = Span(1, YEARS_S, never="never")
REAP: Final = Span(1, 86_400)
RETENTION: Final = Span(60, YEARS_S, never="for ever")
MS: Final = 0.001
DAYS: Final = 86_400.0

SETTINGS: Final = (
    _setting("host", HOST, "127.0.0.1", "Address to bind."),
    _setting(
        "port",
        Number(0, 65_535),
        limits.DEFAULT_PORT,
        "Port for WebSocket and HTTP; 0 takes a free one.",
    ),
    _setting(
        "data",
        Place("a path of a folder", "FOLDER"),
        Path("data"),
        "Folder that holds everything; made when missing, for its owner only.",
        Variable("RELAY_DB_PATH", Place("a path of a file", "FILE", lambda path: path.parent)),
    ),
    _setting(
        "database",
        NAME,
        DATABASE,
        "Name of the database in that folder.",
        Variable("RELAY_DB_PATH", Place("a path of a file", "FILE", lambda path: database_name(path.name))),
    ),
    _setting(
        "token",
        Secret(),
        None,
        "Ask every client for this token, 16 to 512 characters (better set as RELAY_TOKEN: options show in ps).",
    ),
    _setting("token_file", FILE, None, "A file whose first line is that token, readable by its owner only."),
    _setting("ask_token", Flag(), False, "Ask every client for a token; `relay token create` makes them."),
    _setting("allow_unauth", Flag(), False, "Serve other machines without a token."),
    _setting(
        "allow_hosts",
        Names("a list of host names, without blanks and commas", "HOST"),
        (),
        "A host name this relay answers to; * for any.",
        option="--allow-host",
    ),
    _setting(
        "allow_origins",
        Names("a list of origins (https://dash.example), without blanks and commas", "ORIGIN"),
        (),
        "An origin of web pages let in; * for any.",
        Variable("RELAY_CORS_ORIGINS"),
        option="--allow-origin",
    ),
    _setting(
        "register_timeout",
        Span(0.05, 60),
        limits.REGISTER_S,
        "How long a connection has to register.",
    ),
    _setting(
        "ping_interval",
        Span(0.05, 3600),
        PING_S,
        "Silence before a ping; twice that before a silent peer is cut.",
    ),
    _setting(
        "pair_grace",
        Span(0.05, 86_400),
        limits.PAIR_GRACE_S,
        "How long one of a pair may not be heard of before the pair ends.",
    ),
    _setting(
        "stale_after",
        STALE,
        Times().stale_s,
        "Silence after which an agent counts as stale, and as offline when it is not connected.",
        Variable("RELAY_STALE_TTL_MS", STALE.in_units_of(MS)),
    ),
    _setting(
        "prune_after",
        PRUNE,
        Times().prune_s,
        "Offline for this long, an agent is in no group and not listed; its inbox stays. 0: never.",
        Variable("RELAY_OFFLINE_PRUNE_MS", PRUNE.in_units_of(MS)),
    ),
    _setting(
        "reap_every",
        REAP,
        Times().reap_s,
        "How often what is finished and old is looked for (and, at least once a minute, who is to be pruned).",
        Variable("RELAY_REAP_INTERVAL_MS", REAP.in_units_of(MS)),
    ),
    _setting(
        "retention",
        RETENTION,
        Times().retention_s,
        "How long finished messages and tasks are kept. 0: for ever.",
        Variable("RELAY_RETENTION_DAYS", RETENTION.in_units_of(DAYS)),
    ),
    _setting(
        "integrations_file",
        FILE,
        None,
        "A JSON file with the integrations; the variable RELAY_INTEGRATIONS may hold the same JSON.",
        option="--integrations",
    ),
    Setting(
        "integrations",
        Kind("a table by name, or a list of tables"),
        None,
        "Integrations besides those of the file: JSON in the variable, tables in config.toml.",
        variables=(Variable("RELAY_INTEGRATIONS"),),
    ),
    _setting(
        "integration_rate",
        Number(1, RATE_PER_MIN_MAX),
        RATE_PER_MIN,
        "Events a minute of an integration that has no rate of its own.",
        Variable("RELAY_INTEGRATION_RATE_LIMIT_PER_MINUTE"),
    ),
    *(_quota(name, *rest) for name, rest in QUOTAS.items()),
    _setting("log_json", Flag(), False, "Log lines as JSON."),
)
"""Every setting, in the order in which they are shown."""
BY_NAME: Final = {setting.name: setting for setting in SETTINGS}
