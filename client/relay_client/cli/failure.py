"""The one place where exceptions become exit codes and one clear line on stderr. Never a traceback.

    0    ok                                       5    ask: a ring of agents that wait for each other (deadlock)
    1    failed: the relay refused it             69   the relay can't be reached, or did not answer in time
    2    usage: the command line is wrong         77   the relay does not allow it
    3    not yet: what was waited for             130  Ctrl-C
         is not there, and may still come
    4    never: it will not come

3 and 4 are of `ask` (the reply), of `submit --wait` (the result; 4: the task ended without being done) and, 3 only, of
`claim` without an id (work that is ready).

A reader that goes away (`relay agents | head`) is no failure: it got what it wanted.
A command that knows more about its own failure adds it with `add_note`. RELAY_DEBUG=1 lets an exception that means
"failed" through with its traceback.
"""

import difflib
import logging
import os
import signal
import sys
from collections.abc import Callable, Iterable
from typing import Any, Final

import click

from .escape import escape

OK: Final = 0
FAILED: Final = 1
USAGE: Final = 2
OVERDUE: Final = 3
REFUSED: Final = 4
DEADLOCK: Final = 5
UNREACHABLE: Final = 69
NOT_ALLOWED: Final = 77
INTERRUPTED: Final = 128 + signal.SIGINT


class NotYet(click.ClickException):
    """What a command waited for is not there, and may still come."""

    exit_code = OVERDUE


class Never(click.ClickException):
    """What a command waited for will not come."""

    exit_code = REFUSED


def invoke(command: click.Command, program: str, arguments: list[str] | None) -> int:
    """Runs a click command (on `sys.argv` when no arguments are given) and gives its exit code.

    Not by `command.main()`: that makes a failure of a reader that went away.
    """

    def run() -> None:
        with command.make_context(program, sys.argv[1:] if arguments is None else arguments) as context:
            command.invoke(context)

    return guard(program, run)


def guard(program: str, run: Callable[[], object]) -> int:
    """Runs something and gives the exit code of whatever came of it."""
    _open_what_is_closed()
    _print_anything(sys.stdout)
    _print_anything(sys.stderr)
    logging.getLogger("relay_client").addHandler(logging.NullHandler())  # what matters of it is raised, or is news.py's
    try:
        run()
        sys.stdout.flush()
    except BrokenPipeError:
        return _reader_gone()
    except click.exceptions.Exit as exc:
        return exc.exit_code
    except Exception as exc:
        return report(program, exc)
    except KeyboardInterrupt as exc:
        return report(program, exc)
    return OK


def _reader_gone() -> int:
    """Python flushes stdout once more at exit: give it somewhere to go."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    return OK


def _open_what_is_closed() -> None:
    """`relay ... <&- >&-`: a closed stream is None in Python, and its descriptor would go to the next socket."""
    if sys.stdin is None:
        sys.stdin = open(os.devnull)  # noqa: SIM115  # for as long as the process lives
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115


def _print_anything(stream: Any) -> None:
    """A locale without arrows gets `\\u2192`, not a UnicodeEncodeError."""
    if hasattr(stream, "reconfigure"):
        stream.reconfigure(errors="backslashreplace")


def report(program: str, exc: BaseException) -> int:
    """Says on stderr what went wrong, in one line, and gives the exit code."""
    code, text = explain(exc)
    text = "; ".join([text, *(escape(note) for note in getattr(exc, "__notes__", ()))])
    if code == FAILED and os.environ.get("RELAY_DEBUG"):
        raise exc
    if text:
        print(f"{program}: {text}", file=sys.stderr, flush=True)
    return code


def explain(exc: BaseException) -> tuple[int, str]:
    """Exit code and line for an exception. Text that came from the relay is escaped."""
    if isinstance(exc, (KeyboardInterrupt, click.Abort)):
        return INTERRUPTED, ""
    if isinstance(exc, click.UsageError):
        see = f" (see: {exc.ctx.command_path} --help)" if exc.ctx else ""
        return USAGE, f"{_sentence(exc.format_message())}{see}"
    if isinstance(exc, click.ClickException):
        return exc.exit_code, escape(exc.format_message())
    return _explain_relay(exc)


def _explain_relay(exc: BaseException) -> tuple[int, str]:
    from relay_client import Disconnected, ReplyOverdue, ReplyRefused, Unreachable  # here: `--version` needs none of it
    from relay_proto.errors import Deadlock, Forbidden, RelayError, Unauthorized

    if isinstance(exc, ReplyOverdue):  # a TimeoutError, too; without an id it is the relay that did not answer
        return UNREACHABLE if exc.ask is None else OVERDUE, escape(exc.message)
    if isinstance(exc, (ReplyRefused, Deadlock)):
        return REFUSED if isinstance(exc, ReplyRefused) else DEADLOCK, escape(exc.message)
    if isinstance(exc, (Unreachable, Disconnected)):
        return UNREACHABLE, escape(str(exc))
    if isinstance(exc, TimeoutError):
        return UNREACHABLE, escape(str(exc) or "the relay did not answer in time")
    if isinstance(exc, (Unauthorized, Forbidden)):
        hint = "; a token goes in --token or RELAY_TOKEN" if isinstance(exc, Unauthorized) else ""
        if isinstance(exc.detail.get("speaks_for"), str):
            hint = f"; --as {exc.detail['speaks_for']} says that it is you"
        return NOT_ALLOWED, escape(f"{exc.message} ({exc.code}){hint}")
    if isinstance(exc, RelayError):
        return FAILED, escape(f"{exc.message}{_detail(exc)}")
    if isinstance(exc, OSError):
        return FAILED, escape(str(exc))
    return FAILED, escape(f"{type(exc).__name__}: {exc}; this is a fault of ours, RELAY_DEBUG=1 shows where")


def _detail(error: Any) -> str:
    """What a program would read from `detail`, as words; only what the message does not say already."""
    words = []
    names = [str(name) for name in error.detail.get("suggestions") or error.detail.get("candidates") or ()]
    if names and not any(name in error.message for name in names):
        words.append(f"did you mean {' or '.join(names)}?")
    if error.retry_after_s is not None:
        words.append(f"try again in {error.retry_after_s:g} s")
    return "".join(f"; {part}" for part in words)


def did_you_mean(word: str, choices: Iterable[str]) -> str:
    """`; did you mean 'send'?` for the nearest of `choices`, or nothing when none is near."""
    near = difflib.get_close_matches(word, list(choices), n=2, cutoff=0.6)
    return f"; did you mean {' or '.join(repr(name) for name in near)}?" if near else ""


def _sentence(text: str) -> str:
    """A message of click's in our manner: lower case at its start, no full stop, one line."""
    text = escape(" ".join(text.split()).rstrip("."))
    return text if text[1:2].isupper() else text[:1].lower() + text[1:]  # TARGET is a name, not a beginning
