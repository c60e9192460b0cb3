"""escape: text of others can't act on the terminal that shows it."""

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay_client.cli.escape import escape, escape_json


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b]0;owned\x07", r"\x1b]0;owned\x07"),
        ("\x1b[2J", r"\x1b[2J"),
        ("a\nb\rc\td", r"a\nb\rc\td"),
        ("\x9b31m \x9d", r"\x9b31m \x9d"),
        ("\x7f\x00", r"\x7f\x00"),
        ("access \u202edenied\u2066", r"access \u202edenied\u2066"),
        ("two\u2028lines", r"two\u2028lines"),
        ("hid\u200bden \ufeff", r"hid\u200bden \ufeff"),
        ("tag \U000e0041", r"tag \U000e0041"),
        ("lone \ud800", r"lone \ud800"),
    ],
)
def test_what_acts_on_a_terminal_is_shown_by_its_name(text: str, shown: str) -> None:
    assert escape(text) == shown


@pytest.mark.parametrize("text", ["plain", "Grüße, 世界", "👩‍👩‍👧 family", "می‌خواهم", "C:\\new", "❤️"])
def test_ordinary_text_of_any_script_stays_as_it_is(text: str) -> None:
    assert escape(text) == text


def test_a_block_may_keep_its_lines_and_nothing_else() -> None:
    assert escape("a\n\tb\x1b[1m\r", keep="\n\t") == "a\n\tb\\x1b[1m\\r"


@given(st.text(alphabet=st.characters(exclude_categories=())))
def test_no_control_character_and_no_bidi_override_survives(text: str) -> None:
    shown = escape(text)
    assert not any(unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp") for char in shown)
    assert not any(unicodedata.bidirectional(char) in ("LRE", "RLE", "LRO", "RLO", "PDF") for char in shown)
    assert not any(unicodedata.bidirectional(char) in ("LRI", "RLI", "FSI", "PDI") for char in shown)


@given(st.text())
def test_json_stays_the_same_document_and_becomes_safe_to_look_at(text: str) -> None:
    shown = escape_json(json.dumps({"body": text}, ensure_ascii=False))
    assert json.loads(shown) == {"body": text}
    assert escape(shown) == shown


def test_json_escapes_are_those_of_json() -> None:
    assert escape_json('"\u202e \x9b \U000e0041"') == r'"\u202e \u009b \udb40\udc41"'
