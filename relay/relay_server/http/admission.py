"""Who makes this request, and may it: the token of its headers, and the scope that its row asks for."""

from typing import TYPE_CHECKING

from starlette.requests import Request

from ..access import TOKEN_HEADERS, names_token, token_given
from ..grants import ANYONE, Grant, lacks
from .errors import HttpError

if TYPE_CHECKING:
    from ..server import Relay


def admit(relay: "Relay", request: Request, scope: str | None) -> Grant:
    """The grant of whoever asks. Raises RelayError (401, 403, 429), HttpError 400 for two tokens or one in the URL."""
    if scope is None:
        return ANYONE
    if names_token(request.scope["query_string"].decode("latin-1")):
        raise HttpError(400, "bad_request", "a token in a URL is not looked at; send it in a header", field="token")
    headers = request.headers
    others = [value for name in TOKEN_HEADERS for value in headers.getlist(name)]
    try:
        token = token_given(headers.getlist("authorization"), others)
    except ValueError as error:
        raise HttpError(400, "bad_request", str(error)) from None
    address = request.client.host if request.client is not None else ""
    grant = relay.doorkeeper.admit(token, address, relay.now())
    if not grant.may(scope):
        raise lacks(scope, "this request")
    return grant
