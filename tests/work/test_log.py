"""How logs become histories: what a word without an answer may still do, and what is a sign of whom."""

from pathlib import Path
from typing import Any

from tests.work.history import NEVER, History, Operation
from tests.work.log import LIBRARY, VISIT, Log, Said, histories, read_logs

OK = {"op": "ok", "fence": 1, "lease_s": 1.0}


def said(
    op: str, at: float, end: float = NEVER, *, agent: str = "ann", run: int = 1, connection: int = 1,
    message: int | None = 7, frame: dict[str, Any] | None = None, resent: int = 0,
) -> Said:  # fmt: skip
    answer = frame if frame is not None else OK if end < NEVER else None
    return Said(agent, run, connection, op, message, 1, {}, at, end, answer, resent)


def of(*words: Said, died_at: list[float] | None = None) -> tuple[History, list[Operation]]:
    """The history of task 7, and its operations."""
    history, other = histories(list(words), [7, 8], died_at or [], {7: 3, 8: 3})
    assert (history.message, other.message) == (7, 8)
    return history, history.operations


def test_a_log_that_ends_in_the_middle_has_a_word_without_an_answer(tmp_path: Path) -> None:
    log = Log(tmp_path, "ann", 2)
    first = log.invoke("claim", 1, 7, lease_s=1.0)
    log.invoke("complete", 1, 7, 1)
    log.returned(first, OK)
    claim, complete = read_logs(tmp_path)
    assert (claim.instance, claim.op, claim.arguments, claim.frame) == ("ann/2", "claim", {"lease_s": 1.0}, OK)
    assert claim.invoked_at <= complete.invoked_at <= claim.returned_at
    assert (complete.frame, complete.returned_at, complete.fence) == (None, NEVER, 1)


def test_a_word_without_an_answer_is_over_when_the_agent_is_heard_on_a_later_connection() -> None:
    _, (lost, _) = of(said("release", 1), said("renew", 2, 3, connection=2))
    assert (lost.answer, lost.returned_at) == (None, 3)
    _, (lost, _) = of(said("release", 1), said("renew", 2, 3, run=2))
    assert lost.returned_at == 3
    _, (lost, _) = of(said("release", 1, connection=2), said("renew", 2, 3, connection=2))
    assert lost.returned_at == NEVER  # on the same one, the answer to a later word may just be the first that came
    _, (lost, _) = of(said("release", 1), said("renew", 2, 3, agent="bob", connection=2))
    assert lost.returned_at == NEVER


def test_a_word_without_an_answer_is_over_when_the_daemon_died() -> None:
    _, (lost,) = of(said("release", 1), died_at=[0.5, 4.0, 9.0])
    assert lost.returned_at == 4
    _, (lost,) = of(said("release", 1, connection=LIBRARY), died_at=[4.0])
    assert lost.returned_at == NEVER  # the client library says it again


def test_what_the_library_may_have_said_again_may_have_happened_as_often() -> None:
    _, operations = of(said("release", 1, 5, connection=LIBRARY, resent=2))
    assert [op.answer is None for op in operations] == [True, True, False]
    assert {(op.invoked_at, op.returned_at) for op in operations} == {(1, 5)}


def test_a_visit_is_no_sign_of_its_agent_and_outlives_its_connections() -> None:
    _, (lost, _) = of(said("release", 1, connection=VISIT), said("renew", 2, 3, connection=2))
    assert lost.returned_at == NEVER
    history, _ = of(said("renew", 2, 2.1, connection=VISIT))
    assert history.silent_from("ann/1", 2.5, 1.0) == 2.5
    history, _ = of(said("renew", 2, 2.1))
    assert history.silent_from("ann/1", 2.5, 1.0) == 3.0


def test_claim_next_is_a_claim_of_each_task_that_came_and_maybe_of_all_when_its_answer_was_lost() -> None:
    work = {"state": "claimed", "fence": 4, "attempts": 1, "holder": "ann", "lease_s": 1.0}
    came = {"op": "ok", "items": [{"message": 7, "work": work}], "lease_s": 1.0}
    one, other = histories([said("claim_next", 1, 2, message=None, frame=came)], [7, 8], [], {7: 3, 8: 3})
    (op,) = one.operations
    assert op.answer is not None
    assert (op.answer.detail["fence"], op.answer.detail["attempts_max"], other.operations) == (4, 3, [])
    both = histories([said("claim_next", 1, message=None)], [7, 8], [], {7: 3, 8: 3})
    assert [[op.answer for op in history.operations] for history in both] == [[None], [None]]


def test_a_heartbeat_is_a_sign_and_no_operation_and_a_bye_is_one_on_every_task() -> None:
    history, operations = of(said("heartbeat", 1, 1.1, message=None))
    assert operations == []
    assert history.silent_from("ann/1", 1.5, 1.0) == 2.0
    _, (bye,) = of(said("bye", 1, 1.1, message=None))
    assert (bye.op, bye.message) == ("bye", 7)
