import pytest
from hypothesis import given

from relay_proto.errors import BadRequest
from relay_proto.targets import BROADCAST_WORDS, Target, TargetKind, parse_target
from tests.proto.frame_strategies import target_texts


@pytest.mark.parametrize(
    ("text", "kind", "name"),
    [
        ("builder", TargetKind.AGENT, "builder"),
        ("A-z_0.9@host/3", TargetKind.AGENT, "A-z_0.9@host/3"),
        ("x" * 128, TargetKind.AGENT, "x" * 128),
        ("all", TargetKind.AGENT, "all"),  # the words are exact
        ("Broadcast", TargetKind.AGENT, "Broadcast"),
        ("tag", TargetKind.AGENT, "tag"),  # a prefix is one with its colon
        ("tag:ci", TargetKind.TAG, "ci"),
        ("tag:a:b#1+2", TargetKind.TAG, "a:b#1+2"),
        ("cap:review", TargetKind.CAP, "review"),
        ("cap:any:review", TargetKind.CAP, "any:review"),
        ("label:Front end, née UI ✓", TargetKind.LABEL, "Front end, née UI ✓"),
        ("label:tag:x", TargetKind.LABEL, "tag:x"),
        ("channel:ops/eu", TargetKind.CHANNEL, "ops/eu"),
        ("broadcast", TargetKind.BROADCAST, ""),
        ("ALL", TargetKind.BROADCAST, ""),
        ("any:cap:review", TargetKind.ANY_CAP, "review"),
        ("any:tag:ci", TargetKind.ANY_TAG, "ci"),
        ("thread:1", TargetKind.THREAD, "1"),
        ("thread:" + "9" * 18, TargetKind.THREAD, "9" * 18),
        ("label:thread:1", TargetKind.LABEL, "thread:1"),
        ("thread", TargetKind.AGENT, "thread"),
        ("tag:" + "x" * 64, TargetKind.TAG, "x" * 64),
        ("label:" + "x" * 128, TargetKind.LABEL, "x" * 128),
    ],
)
def test_a_target_is_read_as_the_grammar_says(text: str, kind: TargetKind, name: str) -> None:
    assert parse_target(text) == Target(kind, name)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "an agent id is 1-128 characters"),
        ("two words", "to is 'two words'; an agent id is 1-128 characters of A-Z a-z 0-9"),
        ("x" * 129, "an agent id is 1-128 characters"),
        ("né", "an agent id is"),
        ("a\n", "an agent id is"),
        ("a\x00", "an agent id is"),
        ("tag:", "a tag is 1-64 characters"),
        ("tag:two words", "a tag is 1-64 characters"),
        ("tag:x\n", "a tag is 1-64 characters"),
        ("cap:" + "x" * 65, "a capability is 1-64 characters"),
        ("channel:é", "a channel is 1-64 characters"),
        ("label:", "a label is 1-128 characters"),
        ("label:a\x1bb", "none of them a control character"),
        ("label:a\x9bb", "none of them a control character"),
        ("label:" + "x" * 129, "a label is 1-128 characters"),
        ("any:cap:", "a capability is 1-64 characters"),
        ("any:label:x", "a target is an agent id, tag:x, cap:x"),
        ("any:x", "a target is an agent id, tag:x, cap:x"),
        ("any:channel:x", "a target is an agent id, tag:x, cap:x"),
        ("any:thread:1", "a target is an agent id, tag:x, cap:x"),
        ("thread:", "a thread is the id of its first message"),
        ("thread:0", "a thread is the id of its first message"),
        ("thread:01", "a thread is the id of its first message"),
        ("thread:-1", "a thread is the id of its first message"),
        ("thread:+1", "a thread is the id of its first message"),
        ("thread:1.0", "a thread is the id of its first message"),
        ("thread:1 ", "a thread is the id of its first message"),
        ("thread:1\n", "a thread is the id of its first message"),
        ("thread:1_0", "a thread is the id of its first message"),
        ("thread:٣", "a thread is the id of its first message"),
        ("thread:x", "a thread is the id of its first message"),
        ("thread:" + "9" * 19, "a thread is the id of its first message"),
        ("Thread:1", "a target is an agent id, tag:x, cap:x"),
        ("TAG:x", "a target is an agent id, tag:x, cap:x"),
        ("tags:x", "a target is an agent id, tag:x, cap:x"),
        ("broadcast:", "a target is an agent id, tag:x, cap:x"),
        (":", "a target is an agent id, tag:x, cap:x"),
    ],
)
def test_what_is_no_target_is_refused_with_the_text_and_the_rule(text: str, words: str) -> None:
    with pytest.raises(BadRequest) as caught:
        parse_target(text)
    assert words in str(caught.value)
    assert str(caught.value).startswith(f"to is {text[:100]!r}"[:20])


def test_the_text_of_a_refusal_stays_short() -> None:
    with pytest.raises(BadRequest) as caught:
        parse_target("tag:" + "x" * 100_000)
    assert len(str(caught.value)) < 300


def test_only_an_agent_id_is_direct() -> None:
    assert parse_target("builder").is_direct
    assert not any(
        parse_target(text).is_direct for text in ("tag:x", "cap:x", "label:x", "ALL", "any:cap:x", "thread:1")
    )


@pytest.mark.parametrize("text", ["any:cap:x", "any:tag:x"])
def test_any_means_one_of_those_it_matches(text: str) -> None:
    target = parse_target(text)
    assert (target.is_any, target.is_direct, target.is_group) == (True, False, False)


@pytest.mark.parametrize("text", ["tag:x", "cap:x", "label:x", "channel:x", "broadcast", "ALL", "thread:1"])
def test_a_group_is_everyone_it_matches(text: str) -> None:
    target = parse_target(text)
    assert (target.is_group, target.is_direct, target.is_any) == (True, False, False)


@given(target_texts)
def test_whatever_the_grammar_takes_is_of_one_sort_and_shows_itself_as_it_was_written(text: str) -> None:
    target = parse_target(text)
    assert [target.is_direct, target.is_any, target.is_group].count(True) == 1
    assert repr(target) == f"Target({text.replace('ALL', 'broadcast') if text in BROADCAST_WORDS else text})"


def test_a_refusal_names_the_field_that_held_the_text() -> None:
    with pytest.raises(BadRequest, match=r"^will\.to is 'tag:'; a tag is 1-64 characters"):
        parse_target("tag:", "will.to")


def test_targets_are_equal_by_kind_and_name() -> None:
    assert parse_target("ALL") == parse_target("broadcast")
    assert parse_target("tag:x") != parse_target("cap:x")
    assert parse_target("tag:x") != parse_target("tag:y")
    assert (
        len({parse_target("ALL"), parse_target("broadcast"), parse_target("tag:x"), Target(TargetKind.TAG, "x")}) == 2
    )


def test_a_target_shows_itself_as_it_is_written() -> None:
    assert repr(parse_target("any:cap:review")) == "Target(any:cap:review)"
    assert repr(parse_target("ALL")) == "Target(broadcast)"


def test_a_flood_of_names_does_not_grow_the_cache_beyond_its_bound() -> None:
    for i in range(5000):
        parse_target(f"agent-{i}")
    assert parse_target.cache_info().currsize <= 4096
