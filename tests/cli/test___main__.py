"""`python -m relay_client.cli` is the `relay` command."""

from relay_proto.version import __version__
from tests.cli.command import run


def test_it_is_the_relay_command() -> None:
    assert run("--version") == (0, f"relay {__version__}\n", "")
    assert run("nonsense").code == 2
