"""What can be set about a daemon, and what it refuses to start with."""

from dataclasses import dataclass, field
from pathlib import Path

from relay_proto import limits
from relay_proto.spans import span_text

from .access import LOOPBACK_HOSTS, is_loopback
from .integrations import RATE_PER_MIN, SECRET_CHARS_MIN, Integration, IntegrationError, check_all
from .quota import Limits
from .store.files import DATABASE
from .times import Times


class ConfigError(Exception):
    """The settings can't be used together; the text says which and what would be right."""


@dataclass(slots=True)
class Config:
    """Settings of one daemon. Durations are seconds."""

    host: str = "127.0.0.1"
    port: int = limits.DEFAULT_PORT
    """0 takes a free one; the log line says which."""
    data: Path = field(default_factory=lambda: Path("data"))
    token: str | None = None
    ask_token: bool = False
    """Ask every client for a token: one that was made by `relay token create`, or `token`."""
    allow_unauth: bool = False
    """Serve other machines without a token. Whoever can reach the port can then read and send everything."""
    allow_hosts: tuple[str, ...] = ()
    """Host names (without port) this relay answers to, besides loopback's and the address it is bound to; * for any."""
    allow_origins: tuple[str, ...] = ()
    """Origins of web pages that may connect (https://dash.example); * for any."""
    database: str = DATABASE
    """The name of the database in the data folder."""
    quotas: Limits = field(default_factory=Limits)
    times: Times = field(default_factory=Times)
    integrations: tuple[Integration, ...] = ()
    """Outside systems that report events, and where they are called back."""
    integration_rate: int = RATE_PER_MIN
    """Events a minute of one that has no rate of its own."""
    pair_grace_s: float = limits.PAIR_GRACE_S
    """How long one of a pair may not be heard of before the pair is over."""
    register_s: float = limits.REGISTER_S
    handshake_s: float = limits.HANDSHAKE_S
    ping_s: float = 20.0
    """Silence on a socket after which it is pinged."""
    pong_s: float = 20.0
    """How long a ping may stay unanswered before the socket is given up."""
    close_s: float = 5.0
    """How long a peer may take over the closing handshake."""
    stop_s: float = 4.0
    """How long a stop may take to say goodbye; what is not gone then is cut."""

    def __post_init__(self) -> None:
        try:
            check_all(self.integrations, "integrations", (self.token,))
        except IntegrationError as exc:
            raise ConfigError(str(exc)) from None
        if not 0 <= self.port <= 65535:
            raise ConfigError(f"port is {self.port}; it must be 0 to 65535")
        if self.token is not None and not SECRET_CHARS_MIN <= len(self.token) <= limits.TOKEN_CHARS_MAX:
            raise ConfigError(
                f"the token has {len(self.token)} characters; it must have {SECRET_CHARS_MIN} to "
                f"{limits.TOKEN_CHARS_MAX} (python3 -c 'import secrets; print(secrets.token_urlsafe(32))' makes one)"
            )
        if not (is_loopback(self.host) or self.token is not None or self.ask_token or self.allow_unauth):
            raise ConfigError(
                f"host is {self.host}, which other machines can reach, and there is no token: "
                "set --token (or RELAY_TOKEN), say --ask-token if tokens were made before, bind 127.0.0.1, "
                "or say --allow-unauth if everyone may come in"
            )

        times = self.times
        if times.prune_s < times.stale_s:
            raise ConfigError(
                f"prune_after is {span_text(times.prune_s)} and stale_after {span_text(times.stale_s)}; an agent is "
                "stale before it is forgotten, so prune_after must not be the shorter one"
            )

    @property
    def hosts(self) -> frozenset[str]:
        """What a Host header may name."""
        own = set(LOOPBACK_HOSTS) | {host.lower() for host in self.allow_hosts}
        if self.host in ("0.0.0.0", "::", ""):
            # Bound to every address, and asked for a token (or told that it needs none): any name may lead here.
            own.add("*")
        else:
            own.add(f"[{self.host.lower()}]" if ":" in self.host else self.host.lower())
        return frozenset(own)

    @property
    def origins(self) -> frozenset[str]:
        return frozenset(origin.lower().rstrip("/") for origin in self.allow_origins)
