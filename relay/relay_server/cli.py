"""`relay serve`: options and environment in, one daemon, an exit status out."""

import asyncio
import errno
import gc
import os
import resource
import signal
import sys
from pathlib import Path
from typing import Any

import click
import structlog

from relay_proto import limits

from .config import Config, ConfigError
from .exits import EXIT_STORE
from .integrations import Integration, IntegrationError, read_integrations
from .quota import Limits
from .quota_options import quota_options
from .store.interface import StoreFailed, StoreRefused


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, envvar="RELAY_HOST", help="Address to bind.")
@click.option(
    "--port",
    default=limits.DEFAULT_PORT,
    show_default=True,
    type=click.IntRange(0, 65535),
    envvar="RELAY_PORT",
    help="Port for WebSocket and HTTP; 0 takes a free one.",
)
@click.option(
    "--data",
    default="data",
    show_default=True,
    type=click.Path(file_okay=False, path_type=Path),
    envvar="RELAY_DATA",
    help="Folder that holds everything; made when missing, for its owner only.",
)
@click.option(
    "--token",
    envvar="RELAY_TOKEN",
    help="Ask every client for this token, 16 to 512 characters (better set as RELAY_TOKEN: options show in ps).",
)
@click.option(
    "--ask-token",
    is_flag=True,
    envvar="RELAY_ASK_TOKEN",
    help="Ask every client for a token; `relay token create` makes them.",
)
@click.option("--allow-unauth", is_flag=True, envvar="RELAY_ALLOW_UNAUTH", help="Serve other machines without a token.")
@click.option("--allow-host", multiple=True, envvar="RELAY_ALLOW_HOSTS", help="A host name this relay answers to.")
@click.option("--allow-origin", multiple=True, envvar="RELAY_ALLOW_ORIGINS", help="An origin of web pages let in.")
@click.option(
    "--register-timeout",
    default=limits.REGISTER_S,
    show_default=True,
    type=click.FloatRange(0.05, 60),
    envvar="RELAY_REGISTER_TIMEOUT",
    help="Seconds a connection has to register.",
)
@click.option(
    "--ping-interval",
    default=20.0,
    show_default=True,
    type=click.FloatRange(0.05, 3600),
    envvar="RELAY_PING_INTERVAL",
    help="Seconds of silence before a ping; twice that before a silent peer is cut.",
)
@click.option(
    "--pair-grace",
    default=limits.PAIR_GRACE_S,
    show_default=True,
    type=click.FloatRange(0.05, 86400),
    envvar="RELAY_PAIR_GRACE",
    help="Seconds one of a pair may not be heard of before the pair ends.",
)
@click.option(
    "--integrations",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A JSON file with the integrations; the variable RELAY_INTEGRATIONS may hold the same JSON.",
)
@quota_options
@click.option("--log-json", is_flag=True, envvar="RELAY_LOG_JSON", help="Log lines as JSON.")
def serve(
    host: str,
    port: int,
    data: Path,
    token: str | None,
    ask_token: bool,
    allow_unauth: bool,
    allow_host: tuple[str, ...],
    allow_origin: tuple[str, ...],
    register_timeout: float,
    ping_interval: float,
    pair_grace: float,
    integrations: Path | None,
    quotas: Limits,
    log_json: bool,
) -> None:
    """Run the relay until SIGTERM or Ctrl-C.

    Exit status: 0 stopped, 1 could not start, 2 usage, 70 a fault of its own, 74 the disk failed.
    """
    try:
        config = Config(
            host=host,
            port=port,
            data=data,
            token=token,
            ask_token=ask_token,
            allow_unauth=allow_unauth,
            allow_hosts=allow_host,
            allow_origins=allow_origin,
            register_s=register_timeout,
            handshake_s=limits.HANDSHAKE_S,
            ping_s=ping_interval,
            pong_s=ping_interval,
            pair_grace_s=pair_grace,
            quotas=quotas,
            integrations=_integrations(integrations),
        )
    except (ConfigError, IntegrationError) as exc:
        raise click.UsageError(str(exc)) from None
    configure_log(log_json)
    status = run_daemon(config)
    if status == EXIT_STORE:
        # A normal exit would close the database, and so write to a disk that has just failed.
        sys.stderr.flush()
        os._exit(status)
    sys.exit(status)


def _integrations(file: Path | None) -> tuple[Integration, ...]:
    """Those of the file, and those of the environment. Raises IntegrationError."""
    found: tuple[Integration, ...] = ()
    if file is not None:
        try:
            found = read_integrations(file.read_bytes(), str(file))
        except OSError as exc:
            raise IntegrationError(f"{file} can't be read: {exc.strerror}") from None
    if text := os.environ.get("RELAY_INTEGRATIONS"):
        found += read_integrations(text, "RELAY_INTEGRATIONS")
    return found


def configure_log(as_json: bool) -> None:
    """Log lines to stderr: key=value for people, JSON for machines."""
    renderer: Any = structlog.processors.JSONRenderer()
    if not as_json:
        # Where rich is installed, the default would write the locals of each function: bodies and tokens among them.
        plain = structlog.dev.plain_traceback
        renderer = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=plain)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info if as_json else _keep,
            renderer,
        ],
        logger_factory=structlog.PrintLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )


def _keep(logger: Any, method: str, event: Any) -> Any:
    return event


def run_daemon(config: Config) -> int:
    """Run one daemon in this process and give its exit status."""
    from .server import Relay

    raise_descriptor_limit()
    # Per-message objects die by reference count; the collector only has cycles of closed connections to find.
    gc.set_threshold(20_000, 20, 50)

    async def main() -> int:
        relay = Relay(config)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, relay.stop)
        return await relay.run()

    try:
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            return runner.run(main())
    except StoreRefused as exc:
        click.echo(f"relay: {exc}", err=True)
        return 1
    except StoreFailed as exc:
        click.echo(f"relay: the disk failed at start: {exc}", err=True)
        return EXIT_STORE
    except OSError as exc:
        why = os.strerror(exc.errno) if exc.errno else str(exc)
        taken = " (is a relay running already? --port takes another one)" if exc.errno == errno.EADDRINUSE else ""
        click.echo(f"relay: can't listen on {config.host}:{config.port}: {why}{taken}", err=True)
        return 1


def loop_factory() -> Any:
    """uvloop where it installs, asyncio's own loop elsewhere."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


def raise_descriptor_limit() -> None:
    """One agent is one descriptor: take all that the system gives."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
