"""env_file: the lines that systemd reads for EnvironmentFile=, read alike."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay_proto.env_file import env_line, parse_env_file


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("X=1", "1"),
        ("  X = 1  \t\r\n", "1"),
        ("X=", ""),
        ("X=a b  c ", "a b  c"),
        ("X=it's", "it's"),
        ('X=a "b"', 'a "b"'),
        ("X=a=b", "a=b"),
        ("X=a # no comment", "a # no comment"),
        ("X=a\\ \n", "a "),
        ("X=a\\\\b\\c", "a\\bc"),
        ("X=a\\\nb", "ab"),
        ("X='a \\n\"b' ", 'a \\n"b'),
        ("X='a\nb'", "a\nb"),
        ('X="a \\"b\\" \\\\ \\` \\$ \\n \'c\'"', "a \"b\" \\ ` $ \\n 'c'"),
        ('X="a\\\nb"', "ab"),
        ('X="a\nb"\n', "a\nb"),
        ("X=\N{SNOWMAN}", "\N{SNOWMAN}"),
        ("X=1\nX=2", "2"),
    ],
)
def test_a_value_is_read_as_systemd_reads_it(text: str, value: str) -> None:
    assert parse_env_file(text) == {"X": value}


def test_comments_and_empty_lines_say_nothing() -> None:
    assert parse_env_file("\n# A=1\n  ; B=2\n\t\nC=3\n#") == {"C": "3"}


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("A=1\nwhat", "line 2 has no '='"),
        ("A=1\n\nexport B=1", "line 3: 'export B' is no name of a variable"),
        ("=1", "line 1: '' is no name"),
        ("1A=1", "line 1: '1A' is no name"),
        ("A='secret\nB=1", "line 1: the quote ' is never closed"),
        ('A="secret\\', 'line 1: the quote " is never closed'),
        ("A='secret' # mine", "line 1: something stands behind the closing quote"),
        ("A=sec\0ret", "line 1: the value of A holds a NUL"),
    ],
)
def test_what_systemd_overlooks_is_an_error_that_names_the_line_and_no_value(text: str, error: str) -> None:
    with pytest.raises(ValueError) as raised:
        parse_env_file(text)
    assert error in str(raised.value)
    assert "secret" not in str(raised.value)


@given(
    st.dictionaries(
        st.from_regex(r"\A[A-Z_][A-Z0-9_]{0,9}\Z"), st.text(st.characters(codec="utf-8", exclude_characters="\0"))
    )
)
def test_what_is_written_is_read_back(values: dict[str, str]) -> None:
    text = "".join(f"{env_line(name, value)}\n" for name, value in values.items())
    assert parse_env_file(text) == values


def test_plain_values_are_written_without_quotes_and_others_with() -> None:
    assert env_line("RELAY_URL", "http://localhost:4850") == "RELAY_URL=http://localhost:4850"
    assert env_line("A", "") == 'A=""'
    assert env_line("A", 'my "$x"') == r'A="my \"\$x\""'


@pytest.mark.parametrize(("name", "value"), [("A B", "1"), ("", "1"), ("A", "\0")])
def test_what_no_environment_can_hold_is_not_written(name: str, value: str) -> None:
    with pytest.raises(ValueError):
        env_line(name, value)
