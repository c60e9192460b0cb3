"""The frames about tokens: who may come in, in whose name, and for what. They are an operator's: scope system:write."""

from collections.abc import Sequence
from typing import Annotated

from msgspec import Meta

from . import limits
from .base import Request
from .fields import AgentId, PageLimit, RequestId, Seconds, check_seconds
from .scopes import Scope

TokenNumber = Annotated[int, Meta(ge=1, le=limits.ID_MAX)]
IntegrationName = Annotated[str, Meta(pattern=r"\A[A-Za-z0-9._-]{1,64}\Z")]
Note = Annotated[str, Meta(max_length=limits.NOTE_CHARS_MAX)]
Scopes = Annotated[list[Scope], Meta(min_length=1, max_length=limits.SCOPES_MAX)]


def check_token(agent: str | None, integration: str | None, admin: bool, scopes: Sequence[str] | None) -> None:
    """Raises ValueError unless this says of one token whose it is and what it may do."""
    said = (("agent", agent is not None), ("integration", integration is not None), ("admin", admin))
    given = [name for name, is_given in said if is_given]
    if len(given) > 1:
        raise ValueError(f"{given[0]} is given beside {' and '.join(given[1:])}; a token is for one of them")
    if admin and scopes is not None:
        raise ValueError("scopes is given beside admin, which has all of them")
    if not given and scopes is None:
        raise ValueError("scopes is missing; a token that is neither an agent's nor an integration's has no default")


class TokenCreate(Request, tag="token_create"):
    """Make a token. `ok` has it as `token`, this once, and what it may do as `item`.

    For an agent or an integration (it speaks for no other), or for any name: then with its scopes, or as admin.
    """

    agent: AgentId | None = None
    integration: IntegrationName | None = None
    admin: bool = False  # all scopes, in any name
    scopes: Scopes | None = None  # default: an agent's, an integration's
    expires_s: Seconds | None = None  # it ends by itself after this long
    note: Note | None = None  # what it is for, in a line

    def __post_init__(self) -> None:
        check_token(self.agent, self.integration, self.admin, self.scopes)
        if self.expires_s is not None:
            check_seconds("expires_s", self.expires_s, limits.TOKEN_S_MIN, limits.TOKEN_S_MAX)


class Tokens(Request, tag="tokens"):
    """A page of the tokens that were made, oldest first: `ok` with `items`. None of them shows the token itself."""

    limit: PageLimit = limits.PAGE_DEFAULT
    after: RequestId | None = None


class TokenRevoke(Request, tag="token_revoke"):
    """This token is over, and so is every connection that came with it. `ok` has it as `item`."""

    number: TokenNumber
