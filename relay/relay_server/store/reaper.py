"""What is finished goes when it is old enough. What is unacked, unfinished or owed stays, however old it is."""

from . import queries
from .commands import Reap
from .outcomes import Reaped
from .transaction import Transaction


def reap(tx: Transaction, command: Reap) -> Reaped:
    rows = tx.execute(queries.finished, (command.after, command.before_at, command.count_max)).fetchall()
    gone = [(message,) for message, is_over, _ in rows if is_over]
    for statement in (
        queries.delete_asks,
        queries.delete_deliveries,
        queries.delete_reports,
        queries.delete_dependencies,
        queries.delete_callbacks,
        queries.delete_work,
        queries.delete_pair_keys,
        queries.delete_pair,
        queries.delete_message,
    ):
        tx.executemany(statement, gone)
    is_more = len(rows) == command.count_max and not rows[-1][2]
    return Reaped(rows[-1][0] if is_more else None, len(gone))
