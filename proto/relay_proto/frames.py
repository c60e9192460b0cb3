"""Every frame of the wire as a typed struct, under one roof. The field names are the contract's.

Where they stand: requests.py and work.py (what an agent sends), answers.py (what the relay sends), records.py (what
lists are made of), fields.py (their types, with the limits).

Rules
- `op` is the tag; it is written by the codec and never a field here. Fields at their default are not sent.
- Times are integers in milliseconds since 1970 and end in `_at`; durations are seconds and end in `_s`.

`ClientFrame` is what an agent may send, `RelayFrame` what the relay may send.
"""

from .answers import Deliver as Deliver
from .answers import Error as Error
from .answers import Event as Event
from .answers import Ok as Ok
from .base import Frame as Frame
from .base import Request as Request
from .fields import Body as Body
from .fields import EventKind as EventKind
from .fields import FieldRefused as FieldRefused
from .fields import Intent as Intent
from .fields import Needs as Needs
from .fields import PairState as PairState
from .fields import Presence as Presence
from .fields import Severity as Severity
from .fields import Stage as Stage
from .fields import State as State
from .fields import Status as Status
from .fields import body_bytes as body_bytes
from .fields import content_bytes as content_bytes
from .overview import AgentAtWork as AgentAtWork
from .overview import GetOverview as GetOverview
from .overview import OldestUnacked as OldestUnacked
from .overview import Overview as Overview
from .overview import StuckTask as StuckTask
from .pairs import GetPair as GetPair
from .pairs import PairAccept as PairAccept
from .pairs import PairHangup as PairHangup
from .pairs import PairOpen as PairOpen
from .pairs import PairReject as PairReject
from .pairs import Pairs as Pairs
from .pairs import PairSend as PairSend
from .records import AgentCard as AgentCard
from .records import DeliveryState as DeliveryState
from .records import Explanation as Explanation
from .records import OwedReply as OwedReply
from .records import Pair as Pair
from .records import ServerInfo as ServerInfo
from .records import StoredMessage as StoredMessage
from .records import Task as Task
from .records import TaskEvent as TaskEvent
from .records import TokenInfo as TokenInfo
from .records import WorkState as WorkState
from .requests import Ack as Ack
from .requests import Agents as Agents
from .requests import Bye as Bye
from .requests import Forgive as Forgive
from .requests import GetMessage as GetMessage
from .requests import Heartbeat as Heartbeat
from .requests import Inbox as Inbox
from .requests import Nack as Nack
from .requests import Owed as Owed
from .requests import Receipts as Receipts
from .requests import Register as Register
from .requests import Remove as Remove
from .requests import Send as Send
from .requests import Subscribe as Subscribe
from .requests import Thread as Thread
from .requests import Unsubscribe as Unsubscribe
from .requests import Update as Update
from .requests import Why as Why
from .requests import Will as Will
from .requests import Withdraw as Withdraw
from .tokens import TokenCreate as TokenCreate
from .tokens import TokenRevoke as TokenRevoke
from .tokens import Tokens as Tokens
from .work import Cancel as Cancel
from .work import Check as Check
from .work import Claim as Claim
from .work import ClaimNext as ClaimNext
from .work import Complete as Complete
from .work import Fail as Fail
from .work import GetTask as GetTask
from .work import Kick as Kick
from .work import Park as Park
from .work import Progress as Progress
from .work import Release as Release
from .work import Renew as Renew
from .work import Resolve as Resolve
from .work import Resume as Resume
from .work import Submit as Submit
from .work import Tasks as Tasks

ClientFrame = (
    Register | Update | Heartbeat | Bye | Send | Ack | Nack | Withdraw | Remove | Receipts
    | Submit | Claim | ClaimNext | Renew | Progress | Park | Resume | Release | Complete | Fail | Cancel | Kick
    | Resolve | Check | Tasks | GetTask | Agents | Inbox | GetMessage | Thread | Owed | Forgive | Why | Subscribe
    | Unsubscribe | PairOpen | PairAccept | PairReject | PairSend | PairHangup | Pairs | GetPair
    | TokenCreate | Tokens | TokenRevoke | GetOverview
)  # fmt: skip
RelayFrame = Ok | Error | Deliver | Event | Bye
