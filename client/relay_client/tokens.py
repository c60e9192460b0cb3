"""Tokens: who may come in, in whose name, and for what. An operator's calls: they need the scope system:write."""

from collections.abc import Iterable
from typing import NamedTuple

from relay_proto.frames import TokenCreate, TokenInfo, TokenRevoke, Tokens

from .calls import Calls, names, read
from .message import Page


class NewToken(NamedTuple):
    """A token that was just made. `token` is the token itself: the relay keeps only its SHA-256 and never shows it
    again."""

    token: str
    info: TokenInfo

    def __repr__(self) -> str:
        return f"NewToken(token=***, info={self.info!r})"


class Tokening(Calls):
    """The part of `Agent` that makes and revokes tokens."""

    async def create_token(
        self,
        *,
        agent: str | None = None,
        integration: str | None = None,
        admin: bool = False,
        scopes: Iterable[str] | None = None,
        expires_s: float | None = None,
        note: str | None = None,
    ) -> NewToken:
        """Make a token for an agent or an integration, which speaks for no other; for an admin, who may do everything
        in any name; or for any name with these `scopes`.

        scopes: default what an agent, or an integration, needs. expires_s: it ends by itself after so many seconds.
        Raises Forbidden for what this connection's own token may not do itself. Should the connection be lost before
        the answer, there may be two of it afterwards: `tokens` shows them.
        """
        ok = await self._ask(
            TokenCreate, agent=agent, integration=integration, admin=admin, scopes=names("scopes", scopes),
            expires_s=expires_s, note=note,
        )  # fmt: skip
        return NewToken(read(ok.token, str), read(ok.item, TokenInfo))

    async def tokens(self, *, limit: int = 100, after: int | None = None) -> Page[TokenInfo]:
        """A page of the tokens that were made, oldest first; those that were over for a month are not among them.

        For the next page pass `after=page.next`, until that is None.
        """
        ok = await self._ask(Tokens, limit=limit, after=after)
        return Page(read(ok.items or [], list[TokenInfo]), ok.next)

    async def revoke_token(self, number: int) -> TokenInfo:
        """The token of this number is over; every connection that came with it is closed. Repeating it is nothing.

        Raises UnknownToken.
        """
        return read((await self._ask(TokenRevoke, number=number)).item, TokenInfo)
