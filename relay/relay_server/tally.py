"""The tally: what the relay has decided since it started, in numbers that only grow. Whoever looks twice has rates.

A turn is counted when it is over, in one walk over its outcomes that makes nothing; how many frames were refused the
broker counts by itself. Messages are not counted: their ids are.
"""

from collections.abc import Sequence

from .store import interface as ask


class Tally:
    """`turns`: transactions; `commands`: what they decided. `deliveries`: inboxes that messages came into.

    `claimed` counts a claim that is repeated again. `failed`: a holder said so; `expired`: it fell silent.
    """

    __slots__ = ("acked", "claimed", "commands", "completed", "deliveries", "expired", "failed", "turns")

    def __init__(self) -> None:
        self.turns = self.commands = self.deliveries = self.acked = 0
        self.claimed = self.completed = self.failed = self.expired = 0

    def turn(self, commands: Sequence[ask.Command], outcomes: Sequence[ask.Outcome]) -> None:
        """A turn is over."""
        self.turns += 1
        self.commands += len(commands)
        for place, outcome in enumerate(outcomes):
            kind = type(outcome)
            if kind is ask.MessagePut:
                if not outcome.duplicate:  # type: ignore[union-attr]  # isinstance would cost each outcome as much again
                    self.deliveries += outcome.recipients  # type: ignore[union-attr]
            elif kind is ask.Acked:
                self.acked += outcome.count  # type: ignore[union-attr]
            elif kind is ask.WorkClaimed:
                self.claimed += 1
            elif kind is ask.Completed:
                self.completed += 1
            elif kind is ask.NextClaimed:
                self.claimed += len(outcome.claims)  # type: ignore[union-attr]
            elif kind is ask.Returned and outcome.ended:  # type: ignore[union-attr]
                self.failed += type(commands[place]) is ask.FailWork
                self.expired += type(commands[place]) is ask.ExpireWork
