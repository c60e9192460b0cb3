"""waits.py: who can still go on, and the ring of those who can't."""

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from relay_server.waits import Wait, Waits

# Failures print a @reproduce_failure line; `pytest --hypothesis-seed=N` repeats a whole run.
quick = settings(deadline=None, database=None, print_blob=True)

NAMES = "abcdef"
graphs = st.lists(
    st.tuples(st.sampled_from(NAMES), st.sets(st.sampled_from(NAMES), max_size=3)), min_size=1, max_size=10
)
"""Lists of (asker, whom it is on), in the order they are asked; some with nobody to end them."""


def wait_for(graph: list[tuple[str, set[str]]]) -> tuple[Waits, list[Wait]]:
    waits = Waits()
    return waits, [waits.add(asker, on) for asker, on in graph]


def askers(ring: list[Wait] | None) -> list[str] | None:
    return None if ring is None else [wait.asker for wait in ring]


# -- a second opinion: try every set of agents that might go on ------------------------------------------------------


def stuck_for_ever(waits: list[Wait]) -> set[Wait]:
    """The waits that nobody can end, by trying every set of blocked agents.

    A set is hopeless when each of its agents has a wait all of whose agents are in it too. The union of the hopeless
    sets is hopeless, so one agent is stuck exactly when some hopeless set holds it.
    """
    blocked = sorted({wait.asker for wait in waits})
    stuck: set[str] = set()
    for size in range(1, len(blocked) + 1):
        for agents in map(set, itertools.combinations(blocked, size)):
            if all(any(wait.asker == agent and wait.on <= agents for wait in waits) for agent in agents):
                stuck |= agents
    return {wait for wait in waits if wait.on <= stuck}


def lengths_of_rings(waits: set[Wait]) -> dict[Wait, int]:
    """How long the shortest ring through each of these waits is; those on none are left out. By walking n steps."""
    found: dict[Wait, int] = {}
    for start in waits:
        standing = {start}
        for steps in range(1, len(waits) + 1):
            standing = {after for wait in standing for after in waits if after.asker in wait.on}
            if start in standing:
                found[start] = steps
                break
    return found


def reachable(start: Wait, waits: set[Wait]) -> set[Wait]:
    found = {start}
    for _ in waits:
        found |= {after for wait in found for after in waits if after.asker in wait.on}
    return found


@quick
@given(graphs)
def test_a_ring_is_found_exactly_when_the_wait_leads_to_one_that_nobody_can_end(
    graph: list[tuple[str, set[str]]],
) -> None:
    waits, all_waits = wait_for(graph)
    stuck = stuck_for_ever(all_waits)
    rings = lengths_of_rings(stuck)
    for wait in all_waits:
        ring = waits.ring_of(wait)
        if wait not in stuck or not reachable(wait, stuck) & rings.keys():
            assert ring is None
            continue
        assert ring is not None
        assert set(ring) <= stuck & reachable(wait, stuck)
        assert all(after.asker in one.on for one, after in zip(ring, ring[1:] + ring[:1], strict=True))
        assert len(ring) == rings[ring[0]]
        if wait in rings:
            assert ring[0] is wait


@quick
@given(graphs, st.data())
def test_after_any_changes_the_answer_is_that_of_a_graph_built_afresh(
    graph: list[tuple[str, set[str]]], data: st.DataObject
) -> None:
    waits = Waits()
    kept = [waits.add(asker, on, message) for message, (asker, on) in enumerate(graph, 1)]
    for _ in range(3):
        match data.draw(st.sampled_from(["remove", "drop", "narrow", "lift", "put back"])):
            case "remove" if kept:
                waits.remove(kept.pop(data.draw(st.integers(0, len(kept) - 1))))
            case "drop":
                gone = data.draw(st.sampled_from(NAMES))
                waits.drop(gone)
                kept = [wait for wait in kept if wait.asker != gone]
            case "narrow" if kept:
                chosen = data.draw(st.sampled_from(kept))
                assert chosen.message is not None
                waits.narrow(chosen.message, data.draw(st.sets(st.sampled_from(NAMES), max_size=2)))
            case "lift" if kept:
                waits.lift(data.draw(st.sampled_from(kept)))
            case "put back" if kept:
                waits.put_back(data.draw(st.sampled_from(kept)))
    for wait in kept:
        waits.put_back(wait)
    fresh, again = wait_for([(wait.asker, wait.on) for wait in kept])
    assert len(waits) == len(kept)
    for wait, its_like in zip(kept, again, strict=True):
        ring, other = waits.ring_of(wait), fresh.ring_of(its_like)
        assert askers(ring) == askers(other)


# -- by hand ---------------------------------------------------------------------------------------------------------


def test_who_asks_an_agent_that_waits_for_nobody_gets_its_answer() -> None:
    waits, (first, second) = wait_for([("ada", {"bob"}), ("cyd", {"ada"})])
    assert waits.ring_of(first) is None
    assert waits.ring_of(second) is None


def test_two_who_ask_each_other_are_a_ring_and_the_second_ask_is_the_youngest() -> None:
    waits, (first, second) = wait_for([("ada", {"bob"}), ("bob", {"ada"})])
    assert waits.ring_of(second) == [second, first]
    assert waits.ring_of(first) == [first, second]
    assert waits.youngest([second, first]) is second
    assert waits.youngest([first, second]) is second


def test_a_ring_of_any_number_is_told_in_the_order_of_who_waits_for_whom() -> None:
    names = [f"agent-{number}" for number in range(5_000)]
    waits, all_waits = wait_for([(name, {after}) for name, after in itertools.pairwise(names)])
    assert waits.ring_of(all_waits[0]) is None
    closing = waits.add(names[-1], {names[0]})
    assert waits.ring_of(closing) == [closing, *all_waits]


def test_who_asks_itself_while_it_is_blocked_is_a_ring_of_one() -> None:
    waits, (wait,) = wait_for([("ada", {"ada"})])
    assert waits.ring_of(wait) == [wait]


def test_a_circle_is_no_deadlock_while_one_wait_of_it_has_a_way_out() -> None:
    waits, (first, second) = wait_for([("ada", {"bob", "cyd"}), ("bob", {"ada"})])
    assert waits.ring_of(second) is None
    third = waits.add("cyd", {"ada"})
    assert waits.ring_of(third) == [third, first]
    assert waits.ring_of(second) == [second, first]


def test_an_agent_with_two_asks_is_trapped_by_the_one_that_can_not_be_ended() -> None:
    waits, (to_bob, to_cyd, back) = wait_for([("ada", {"bob"}), ("ada", {"cyd"}), ("cyd", {"ada"})])
    assert waits.ring_of(back) == [back, to_cyd]
    assert waits.ring_of(to_bob) is None


def test_a_wait_that_leads_into_a_ring_is_told_of_that_ring() -> None:
    waits, (first, second, outside) = wait_for([("ada", {"bob"}), ("bob", {"ada"}), ("cyd", {"bob"})])
    assert waits.ring_of(outside) == [second, first]


def test_of_several_rings_the_shortest_through_the_wait_is_told() -> None:
    waits, all_waits = wait_for([("ada", {"cyd"}), ("cyd", {"zoe"}), ("zoe", {"bob"})])
    assert waits.ring_of(all_waits[0]) is None
    back = waits.add("bob", {"ada", "zoe"})
    assert waits.ring_of(back) == [back, all_waits[2]]


def test_the_way_round_is_the_shortest_also_where_a_longer_one_is_as_near() -> None:
    waits, (start, to_bob, to_cyd, *_) = wait_for(
        [("ada", {"bob", "zoe"}), ("bob", {"cyd"}), ("cyd", {"ada"}),
         ("zoe", {"yan"}), ("yan", {"xia"}), ("xia", {"ada"})]
    )  # fmt: skip
    assert waits.ring_of(start) == [start, to_bob, to_cyd]


def test_of_rings_of_one_length_the_first_by_name_is_told_and_of_one_agents_asks_the_oldest() -> None:
    names = [f"agent-{number:02}" for number in range(30)]
    waits, (start, *others) = wait_for([("ada", set(names)), *((name, {"ada"}) for name in names)])
    waits.add("agent-00", {"ada"})
    assert waits.ring_of(start) == [start, others[0]]


def test_what_nobody_can_end_is_no_ring_but_whoever_waits_behind_it_waits_too() -> None:
    waits, (orphan, behind) = wait_for([("ada", set()), ("bob", {"ada"})])
    assert waits.ring_of(orphan) is None
    assert waits.ring_of(behind) is None
    other = waits.add("ada", {"bob"})
    assert waits.ring_of(other) == [other, behind]
    assert waits.ring_of(orphan) is None


def test_a_dead_end_on_the_way_hides_no_ring() -> None:
    waits, (_, _, to_two, back, outside) = wait_for(
        [("eve", set()), ("bob", {"eve"}), ("bob", {"eve", "fay"}), ("fay", {"bob"}), ("ada", {"bob"})]
    )
    assert waits.ring_of(outside) == [to_two, back]


def test_a_claim_narrows_a_wait_to_its_holder_and_an_offer_widens_it_again() -> None:
    waits = Waits()
    work = waits.add("ada", {"bob", "cyd"}, 7)
    back = waits.add("bob", {"ada"}, 8)
    assert waits.ring_of(back) is None
    assert waits.narrow(7, ["bob"]) is work
    assert waits.ring_of(work) == [work, back]
    assert waits.narrow(7, ["bob", "cyd"]) is work
    assert waits.ring_of(work) is None
    assert waits.narrow(99, ["bob"]) is None


def test_what_a_wait_was_made_from_may_change_without_it() -> None:
    on = {"bob"}
    waits = Waits()
    wait = waits.add("ada", on)
    on.clear()
    waits.add("bob", {"ada"})
    assert waits.ring_of(wait) is not None


def test_a_wait_that_ended_blocks_nobody_and_ends_only_once() -> None:
    waits, (first, second) = wait_for([("ada", {"bob"}), ("bob", {"ada"})])
    waits.accepted(first, 7)
    waits.remove(first)
    waits.remove(first)
    assert waits.ring_of(second) is None
    assert waits.ring_of(first) is None
    assert waits.of(7) is None
    assert len(waits) == 1


def test_a_lifted_wait_blocks_nobody_and_is_as_old_as_it_was_when_it_is_put_back() -> None:
    waits = Waits()
    first, second, back = waits.add("ada", {"bob"}, 7), waits.add("ada", {"cyd"}, 8), waits.add("bob", {"ada"}, 9)
    waits.lift(first)
    waits.lift(first)
    assert waits.asked_by("ada") == [second]
    assert waits.ring_of(back) is None
    assert waits.of(7) is first
    assert waits.narrow(7, {"bob", "dan"}) is first
    waits.put_back(first)
    waits.put_back(first)
    assert waits.asked_by("ada") == [first, second]
    assert first.on == {"bob", "dan"}


def test_a_wait_that_ended_while_it_was_lifted_is_not_put_back() -> None:
    waits = Waits()
    removed, dropped = waits.add("ada", {"bob"}, 7), waits.add("ada", {"cyd"}, 8)
    waits.lift(removed)
    waits.lift(dropped)
    waits.remove(removed)
    waits.drop("ada")
    for wait in (removed, dropped):
        waits.put_back(wait)
    assert (len(waits), waits.of(7), waits.of(8)) == (0, None, None)


def test_a_wait_that_ended_is_not_told_of_a_ring_it_led_to() -> None:
    waits, (_, _, outside) = wait_for([("ada", {"bob"}), ("bob", {"ada"}), ("cyd", {"bob"})])
    waits.remove(outside)
    assert waits.ring_of(outside) is None


def test_an_agent_that_was_taken_over_waits_for_nothing() -> None:
    waits = Waits()
    waits.add("ada", {"bob"}, 7)
    waits.add("ada", {"cyd"}, 8)
    back = waits.add("bob", {"ada"}, 9)
    waits.drop("ada")
    waits.drop("ada")
    assert (waits.of(7), waits.of(8), waits.of(9)) == (None, None, back)
    assert waits.ring_of(back) is None
    assert len(waits) == 1


def test_a_wait_is_found_by_its_message_once_the_store_has_accepted_it() -> None:
    waits = Waits()
    wait = waits.add("ada", {"bob"})
    assert (wait.message, waits.of(7)) == (None, None)
    waits.accepted(wait, 7)
    assert (wait.message, waits.of(7)) == (7, wait)


def test_a_wait_that_ended_before_it_was_accepted_stays_ended() -> None:
    waits = Waits()
    wait = waits.add("ada", {"bob"})
    waits.drop("ada")
    waits.accepted(wait, 7)
    assert waits.of(7) is None


def test_an_ask_that_was_repeated_under_its_key_is_one_wait() -> None:
    waits = Waits()
    waits.add("ada", {"bob"}, 7)
    again = waits.add("ada", {"bob"})
    waits.accepted(again, 7)
    waits.accepted(again, 7)
    assert len(waits) == 1
    waits.remove(again)
    assert waits.of(7) is None
    assert len(waits) == 0


def test_only_what_can_be_reached_from_a_wait_is_looked_at() -> None:
    class Watched(set[str]):
        """An `on` that must not be looked at."""

        def __iter__(self):  # type: ignore[no-untyped-def]
            raise AssertionError("looked at")

    waits = Waits()
    elsewhere = waits.add("dan", {"eve"})
    behind = waits.add("eve", {"ada"})
    wait = waits.add("ada", {"bob", "cyd"})
    also = waits.add("bob", {"fay", "gus"})
    beyond = waits.add("fay", {"hal"})
    elsewhere.on = behind.on = beyond.on = Watched()
    assert waits.ring_of(wait) is None
    waits.add("cyd", {"ada"})
    assert waits.ring_of(wait) is None  # gus is free and can end bob's, so nobody asks what fay waits for
    also.on = {"bob"}
    assert waits.ring_of(wait) is not None
