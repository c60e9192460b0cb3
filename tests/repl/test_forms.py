"""forms: one result as a table, as JSON, as lines of JSON and as bare values."""

import json

import pytest

from relay_client.repl.forms import FORMS, show
from relay_client.repl.result import Result, listed, told

LIST = listed(
    ["NAME  N", "a     1"], [{"name": "a\tb\\", "n": 1, "tags": ["x"]}, {"n": 2}], ("name", "n", "tags", "more")
)


def test_a_list_in_each_form() -> None:
    assert show(LIST, "table") == ["NAME  N", "a     1"]
    assert json.loads("\n".join(show(LIST, "json"))) == LIST.records
    assert [json.loads(line) for line in show(LIST, "jsonl")] == LIST.records
    assert show(LIST, "raw", is_terminal=False) == ['a\\tb\\\\\t1\t["x"]\t', "\t2\t\t"]


def test_one_record_is_an_object_and_an_empty_list_a_list() -> None:
    assert show(told("done", message=1, reason=None), "json") == ['{"message":1}']
    assert show(told("done", message=1), "raw", is_terminal=False) == ["1"]
    assert show(told("done", message=1, reason=None, state="done"), "raw", is_terminal=False) == ["1\t\tdone"]
    assert show(listed(["none"], [], ("a",)), "json") == ["[]"]
    assert show(listed(["none"], [], ("a",)), "jsonl") == []
    assert show(Result(), "json") == []


@pytest.mark.parametrize("form", FORMS[1:])
def test_nothing_acts_on_a_terminal(form: str) -> None:
    result = told("x", body="\x1b]52;c;x\x07\u202e\x9b", tab="a\tb")
    lines = show(result, form, is_terminal=True)
    assert not {"\x1b", "\x07", "\u202e", "\x9b"} & set("".join(lines))


def test_raw_is_exact_where_nobody_looks() -> None:
    assert show(told("x", body="\x1b[1m é"), "raw", is_terminal=False) == ["\x1b[1m é"]
    assert show(told("x", yes=True, one={"a": None}), "raw", is_terminal=False) == ['true\t{"a":null}']
