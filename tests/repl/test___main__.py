"""`python -m relay_client.repl` is the `relay-repl` command."""

from relay_proto.version import __version__
from tests.cli.command import run


def test_it_is_the_relay_repl_command() -> None:
    assert run("--version", module="relay_client.repl") == (0, f"relay-repl {__version__}\n", "")
