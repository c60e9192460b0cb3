"""Tokens: made, looked at and revoked. The one place where a token itself is known is the outcome that made it."""

import secrets
import sqlite3
from collections.abc import Callable
from typing import Any, Final

import orjson

from relay_proto.errors import UnknownToken
from relay_proto.frames import TokenInfo
from relay_proto.scopes import TOKEN_PREFIX

from ..access import token_digest
from . import queries
from .outcomes import Outcome
from .questions import RecordPage, StoredToken
from .rows import to_json
from .token_data import PutToken, RevokeToken, TokenPut, TokenRevoked, TokensPage
from .transaction import Transaction

SECRET_BYTES: Final = 32
KEPT_MS: Final = 30 * 24 * 3600 * 1000
"""How long a token is listed after its end."""


def put_token(tx: Transaction, command: PutToken) -> TokenPut:
    """A turn that is applied again makes another token: the first one was told to nobody."""
    tx.execute(queries.forget_tokens, (tx.now - KEPT_MS,))
    secret = TOKEN_PREFIX + secrets.token_urlsafe(SECRET_BYTES)
    digest = token_digest(secret)
    expires_at = None if command.expires_s is None else tx.now + round(command.expires_s * 1000)
    ((number,),) = tx.execute(
        queries.put_token,
        (
            digest, command.agent, command.integration, to_json(command.scopes), command.note, tx.now, expires_at,
        ),
    ).fetchall()  # fmt: skip
    return TokenPut(secret, digest, _found(tx.execute(queries.token, (number,)).fetchone(), tx.now))


def revoke_token(tx: Transaction, command: RevokeToken) -> TokenRevoked:
    tx.execute(queries.revoke_token, (tx.now, command.number))
    row = tx.execute(queries.token, (command.number,)).fetchone()
    if row is None:
        raise UnknownToken(f"number is {command.number}; there is no such token")
    return TokenRevoked(_found(row, tx.now))


def tokens_page(connection: sqlite3.Connection, question: TokensPage) -> RecordPage:
    """A page of all that are kept, oldest first. A row is small: a full page fits into one message."""
    rows = connection.execute(queries.tokens_behind, (question.after, question.limit + 1)).fetchall()
    items = [_found(row, question.now_ms) for row in rows[: question.limit]]
    return RecordPage(items, items[-1].number if len(rows) > question.limit else None)


def tokens_kept(connection: sqlite3.Connection) -> list[StoredToken]:
    """All that are kept, those that are over among them."""
    return [
        StoredToken(number, digest, orjson.loads(scopes), agent, integration, ends_at)
        for number, digest, scopes, agent, integration, ends_at in connection.execute(queries.tokens_kept)
    ]


def _found(row: tuple[Any, ...], now: int) -> TokenInfo:
    number, scopes, created_at, agent, integration, note, expires_at, revoked_at, ends_at = row
    return TokenInfo(
        number=number, scopes=orjson.loads(scopes), created_at=created_at, agent=agent, integration=integration,
        note=note, expires_at=expires_at, revoked_at=revoked_at, is_over=ends_at is not None and ends_at <= now,
    )  # fmt: skip


APPLY: Final[dict[type[Any], Callable[[Transaction, Any], Outcome]]] = {
    PutToken: put_token,
    RevokeToken: revoke_token,
}
