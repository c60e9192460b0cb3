"""target.py: who a target means."""

import pytest

from relay_proto.errors import BadRequest, UnknownAgent
from relay_proto.targets import parse_target
from relay_server.directory import Directory
from relay_server.target import recipients


@pytest.fixture
def directory() -> Directory:
    directory = Directory()
    for name, label, tags, caps in (
        ("ada", "Backend", ("red",), ("review",)),
        ("bob", "Backend", ("red", "blue"), ("review", "build")),
        ("cy", None, (), ("build",)),
    ):
        directory.describe(directory.ensure(name), label, tags, caps, ())
    return directory


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("bob", ["bob"]),
        ("ada", ["ada"]),
        ("tag:red", ["bob"]),
        ("cap:build", ["bob", "cy"]),
        ("label:Backend", ["bob"]),
        ("broadcast", ["bob", "cy"]),
        ("ALL", ["bob", "cy"]),
        ("cap:nobody-has-it", []),
    ],
)
def test_a_target_means_its_agents_without_the_sender_of_a_group_send(
    directory: Directory, target: str, expected: list[str]
) -> None:
    assert recipients(directory, parse_target(target), "ada", hold=False) == expected


def test_an_unknown_agent_is_refused_with_suggestions(directory: Directory) -> None:
    with pytest.raises(UnknownAgent, match="did you mean bob") as refused:
        recipients(directory, parse_target("bobb"), "ada", hold=False)
    assert refused.value.detail == {"suggestions": ["bob"]}


def test_hold_takes_a_name_that_was_never_seen(directory: Directory) -> None:
    assert recipients(directory, parse_target("newcomer"), "ada", hold=True) == ["newcomer"]


@pytest.mark.parametrize("target", ["any:cap:build", "any:tag:red", "channel:ops"])
def test_a_kind_of_target_that_is_not_served_is_refused_by_name(directory: Directory, target: str) -> None:
    with pytest.raises(BadRequest, match=target):
        recipients(directory, parse_target(target), "ada", hold=False)
