"""integrations: what a configuration may say, what is wrong with it in words, and the rules of callbacks."""

import hashlib
import hmac
import json
from typing import Any

import pytest

from relay_server.config import Config, ConfigError
from relay_server.integrations import (
    ATTEMPTS_MAX,
    CALLED_FOR,
    KINDS,
    RATE_PER_MIN,
    TRIED_S,
    Integration,
    IntegrationError,
    Integrations,
    Pace,
    backoff_s,
    check_all,
    judge,
    kind_of,
    listeners,
    read_integrations,
    sign,
)

TOKEN = "integration-token-0123456789"
SECRET = "callback-secret-0123456789"


def read(said: Any) -> tuple[Integration, ...]:
    return read_integrations(json.dumps(said), "FILE")


def refused(said: Any) -> str:
    with pytest.raises(IntegrationError) as caught:
        read(said)
    return str(caught.value)


# -- reading ---------------------------------------------------------------------------------------------------------


def test_who_has_no_rate_of_its_own_has_the_one_that_is_set() -> None:
    found = read_integrations(
        '[{"name": "a"}, {"name": "b", "ratePerMin": 7}, {"name": "c", "ratePerMin": null}]', "x", 30
    )
    assert [one.rate_per_min for one in found] == [30, 7, 30]
    integrations = Integrations(found, 40)
    assert [integrations.named(name).rate_per_min for name in ("a", "b", "z")] == [30, 7, 40]
    assert Integrations().named("z").rate_per_min == RATE_PER_MIN


def test_a_list_and_a_map_by_name_say_the_same() -> None:
    fields = {
        "token": TOKEN,
        "scopes": ["events:create", "tasks:read"],
        "targets": ["cap:ops", "ann"],
        "channels": ["ops"],
        "callbackUrl": "https://alerts.example:8443/relay?x=1",
        "callbackSecret": SECRET,
        "callbackEvents": ["done", "task.failed"],
        "ratePerMin": 5,
    }
    wanted = Integration(
        "alerts", TOKEN, ("events:create", "tasks:read"), ("cap:ops", "ann"), ("ops",),
        "https://alerts.example:8443/relay?x=1", SECRET, frozenset({"done", "failed"}), 5,
    )  # fmt: skip
    assert read([{"name": "alerts", **fields}]) == (wanted,)
    assert read({"alerts": fields}) == (wanted,)
    assert wanted.callback_origin == "https://alerts.example:8443"


def test_some_fields_are_known_by_another_name() -> None:
    [one] = read([{"name": "a", "allowedTargets": ["ann"], "allowedChannels": ["ops"]}])
    assert (one.targets, one.channels) == (("ann",), ("ops",))
    text = refused([{"name": "a", "targets": ["ann"], "allowedTargets": ["bob"]}])
    assert "integration 'a': allowedTargets stands there under another name, too" in text


def test_only_the_name_must_be_there() -> None:
    [one] = read([{"name": "alerts", "token": None}])
    assert one == Integration("alerts")
    assert (one.sender, one.rate_per_min, one.targets, one.callback_events) == (
        "integration/alerts", 120, None, CALLED_FOR,
    )  # fmt: skip
    assert read([]) == ()


def test_no_secret_is_shown() -> None:
    [one] = read([{"name": "a", "token": TOKEN, "callbackUrl": "https://a.example/t0k3n", "callbackSecret": SECRET}])
    for shown in (repr(one), repr(Config(integrations=(one,)))):
        assert TOKEN not in shown
        assert SECRET not in shown
        assert "t0k3n" not in shown


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (7, "FILE holds a JSON number; it must be a list, or a map by name"),
        ([7], "FILE: integration 1 is a JSON number; it must be an object with at least a name"),
        ([{}], "FILE: integration 1: name is missing"),
        ([{"name": "a b"}], "FILE: integration 'a b': name is 'a b'; it must be 1-64 characters of A-Z a-z 0-9 . _ -"),
        ([{"name": "a", "callbackURL": "x"}], "FILE: integration 'a': there is no field 'callbackURL'; the fields are"),
        ([{"name": "a"}, {"name": "a"}], "FILE: integration 'a' stands twice; give each a name of its own"),
        ({"a": {"name": "b"}}, "FILE: integration 'a': name is 'b'; it must be its key"),
        ([{"name": "a", "scopes": "x"}], "integration 'a': scopes is 'x'; it must be a list"),
        ([{"name": "a", "scopes": ["x"]}], "integration 'a': scopes has 'x'; each must be one of agents:read"),
        ([{"name": "a", "targets": ["nope:x"]}], "targets has 'nope:x'; each must be a target like ann, cap:x"),
        ([{"name": "a", "targets": [3]}], "targets has 3; each must be a target"),
        ([{"name": "a", "channels": ["a b"]}], "channels has 'a b'; each must be 1-64 characters"),
        ([{"name": "a", "ratePerMin": 0}], "ratePerMin is 0; it must be a number of events, 1 to 60000"),
        ([{"name": "a", "ratePerMin": True}], "ratePerMin is True; it must be a number"),
        ([{"name": "a", "callbackUrl": "ftp://x"}], "callbackUrl is 'ftp://x'; it must be an http:// or https://"),
        ([{"name": "a", "callbackUrl": "https://"}], "callbackUrl is 'https://'; it must be an http://"),
        ([{"name": "a", "callbackUrl": "http://x:y/"}], "'x:y' is no host, or host:port"),
        ([{"name": "a", "callbackUrl": "http://x/#y"}], "callbackUrl is 'http://x/#y'; it must be"),
        ([{"name": "a", "callbackSecret": SECRET}], "callbackSecret is given and callbackUrl is not"),
        (
            [{"name": "a", "callbackUrl": "http://x", "callbackEvents": ["created"]}],
            "integration 'a': callbackEvents has 'created'; each must be one of ready delayed claimed",
        ),
    ],
)
def test_what_is_wrong_is_said_with_integration_field_and_value(said: Any, words: str) -> None:
    assert words in refused(said)


def test_what_is_wrong_with_a_secret_is_said_without_it() -> None:
    for field in ("token", "callbackSecret"):
        text = refused([{"name": "a", field: "hunter2"}])
        assert f"integration 'a': {field} has 7 characters; it must have 16 to 512" in text
        assert "hunter2" not in text
    text = refused([{"name": "a", "callbackUrl": "https://user:hunter2@x/"}])
    assert "callbackUrl names a user or a password" in text
    assert "hunter2" not in text
    text = refused([{"name": "a", "token": TOKEN}, {"name": "b", "token": TOKEN}])
    assert "integration 'b': token is one that another has" in text
    assert TOKEN not in text


def test_what_is_no_json_is_said() -> None:
    with pytest.raises(IntegrationError, match="FILE is no JSON"):
        read_integrations(b"[{", "FILE")
    with pytest.raises(IntegrationError, match="FILE is no JSON"):
        read_integrations(b"\xff", "FILE")
    with pytest.raises(IntegrationError, match="FILE is no JSON"):
        read_integrations(b"[" * 100_000, "FILE")


def test_the_relay_s_own_token_is_no_integration_s() -> None:
    with pytest.raises(ConfigError, match="integration 'a': token is one that another has") as caught:
        Config(token=TOKEN, integrations=(Integration("a", TOKEN),))
    assert TOKEN not in str(caught.value)
    check_all((Integration("a", TOKEN),), "x", (None, "another"))


# -- where events may go ---------------------------------------------------------------------------------------------


def test_targets_and_channels_bound_where_events_go() -> None:
    free, bound = Integration("a"), Integration("a", targets=("cap:ops", "channel:ops"), channels=("ops",))
    assert free.allows_target("ann")
    assert free.allows_channel("channel:x", "y")
    assert bound.allows_target("cap:ops")
    assert not bound.allows_target("cap:opsx")
    assert bound.allows_channel("cap:ops", None)
    assert bound.allows_channel("cap:ops", "ops")
    assert not bound.allows_channel("cap:ops", "dev")
    assert bound.allows_channel("channel:ops", None)
    assert not bound.allows_channel("channel:dev", None)
    assert not bound.allows_channel("channel:dev", "ops"), "the target is a channel, too"


def test_so_many_a_minute_and_then_evenly() -> None:
    pace = Pace(2)
    assert [pace.wait_s(0.0) for _ in range(3)] == [0.0, 0.0, 30.0]
    assert pace.wait_s(29.0) == pytest.approx(1.0)
    assert pace.wait_s(30.0) == 0.0
    assert pace.wait_s(30.0) > 0
    assert [pace.wait_s(500.0) for _ in range(3)] == [0.0, 0.0, 30.0]


# -- callbacks -------------------------------------------------------------------------------------------------------


def test_who_is_called_and_for_what() -> None:
    silent = Integration("silent")
    none = Integration("none", callback_url="http://x", callback_events=frozenset())
    some = Integration("some", callback_url="http://x", callback_events=frozenset({"done"}))
    assert listeners((silent, none, some)) == {"integration/some": ("some", frozenset({"done"}))}
    [everything] = read([{"name": "a", "callbackUrl": "http://x", "callbackEvents": ["*"]}])
    assert everything.callback_events == frozenset(KINDS)


def test_a_change_is_known_by_its_state_unless_it_changes_none() -> None:
    assert (kind_of("claim", "claimed"), kind_of("progress", "working"), kind_of("recur", "ready")) == (
        "claimed", "progress", "recur",
    )  # fmt: skip


def test_the_signature_is_over_the_time_and_the_body() -> None:
    mac = hmac.new(SECRET.encode(), b'1700.{"a":1}', hashlib.sha256).hexdigest()
    assert sign(SECRET, "1700", b'{"a":1}') == f"sha256={mac}"


def test_the_wait_doubles_up_to_ten_minutes_and_hears_the_receiver() -> None:
    assert [backoff_s(attempt, 0.0) for attempt in (1, 2, 3, 10, 11, 99)] == [1, 2, 4, 512, 600, 600]
    assert backoff_s(3, 1.0) == 3.0
    assert backoff_s(1, 0.0, 30.0) == 30.0
    assert backoff_s(1, 0.0, 1e9) == 600.0


@pytest.mark.parametrize(
    ("status", "attempts", "age_s", "state"),
    [
        (200, 1, 0, "delivered"),
        (204, 99, TRIED_S * 9, "delivered"),
        (410, 1, 0, "dead"),
        (302, 1, 0, "waiting"),
        (404, ATTEMPTS_MAX - 1, TRIED_S, "waiting"),
        (404, ATTEMPTS_MAX, 1, "dead"),
        (302, ATTEMPTS_MAX, 1, "dead"),
        (None, ATTEMPTS_MAX, TRIED_S - 1, "waiting"),
        (None, ATTEMPTS_MAX, TRIED_S, "dead"),
        (None, ATTEMPTS_MAX - 1, TRIED_S * 9, "waiting"),
        (503, ATTEMPTS_MAX, TRIED_S - 1, "waiting"),
        (429, ATTEMPTS_MAX, TRIED_S - 1, "waiting"),
        (503, ATTEMPTS_MAX, TRIED_S, "dead"),
    ],
)
def test_what_becomes_of_a_callback(status: int | None, attempts: int, age_s: float, state: str) -> None:
    assert judge(status, attempts, age_s) == state
