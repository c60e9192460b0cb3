"""openapi.py: the document is OpenAPI 3.1, has every row, and says what the rows say."""

import re
from collections.abc import Callable
from typing import Annotated

import httpx
import pytest
from msgspec import Meta, Struct
from openapi_spec_validator import OpenAPIV31SpecValidator, validate

from relay_proto.fields import AgentId
from relay_server.http.dispatch import Call
from relay_server.http.openapi import describe, with_document
from relay_server.http.operations import OPERATIONS
from relay_server.http.table import Operation, Reply
from tests.daemon import Daemon


class ThingPath(Struct):
    id: AgentId


class ThingQuery(Struct):
    since: int | None = None
    limit: Annotated[int, Meta(ge=1, le=9)] = 5


class NewThing(Struct, rename="camel"):
    """What makes a thing."""

    lease_s: int


class Thing(NewThing, rename="camel"):
    pass


async def make(call: Call) -> Reply:
    """Make one.

    It is kept.
    """
    return Reply(None)


ROW = Operation(
    "POST", "/api/things/{id}", make, "tasks:write", "Make a thing", "things", {201: Thing}, path_of=ThingPath,
    query=ThingQuery, body=NewThing, errors=(404, 409),
)  # fmt: skip


def test_the_document_is_openapi_31_and_has_every_row(door: httpx.Client) -> None:
    answer = door.get("/api/openapi.json")
    assert answer.headers["content-type"] == "application/json"
    document = answer.json()
    validate(document, cls=OpenAPIV31SpecValidator)
    named = {(method.upper(), path) for path, item in document["paths"].items() for method in item}
    assert named == {(row.method, row.path) for row in OPERATIONS}


@pytest.mark.parametrize("row", OPERATIONS, ids=lambda row: f"{row.method} {row.path}")
def test_each_row_says_all_that_it_takes(row: Operation) -> None:
    """Every {name} of its path is a field, it has a summary and a text, and its answers have a type."""
    fields = set(row.path_of.__struct_encode_fields__) if row.path_of is not None else set()
    assert set(re.findall(r"{(\w+)}", row.path)) == fields
    assert row.summary
    assert not row.summary.endswith(".")
    assert row.handler.__doc__, "its docstring is what users read"
    assert row.answers
    assert not set(row.answers) & set(row.errors)


def test_a_row_becomes_an_operation() -> None:
    document = describe(with_document(ROW), asks=True)
    validate(document, cls=OpenAPIV31SpecValidator)
    operation = document["paths"]["/api/things/{id}"]["post"]
    assert operation["operationId"] == "thingsMake"
    assert operation["description"] == "Make one.\n\nIt is kept.\n\nTakes the scope `tasks:write`."
    assert operation["security"] == [
        {"bearer": ["tasks:write"]}, {"agentRelayToken": ["tasks:write"]}, {"busToken": ["tasks:write"]}
    ]  # fmt: skip
    assert [(each["name"], each["in"], each["required"]) for each in operation["parameters"]] == [
        ("id", "path", True), ("since", "query", False), ("limit", "query", False)
    ]  # fmt: skip
    assert operation["parameters"][0]["schema"] == {"type": "string", "pattern": "^[A-Za-z0-9._@/-]{1,128}$"}
    assert operation["parameters"][1]["schema"] == {"type": "integer"}
    assert operation["requestBody"]["required"]
    body = document["components"]["schemas"]["NewThing"]
    assert (body["description"], body["required"]) == ("What makes a thing.", ["leaseS"])
    statuses = ["201", "400", "401", "403", "404", "408", "409", "413", "415", "422", "429", "503"]
    assert sorted(operation["responses"]) == statuses
    assert "ThingQuery" not in document["components"]["schemas"]
    error = document["components"]["schemas"]["Error"]
    assert error["required"] == ["error", "code"]
    assert {"field", "limit", "retryAfterS"} < set(error["properties"])


def test_operation_ids_are_unique() -> None:
    """One handler may serve two paths; what is called the same after that is refused."""
    other = Operation("GET", "/api/other", make, None, "Other", "things", {200: Thing})
    assert describe([ROW, other], asks=True)["paths"]["/api/other"]["get"]["operationId"] == "otherMake"
    third = Operation("GET", "/api/other/more", make, None, "Other", "things", {200: Thing})
    with pytest.raises(ValueError, match="otherMake"):
        describe([ROW, other, third], asks=True)


def test_it_is_told_without_a_token_which_it_asks_for(make_daemon: Callable[..., Daemon]) -> None:
    daemon = make_daemon(env={"RELAY_TOKEN": "a-token-of-the-relay"}).start()
    document = httpx.get(f"{daemon.url}/api/openapi.json", trust_env=False).json()
    secured = [item["security"] for path in document["paths"].values() for item in path.values()]
    assert {} not in [choice for choices in secured for choice in choices]
    assert any(secured)


def test_on_a_relay_that_asks_for_none_a_token_is_a_choice(door: httpx.Client) -> None:
    document = door.get("/api/openapi.json").json()
    secured = [item["security"] for path in document["paths"].values() for item in path.values() if item["security"]]
    assert all({} in choices for choices in secured)
