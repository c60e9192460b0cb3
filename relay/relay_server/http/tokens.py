"""/api/tokens: make, list and revoke tokens. The scope of each row is system:write."""

from typing import Annotated, Any

from msgspec import Meta, Struct

from relay_proto import frames as wire
from relay_proto import limits
from relay_proto.fields import AgentId, PageLimit, RequestId, Seconds, check_seconds
from relay_proto.tokens import IntegrationName, Note, Scopes, TokenNumber, check_token

from ..granting import why_not_give
from .dispatch import Call
from .table import Operation, Reply


class NewToken(Struct, rename="camel", forbid_unknown_fields=True):
    """Whose the token is (one of the first three, or none: then for any name) and what it may do.

    Here an unknown field is refused: one that is mistyped would make a token that may do more.
    """

    agent: AgentId | None = None
    integration: IntegrationName | None = None
    admin: bool = False
    scopes: Scopes | None = None
    expires_s: Annotated[Seconds, Meta(description="It ends by itself after so many seconds.")] | None = None
    note: Note | None = None

    def __post_init__(self) -> None:
        check_token(self.agent, self.integration, self.admin, self.scopes)
        if self.expires_s is not None:
            check_seconds("expiresS", self.expires_s, limits.TOKEN_S_MIN, limits.TOKEN_S_MAX)


class Token(Struct, rename="camel", omit_defaults=True, kw_only=True):
    """What a token may do. `active`: it lets somebody in."""

    id: int
    scopes: list[str]
    created_at: int
    active: bool
    agent: str | None = None
    integration: str | None = None
    note: str | None = None
    expires_at: int | None = None
    revoked_at: int | None = None


class MadeToken(Token, rename="camel", omit_defaults=True, kw_only=True):
    """The same with the token itself, which is shown this once."""

    token: str


class TokensQuery(Struct):
    """`since`: only those with larger ids; X-Next-Since of a page says where the next one begins."""

    limit: PageLimit = limits.PAGE_DEFAULT
    since: RequestId | None = None


class TokenPath(Struct):
    id: TokenNumber


def _token(item: dict[str, Any]) -> dict[str, Any]:
    """The fields of a Token, of what the desk says of one."""
    return {
        "id": item["number"], "scopes": item["scopes"], "created_at": item["created_at"],
        "active": not item.get("is_over", False), "agent": item.get("agent"), "integration": item.get("integration"),
        "note": item.get("note"), "expires_at": item.get("expires_at"), "revoked_at": item.get("revoked_at"),
    }  # fmt: skip


async def create(call: Call) -> Reply:
    """Make a token; it is shown in this answer and never again."""
    body: NewToken = call.body
    frame = wire.TokenCreate(
        id=0, agent=body.agent, integration=body.integration, admin=body.admin, scopes=body.scopes,
        expires_s=body.expires_s, note=body.note,
    )  # fmt: skip
    refusal = why_not_give(call.grant, frame, call.relay.now())
    if refusal is not None:
        raise refusal
    ok = await call.look_up(frame)
    assert ok.token is not None
    return Reply(MadeToken(token=ok.token, **_token(ok.item)), 201)


async def list_tokens(call: Call) -> Reply:
    """The tokens that were made, oldest first; what was over for a month is not among them. None is shown itself."""
    ok = await call.look_up(wire.Tokens(id=0, limit=call.query.limit, after=call.query.since))
    headers = {} if ok.next is None else {"X-Next-Since": str(ok.next)}
    return Reply([Token(**_token(item)) for item in ok.items or []], headers=headers)


async def revoke(call: Call) -> Reply:
    """The token is over, and with it all that was opened with it. Repeating it changes nothing."""
    ok = await call.look_up(wire.TokenRevoke(id=0, number=call.path.id))
    return Reply(Token(**_token(ok.item)))


SCOPE = "system:write"

OPERATIONS = (
    Operation(
        "GET", "/api/tokens", list_tokens, SCOPE, "List the tokens", "tokens", {200: list[Token]}, query=TokensQuery
    ),
    Operation("POST", "/api/tokens", create, SCOPE, "Make a token", "tokens", {201: MadeToken}, body=NewToken),
    Operation(
        "DELETE", "/api/tokens/{id}", revoke, SCOPE, "Revoke a token", "tokens", {200: Token}, path_of=TokenPath,
        errors=(404,),
    ),
)  # fmt: skip
