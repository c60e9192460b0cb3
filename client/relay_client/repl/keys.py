"""The keys that differ from a shell's, and what is typed while no prompt is there to take it.

    Enter        sends the line, also one with line breaks; with a completion chosen it takes that one first
    Alt-Enter    begins another line of the same text
    Ctrl-X Ctrl-E  the line in an editor (`set editor`, $VISUAL, $EDITOR)

The others are prompt-toolkit's, which are a shell's: Ctrl-R searches the history, Right or Ctrl-E takes the suggestion,
Up goes back among lines that begin alike, Ctrl-C drops the line, Ctrl-D on an empty line leaves, Ctrl-L clears.
"""

import os
import shlex
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from prompt_toolkit.buffer import ValidationState
from prompt_toolkit.filters import is_searching
from prompt_toolkit.input import Input
from prompt_toolkit.input.typeahead import store_typeahead
from prompt_toolkit.key_binding import KeyBindings, KeyPress, KeyPressEvent
from prompt_toolkit.keys import Keys

from ..cli.escape import escape
from . import paint

if TYPE_CHECKING:
    from .desk import Desk


def bindings(desk: "Desk") -> KeyBindings:
    """Our own keys, which go before prompt-toolkit's."""
    keys = KeyBindings()

    @keys.add("enter", filter=~is_searching)
    def _send(event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        if buffer.complete_state is not None and buffer.complete_state.current_completion is not None:
            buffer.complete_state = None
            return
        buffer.validation_state = ValidationState.VALID  # else it would not let a wrong line go
        buffer.validate_and_handle()

    @keys.add("escape", "enter")
    def _break(event: KeyPressEvent) -> None:
        event.current_buffer.newline(copy_margin=False)

    @keys.add("c-x", "c-e")
    def _edit(event: KeyPressEvent) -> None:
        if desk.settings.editor:
            if (
                shutil.which(program_of(desk.settings.editor)) is None
            ):  # prompt-toolkit would try others, without a word
                desk.show(
                    paint.error_lines(f"can't run {escape(desk.settings.editor)}; set editor changes it", desk.width())
                )
                return
            os.environ["VISUAL"] = desk.settings.editor  # what prompt-toolkit looks at first
        event.current_buffer.open_in_editor()

    return keys


def program_of(command: str) -> str:
    """The first word of a command, as a shell has it."""
    try:
        return (shlex.split(command) or [""])[0]
    except ValueError:  # a quote that is not closed
        return command


@contextmanager
def typed_ahead(keyboard: Input, interrupt: Callable[[], None]) -> Iterator[None]:
    """While the block runs no prompt takes keys: a Ctrl-C calls `interrupt`, the others wait for the next prompt."""
    kept: list[KeyPress] = []

    def take() -> None:
        for press in keyboard.read_keys():
            if press.key == Keys.ControlC:
                kept.clear()
                interrupt()
            else:
                kept.append(press)

    with keyboard.attach(take):
        try:
            yield
        finally:
            store_typeahead(keyboard, kept)
