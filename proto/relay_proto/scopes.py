"""The scopes of tokens: what a token may be given, in words that both sides know."""

from typing import Final, Literal, get_args

Scope = Literal[
    "stats:read", "health:read", "events:read", "channels:read", "agents:read", "agents:write", "messages:read",
    "messages:write", "tasks:read", "tasks:write", "tasks:create", "events:create", "pairs:read", "pairs:write",
    "system:write", "*",
]  # fmt: skip
"""What an op or a route needs. `*` is all of them."""

ALL: Final = "*"
TOKEN_PREFIX: Final = "rly_"
"""What every token begins with that a relay makes: a scanner for secrets knows one when it sees it, and so do we."""
SCOPES: Final[frozenset[str]] = frozenset(get_args(Scope)) - {ALL}
"""All of them, without the word for all."""
