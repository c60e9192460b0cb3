"""docs/cli.md says of every command what its --help says."""

import re

import click
import pytest

from relay_client.cli.app import COMMANDS, relay
from tests.cli.cli_doc import DOC, document


def test_the_document_is_up_to_date() -> None:
    text = DOC.read_text()
    assert text == document(text), "docs/cli.md is out of date: python -m tests.cli.cli_doc"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_of_a_command_is_in_its_part(name: str) -> None:
    part = DOC.read_text().partition(f"\n### relay {name}\n")[2]
    own = re.split(rf"\n### relay (?!{name} )", part)[0]
    shared = DOC.read_text().partition("## Profiles")[0] + "--json --jsonl"
    command = relay.get_command(click.Context(relay), name)
    assert command is not None
    for param in command.params:
        if isinstance(param, click.Option) and not param.hidden:
            assert param.opts[0] in own + shared, param.opts


def test_a_part_that_is_out_of_date_is_seen() -> None:
    text = DOC.read_text()
    assert document(text.replace("### relay send\n", "### relay sent\n")) == text
    assert document(text.replace("| 124 |", "| 125 |")) == text
    with pytest.raises(AssertionError, match="no part settings"):
        document(text.replace("<!-- settings: end -->", ""))
