"""What refuses a request: an HTTP status, and the same in JSON.

    {"error": "what was wrong with which value, and what would be right", "code": "bad_request", "field": "from", ...}

`code` is one of the wire's codes, or one of those that only HTTP has: not_found, method_not_allowed,
unsupported_media_type, stale. `field` names the field of the body, the query or the path; `limit` is the number that
was passed. What a RelayError carries in `detail` stands beside them, in camelCase.
"""

from typing import Any, Final

from relay_proto.errors import RelayError

STATUS: Final = {
    "bad_frame": 400,
    "unauthorized": 401,
    "forbidden": 403,
    "unknown_op": 404,
    "unknown_agent": 404,
    "unknown_message": 404,
    "unknown_pair": 404,
    "unknown_token": 404,
    "too_large": 413,
    "rate_limited": 429,
    "inbox_full": 429,
    "internal": 500,
    "unavailable": 503,
    "storage_full": 503,
    "bad_request": 422,
    "not_registered": 422,
    "ambiguous_target": 422,
    "pointless_ack": 422,
    "hop_limit": 422,
}
"""The status of a code of the wire. The others say that the present stands against it: 409."""
CONFLICT: Final = 409


class HttpError(Exception):
    """A request that is refused with this status."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        field: str | None = None,
        limit: int | float | None = None,
        detail: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.field = field
        self.limit = limit
        self.detail = detail or {}
        self.headers = headers or {}

    @property
    def content(self) -> dict[str, Any]:
        """The body of the answer."""
        content: dict[str, Any] = {"error": self.message, "code": self.code}
        if self.field is not None:
            content["field"] = self.field
        if self.limit is not None:
            content["limit"] = self.limit
        return content | self.detail


def refusal(error: RelayError) -> HttpError:
    """What the desk or the store refused, as HTTP says it."""
    headers = {}
    # A rate says in detail.code which one it is; here `code` is taken.
    detail = {"quota" if name == "code" else camel(name): value for name, value in error.detail.items()}
    if error.retry_after_s is not None:
        detail["retryAfterS"] = error.retry_after_s
        headers["Retry-After"] = str(max(1, round(error.retry_after_s + 0.5)))
    elif error.retryable:
        headers["Retry-After"] = "1"
    if error.code == "unauthorized":
        headers["WWW-Authenticate"] = 'Bearer realm="relay"'
    status = STATUS.get(error.code, CONFLICT)
    return HttpError(status, error.code, error.message, detail=detail, headers=headers)


def not_found(kind: str, name: object) -> HttpError:
    """There is no such thing: `not_found("task", 7)`."""
    return HttpError(404, f"unknown_{kind}", f"there is no {kind} {name}")


def camel(name: str) -> str:
    """lease_left_s -> leaseLeftS, as the door writes names."""
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)
