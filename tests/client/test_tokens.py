"""tokens.py of the client: what is asked and what is read."""

import pytest

from relay_client.tokens import NewToken
from relay_proto.errors import BadRequest
from relay_proto.frames import TokenCreate, TokenInfo, TokenRevoke, Tokens
from tests.client.scripted import ScriptedRelay, exchange

INFO = TokenInfo(number=3, scopes=["stats:read"], created_at=5, note="n")


async def test_a_new_token_comes_with_what_it_may_do_and_does_not_show_itself(relay: ScriptedRelay) -> None:
    made = await exchange(
        relay,
        lambda a: a.create_token(scopes=("stats:read",), expires_s=60, note="n"),
        TokenCreate(id=1, scopes=["stats:read"], expires_s=60, note="n"),
        {"token": "rly_secret", "item": INFO},
    )
    assert (made, made.token) == (NewToken("rly_secret", INFO), "rly_secret")
    assert "rly_secret" not in repr(made)


async def test_a_page_of_tokens_is_typed(relay: ScriptedRelay) -> None:
    page = await exchange(
        relay, lambda a: a.tokens(limit=1, after=2), Tokens(id=1, limit=1, after=2), {"items": [INFO], "next": 3}
    )
    assert (page.items, page.next) == ([INFO], 3)


async def test_a_revoked_token_is_shown(relay: ScriptedRelay) -> None:
    assert await exchange(relay, lambda a: a.revoke_token(3), TokenRevoke(id=1, number=3), {"item": INFO}) == INFO


async def test_what_can_t_be_asked_is_refused_here(relay: ScriptedRelay) -> None:
    async with relay.agent() as (agent, _):
        with pytest.raises(BadRequest, match="expected a list of strings"):
            await agent.create_token(scopes="stats:read")
        with pytest.raises(BadRequest, match="agent is given beside admin"):
            await agent.create_token(agent="ada", admin=True)
