"""target.py: who a target means."""

import itertools

import pytest

from relay_proto.errors import AmbiguousTarget, UnknownAgent
from relay_proto.targets import parse_target
from relay_server.directory import Directory
from relay_server.target import CANDIDATES_MAX, place, recipients


def whom(
    directory: Directory, target: str, sender: str = "ada", *, hold: bool = False, channel: str | None = None
) -> list[str]:
    return recipients(directory, parse_target(target), sender, hold, channel)


@pytest.fixture
def directory() -> Directory:
    directory = Directory()
    for name, label, tags, caps, channels in (
        ("ada", "Backend", ("red",), ("review",), ()),
        ("bob", "Backend", ("red", "blue"), ("review", "build"), ("ops",)),
        ("cy", "Docs", (), ("build",), ()),
    ):
        directory.describe(directory.ensure(name), label, tags, caps, channels)
    return directory


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("bob", ["bob"]),
        ("ada", ["ada"]),
        ("tag:red", ["bob"]),
        ("cap:build", ["bob", "cy"]),
        ("label:Backend", ["bob"]),
        ("channel:ops", ["bob"]),
        ("channel:nobody-listens", []),
        ("any:cap:build", ["bob", "cy"]),
        ("any:tag:red", ["bob"]),
        ("any:tag:nobody-has-it", []),
        ("thread:7", []),
        ("broadcast", ["bob", "cy"]),
        ("ALL", ["bob", "cy"]),
        ("cap:nobody-has-it", []),
    ],
)
def test_a_target_means_its_agents_without_the_sender_of_a_group_send(
    directory: Directory, target: str, expected: list[str]
) -> None:
    assert whom(directory, target) == expected


def test_an_unknown_agent_is_refused_with_suggestions(directory: Directory) -> None:
    with pytest.raises(UnknownAgent, match="did you mean bob") as refused:
        whom(directory, "bobb")
    assert refused.value.detail == {"suggestions": ["bob"]}


def test_hold_takes_a_name_that_was_never_seen(directory: Directory) -> None:
    assert whom(directory, "newcomer", hold=True) == ["newcomer"]
    assert whom(directory, "Docs", hold=True) == ["Docs"], "a label is not looked at"


def test_a_bare_name_is_an_id_first_and_then_the_label_of_exactly_one(directory: Directory) -> None:
    assert whom(directory, "Docs") == ["cy"]
    directory.describe(directory.ensure("Docs"), None, (), (), ())
    assert whom(directory, "Docs") == ["Docs"]


def test_a_label_of_several_is_ambiguous_and_names_them(directory: Directory) -> None:
    with pytest.raises(AmbiguousTarget, match="2 agents carry this label: ada, bob") as refused:
        whom(directory, "Backend", "cy")
    assert refused.value.detail == {"candidates": ["ada", "bob"]}


def test_an_ambiguous_label_names_no_more_than_a_screenful() -> None:
    directory = Directory()
    for i in range(CANDIDATES_MAX + 5):
        directory.describe(directory.ensure(f"w{i:02}"), "Worker", (), (), ())
    with pytest.raises(AmbiguousTarget, match="25 agents") as refused:
        whom(directory, "Worker")
    assert refused.value.detail["candidates"] == [f"w{i:02}" for i in range(CANDIDATES_MAX)]


@pytest.mark.parametrize(
    ("target", "channel", "expected"),
    [
        ("broadcast", "ops", ["bob", "cy"]),
        ("broadcast", "dev", ["cy"]),
        ("broadcast", None, ["bob", "cy"]),
        ("cap:build", "dev", ["cy"]),
        ("cap:build", "ops", ["bob", "cy"]),
        ("label:Backend", "dev", []),
        ("channel:ops", "dev", []),
        ("channel:ops", "ops", ["bob"]),
        ("bob", "dev", ["bob"]),
        ("any:cap:build", "dev", ["bob", "cy"]),
    ],
)
def test_who_subscribed_to_channels_gets_of_group_sends_only_those_and_what_has_none(
    directory: Directory, target: str, channel: str | None, expected: list[str]
) -> None:
    assert whom(directory, target, channel=channel) == expected


def test_the_best_placed_is_there_then_has_the_least_in_hand_then_is_idle_the_longest() -> None:
    places = [
        place("online", 0, 5.0, "z"),
        place("idle", 0, 6.0, "a"),
        place("idle", 0, 6.0, "b"),
        place("online", 1, 0.0, "a"),
        place("busy", 0, 0.0, "a"),
        place("stale", 0, 0.0, "a"),
        place("offline", 0, 0.0, "a"),
    ]
    assert all(before < after for before, after in itertools.pairwise(places))
    assert place("online", 0, 5.0, "a") == place("idle", 0, 5.0, "a")
