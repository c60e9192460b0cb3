"""Agents: registering, changing, leaving, being pruned; what each does inside the turn's transaction."""

from typing import Final

from relay_proto.errors import UnknownAgent

from ..target import changes_address, work_targets
from . import asks, queries
from .alarms import note
from .claims import release_all
from .commands import ChangeAgent, EndSession, ForgetVisitors, LeaveAgent, Prune, PutAgent, RemoveAgent
from .deliveries import NOT_DEALT_WITH
from .outcomes import AgentPut, Done, Forgotten, Removed, Returned
from .pairs import leave_pair
from .rows import to_json, will_json
from .transaction import Transaction

READY_WORK_MAX: Final = 10_000
"""Pieces of waiting work that an agent is offered when it comes: oldest first, the rest when it comes again."""


def put_agent(tx: Transaction, command: PutAgent) -> AgentPut:
    frame = command.frame
    if frame.visit:
        ((epoch,),) = tx.execute(queries.put_visitor, (frame.agent, tx.now)).fetchall()
        return AgentPut(epoch, tx.execute(queries.pending, (frame.agent,)).fetchone()[0])
    ((epoch,),) = tx.execute(
        queries.put_agent,
        {
            "agent": frame.agent,
            "label": frame.label,
            "tags": to_json(frame.tags or []),
            "caps": to_json(frame.caps or []),
            "channels": to_json(frame.channels or []),
            "machine": frame.machine,
            "meta": to_json(frame.meta),
            "instance": command.instance,
            "will": will_json(frame.will),
            "now": tx.now,
        },
    ).fetchall()
    over = tx.execute(queries.expire_surfaced, (tx.now, frame.agent)).fetchall()
    moved = [move for (message,) in over for move in asks.moved(tx, message, [frame.agent], "expired", NOT_DEALT_WITH)]
    due_at, owes = _offer_ready_work(tx, frame.agent, frame.label, frame.tags, frame.caps)
    pending = tx.execute(queries.pending, (frame.agent,)).fetchone()[0]
    return AgentPut(epoch, pending, asks.both_ways(tx, frame.agent), moved, due_at, owes)


def change_agent(tx: Transaction, command: ChangeAgent) -> Done:
    frame = command.frame
    tx.execute(
        queries.change_agent,
        {
            "agent": command.agent,
            "label": frame.label,
            "tags": to_json(frame.tags),
            "caps": to_json(frame.caps),
            "channels": to_json(frame.channels),
            "meta": to_json(frame.meta),
            "now": tx.now,
        },
    )
    if not changes_address(frame):
        return Done()
    return Done(*_offer_ready_work(tx, command.agent, frame.label, frame.tags, frame.caps))


def _offer_ready_work(
    tx: Transaction, agent: str, label: str | None, tags: list[str] | None, caps: list[str] | None
) -> tuple[int | None, list[int]]:
    """Give a worker the work that was sent before it came: only what is claimable, and at most READY_WORK_MAX of it.

    Gives back when the first of it is to be looked at again, and what of it is an ask that it owes the reply to now.
    """
    targets = work_targets(label, tags or (), caps or ())
    offered = tx.execute(queries.offer_ready_work, (agent, tx.now, to_json(targets), READY_WORK_MAX)).fetchall()
    if not offered:
        return None, []
    for message, rank, expires_at, offer_at in offered:
        note(tx, message, [agent], rank, expires_at, offer_at)
    owes, reply_by_at = asks.owed_late(tx, [message for message, *_ in offered], agent)
    times = [reply_by_at, *(at for row in offered for at in row[2:])]
    return min((at for at in times if at is not None), default=None), owes


def leave_agent(tx: Transaction, command: LeaveAgent) -> Returned:
    tx.execute(queries.seen_agent, (tx.now, command.agent))
    if command.pushed:
        tx.executemany(queries.count_attempt, [(message, command.agent) for message in command.pushed])
    returned = Returned([], [])
    if command.release:
        tx.execute(queries.drop_will, (command.agent,))
        tx.execute(queries.wait_no_more, (command.agent,))
        returned = release_all(tx, command.agent, command.epoch)
        returned.pair = leave_pair(tx, command.agent, f"{command.agent} said bye")
    returned.owed = asks.all_owed_by(tx, command.agent)
    return returned


def end_session(tx: Transaction, command: EndSession) -> Done:
    return Done()


def prune(tx: Transaction, command: Prune) -> Done:
    tx.executemany(queries.prune_agent, [(tx.now, agent, command.before_at) for agent in command.agents])
    return Done()


def forget_visitors(tx: Transaction, command: ForgetVisitors) -> Forgotten:
    gone = tx.execute(queries.forget_visitors, (to_json(command.agents), command.before_at)).fetchall()
    return Forgotten([agent for (agent,) in gone])


def remove_agent(tx: Transaction, command: RemoveAgent) -> Removed:
    agent = command.agent
    if tx.execute(queries.has_registered, (agent,)).fetchone() is None:
        raise UnknownAgent(f"agent is {agent}; no agent of this name has registered")
    tx.execute(queries.remove_agent, (tx.now, agent))
    if command.pushed:
        tx.executemany(queries.count_attempt, [(message, agent) for message in command.pushed])
    tx.execute(queries.wait_no_more, (agent,))
    back = release_all(tx, agent)
    return Removed(
        back.ended,
        back.offers,
        back.due_at,
        back.moved,
        asks.all_owed_by(tx, agent),
        pair=leave_pair(tx, agent, f"{agent} was removed"),
    )
