"""`relay completion`: a script for the shell, which asks `relay` itself what may stand next on the command line.

The scripts are click's. What they ask arrives as `_RELAY_COMPLETE` in the environment (`failure.invoke` answers it).
"""

from typing import Final

import click
from click.shell_completion import BashComplete, FishComplete, ShellComplete, ZshComplete

from .output import put

SHELLS: Final[dict[str, type[ShellComplete]]] = {"bash": BashComplete, "zsh": ZshComplete, "fish": FishComplete}
INSTALL: Final = {
    "bash": "mkdir -p {folder} && relay completion bash{repl} > {folder}/{program}",
    "zsh": 'relay completion zsh{repl} > "${{fpath[1]}}/_{program}"',
    "fish": "relay completion fish{repl} > ~/.config/fish/completions/{program}.fish",
}
"""How each is installed for good."""
BASH_FOLDER: Final = "~/.local/share/bash-completion/completions"


@click.command(short_help="Print a script that completes relay in a shell.")
@click.argument("shell", metavar="bash|zsh|fish", type=click.Choice(list(SHELLS)))
@click.option("--repl", is_flag=True, help="For relay-repl instead of relay.")
def completion(shell: str, repl: bool) -> None:
    """Print the script that completes commands and options of relay in a shell.

    \b
    To try it:     eval "$(relay completion bash)"
    To install it: the last line of the script says how.
    """
    program = "relay-repl" if repl else "relay"
    variable = f"_{program.replace('-', '_').upper()}_COMPLETE"
    script = script_of(shell, program, variable)
    install = INSTALL[shell].format(program=program, repl=" --repl" if repl else "", folder=BASH_FOLDER)
    put([*script.rstrip().splitlines(), f"# To install it for good: {install}"])


def script_of(shell: str, program: str, variable: str) -> str:
    """The script, as click makes it. Not by `source()`: that starts a bash to look at its version."""
    complete = SHELLS[shell](click.Command(program), {}, program, variable)
    return complete.source_template % complete.source_vars()
