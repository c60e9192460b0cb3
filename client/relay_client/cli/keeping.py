"""What backup, verify and export have in common: how they reach the relay, which is over HTTP, and how that fails.

They say nothing in an agent's name, so they have no --as; what they need is a token for everything, where the relay
asks for tokens.
"""

import functools
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from relay_proto.errors import RelayError, error_for

from ..address import Address, parse_url
from ..errors import Disconnected
from ..settings import resolve
from ..unreachable import unreachable
from .door import TIMEOUT_S_MIN, Door
from .spans import span_text
from .tail_stream import api_url
from .values import span

if TYPE_CHECKING:
    import httpx

SILENCE_S: Final = 600.0
"""A check of a large store takes minutes in which nothing is said."""
CONNECT_S: Final = 10.0
REFUSED_BYTES_MAX: Final = 64 * 1024

data_option = click.option(
    "--data",
    type=click.Path(exists=True, path_type=Path),
    metavar="FOLDER",
    help="The data folder of a relay on this machine, without asking one.",
)


def relay_options(command: Callable[..., None]) -> Callable[..., None]:
    """Adds --url, --token, --token-file, --profile and --timeout; the command gets them as one `door`."""

    @click.option("--url", metavar="URL", help="The relay.  [env: RELAY_URL]")
    @click.option("--token", metavar="TOKEN", help="A token for everything: an admin's.  [env: RELAY_TOKEN]")
    @click.option("--token-file", metavar="FILE", help="A file with the token, yours alone.  [env: RELAY_TOKEN_FILE]")
    @click.option("--profile", metavar="NAME", help="What profiles.json has under this name.  [env: RELAY_PROFILE]")
    @click.option(
        "--timeout",
        "timeout_s",
        type=span(TIMEOUT_S_MIN, float("inf")),
        default=SILENCE_S,
        metavar="TIME",
        help=f"Give up when the relay says nothing for this long.  [default: {span_text(SILENCE_S)}]",
    )
    @functools.wraps(command)
    def with_door(*args: Any, profile: str | None, timeout_s: float, **kwargs: Any) -> None:
        flags = {flag: kwargs.pop(flag) for flag in ("url", "token", "token_file")}
        if kwargs.get("data") is not None:
            command(*args, door=Door("", None, "", timeout_s), **kwargs)  # nobody is asked
            return
        settings = resolve(os.environ, profile, flags)
        command(*args, door=Door(settings.url, settings.token, "", timeout_s, settings), **kwargs)

    return with_door


def end_by_signal() -> None:
    """SIGTERM ends the command as Ctrl-C does: with nothing half-made left behind."""

    def end(*_: object) -> None:
        raise KeyboardInterrupt  # not SIGINT: a shell without job control has its background commands ignore that

    signal.signal(signal.SIGTERM, end)


@contextmanager
def asked(door: Door, path: str) -> Iterator["httpx.Response"]:
    """The answer to a GET of this path, which is to be read here.

    Raises Unreachable, Disconnected (it was cut), TimeoutError, RelayError: what the relay refused.
    """
    import httpx

    url = f"{api_url(door.url)}{path}"
    headers = {"Authorization": f"Bearer {door.token}"} if door.token is not None else {}
    timeout = httpx.Timeout(door.timeout_s, connect=min(door.timeout_s, CONNECT_S))
    try:
        with (
            httpx.Client(headers=headers, timeout=timeout, trust_env=False) as client,
            client.stream("GET", url) as response,
        ):
            if response.status_code != 200:
                raise _refusal(response, door, path)
            yield response
    except (httpx.ConnectError, httpx.ConnectTimeout) as exc:
        address = parse_url(door.url)
        tried = Address(address.url, url, address.host, address.port, address.secure)
        raise unreachable(tried, RelayError(str(exc) or "no answer in time"), 1, 0.0) from None
    except httpx.TimeoutException:
        raise TimeoutError(f"the relay at {door.url} said nothing for {span_text(door.timeout_s)}") from None
    except httpx.TransportError as exc:
        words = str(exc) or type(exc).__name__
        raise Disconnected(f"the relay at {door.url} ended the answer before it was whole ({words})") from None


def _refusal(response: "httpx.Response", door: Door, path: str) -> RelayError:
    said = b""
    for piece in response.iter_bytes():
        said += piece
        if len(said) > REFUSED_BYTES_MAX:
            break
    try:
        import orjson

        content = orjson.loads(said)
        code, message = str(content["code"]), str(content["error"])
    except (ValueError, KeyError, TypeError):
        return RelayError(f"{door.url} answered with status {response.status_code}; that is no relay")
    if code == "not_found":
        return RelayError(f"the relay at {door.url} has no {path}: it is older than this command; upgrade it")
    return error_for(code, message, retry_after_s=content.get("retryAfterS"))
