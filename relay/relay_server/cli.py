"""`relay serve`: options and environment in, one daemon, an exit status out."""

import asyncio
import errno
import gc
import os
import resource
import signal
import sys
from typing import Any

import click
import structlog

from .config import Config, ConfigError
from .exits import EXIT_STORE
from .serve_options import Refused, serve_options
from .sources import Resolved, config_of
from .store.interface import StoreFailed, StoreRefused


@click.command()
@serve_options
def serve(settings: Resolved) -> None:
    """Run the relay until SIGTERM or Ctrl-C.

    Each option may also be said in the environment, in a file of variables (--env-file) or in config.toml; they count
    in this order. `relay config show` says where each comes from.

    Exit status: 0 stopped, 1 could not start, 2 usage, 70 a fault of its own, 74 the disk failed.
    """
    try:
        config = config_of(settings)
    except ConfigError as exc:
        raise Refused(str(exc)) from None
    configure_log(settings["log_json"])
    status = run_daemon(config)
    if status == EXIT_STORE:
        # A normal exit would close the database, and so write to a disk that has just failed.
        sys.stderr.flush()
        os._exit(status)
    sys.exit(status)


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
    from .notify import Notifier
    from .server import Relay

    raise_descriptor_limit()
    # Per-message objects die by reference count; the collector only has cycles of closed connections to find.
    gc.set_threshold(20_000, 20, 50)

    async def main() -> int:
        relay = Relay(config, notifier=Notifier.of(os.environ))
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
