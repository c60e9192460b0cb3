"""directory.py: the agents the relay knows, and the indexes they are found by."""

from relay_server.directory import COMPARISONS_MAX, HUMAN_TAG, Directory


def make(*names: str) -> Directory:
    directory = Directory()
    for name in names:
        directory.describe(directory.ensure(name), None, (), (), ())
    return directory


def test_an_agent_is_found_by_what_it_says_now_and_not_by_what_it_said_before() -> None:
    directory = make("a")
    agent = directory.ensure("a")
    directory.describe(agent, "Ada", ("red", "red"), ("review",), ("ops",))
    assert agent.tags == ("red",)
    assert (directory.by_tag, directory.by_cap) == ({"red": {"a"}}, {"review": {"a"}})
    assert (directory.by_label, directory.by_channel) == ({"Ada": {"a"}}, {"ops": {"a"}})
    directory.describe(agent, "Bea", ("blue",), (), ())
    assert directory.by_tag == {"blue": {"a"}}
    assert directory.by_cap == {}
    assert directory.by_label == {"Bea": {"a"}}


def test_names_are_sorted_and_follow_new_agents() -> None:
    directory = make("b", "a")
    assert directory.names() == ["a", "b"]
    directory.ensure("aa")
    assert directory.names() == ["a", "aa", "b"]


def test_a_typo_suggests_the_close_names_best_first() -> None:
    directory = make("builder", "builder-2", "reviewer", "manager")
    assert directory.suggestions("bulider")[0] == "builder"
    assert directory.suggestions("BUILDER")[0] == "builder"
    assert "reviewer" in directory.suggestions("review")


def test_a_label_suggests_the_agent_that_carries_it() -> None:
    directory = make("agent-7")
    directory.describe(directory.ensure("agent-7"), "Backend", (), (), ())
    assert directory.suggestions("Backend") == ["agent-7"]


def test_a_visitor_is_known_by_name_and_stands_in_no_list_until_it_registers() -> None:
    directory = make("a")
    visitor = directory.visit("b")
    assert (directory.names(), directory.get("b")) == (["a"], visitor)
    assert directory.suggestions("bb") == ["b"]
    assert directory.ensure("b") is visitor
    assert directory.names() == ["a", "b"]
    assert directory.visit("a").visitor is False, "an agent that visits as well stays one"


def test_a_pruned_agent_is_in_no_group_and_keeps_its_name() -> None:
    directory = make("a", "b")
    agent = directory.ensure("a")
    directory.describe(agent, "Ada", ("red",), ("review",), ("ops",))
    directory.prune(agent)
    assert directory.names() == ["b"]
    assert (directory.by_tag, directory.by_cap, directory.by_label, directory.by_channel) == ({}, {}, {}, {})
    assert directory.get("a") is agent
    directory.ensure("a")
    assert directory.names() == ["a", "b"]


def test_the_word_of_a_person_is_known_by_its_tag() -> None:
    directory = make("a", "b")
    directory.describe(directory.ensure("a"), None, ("red", HUMAN_TAG), (), ())
    assert (directory.ensure("a").is_human, directory.ensure("b").is_human) == (True, False)


def test_only_so_many_names_are_compared_for_one_message_and_long_ones_never() -> None:
    directory = make("builder")
    assert [directory.suggestions("bulider") for _ in range(COMPARISONS_MAX + 1)] == [["builder"]] * COMPARISONS_MAX + [
        []
    ]
    directory.suggestions_left = COMPARISONS_MAX
    assert directory.suggestions("builder" + "x" * 42) == []


def test_suggestions_stay_few_among_many_agents() -> None:
    directory = make(*(f"worker-{i}" for i in range(5000)))
    assert 0 < len(directory.suggestions("worker-77x")) <= 3


def test_a_card_shows_when_the_agent_was_last_heard() -> None:
    directory = make("a")
    agent = directory.ensure("a")
    directory.clock_offset_ms = 1_000_000.0
    agent.heard_at = directory.monotonic(1_005_000)
    assert agent.heard_at == 5.0
    assert directory.wall_ms(5.0) == 1_005_000
    assert directory.card(agent, 6.0).last_seen_at == 1_005_000
