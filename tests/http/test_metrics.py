"""GET /metrics over real HTTP: the figures are true, and no name of an agent is among them."""

import asyncio
from collections.abc import Callable

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from relay_proto.errors import Unavailable
from relay_server.metrics import COUNTS_KEPT_S, Counts, Histogram
from tests.daemon import Daemon
from tests.http.ear import listen
from tests.peer import Peer, Refused


class Figures:
    """One reading: `relay_agents{status="online"}` is figures["relay_agents", "online"]."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.by_name: dict[tuple[str, ...], float] = {}
        for family in text_string_to_metric_families(text):
            assert family.name.startswith("relay_")
            assert family.documentation
            for sample in family.samples:
                self.by_name[sample.name, *sample.labels.values()] = sample.value

    def __getitem__(self, name: str | tuple[str, ...]) -> float:
        return self.by_name[(name,) if isinstance(name, str) else name]


async def read(daemon: Daemon) -> Figures:
    async with httpx.AsyncClient(base_url=daemon.url, trust_env=False) as client:
        answer = await client.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain")
    return Figures(answer.text)


async def test_what_was_decided_is_counted(daemon: Daemon) -> None:
    before = await read(daemon)
    async with await Peer.join(daemon.url, "ada") as ada:
        for _ in range(3):
            await ada.request("send", to="ada", body="x")
        message = (await ada.request("send", to="ada", body="x", claimable=True))["message"]
        await ada.request("claim", message=message)
        await ada.request("ack", messages=[1, 2])
        with pytest.raises(Refused):
            await ada.request("send", to="nobody", body="x")
        with pytest.raises(Refused) as refused:
            await ada.request("complete", message=message, fence=99)
        after = await read(daemon)

    def grown(*name: str) -> float:
        return after[name] - before.by_name.get(name, 0.0)

    assert grown("relay_decided_total", "message_put") == 4
    assert grown("relay_decided_total", "work_claimed") == 1
    assert grown("relay_decided_total", "acked") == 1
    assert grown("relay_decided_total", "refused") == 1, "the other was refused at the desk"
    assert grown("relay_refused_total", "unknown_agent") == 1
    assert grown("relay_refused_total", refused.value.code) == 1
    assert grown("relay_turn_commands_sum") == sum(
        value - before.by_name.get(name, 0.0)
        for name, value in after.by_name.items()
        if name[0] == "relay_decided_total"
    )
    assert grown("relay_commit_seconds_count") == grown("relay_settle_seconds_count") >= 7
    assert 0 < grown("relay_commit_seconds_sum") < 10


async def test_what_there_is_is_shown(daemon: Daemon) -> None:
    async with (
        await Peer.join(daemon.url, "ada", status="busy") as ada,
        await Peer.join(daemon.url, "bob"),
        listen(daemon.url, for_="ada"),
    ):
        work = [(await ada.request("send", to="bob", body="x", claimable=True))["message"] for _ in range(3)]
        await ada.request("claim", message=work[0])
        await ada.request("send", to="bob", body="x", expect_reply_s=60)
        figures = await read(daemon)
    assert [figures["relay_agents", status] for status in ("online", "idle", "busy", "stale", "offline")] == [
        1, 0, 1, 0, 0
    ]  # fmt: skip
    assert (figures["relay_sessions"], figures["relay_websockets"], figures["relay_streams"]) == (2, 2, 1)
    assert (figures["relay_leases"], figures["relay_waits"], figures["relay_unacked"]) == (1, 1, 3)
    assert (figures["relay_tasks", "ready"], figures["relay_tasks", "claimed"]) == (2, 1)
    assert figures["relay_events_total"] >= 4
    assert figures["relay_store_bytes", "relay.db"] > 0
    assert figures["relay_process_resident_memory_bytes"] > 1e7


async def test_what_there_is_not_is_shown_as_none(daemon: Daemon) -> None:
    empty = await read(daemon)
    assert (empty["relay_sessions"], empty["relay_websockets"], empty["relay_leases"]) == (0, 0, 0)


async def test_http_is_counted_by_row_and_not_by_what_is_in_the_path(daemon: Daemon) -> None:
    async with httpx.AsyncClient(base_url=daemon.url) as client:
        for path in ("/readyz", "/readyz", "/api/tokens/7", "/api/tokens/8", "/nothing/here"):
            await client.request("GET" if "token" not in path else "DELETE", path)
        await client.request("REPORT", "/readyz")
    figures = await read(daemon)
    assert figures["relay_http_requests_total", "GET", "/readyz", "200"] >= 2
    assert figures["relay_http_requests_total", "other", "/readyz", "405"] == 1
    assert figures["relay_http_requests_total", "DELETE", "/api/tokens/{id}", "404"] == 2
    assert "nothing/here" not in figures.text


async def test_no_name_is_shown_and_series_do_not_grow_with_agents(daemon: Daemon) -> None:
    async def use(names: list[str]) -> Figures:
        peers = [await Peer.join(daemon.url, name, caps=[f"cap-{name}"], channels=[f"chan-{name}"]) for name in names]
        for peer in peers:
            await peer.request("send", to=names[0], body="x", channel=f"chan-{names[0]}")
        figures = await read(daemon)
        for peer in peers:
            peer.drop()
        return figures

    few = await use(["secretname0"])
    many = await use([f"secretname{number}" for number in range(20)])
    assert "secretname" not in many.text
    assert set(few.by_name) - {("relay_http_requests_total", "GET", "/metrics", "200")} <= set(many.by_name)
    new = {name for name in many.by_name if name not in few.by_name}
    assert all(name[0] in ("relay_decided_total", "relay_http_requests_total") for name in new), new


async def test_a_client_that_speaks_openmetrics_is_answered_so(daemon: Daemon) -> None:
    async with httpx.AsyncClient(base_url=daemon.url) as client:
        answer = await client.get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    assert answer.text.endswith("# EOF\n")


async def test_it_takes_the_scope_to_read_figures(make_daemon: Callable[..., Daemon]) -> None:
    daemon = make_daemon("--token", "secret-of-the-operator").start()
    admin = {"Authorization": "Bearer secret-of-the-operator"}
    async with httpx.AsyncClient(base_url=daemon.url) as client:
        assert (await client.get("/metrics")).status_code == 401
        for scope, status in (("stats:read", 200), ("health:read", 403)):
            made = await client.post("/api/tokens", json={"agent": "ada", "scopes": [scope]}, headers=admin)
            given = {"Authorization": f"Bearer {made.json()['token']}"}
            assert (await client.get("/metrics", headers=given)).status_code == status


async def test_tasks_are_counted_once_for_all_who_ask_within_some_seconds() -> None:
    asked, now, error = 0, 0.0, False

    async def count() -> dict[str, int]:
        nonlocal asked
        asked += 1
        number = asked
        await asyncio.sleep(0)
        if error:
            raise Unavailable("no")
        return {"ready": number}

    counts = Counts(count, lambda: now)
    first = asyncio.create_task(counts.get())
    others = [asyncio.create_task(counts.get()) for _ in range(10)]
    await asyncio.sleep(0)
    first.cancel()
    assert await asyncio.gather(*others) == [{"ready": 1}] * 10
    now = COUNTS_KEPT_S - 0.01
    assert await counts.get() == {"ready": 1}
    now, error = COUNTS_KEPT_S, True
    with pytest.raises(Unavailable):
        await counts.get()
    error = False
    assert await counts.get() == {"ready": 3}, "a refusal is not kept"


def test_a_histogram_counts_a_value_into_the_first_bound_that_it_does_not_pass() -> None:
    histogram = Histogram((1, 2.5))
    for value in (0.5, 1, 2, 2.5, 3, 100):
        histogram.add(value)
    samples = {
        (sample.name, sample.labels.get("le")): sample.value for sample in histogram.family("relay_x", "x").samples
    }
    assert samples == {
        ("relay_x_bucket", "1"): 2, ("relay_x_bucket", "2.5"): 4, ("relay_x_bucket", "+Inf"): 6,
        ("relay_x_count", None): 6, ("relay_x_sum", None): 109,
    }  # fmt: skip
