"""dispatch.py: what each request goes through before and after its handler, over real HTTP."""

import httpx

from tests.daemon import Daemon


def test_what_is_not_there_is_said_in_json(door: httpx.Client) -> None:
    answer = door.get("/api/nothing")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert answer.headers["content-type"] == "application/json"


def test_a_method_that_a_path_does_not_take(door: httpx.Client) -> None:
    answer = door.delete("/healthz")
    assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")
    assert answer.headers["allow"] == "GET, HEAD"


def test_no_answer_is_kept_by_a_cache(door: httpx.Client) -> None:
    assert door.get("/healthz").headers["cache-control"] == "no-store"


def test_a_head_has_no_body(door: httpx.Client) -> None:
    answer = door.head("/healthz")
    assert (answer.status_code, answer.content) == (200, b"")


def test_a_foreign_host_and_origin_are_kept_out(daemon: Daemon, door: httpx.Client) -> None:
    for header in ({"Host": "evil.example"}, {"Origin": "https://evil.example"}):
        answer = door.get("/api/nothing", headers=header)
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
