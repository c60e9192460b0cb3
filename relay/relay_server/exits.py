"""Exit statuses of the daemon (sysexits.h where it has one)."""

from typing import Final

EXIT_OK: Final = 0
EXIT_START: Final = 1
"""It could not start: the data folder is in use, the port is taken."""
EXIT_USAGE: Final = 2
"""Its settings can't be used; starting it again changes nothing."""
EXIT_FAULT: Final = 70
"""A fault of its own; the log has it."""
EXIT_STORE: Final = 74
"""The disk failed: what was not answered is unknown."""
