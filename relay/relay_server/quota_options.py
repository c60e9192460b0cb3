"""The options of `relay serve` that set quotas: read together, handed on as one `quotas`."""

import functools
from collections.abc import Callable
from typing import Any, Final

import click

from relay_proto import limits

from .quota import Limits

QUOTA_MAX: Final = 2**53 - 1
"""The largest number that every client's language can hold exactly: some of these are told to clients."""

_OPTIONS: Final = (
    ("send-rate", "send_per_s", "Messages a second of one agent."),
    ("group-rate", "group_per_minute", "Group messages a minute of one agent; claimable work is not counted."),
    ("pair-rate", "pair_per_minute", "Exchanges a minute between two agents without progress or a human's word."),
    ("hop-limit", "hops_max", "Messages in one chain of messages that caused each other."),
    ("inbox-messages", "inbox_messages_max", "Messages in one inbox that are not dealt with."),
    ("inbox-bytes", "inbox_bytes_max", f"Bytes of their bodies, at least {limits.BODY_BYTES_MAX} (one body)."),
)
"""(option, field of Limits, help)."""


def quota_options(command: Callable[..., None]) -> Callable[..., None]:
    """Adds the options; the command gets them as one `quotas`."""

    @functools.wraps(command)
    def with_quotas(*args: Any, **kwargs: Any) -> None:
        quotas = Limits(**{field: kwargs.pop(field) for _, field, _ in _OPTIONS})
        command(*args, quotas=quotas, **kwargs)

    defaults = Limits()
    for name, field, help_text in reversed(_OPTIONS):
        option = click.option(
            f"--{name}",
            field,
            default=getattr(defaults, field),
            show_default=True,
            type=int,
            callback=_checked,
            envvar=f"RELAY_{name.upper().replace('-', '_')}",
            show_envvar=True,
            help=f"{help_text} 0: no limit.",
        )
        with_quotas = option(with_quotas)
    return with_quotas


def _checked(ctx: click.Context, param: click.Parameter, value: int) -> int:
    """The value, or BadParameter when it is neither none nor one that can be kept."""
    least = limits.BODY_BYTES_MAX if param.name == "inbox_bytes_max" else 1
    if value and not least <= value <= QUOTA_MAX:
        raise click.BadParameter(f"{value} is neither 0 (no limit) nor {least} to {QUOTA_MAX}")
    return value
