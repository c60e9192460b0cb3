"""The one place where exceptions become exit codes and one clear line on stderr. Never a traceback.

EXIT_CODES below is the table of all codes; `relay --help` shows it in short and docs/cli.md in full.

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
TIMED_OUT: Final = 124
INTERRUPTED: Final = 128 + signal.SIGINT
SKEW_LOGGER: Final = "relay_client.skew"
"""Where the client warns of a relay of another release; by name, for its module is not needed for `--version`."""

EXIT_CODES: Final[dict[int, tuple[str, str]]] = {
    OK: ("ok", "It is done."),
    FAILED: ("failed", "The relay refused it, or a check found something; the line on stderr says what."),
    USAGE: ("usage", "The command line or a setting is wrong. Nothing was sent."),
    OVERDUE: ("nothing yet", "`claim` without an id: no work is ready now; some may still come."),
    REFUSED: ("never", "`ask`: no reply will come. `submit --wait`: the task ended without being done."),
    DEADLOCK: ("deadlock", "`ask`: a ring of agents that wait for each other."),
    UNREACHABLE: ("no relay there", "No relay can be reached, or the connection to it was lost."),
    NOT_ALLOWED: ("not allowed", "The relay does not allow it: the token, its scopes, or whose it is."),
    TIMED_OUT: ("out of time", "The time that was given is over: no answer, no reply, no result."),
    INTERRUPTED: ("Ctrl-C", "It was ended from outside."),
}
"""Every exit code of the commands: in a word, and in a sentence."""


class NotYet(click.ClickException):
    """What a command waited for is not there, and may still come."""

    exit_code = OVERDUE


class TimeRanOut(click.ClickException):
    """The time that a command was given is over, and what it waited for is not there."""

    exit_code = TIMED_OUT


class Never(click.ClickException):
    """What a command waited for will not come."""

    exit_code = REFUSED


def invoke(command: click.Command, program: str, arguments: list[str] | None) -> int:
    """Runs a click command (on `sys.argv` when no arguments are given) and gives its exit code.

    Not by `command.main()`: that makes a failure of a reader that went away.
    """

    def run() -> None:
        _complete(command, program)
        with command.make_context(program, sys.argv[1:] if arguments is None else arguments) as context:
            command.invoke(context)

    return guard(program, run)


def _complete(command: click.Command, program: str) -> None:
    """What the script of `relay completion` asks for: it calls the program with a word in its environment."""
    variable = f"_{program.replace('-', '_').upper()}_COMPLETE"
    instruction = os.environ.get(variable)
    if instruction:
        from click.shell_completion import shell_complete

        raise click.exceptions.Exit(shell_complete(command, {}, program, variable, instruction))


def guard(program: str, run: Callable[[], object]) -> int:
    """Runs something and gives the exit code of whatever came of it."""
    _open_what_is_closed()
    _print_anything(sys.stdout)
    _print_anything(sys.stderr)
    logging.getLogger("relay_client").addHandler(logging.NullHandler())  # what matters of it is raised, or is news.py's
    warnings = _Warnings(program)
    logging.getLogger(SKEW_LOGGER).addHandler(warnings)
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
    finally:
        logging.getLogger(SKEW_LOGGER).removeHandler(warnings)
    return OK


class _Warnings(logging.Handler):
    """Says on stderr, once each, what is no failure and still to be known: that the relay is of another release."""

    def __init__(self, program: str) -> None:
        super().__init__()
        self._program = program
        self._said: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        text = escape(record.getMessage())
        if text not in self._said:
            self._said.add(text)
            try:
                print(f"{self._program}: warning: {text}", file=sys.stderr, flush=True)
            except OSError:  # nobody reads it, and what was to be done is done all the same
                _to_nowhere(2)


def _reader_gone() -> int:
    _to_nowhere(1)
    return OK


def _to_nowhere(descriptor: int) -> None:
    """Python flushes its streams once more at exit: gives the one that nobody reads somewhere to go."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, descriptor)
    os.close(nowhere)


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
        return USAGE, f"{_which(exc) or _sentence(exc.format_message())}{_usage(exc.ctx or _context(exc))}"
    if isinstance(exc, click.ClickException):
        return exc.exit_code, escape(exc.format_message())
    return _explain_relay(exc)


def _which(exc: click.UsageError) -> str | None:
    """Of a group of commands that was called without any of them: which there are. click would say its whole help."""
    group = exc.ctx.command if exc.ctx is not None else None
    if type(exc).__name__ != "NoArgsIsHelpError" or exc.ctx is None or not isinstance(group, click.Group):
        return None
    return f"say which: {exc.ctx.command_path} {'|'.join(group.list_commands(exc.ctx))}"


def _context(exc: click.UsageError) -> click.Context | None:
    """Of what click raises without one (an option that lacks its value): that of the command that was parsed."""
    found, step = None, exc.__traceback__
    while step is not None:
        context = step.tb_frame.f_locals.get("ctx") if step.tb_frame.f_code.co_name == "parse_args" else None
        found = context if isinstance(context, click.Context) else found
        step = step.tb_next
    return found


def _usage(context: click.Context | None) -> str:
    """What the command line looks like when it is right, and where more stands."""
    if context is None:
        return ""
    see = f" (see: {context.command_path} --help)"
    if isinstance(context.command, click.Group):  # an unknown command: of its usage there is nothing to say
        return see
    return f"; usage: {' '.join([context.command_path, *context.command.collect_usage_pieces(context)])}{see}"


def _explain_relay(exc: BaseException) -> tuple[int, str]:
    from relay_client import Disconnected, ReplyOverdue, ReplyRefused, Unreachable  # here: `--version` needs none of it
    from relay_client.profiles import SettingsError
    from relay_proto.errors import Deadlock, Forbidden, RelayError, Unauthorized

    if isinstance(exc, SettingsError):
        return USAGE, escape(exc.message)
    if isinstance(exc, ReplyOverdue):
        return TIMED_OUT, escape(exc.message)
    if isinstance(exc, (ReplyRefused, Deadlock)):
        return REFUSED if isinstance(exc, ReplyRefused) else DEADLOCK, escape(exc.message)
    if isinstance(exc, (Unreachable, Disconnected)):
        return UNREACHABLE, escape(str(exc))
    if isinstance(exc, TimeoutError):
        return TIMED_OUT, escape(str(exc) or "the relay did not answer in time")
    if isinstance(exc, (Unauthorized, Forbidden)):
        hint = (
            "; a token goes into --token, RELAY_TOKEN, RELAY_TOKEN_FILE or a profile"
            if isinstance(exc, Unauthorized)
            else ""
        )
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
