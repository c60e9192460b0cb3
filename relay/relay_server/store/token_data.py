"""What the broker asks of a store about tokens, and what it is answered."""

from relay_proto.frames import TokenInfo

from .commands import Command
from .outcomes import Decided
from .questions import Question


class PutToken(Command):
    """Make a token. `expires_s`: it is over that long after the turn."""

    agent: str | None
    integration: str | None
    scopes: list[str]
    expires_s: float | None
    note: str | None


class RevokeToken(Command):
    """A token is over. Repeating it is nothing."""

    number: int


class TokenPut(Decided):
    """`secret` is the token itself; nothing keeps it but its holder."""

    secret: str
    digest: bytes
    item: TokenInfo


class TokenRevoked(Decided):
    item: TokenInfo


class TokensPage(Question):
    limit: int
    after: int
    now_ms: int
