"""The OpenAPI 3.1 document, made of the rows of the door and of the very structs that read and write their content.

Nothing of it is written by hand but the words: a field, a limit or a status that changes in a row changes here. It
tells what the door takes, not what the relay holds, so no token is asked for.
"""

import functools
import re
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any, Final

import msgspec
from msgspec import Struct
from starlette.responses import Response

from relay_proto.version import __version__

from .dispatch import Call
from .errors import camel
from .table import API, Operation

PATH: Final = f"{API}/openapi.json"
_REF: Final = "#/components/schemas/{name}"
_JSON: Final = "application/json"
_SCHEMES: Final = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "`Authorization: Bearer TOKEN`"},
    "agentRelayToken": {"type": "apiKey", "in": "header", "name": "X-Agent-Relay-Token"},
    "busToken": {"type": "apiKey", "in": "header", "name": "X-Bus-Token"},
}
_RETRY_AFTER: Final = {"Retry-After": {"description": "Seconds.", "schema": {"type": "integer", "minimum": 1}}}
_WORDS: Final = {
    400: "It can't be read: no JSON, a query that is no text, two tokens.",
    401: "There is no token, or it is not (or no longer) one of this relay's.",
    403: "The token does not have the scope, or does not speak for this agent.",
    404: "There is no such thing.",
    405: "The path does not take this method; Allow says which it takes.",
    408: "The body took too long to come.",
    409: "The present stands against it: claimed by another, busy, over, out of date.",
    413: "The body is beyond its limit.",
    415: "The body is not said to be JSON.",
    422: "A field does not fit; `field` names it.",
    429: "Too much at a time; Retry-After says when there is room.",
    500: "A fault of the relay's own; its log has more.",
    502: "Whom the relay asked did not answer.",
    503: "Not now: starting, stopping, or the disk is full.",
    507: "There is no room on the relay's disk for what would have to lie there for a moment.",
}


class Error(Struct, rename="camel", omit_defaults=True):
    """What was wrong with which value, and what would be right. What is known beside that stands beside it.

    `code`: for programs. `field`: of the body, the query or the path. `limit`: the number that was passed.
    """

    error: str
    code: str
    field: str | None = None
    limit: float | None = None
    retry_after_s: float | None = None


def with_document(*rows: Operation) -> tuple[Operation, ...]:
    """These rows, and one more that describes them all."""

    async def document(call: Call) -> Response:
        """What you are reading."""
        return Response(written(call.relay.doorkeeper.asks), media_type=_JSON, headers={"Cache-Control": "no-cache"})

    @functools.cache
    def written(asks: bool) -> bytes:
        return msgspec.json.encode(describe(every, asks))

    every = (*rows, Operation("GET", PATH, document, None, "This document", "system", {200: dict[str, Any]}))
    return every


def describe(rows: Iterable[Operation], asks: bool) -> dict[str, Any]:
    """The document of these rows. `asks`: the relay asks for a token. Raises ValueError when two have one name."""
    rows = tuple(rows)
    kinds = [kind for row in rows for kind in _kinds(row)]
    schemas, components = msgspec.json.schema_components([*kinds, Error], ref_template=_REF)
    schema_of = {id(kind): _in_words_of_json(schema) for kind, schema in zip(kinds, schemas, strict=False)}
    components = {name: _in_words_of_json(component) for name, component in components.items()}
    paths: dict[str, dict[str, Any]] = {}
    names: dict[str, str] = {}
    for row in rows:
        name = camel(f"{row.tag}_{row.handler.__name__}")
        if name in names:  # one handler for two paths
            name = camel(f"{row.path.split('/')[2]}_{row.handler.__name__}")
        if name in names:
            raise ValueError(f"{row.method} {row.path} and {names[name]} are both called {name}")
        names[name] = f"{row.method} {row.path}"
        paths.setdefault(row.path, {})[row.method.lower()] = _operation(row, name, schema_of, components, asks)
    for row in rows:
        for kind in (row.query, row.path_of):  # they stand as parameters
            if kind is not None:
                components.pop(_name(schema_of[id(kind)]), None)
    used = sorted({status for path in paths.values() for item in path.values() for status in _refusals(item)})
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Relay",
            "version": __version__,
            "description": "The HTTP door of a relay. Times are ms since 1970, ids are integers. A name is its own "
            "segment of a path: what is not a letter, a digit or one of `. _ - ~` is percent-encoded.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": tag} for tag in dict.fromkeys(row.tag for row in rows)],
        "paths": paths,
        "components": {
            "schemas": components,
            "responses": {str(status): _refusal(status) for status in used},
            "securitySchemes": _SCHEMES,
        },
    }


def _kinds(row: Operation) -> list[Any]:
    return [kind for kind in (row.path_of, row.query, row.body, *row.answers.values()) if kind is not None]


def _operation(
    row: Operation, name: str, schema_of: Mapping[int, Any], components: Mapping[str, Any], asks: bool
) -> dict[str, Any]:
    """One row as an operation object."""
    words = (row.handler.__doc__ or "").strip()
    if row.scope is not None:
        words += f"\n\nTakes the scope `{row.scope}`."
    operation: dict[str, Any] = {
        "operationId": name,
        "tags": [row.tag],
        "summary": row.summary,
        "description": re.sub(r"\n +", "\n", words),
    }
    parameters = [
        *_parameters("path", row.path_of, schema_of, components),
        *_parameters("query", row.query, schema_of, components),
    ]
    if parameters:
        operation["parameters"] = parameters
    if row.body is not None:
        schema = schema_of[id(row.body)]
        needed = bool(components[_name(schema)].get("required"))
        operation["requestBody"] = {"required": needed, "content": {_JSON: {"schema": schema}}}
    answers: dict[str, Any] = {}
    for status, kind in row.answers.items():
        schema = {"type": "string"} if row.media != _JSON else schema_of[id(kind)]
        answers[str(status)] = {"description": HTTPStatus(status).phrase}
        if status != 204:
            answers[str(status)]["content"] = {row.media: {"schema": schema}}
    for status in sorted(_statuses(row) - set(row.answers)):
        answers[str(status)] = {"$ref": f"#/components/responses/{status}"}
    operation["responses"] = answers
    operation["security"] = [] if row.scope is None else [{scheme: [row.scope]} for scheme in _SCHEMES]
    if row.scope is not None and not asks:
        operation["security"].insert(0, {})
    return operation


def _statuses(row: Operation) -> set[int]:
    """The errors of a row: its own, and those that its parts bring."""
    statuses = {*row.errors, 400}
    if row.scope is not None:
        statuses |= {401, 403, 429, 503}
    if row.query is not None or row.path_of is not None:
        statuses |= {422}
    if row.body is not None:
        statuses |= {408, 413, 415, 422}
    return statuses


def _refusals(operation: Mapping[str, Any]) -> set[int]:
    return {int(status) for status, answer in operation["responses"].items() if "$ref" in answer}


def _refusal(status: int) -> dict[str, Any]:
    refusal: dict[str, Any] = {
        "description": _WORDS[status],
        "content": {_JSON: {"schema": {"$ref": _REF.format(name="Error")}}},
    }
    if status in (429, 503):
        refusal["headers"] = _RETRY_AFTER
    return refusal


def _parameters(
    where: str, kind: type[Any] | None, schema_of: Mapping[int, Any], components: Mapping[str, Any]
) -> list[dict[str, Any]]:
    if kind is None:
        return []
    component = components[_name(schema_of[id(kind)])]
    required = set(component.get("required", ()))
    found = []
    for name, schema in component["properties"].items():
        schema = _without_null(schema)
        parameter = {"name": name, "in": where, "required": where == "path" or name in required, "schema": schema}
        if "description" in schema:
            parameter["description"] = schema["description"]
        found.append(parameter)
    if found and "description" in component and "description" not in found[0]:
        found[0]["description"] = component["description"]
    return found


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """What is left out of a query is not there; it has no word for null."""
    schema = {key: value for key, value in schema.items() if not (key == "default" and value is None)}
    if "anyOf" in schema:
        kept = [choice for choice in schema["anyOf"] if choice != {"type": "null"}]
        if len(kept) == 1:
            schema = {key: value for key, value in schema.items() if key != "anyOf"} | kept[0]
        else:
            schema["anyOf"] = kept
    return schema


def _name(schema: Mapping[str, Any]) -> str:
    """The component that a schema refers to."""
    return str(schema["$ref"]).rpartition("/")[2]


def _in_words_of_json(schema: Any) -> Any:
    r"""The same schema as JSON Schema's own regular expressions say it: ECMA 262 has no \A and no \Z."""
    if isinstance(schema, list):
        return [_in_words_of_json(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    said = {key: _in_words_of_json(value) for key, value in schema.items() if not (key == "required" and value == [])}
    if isinstance(pattern := schema.get("pattern"), str):
        said["pattern"] = pattern.replace(r"\A", "^").replace(r"\Z", "$")
    return said
