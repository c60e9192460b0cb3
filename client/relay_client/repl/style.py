"""The colours of the line that is typed and of what stands under it. The terminal's own sixteen, to suit its theme."""

from typing import Final

from prompt_toolkit.styles import Style

STYLE: Final = Style.from_dict(
    {
        "prompt": "bold",
        "prompt.peer": "bold ansicyan",
        "continuation": "ansibrightblack",
        "hint": "ansibrightblack",
        "hint.now": "bold",
        "auto-suggestion": "ansibrightblack",
        "validation-toolbar": "noreverse bg:default ansired",
        "bottom-toolbar": "noreverse bg:ansibrightblack ansiwhite",
        "toolbar.name": "bold",
        "toolbar.good": "ansibrightgreen",
        "toolbar.bad": "bold ansibrightred",
        "toolbar.unread": "bold ansibrightyellow",
        "toolbar.claimed": "ansibrightcyan",
        "toolbar.owed": "ansibrightmagenta",
        "toolbar.peer": "bold ansibrightcyan",
        "line.command": "bold ansigreen",
        "line.option": "ansicyan",
        "line.target": "ansimagenta",
        "line.id": "ansiyellow",
        "line.value": "ansiblue",
        "line.comment": "ansibrightblack",
        "line.wrong": "ansired underline",
        "completion-menu": "noreverse bg:default",
        "completion-menu.completion": "bg:ansibrightblack ansiwhite",
        "completion-menu.completion.current": "noreverse bg:ansicyan ansiblack",
        "completion-menu.meta.completion": "bg:ansibrightblack ansiwhite",
        "completion-menu.meta.completion.current": "bg:ansicyan ansiblack",
        "scrollbar.background": "bg:ansibrightblack",
        "scrollbar.button": "bg:ansiwhite",
    }
)
