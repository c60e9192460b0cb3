"""hint: the grammar of the command that is being typed, what comes next in bold."""

import pytest

from relay_client.repl.commands import COMMANDS
from relay_client.repl.hint import hint


def shown(text: str, peer: str | None = None) -> str:
    """The hint, what is bold in it between stars."""
    parts = hint(text, COMMANDS, peer=peer)
    return "".join(f"*{part[1]}*" if "now" in part[0] else part[1] for part in parts)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("send", ""),
        ("send ", "[OPTIONS] *TARGET* TEXT"),
        ("send bob", "[OPTIONS] *TARGET* TEXT"),
        ("send bob ", "[OPTIONS] TARGET *TEXT*"),
        ("send --ttl ", "*--ttl TIME* TARGET TEXT"),
        ("forgive 1", "*ID*"),
        ("pair ", "open|accept|reject|say|hangup|list"),
        ("nonsense here", ""),
        ("send bob one\ntwo", ""),
    ],
)
def test_what_comes_next_is_bold(text: str, expected: str) -> None:
    assert shown(text) == expected


def test_text_to_a_peer_needs_no_hint() -> None:
    assert shown("anything goes", peer="bob") == ""
