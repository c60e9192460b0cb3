"""How long the relay waits: before it calls an agent silent, forgets it, and drops what is finished.

Values, not module globals: each daemon has its own (`relay serve --stale-after ..`), and the desk asks its own.
"""

from dataclasses import dataclass
from typing import Final

from .presence import STALE_S

PRUNE_S: Final = 24 * 3600.0
"""Offline for this long, an agent is in no group and not listed until it registers again. Its inbox stays."""
RETENTION_S: Final = 30 * 24 * 3600.0
"""What is finished is kept this long after its last change."""
COME_BACK_S: Final = 3600.0
"""Nobody is pruned this soon after the relay began: after a crash nobody knows until when an agent was there."""
SWEEP_S: Final = 60.0
"""How often what was forgotten is swept up."""
REAP_S: Final = 3600.0
"""From the end of one walk through the old messages to the next."""
HEARTBEAT_SHARE: Final = 4
"""Heartbeats in the time after which an agent is stale: three may get lost."""


@dataclass(slots=True, frozen=True)
class Times:
    """Seconds. `float("inf")`: never."""

    stale_s: float = STALE_S
    prune_s: float = PRUNE_S
    retention_s: float = RETENTION_S
    reap_s: float = REAP_S

    @property
    def sweep_s(self) -> float:
        """From one look at who was away for too long to the next."""
        return min(SWEEP_S, self.reap_s)

    @property
    def come_back_s(self) -> float:
        """How long nobody is pruned after the relay began."""
        return min(COME_BACK_S, self.prune_s)

    @property
    def wait_s_max(self) -> float:
        """How long a request is held that waits for mail: an agent without a socket says nothing meanwhile."""
        return self.stale_s / 2

    def heartbeat_s(self, usual_s: float) -> float:
        """How often an agent is to say that it is there."""
        return min(usual_s, self.stale_s / HEARTBEAT_SHARE)
