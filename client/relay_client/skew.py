"""Whether a relay and this client are of the same release. Different ones work together, and are warned about once.

The wire has a version of its own, and what a relay does not know it refuses by name: this is a hint for whoever wonders
about such a refusal. It goes to the logger `relay_client.skew`; RELAY_NO_SKEW_WARNING in the environment turns it off.
"""

import logging
import os
import re
from typing import Final

from relay_proto.version import __version__

logger: Final = logging.getLogger("relay_client.skew")


def skew(theirs: str, ours: str = __version__) -> str | None:
    """What to say about a relay of version `theirs`: None where major and minor are the same, or it is no version."""
    here, there = _release(ours), _release(theirs)
    if here is None or there is None or here == there:
        return None
    older = "this client" if here < there else "the relay"
    named = re.sub(r"[^0-9A-Za-z.+-]", "?", theirs[:40])  # a log may be looked at in a terminal
    return f"the relay is version {named}, this client {ours}: they differ in what they can do, {older} is older"


def warn_of_skew(uri: str, theirs: str, warned: str | None) -> str | None:
    """Logs the warning, unless it was given before about the same version (`warned`); gives what was warned about."""
    words = skew(theirs)
    if words is None or theirs == warned or os.environ.get("RELAY_NO_SKEW_WARNING"):
        return warned
    logger.warning("%s (%s); `relay upgrade` there brings it up to date", words, uri)
    return theirs


def _release(version: str) -> tuple[int, int] | None:
    found = re.match(r"([0-9]{1,9})\.([0-9]{1,9})(?![0-9])", version)
    return None if found is None else (int(found[1]), int(found[2]))
