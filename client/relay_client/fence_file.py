"""A file that says under which claim someone works: `MESSAGE FENCE` and a newline, for `relay guard --file PATH`.

It is there whole or not at all: it is written beside its place and moved there.
"""

import os
import secrets
from pathlib import Path


class FenceFile:
    """A fence file that was written here. `path`: where, as it was given, made absolute."""

    def __init__(self, path: str | os.PathLike[str], message: int, fence: int) -> None:
        """Write it, over whatever stands there. Raises OSError when that can't be done; nothing is left behind then."""
        self.path = Path(path).absolute()  # the process may change its folder
        self._text = f"{message} {fence}\n"
        draft = self.path.with_name(f".{self.path.name[:64]}.{secrets.token_hex(8)}")
        try:
            with draft.open("x", encoding="ascii", newline="") as file:
                file.write(self._text)
            draft.replace(self.path)
        except BaseException:
            draft.unlink(missing_ok=True)
            raise

    def __repr__(self) -> str:
        return f"FenceFile({str(self.path)!r}, {self._text.strip()!r})"

    def remove(self) -> None:
        """Remove it, if it still says what was written here: a later claim may have put its own in its place.

        Raises OSError when that can't be done. Looking and removing are two steps; a file that is replaced between
        them is lost. Whoever asks then finds none, which guards as well as a wrong one.
        """
        try:
            text = self.path.read_text(encoding="ascii", errors="replace")
        except FileNotFoundError:
            return
        if text == self._text:
            self.path.unlink(missing_ok=True)
