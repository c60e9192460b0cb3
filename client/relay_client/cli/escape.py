"""Text written by others, made safe to show on a terminal. The CLI and the REPL show nothing that did not pass here.

A message can carry escape sequences that retitle the window, move the cursor over what stands there or set the
clipboard (C0 and C1 controls), reorder the line (bidi overrides and isolates), or hide text from a reader's eyes
(zero-width and tag characters). They are shown by their names instead: ESC becomes `\\x1b`. What joins letters in
real scripts and emoji (U+200C, U+200D, variation selectors) stays.
"""

import re
from typing import Final

_UNSAFE: Final = re.compile(
    r"[\x00-\x1f\x7f-\x9f"  # C0 with ESC, DEL, C1 with the one-character CSI and OSC
    r"\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # bidi marks, overrides, isolates
    r"\u2028\u2029"  # line and paragraph separators
    r"\u200b\u2060-\u2065\u206a-\u206f\ufeff\ufff9-\ufffb"  # invisible, deprecated and annotation controls
    r"\ud800-\udfff"  # lone surrogates: no terminal encoding takes them
    r"\U000e0000-\U000e0fff]"  # tags: a whole ASCII that nobody sees
)
_SHORT: Final = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def escape(text: str, *, keep: str = "") -> str:
    """`text` with each unsafe character as its escape (`\\n`, `\\x1b`, `\\u202e`); those in `keep` stay as they are.

    One line stays one line. Backslashes are not doubled (paths stay readable), so the original can't always be read
    back; `--json` is exact.
    """
    return _UNSAFE.sub(lambda found: found[0] if found[0] in keep else _name(found[0]), text)


def escape_json(document: str) -> str:
    """JSON text with each unsafe character as its JSON escape: the same document, and safe to look at."""
    return _UNSAFE.sub(lambda found: "".join(f"\\u{unit:04x}" for unit in _utf16(found[0])), document)


def _utf16(character: str) -> tuple[int, ...]:
    data = character.encode("utf-16-be", "surrogatepass")
    return tuple(int.from_bytes(data[i : i + 2], "big") for i in range(0, len(data), 2))


def _name(character: str) -> str:
    code = ord(character)
    if character in _SHORT:
        return _SHORT[character]
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
