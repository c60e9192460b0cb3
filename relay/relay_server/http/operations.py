"""Every row of the door. A file of rows is named here and nowhere else."""

from typing import Final

from . import (
    agents,
    bus,
    events,
    integrations,
    keeping,
    messages,
    metrics,
    overview,
    pairs,
    probes,
    system,
    tasks,
    tokens,
)
from .openapi import with_document
from .table import Operation

OPERATIONS: Final[tuple[Operation, ...]] = with_document(
    *probes.OPERATIONS,
    *tokens.OPERATIONS,
    *events.OPERATIONS,
    *metrics.OPERATIONS,
    *pairs.OPERATIONS,
    *integrations.OPERATIONS,
    *agents.OPERATIONS,
    *messages.OPERATIONS,
    *tasks.OPERATIONS,
    *bus.OPERATIONS,
    *system.OPERATIONS,
    *overview.OPERATIONS,
    *keeping.OPERATIONS,
)
