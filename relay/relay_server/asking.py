"""Questions at the desk: each frame becomes one look-up, behind the commands that came before it.

What is found is said by `answers.py`. Nothing is refused here: whether there is such a message or agent is known then.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from relay_proto import frames as wire
from relay_proto import limits

from .store import interface as ask

if TYPE_CHECKING:
    from .broker import Broker
    from .session import Session

PAGE_BYTES_MAX: Final = limits.MESSAGE_BYTES_MAX - 4096
"""What the items of a page may take of one WebSocket message."""


def inbox(broker: "Broker", session: "Session", agent: str, frame: wire.Inbox, now: float) -> None:
    broker.look_up(
        ask.InboxPage(
            session, frame.id, frame.agent or agent, frame.limit, frame.after or 0, frame.channel, frame.unread,
            PAGE_BYTES_MAX,
        )
    )  # fmt: skip


def message(broker: "Broker", session: "Session", agent: str, frame: wire.GetMessage, now: float) -> None:
    broker.look_up(ask.OneMessage(session, frame.id, frame.message))


def receipts(broker: "Broker", session: "Session", agent: str, frame: wire.Receipts, now: float) -> None:
    broker.look_up(ask.DeliveriesOf(session, frame.id, frame.message))


def agents(broker: "Broker", session: "Session", agent: str, frame: wire.Agents, now: float) -> None:
    broker.look_up(ask.AgentsPage(session, frame.id, frame))


def thread(broker: "Broker", session: "Session", agent: str, frame: wire.Thread, now: float) -> None:
    broker.look_up(ask.ThreadPage(session, frame.id, frame.thread, frame.limit, frame.after or 0, PAGE_BYTES_MAX))


def tasks(broker: "Broker", session: "Session", agent: str, frame: wire.Tasks, now: float) -> None:
    broker.look_up(ask.TasksPage(session, frame.id, frame, PAGE_BYTES_MAX))


def task(broker: "Broker", session: "Session", agent: str, frame: wire.GetTask, now: float) -> None:
    broker.look_up(ask.OneTask(session, frame.id, frame.message))


def owed(broker: "Broker", session: "Session", agent: str, frame: wire.Owed, now: float) -> None:
    broker.look_up(ask.OwedList(session, frame.id, frame.agent or agent))


def why(broker: "Broker", session: "Session", agent: str, frame: wire.Why, now: float) -> None:
    if frame.message is not None:
        broker.look_up(ask.FactsOfMessage(session, frame.id, frame.message))
    elif frame.agent is not None:
        broker.look_up(ask.FactsOfAgent(session, frame.id, frame.agent))


def overview(broker: "Broker", session: "Session", agent: str, frame: wire.GetOverview, now: float) -> None:
    broker.look_up(ask.OverviewCounts(session, frame.id, frame.limit, broker.directory.wall_ms(now)))


HANDLERS: Final[dict[type[Any], Callable[["Broker", "Session", str, Any, float], None]]] = {
    wire.Inbox: inbox,
    wire.GetMessage: message,
    wire.Receipts: receipts,
    wire.Agents: agents,
    wire.Thread: thread,
    wire.Tasks: tasks,
    wire.GetTask: task,
    wire.Owed: owed,
    wire.Why: why,
    wire.GetOverview: overview,
}
"""What the desk does with each of these frames."""
