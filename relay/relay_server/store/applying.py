"""Which function decides which command, and which commands are decided in runs."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from . import (
    agents,
    asks,
    callbacks,
    claims,
    deliveries,
    due,
    messages,
    pairs,
    reaper,
    tasks,
    tokens,
    withdrawals,
    work,
)  # fmt: skip
from . import interface as ask
from .interface import Command, Outcome
from .transaction import Transaction

APPLY: Final[dict[type[Command], Callable[[Transaction, Any], Outcome]]] = {
    ask.PutAgent: agents.put_agent,
    ask.ChangeAgent: agents.change_agent,
    ask.LeaveAgent: agents.leave_agent,
    ask.EndSession: agents.end_session,
    ask.Prune: agents.prune,
    ask.ForgetVisitors: agents.forget_visitors,
    ask.RemoveAgent: agents.remove_agent,
    ask.PutMessage: messages.put_message,
    ask.AckMessages: deliveries.ack_messages,
    ask.NackMessage: deliveries.nack_message,
    ask.Refill: deliveries.refill,
    ask.WithdrawMessage: withdrawals.withdraw_message,
    ask.OwedBy: asks.owed_by,
    ask.ForgiveAsk: asks.forgive,
    ask.ClaimNext: tasks.claim_next,
    ask.RenewWork: claims.renew_work,
    ask.ProgressWork: claims.progress_work,
    ask.ParkWork: claims.park_work,
    ask.ResumeWork: claims.resume_work,
    ask.ReleaseWork: claims.release_work,
    ask.FailWork: claims.fail_work,
    ask.ExpireWork: claims.expire_work,
    ask.CheckFence: claims.check_fence,
    ask.CancelWork: tasks.cancel_work,
    ask.KickWork: tasks.kick_work,
    ask.ResolveWork: tasks.resolve_work,
    ask.OpenPair: pairs.open_pair,
    ask.SayInPair: pairs.say_in_pair,
    ask.AcceptPair: pairs.accept_pair,
    ask.EndPair: pairs.end_pair,
    ask.LosePair: pairs.lose_pair,
    **tokens.APPLY,
    ask.Ripen: due.ripen,
    ask.PassOn: due.pass_on,
    ask.Reap: reaper.reap,
    ask.DueCallbacks: callbacks.due_callbacks,
    ask.EndCallback: callbacks.end_callback,
    ask.RetryCallback: callbacks.retry_callback,
}

APPLY_ALL: Final[dict[type[Command], Callable[[Transaction, Any], list[Outcome]]]] = {
    ask.ClaimWork: work.claim_works,
    ask.CompleteWork: claims.complete_works,
}
"""Those that come in runs, each about another piece of work: a hundred at once cost half of a hundred."""

GROWING: Final = (ask.PutMessage,)
"""Commands that a full disk refuses: what makes room, or is small and ends something, goes on."""


def runs(commands: Sequence[Command]) -> Iterator[tuple[Command, list[Command]]]:
    """Each command; with those behind it that are applied with it, where there are such."""
    i = 0
    while i < len(commands):
        command = commands[i]
        run: list[Command] = []
        if type(command) in APPLY_ALL:
            about: set[int] = set()
            while i < len(commands) and type(commands[i]) is type(command) and commands[i].message not in about:  # type: ignore[attr-defined]
                about.add(commands[i].message)  # type: ignore[attr-defined]
                run.append(commands[i])
                i += 1
        else:
            i += 1
        yield command, run
