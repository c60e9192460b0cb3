r"""Pairs: exclusive conversations of two agents.

              accept (who was invited)          hang up (either), or one of the two is gone
    pending --------------------------> active ------------------------------------------> ended
       |  \                                                                                  ^
       |   \-- hang up (who opened it), or that one is gone, or it is withdrawn ------------ /
       \-- reject, hang up (who was invited) --> rejected

An agent is in one pair at most: one that it opened, pending or active, or one that it accepted. A row in `taken` says
which; its primary key is what decides between two who come at once.
"""

import sqlite3
from typing import Any, Final

from relay_proto.codec import encode_frame
from relay_proto.errors import BadRequest, Busy, Forbidden, KeyConflict, NotActive, RateLimited, RelayError, UnknownPair
from relay_proto.frames import Pair, PairState

from . import queries
from .keys import first_answer
from .messages import put_message
from .outcomes import Done, MessagePut, Outcome
from .pair_data import AcceptPair, EndPair, LosePair, OnePair, OpenPair, PairChanged, PairOpened, PairsPage, SayInPair
from .questions import RecordPage
from .transaction import Transaction

SCAN_MAX: Final = 2000
"""Pairs looked at for one page."""
LIVE: Final[frozenset[PairState]] = frozenset({"pending", "active"})


# -- opening ---------------------------------------------------------------------------------------------------------


def open_pair(tx: Transaction, command: OpenPair) -> Outcome:
    if (known := _opened_before(tx, command)) is not None:
        return known
    if command.refusal is not None:
        return command.refusal
    opener, (invited,) = command.sender, command.recipients
    if invited == opener:
        raise BadRequest(f"to is {command.frame.to}; a pair is a conversation with another agent")
    if (own := _taken(tx, opener)) is not None:
        raise _busy(opener, own)
    other = _taken(tx, invited)
    if other is not None and (other.state == "active" or opener == other.to):
        raise _busy(invited, other)  # who waits for an answer of another one may be invited all the same
    put = put_message(tx, command)
    if not isinstance(put, MessagePut):
        return put
    tx.execute(queries.put_pair, (put.message, opener, invited, tx.now, command.objective))
    _take(tx, opener, put.message)
    return PairOpened(put, _get(tx, put.message))


def _opened_before(tx: Transaction, command: OpenPair) -> PairOpened | None:
    """The pair that this open made, or found, when it was said before; or that waits for an answer already."""
    key, opener, to = command.frame.key, command.sender, command.frame.to
    if key is not None:
        if (first := first_answer(tx, command)) is not None:
            pair = _find(tx, first.message)
            if pair is None:
                raise _conflict(key, first.message, "that is no invitation")
            return PairOpened(first, pair)
        row = tx.execute(queries.pair_by_key, (opener, key)).fetchone()
        if row is not None:
            return _again(tx, _same(_pair(row), key, command))
    own = _taken(tx, opener)
    is_same = (
        own is not None and own.state == "pending" and own.sender == opener and own.to in (*command.recipients, to)
    )
    if own is None or not is_same or isinstance(command.refusal, RateLimited):
        return None
    if key is not None:
        tx.execute(queries.put_pair_key, (opener, key, own.pair))
    return _again(tx, own)


def _same(pair: Pair, key: str, command: OpenPair) -> Pair:
    if pair.to not in (*command.recipients, command.frame.to):
        raise _conflict(key, pair.pair, f"that one is with {pair.to}")
    return pair


def _again(tx: Transaction, pair: Pair) -> PairOpened:
    thread, hops, recipients, online, sent_at = tx.execute(queries.invitation, (pair.pair,)).fetchone()
    return PairOpened(MessagePut(pair.pair, thread, hops, recipients, online, sent_at, True), pair)


# -- what is said in it ----------------------------------------------------------------------------------------------


def say_in_pair(tx: Transaction, command: SayInPair) -> Outcome:
    pair = _own(tx, command.sender, command.pair)
    frame = command.frame
    frame.to = pair.to if command.sender == pair.sender else pair.sender
    if frame.key is not None and (first := first_answer(tx, command)) is not None:
        if first.thread != pair.thread:
            raise _conflict(frame.key, first.message, f"that one was not said in pair {pair.pair}")
        return first
    if pair.state != "active":
        raise _not_active(pair, "what is said in it would reach nobody")
    return put_message(tx, command)


# -- what becomes of it ----------------------------------------------------------------------------------------------


def accept_pair(tx: Transaction, command: AcceptPair) -> Outcome:
    pair = _own(tx, command.agent, command.pair)
    if command.agent != pair.to:
        raise Forbidden(f"pair {pair.pair} is {pair.sender}'s; only {pair.to}, who was invited, may accept it")
    if pair.state == "active":
        return PairChanged(pair, False)
    if pair.state != "pending":
        raise _not_active(pair, "it can't be accepted any more")
    if not _take(tx, command.agent, pair.pair):
        own = _taken(tx, command.agent)
        assert own is not None, "whoever can't be taken is taken"
        raise _busy(command.agent, own)
    tx.execute(queries.accept_pair, (tx.now, pair.pair))
    return PairChanged(_get(tx, pair.pair), True, command.agent)


def end_pair(tx: Transaction, command: EndPair) -> Outcome:
    pair = _own(tx, command.agent, command.pair)
    is_invited = command.agent == pair.to
    if command.is_rejected:
        if not is_invited:
            raise Forbidden(f"pair {pair.pair} is {pair.sender}'s; only {pair.to}, who was invited, may reject it")
        if pair.state in ("active", "ended"):
            raise _not_active(pair, "only an invitation can be rejected")
    if pair.state not in LIVE:
        return PairChanged(pair, False)
    state: PairState = "rejected" if is_invited and pair.state == "pending" else "ended"
    return PairChanged(_end(tx, pair.pair, state, command.agent, command.reason), True, command.agent)


def lose_pair(tx: Transaction, command: LosePair) -> Outcome:
    own = _taken(tx, command.agent)
    if own is None or own.pair != command.pair:
        return Done()
    return PairChanged(_end(tx, own.pair, "ended", None, command.reason), True)


def leave_pair(tx: Transaction, agent: str, reason: str) -> Pair | None:
    """An agent leaves: the pair that it was in, which is over now."""
    own = _taken(tx, agent)
    return None if own is None else _end(tx, own.pair, "ended", agent, reason)


def take_back(tx: Transaction, invitation: int, agent: str, reason: str | None) -> Pair | None:
    """An invitation is withdrawn, by whomever: the pair that waited for its answer, which is over now."""
    pair = _find(tx, invitation)
    return None if pair is None or pair.state != "pending" else _end(tx, invitation, "ended", agent, reason)


# -- looking up ------------------------------------------------------------------------------------------------------


def live_pairs(connection: sqlite3.Connection) -> list[Pair]:
    """All that are not over."""
    return [_pair(row) for row in connection.execute(queries.live_pairs)]


def pairs_page(connection: sqlite3.Connection, question: PairsPage) -> RecordPage:
    """A page of pairs. It ends early at SCAN_MAX that were looked at, or before it would be too large."""
    if question.agent is not None:
        rows = connection.execute(queries.pairs_of, (question.agent, question.after, SCAN_MAX)).fetchall()
    else:
        statement = queries.live_pairs_behind if question.state in LIVE else queries.pairs_behind
        rows = connection.execute(statement, (question.after, SCAN_MAX)).fetchall()
    page = RecordPage([], None)
    size = 0
    for pair in map(_pair, rows):
        if question.state is not None and pair.state != question.state:
            continue
        size += len(encode_frame(pair))
        if page.items and (len(page.items) >= question.limit or size > question.bytes_max):
            page.next = page.items[-1].pair
            return page
        page.items.append(pair)
    if len(rows) == SCAN_MAX:
        page.next = rows[-1][0]
    return page


def one_pair(connection: sqlite3.Connection, question: OnePair) -> Pair | RelayError:
    row = connection.execute(queries.pair, (question.pair,)).fetchone()
    return _unknown(question.pair) if row is None else _pair(row)


# -- rows ------------------------------------------------------------------------------------------------------------


def _pair(row: tuple[Any, ...]) -> Pair:
    pair, opener, invited, state, opened_at, changed_at, objective, accepted_at, ended_by, reason = row
    return Pair(
        pair=pair, sender=opener, to=invited, state=state, thread=pair, opened_at=opened_at, changed_at=changed_at,
        objective=objective, accepted_at=accepted_at, ended_by=ended_by, reason=reason,
    )  # fmt: skip


def _find(tx: Transaction, pair: int) -> Pair | None:
    row = tx.execute(queries.pair, (pair,)).fetchone()
    return None if row is None else _pair(row)


def _get(tx: Transaction, pair: int) -> Pair:
    return _pair(tx.execute(queries.pair, (pair,)).fetchone())


def _own(tx: Transaction, agent: str, pair: int) -> Pair:
    """A pair that this agent is one of. Raises UnknownPair, Forbidden."""
    found = _find(tx, pair)
    if found is None:
        raise _unknown(pair)
    if agent not in (found.sender, found.to):
        raise Forbidden(f"pair is {pair}; that is between {found.sender} and {found.to}")
    return found


def _taken(tx: Transaction, agent: str) -> Pair | None:
    row = tx.execute(queries.taken_by, (agent,)).fetchone()
    return None if row is None else _pair(row)


def _take(tx: Transaction, agent: str, pair: int) -> bool:
    return bool(tx.execute(queries.take, (agent, pair)).rowcount)


def _end(tx: Transaction, pair: int, state: PairState, by: str | None, reason: str | None) -> Pair:
    tx.execute(queries.end_pair, (state, tx.now, by, reason, pair))
    tx.execute(queries.let_go, (pair,))
    return _get(tx, pair)


# -- refusals --------------------------------------------------------------------------------------------------------


def _unknown(pair: int) -> UnknownPair:
    return UnknownPair(f"pair is {pair}; there is no such pair", detail={"pair": pair})


def _busy(agent: str, pair: Pair) -> Busy:
    other = pair.to if agent == pair.sender else pair.sender
    if pair.state == "active":
        words = f"{agent} is in pair {pair.pair} with {other} until one of them hangs up"
    else:
        words = f"{agent} has opened pair {pair.pair} to {other}, who may accept it until {agent} hangs up"
    return Busy(words, detail={"agent": agent, "pair": pair.pair})


def _not_active(pair: Pair, why: str) -> NotActive:
    by = f" by {pair.ended_by}" if pair.ended_by else ""
    reason = f" ({pair.reason})" if pair.reason else ""
    return NotActive(
        f"pair {pair.pair} is {pair.state}{by}{reason}; {why}", detail={"pair": pair.pair, "state": pair.state}
    )


def _conflict(key: str, message: int, why: str) -> KeyConflict:
    return KeyConflict(f"key is {key!r}; it made message {message}, and {why}", detail={"message": message})
