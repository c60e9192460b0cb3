"""reading.py: bytes of a request into structs, and what is said of those that do not fit."""

from typing import Annotated, Literal

import pytest
from msgspec import Meta, Struct

from relay_proto.fields import AgentId
from relay_server.http.errors import HttpError
from relay_server.http.reading import check_json, from_json, from_query, from_texts


class Shape(Struct, rename="camel"):
    agent: AgentId
    lease_s: Annotated[int, Meta(ge=1, le=60)] = 30
    kind: Literal["one", "two"] = "one"
    names: Annotated[list[str], Meta(max_length=2)] = []
    token: Annotated[str, Meta(max_length=3)] | None = None
    is_read: bool = False


def refused(data: bytes) -> dict[str, object]:
    with pytest.raises(HttpError) as caught:
        from_json(Shape, data)
    return {"status": caught.value.status} | caught.value.content


def test_what_fits_is_read_and_what_is_unknown_is_ignored() -> None:
    shape = from_json(Shape, b'{"agent": "ada", "leaseS": 5, "color": {"deep": [1]}}')
    assert (shape.agent, shape.lease_s) == ("ada", 5)


@pytest.mark.parametrize(
    ("data", "status", "field", "limit"),
    [
        (b'{"agent": "ada"', 400, None, None),
        (b"\xff\xfe", 400, None, None),
        (b'{"x": ' + b"[" * 100_000, 400, None, None),
        (b"[]", 422, "body", None),
        (b"", 422, "agent", None),
        (b'{"agent": 5}', 422, "agent", None),
        (b'{"agent": "a b"}', 422, "agent", None),
        (b'{"agent": "ada", "leaseS": 61}', 422, "leaseS", 60),
        (b'{"agent": "ada", "leaseS": null}', 422, "leaseS", None),
        (b'{"agent": "ada", "kind": "three"}', 422, "kind", None),
        (b'{"agent": "ada", "names": ["a", "b", "c"]}', 422, "names", 2),
        (b'{"agent": "ada", "names": ["a", 5]}', 422, "names[1]", None),
    ],
)
def test_what_does_not_fit_is_named(data: bytes, status: int, field: str | None, limit: int | None) -> None:
    content = refused(data)
    assert (content["status"], content.get("field"), content.get("limit")) == (status, field, limit), content
    assert content["error"]


def test_the_words_say_value_and_rule() -> None:
    assert refused(b'{"agent": "a b"}')["error"] == (
        "agent is 'a b'; expected 1-128 characters of A-Z a-z 0-9 . _ - @ /"
    )
    assert refused(b'{"agent": "ada", "kind": "three"}')["error"] == "kind is 'three'; expected one of one two"


def test_a_secret_is_not_repeated() -> None:
    assert "hush-hush" not in str(refused(b'{"agent": "ada", "token": "hush-hush"}'))


def test_a_query_stands_for_numbers_and_truths() -> None:
    shape = from_query(Shape, b"agent=ada%2Fone&leaseS=7&isRead=true&other=1&other=2")
    assert (shape.agent, shape.lease_s, shape.is_read) == ("ada/one", 7, True)


@pytest.mark.parametrize(
    ("query", "status", "field"),
    [
        (b"agent=ada&agent=ben", 422, "agent"),
        (b"agent=ada&leaseS=x", 422, "leaseS"),
        (b"agent=%ff", 400, None),
        (b"&".join(b"a%d=1" % i for i in range(65)), 400, None),
    ],
)
def test_a_query_that_does_not_fit(query: bytes, status: int, field: str | None) -> None:
    with pytest.raises(HttpError) as caught:
        from_query(Shape, query)
    assert (caught.value.status, caught.value.field) == (status, field)


class Page(Struct):
    since: int | None = None
    agent: str | None = None


def test_a_query_has_no_word_for_nothing() -> None:
    """`?since=null` would be the first page again; an agent may be called null."""
    with pytest.raises(HttpError) as caught:
        from_query(Page, b"since=null")
    assert (caught.value.status, caught.value.field) == (422, "since")
    assert from_query(Page, b"agent=null").agent == "null"


def test_a_path_is_texts() -> None:
    assert from_texts(Shape, {"agent": "ada", "leaseS": "9"}).lease_s == 9


@pytest.mark.parametrize("kind", ["application/json", "application/json; charset=utf-8", "application/vnd.x+json"])
def test_json_by_its_names(kind: str) -> None:
    check_json(kind)


@pytest.mark.parametrize("kind", [None, "", "text/plain", "application/x-www-form-urlencoded", "text/x+json"])
def test_what_is_no_json(kind: str | None) -> None:
    with pytest.raises(HttpError) as caught:
        check_json(kind)
    assert caught.value.status == 415
