"""What the broker asks of a store, and what a store answers.

A turn is a list of commands, and committing it gives one outcome per command, in order: what was decided, or the
RelayError that says why not. A store makes the whole turn durable before it answers, or says that it could not.

A second engine keeps the same promises by the same means: each command is one or a few conditional writes, decided in
the transaction and nowhere else. Nothing here is SQLite's: ids are numbers that grow, times are milliseconds since
1970 given by the caller, stages and states are the words of the wire.

The commands stand in commands.py, the outcomes in outcomes.py, questions and answers in questions.py; whoever uses a
store imports them from here.
"""

from collections.abc import Sequence
from typing import Protocol

from .callback_data import CallbackCounts as CallbackCounts
from .callback_data import CallbackEnded as CallbackEnded
from .callback_data import CallbackItem as CallbackItem
from .callback_data import CallbackRetried as CallbackRetried
from .callback_data import CallbacksCounted as CallbacksCounted
from .callback_data import CallbacksDue as CallbacksDue
from .callback_data import CallbacksFound as CallbacksFound
from .callback_data import CallbacksPage as CallbacksPage
from .callback_data import CallbackState as CallbackState
from .callback_data import DueCallbacks as DueCallbacks
from .callback_data import EndCallback as EndCallback
from .callback_data import Job as Job
from .callback_data import RetryCallback as RetryCallback
from .callback_data import ThreadFound as ThreadFound
from .callback_data import ThreadOfKey as ThreadOfKey
from .commands import AckMessages as AckMessages
from .commands import CancelWork as CancelWork
from .commands import ChangeAgent as ChangeAgent
from .commands import CheckFence as CheckFence
from .commands import ClaimNext as ClaimNext
from .commands import ClaimWork as ClaimWork
from .commands import Command as Command
from .commands import CompleteWork as CompleteWork
from .commands import EndSession as EndSession
from .commands import ExpireWork as ExpireWork
from .commands import FailWork as FailWork
from .commands import ForgetVisitors as ForgetVisitors
from .commands import ForgiveAsk as ForgiveAsk
from .commands import KickWork as KickWork
from .commands import LeaveAgent as LeaveAgent
from .commands import NackMessage as NackMessage
from .commands import OwedBy as OwedBy
from .commands import ParkWork as ParkWork
from .commands import PassOn as PassOn
from .commands import ProgressWork as ProgressWork
from .commands import Prune as Prune
from .commands import PutAgent as PutAgent
from .commands import PutMessage as PutMessage
from .commands import Reap as Reap
from .commands import Refill as Refill
from .commands import ReleaseWork as ReleaseWork
from .commands import RemoveAgent as RemoveAgent
from .commands import RenewWork as RenewWork
from .commands import ResolveWork as ResolveWork
from .commands import ResumeWork as ResumeWork
from .commands import Ripen as Ripen
from .commands import WithdrawMessage as WithdrawMessage
from .outcomes import Acked as Acked
from .outcomes import AgentPut as AgentPut
from .outcomes import Change as Change
from .outcomes import Completed as Completed
from .outcomes import Done as Done
from .outcomes import Extras as Extras
from .outcomes import Fenced as Fenced
from .outcomes import Filled as Filled
from .outcomes import Forgotten as Forgotten
from .outcomes import Lapsed as Lapsed
from .outcomes import Lost as Lost
from .outcomes import MessagePut as MessagePut
from .outcomes import Moved as Moved
from .outcomes import NextClaimed as NextClaimed
from .outcomes import NoRoom as NoRoom
from .outcomes import Offered as Offered
from .outcomes import Outcome as Outcome
from .outcomes import Owing as Owing
from .outcomes import Parked as Parked
from .outcomes import Reaped as Reaped
from .outcomes import Removed as Removed
from .outcomes import Renewed as Renewed
from .outcomes import Returned as Returned
from .outcomes import Ripened as Ripened
from .outcomes import Unparked as Unparked
from .outcomes import WorkClaimed as WorkClaimed
from .overview_data import Overdue as Overdue
from .overview_data import OverviewCounts as OverviewCounts
from .overview_data import OverviewFacts as OverviewFacts
from .pair_data import AcceptPair as AcceptPair
from .pair_data import EndPair as EndPair
from .pair_data import LosePair as LosePair
from .pair_data import OnePair as OnePair
from .pair_data import OpenPair as OpenPair
from .pair_data import PairChanged as PairChanged
from .pair_data import PairOpened as PairOpened
from .pair_data import PairsPage as PairsPage
from .pair_data import SayInPair as SayInPair
from .questions import AgentFacts as AgentFacts
from .questions import AgentsPage as AgentsPage
from .questions import Answer as Answer
from .questions import DeliveriesOf as DeliveriesOf
from .questions import DeliveryFacts as DeliveryFacts
from .questions import EndedAsk as EndedAsk
from .questions import FactsOfAgent as FactsOfAgent
from .questions import FactsOfMessage as FactsOfMessage
from .questions import Found as Found
from .questions import HeldClaim as HeldClaim
from .questions import InboxPage as InboxPage
from .questions import MessageFacts as MessageFacts
from .questions import OneMessage as OneMessage
from .questions import OneTask as OneTask
from .questions import OpenAsk as OpenAsk
from .questions import Owed as Owed
from .questions import OwedList as OwedList
from .questions import Page as Page
from .questions import Question as Question
from .questions import RecordPage as RecordPage
from .questions import Snapshot as Snapshot
from .questions import StoredAgent as StoredAgent
from .questions import StoredToken as StoredToken
from .questions import TaskPage as TaskPage
from .questions import TasksPage as TasksPage
from .questions import ThreadPage as ThreadPage
from .token_data import PutToken as PutToken
from .token_data import RevokeToken as RevokeToken
from .token_data import TokenPut as TokenPut
from .token_data import TokenRevoked as TokenRevoked
from .token_data import TokensPage as TokensPage


class StoreFailed(Exception):
    """The store can't say whether something is on disk (a failed fsync, an I/O error, corruption).

    What was asked of it is *unknown*: nothing may be answered, and the process must end and come back clean.
    """


class StoreRefused(Exception):
    """The store can't be opened: in use, too new, not ours, settings that don't hold. The text says what to do."""


class Store(Protocol):
    """A durable store. `commit` is called by one task at a time, `look_up` by another."""

    async def open(self) -> Snapshot:
        """Open or create it and say what memory needs. Raises StoreRefused."""
        ...

    async def commit(self, commands: Sequence[Command], now_ms: int) -> list[Outcome]:
        """Apply the turn and make it durable; one outcome per command, in order.

        Raises StoreFailed when it is unknown whether the turn is on disk.
        """
        ...

    async def look_up(self, questions: Sequence[Question], now_ms: int) -> list[Answer]:
        """Answers, in order, as of some moment after every commit that had returned before the call."""
        ...

    @property
    def newest(self) -> int:
        """The id of the newest message that is on disk; 0: there never was one."""
        ...

    async def close(self) -> None:
        """Close it so that the next open has nothing to repair."""
        ...
