"""The courier, against real receivers: signed, in order, again after failures and kills, and never anywhere else."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from relay_server.http.courier import CALLS_MAX_EACH, PAUSE_S_MAX, Lane
from relay_server.integrations import Integration
from tests.cli.command import run
from tests.daemon import Daemon, free_port
from tests.http.receiver import Call, Receiver, Reply

SECRET = "callback-secret-0123456789"
SOON_S = 5.0


class House:
    """A relay whose integrations are called back, and what they are called at."""

    def __init__(self, make_daemon: Callable[..., Daemon], tmp_path: Path) -> None:
        self._make, self._file = make_daemon, tmp_path / "integrations.json"
        self.receivers: list[Receiver] = []
        self.daemon: Daemon

    def receiver(self, port: int = 0) -> Receiver:
        receiver = Receiver(SECRET, port)
        self.receivers.append(receiver)
        return receiver

    def start(self, env: dict[str, str] | None = None, **urls: str) -> None:
        """A daemon with an integration for each of these addresses."""
        said = {
            name: {"callbackUrl": url, "callbackSecret": SECRET, "ratePerMin": 60_000} for name, url in urls.items()
        }
        self._file.write_text(json.dumps(said))
        self.daemon = self._make("--integrations", str(self._file), env=env).start()

    def event(self, integration: str = "alerts", **event: Any) -> int:
        made = self._ask("POST", "/events", {"integration": integration, "title": "t", "target": "ann", **event})
        return int(made.json()["task"]["id"])

    def resolve(self, key: str, integration: str = "alerts") -> None:
        self._ask("POST", "/events", {"integration": integration, "status": "resolved", "dedupeKey": key})

    def card(self, integration: str = "alerts") -> dict[str, Any]:
        [card] = [card for card in self._ask("GET", "").json() if card["name"] == integration]
        return dict(card)

    def callbacks(self, status: str, integration: str = "alerts") -> list[dict[str, Any]]:
        return list(self._ask("GET", f"/{integration}/callbacks?status={status}").json())

    def retry(self, callback: int, integration: str = "alerts") -> httpx.Response:
        return httpx.post(
            f"{self.daemon.url}/api/integrations/{integration}/callbacks/{callback}/retry", trust_env=False
        )

    def until(self, **counts: int) -> None:
        """Until so many callbacks stand like this."""
        deadline = time.monotonic() + 20
        while (now := self.card()["callbacks"]) | counts != now:
            assert time.monotonic() < deadline, now
            time.sleep(0.05)  # another process: a poll is all the notice there is

    def _ask(self, method: str, path: str, body: Any = None) -> httpx.Response:
        url = f"{self.daemon.url}/api/integrations{path}"
        answer = httpx.request(method, url, json=body, timeout=10, trust_env=False)
        assert answer.is_success, answer.text
        return answer


@pytest.fixture
def house(make_daemon: Callable[..., Daemon], tmp_path: Path) -> Iterator[House]:
    house = House(make_daemon, tmp_path)
    yield house
    for receiver in house.receivers:
        receiver.close()


def by_task(bodies: list[dict[str, Any]]) -> dict[int, list[str]]:
    told: dict[int, list[str]] = {}
    for body in bodies:
        told.setdefault(body["task"]["id"], []).append(body["event"])
    return told


# -- what arrives ----------------------------------------------------------------------------------------------------


def test_what_becomes_of_a_task_arrives_signed_and_in_order(house: House) -> None:
    receiver = house.receiver()
    house.start(alerts=receiver.url)
    before_ms = time.time() * 1000
    task = str(house.event(dedupeKey="k"))
    for words in (("claim", task), ("progress", task, "0.5"), ("done", task, "swept")):
        ran = run(*words, "--url", house.daemon.url, "--as", "ann")
        assert ran.code == 0, ran.err
    receiver.wait(lambda it: len(it.accepted) == 4)
    assert receiver.events() == ["task.ready", "task.claimed", "task.progress", "task.done"]
    assert receiver.forged == []
    last = receiver.calls[-1]
    assert last.path == "/relay"
    assert last.headers["content-type"] == "application/json"
    assert last.headers["x-relay-event"] == "task.done"
    assert last.headers["x-relay-event-id"] == last.body["id"]
    assert before_ms <= int(last.headers["x-relay-timestamp"]) <= time.time() * 1000
    assert (last.body["agentId"], last.body["result"], last.body["integration"]) == ("ann", "swept", "alerts")
    house.until(delivered=4, waiting=0, dead=0)


def test_a_receiver_with_another_secret_refuses_and_is_asked_again(house: House) -> None:
    receiver = house.receiver()
    receiver.secret = "another-secret-0123456789"
    house.start(alerts=receiver.url)
    house.event()
    house.until(waiting=1)
    receiver.secret = SECRET
    receiver.wait(lambda it: it.events() == ["task.ready"])
    assert receiver.forged


def test_a_hundred_tasks_arrive_each_in_its_order_and_not_all_at_once(house: House) -> None:
    receiver = house.receiver()
    under_way: list[int] = [0, 0]
    lock, all_are_there = threading.Lock(), threading.Event()

    def slowly(call: Call) -> Reply:
        all_are_there.wait(SOON_S)
        with lock:
            under_way[0] += 1
            under_way[1] = max(under_way)
        time.sleep(0.005)  # so that others would come meanwhile
        with lock:
            under_way[0] -= 1
        return Reply()

    receiver.reply = slowly
    house.start(alerts=receiver.url)
    tasks = [house.event(dedupeKey=f"k{number}") for number in range(50)]
    for number in range(50):
        house.resolve(f"k{number}")
    all_are_there.set()
    receiver.wait(lambda it: len(it.accepted) == 100)
    assert by_task(receiver.accepted) == {task: ["task.ready", "task.done"] for task in tasks}
    assert len(receiver.calls) == 100, "none was sent twice"
    assert under_way[1] <= CALLS_MAX_EACH


# -- failures --------------------------------------------------------------------------------------------------------


def test_what_fails_is_tried_again_under_the_same_id_and_holds_up_its_task_only(house: House) -> None:
    receiver = house.receiver()
    house.start(alerts=receiver.url)
    failed: list[str] = []

    def first_fails(call: Call) -> Reply:
        if not failed:
            failed.append(call.body["id"])
            return Reply(500)
        return Reply()

    receiver.reply = first_fails
    one = house.event(dedupeKey="k")
    house.resolve("k")
    receiver.wait(lambda it: len(it.accepted) == 2)
    assert by_task(receiver.accepted) == {one: ["task.ready", "task.done"]}
    assert [call.body["id"] for call in receiver.calls[:2]] == failed * 2
    [_, first] = house.callbacks("delivered")
    assert (first["event"], first["attempts"]) == ("task.ready", 2)


def test_a_kill_between_a_change_and_its_delivery_loses_none(house: House) -> None:
    port = free_port()
    house.start(alerts=f"http://127.0.0.1:{port}/relay")  # nobody is there
    tasks = [house.event(dedupeKey=f"k{number}") for number in range(5)]
    house.resolve("k0")
    house.daemon.kill()
    receiver = house.receiver(port)
    house.daemon.start()
    receiver.wait(lambda it: len(it.accepted) == 6)
    assert by_task(receiver.accepted) == {
        task: ["task.ready", "task.done"] if task == tasks[0] else ["task.ready"] for task in tasks
    }
    house.until(delivered=6, waiting=0)


def test_a_kill_before_a_delivery_is_noted_repeats_it_under_its_id(house: House) -> None:
    receiver = house.receiver()
    house.start(alerts=receiver.url)
    arrived, dead = threading.Event(), threading.Event()

    def hang(call: Call) -> Reply:
        arrived.set()
        dead.wait(SOON_S)
        return Reply()

    receiver.reply = hang
    house.event()
    assert arrived.wait(SOON_S)
    house.daemon.kill()
    dead.set()
    house.daemon.start()
    receiver.wait(lambda it: len(it.calls) == 2)
    assert len({call.body["id"] for call in receiver.calls}) == 1
    assert len(receiver.accepted) == 1, "the receiver knows it by its id"


def test_a_stop_does_not_wait_for_what_is_queued_and_loses_none_of_it(house: House) -> None:
    receiver = house.receiver()
    stopped = threading.Event()

    def hang(call: Call) -> Reply:
        stopped.wait(20)
        return Reply()

    receiver.reply = hang
    house.start(alerts=receiver.url)
    tasks = {house.event() for _ in range(30)}
    assert house.daemon.stop(within_s=SOON_S) == 0
    stopped.set()
    house.daemon.start()
    receiver.wait(lambda it: len(it.accepted) == 30)
    assert {body["task"]["id"] for body in receiver.accepted} == tasks


def test_what_was_given_up_is_seen_does_not_stop_the_rest_and_can_be_tried_again(house: House) -> None:
    receiver = house.receiver()
    receiver.reply = lambda call: Reply(410) if call.event == "task.ready" else Reply()
    house.start(alerts=receiver.url)
    house.event(dedupeKey="k")
    house.resolve("k")
    receiver.wait(lambda it: it.events() == ["task.done"])
    house.until(dead=1, delivered=1)
    assert house.card()["lastFailure"] == "HTTP 410"
    [dead] = house.callbacks("dead")
    assert (dead["event"], dead["reason"], dead["attempts"]) == ("task.ready", "HTTP 410", 1)
    receiver.reply = lambda call: Reply()
    assert house.retry(dead["id"]).json()["status"] == "waiting"
    receiver.wait(lambda it: it.events() == ["task.done", "task.ready"])
    house.until(dead=0, delivered=2)
    assert house.retry(dead["id"]).status_code == 409
    assert house.retry(999).status_code == 404
    assert "a callback was given up" in house.daemon.log.read_text()


def test_a_receiver_that_is_away_holds_up_nobody_else(house: House) -> None:
    hanging, other = house.receiver(), house.receiver()
    over = threading.Event()

    def hang(call: Call) -> Reply:
        over.wait(20)
        return Reply()

    hanging.reply = hang
    house.start(alerts=hanging.url, other=other.url)
    for _ in range(20):
        house.event("alerts")
    for _ in range(20):
        house.event("other")
    other.wait(lambda it: len(it.accepted) == 20, SOON_S)
    over.set()
    hanging.wait(lambda it: len(it.accepted) == 20)


# -- nowhere else ----------------------------------------------------------------------------------------------------


def test_a_redirect_is_not_followed(house: House) -> None:
    trap, receiver = house.receiver(), house.receiver()
    receiver.reply = lambda call: Reply(307, (("Location", trap.url),))
    house.start(alerts=receiver.url)
    house.event()
    receiver.wait(lambda it: len(it.calls) == 2)  # it was tried again, here
    assert trap.calls == trap.forged == []
    [waiting] = house.callbacks("waiting")
    assert waiting["reason"] == "HTTP 307: redirects are not followed"


def test_the_environment_names_no_other_way(house: House) -> None:
    trap, receiver = house.receiver(), house.receiver()
    proxy = f"http://127.0.0.1:{trap.port}"
    house.start({"HTTP_PROXY": proxy, "http_proxy": proxy, "ALL_PROXY": proxy}, alerts=receiver.url)
    house.event()
    receiver.wait(lambda it: it.events() == ["task.ready"])
    assert trap.calls == trap.forged == []


def test_a_long_answer_is_cut_and_counts_by_its_status(house: House) -> None:
    receiver = house.receiver()
    receiver.reply = lambda call: Reply(200, (), b"x" * 30_000_000)
    house.start(alerts=receiver.url)
    house.event()
    house.event()
    receiver.wait(lambda it: len(it.accepted) == 2)
    house.until(delivered=2, waiting=0)


def test_no_secret_is_in_the_log(house: House) -> None:
    port = free_port()
    house.start(alerts=f"http://127.0.0.1:{port}/secret-path?key=secret-key")
    house.event()
    house.until(waiting=1)
    deadline = time.monotonic() + SOON_S
    while "lastFailure" not in house.card() and time.monotonic() < deadline:
        time.sleep(0.05)  # another process
    log, card = house.daemon.log.read_text(), json.dumps(house.card())
    assert "a callback did not get through" in log
    for secret in (SECRET, "secret-path", "secret-key"):
        assert secret not in log
        assert secret not in card


# -- lanes -----------------------------------------------------------------------------------------------------------


def test_an_integration_whose_receiver_is_away_is_tried_one_at_a_time_ever_later() -> None:
    lane = Lane(Integration("a"))
    assert lane.room(0.0) == CALLS_MAX_EACH
    lane.under_way = CALLS_MAX_EACH
    assert lane.room(0.0) == 0
    for _ in range(CALLS_MAX_EACH):
        lane.under_way -= 1
        lane.came_back(False, 0.0)
    assert lane.failures == 1, "those that set out together failed together"
    assert (lane.room(0.5), lane.room(1.0)) == (0, 1)
    lane.under_way = 1
    assert lane.room(1.0) == 0
    now = 1.0
    for _ in range(20):
        lane.came_back(False, now)
        assert lane.rests_until - now <= PAUSE_S_MAX + 1e-6
        now = lane.rests_until
    lane.came_back(True, now)
    lane.under_way = 0
    assert lane.room(now) == CALLS_MAX_EACH
