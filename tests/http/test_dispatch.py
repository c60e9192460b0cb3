"""dispatch.py: what each request goes through before and after its handler, over real HTTP."""

import httpx

from tests.daemon import Daemon
from tests.http.raw import HOST, JSON, Raw


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


def test_a_page_of_another_site_is_kept_out_without_an_origin_too(door: httpx.Client) -> None:
    """<img src="http://localhost:4850/api/inbox/ben?mark_read=true"> in any page of the web."""
    door.post("/api/send", json={"from": "ada", "to": "ben", "body": "hi"})
    for site in ("cross-site", "same-site"):
        headers = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": "no-cors"}
        answer = door.get("/api/inbox/ben?mark_read=true", headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    for site in ("none", "same-origin"):
        assert door.get("/healthz", headers={"Sec-Fetch-Site": site}).status_code == 200
    assert [letter["body"] for letter in door.get("/api/inbox/ben").json()] == ["hi"]


def test_a_token_that_ends_while_its_body_is_on_the_way_is_over(daemon: Daemon, door: httpx.Client) -> None:
    made = door.post("/api/tokens", json={"agent": "ada"}).json()
    body = b'{"from": "ada", "to": "ben", "body": "late"}'
    head = f"POST /api/messages HTTP/1.1\r\nAuthorization: Bearer {made['token']}\r\n".encode()
    with Raw(daemon) as slow:
        slow.say(head, HOST, JSON, b"Content-Length: %d\r\n\r\n" % len(body), body[:5])
        door.get("/healthz")  # what came before this was read
        assert door.delete(f"/api/tokens/{made['id']}").status_code == 200
        slow.say(body[5:])
        answer = slow.hear()
    assert answer is not None
    assert (answer.status, answer.content["code"]) == (401, "unauthorized")
    assert door.get("/api/messages/cursor").json() == {"cursor": 0}
