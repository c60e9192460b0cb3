"""`relay help` and `relay commands`: what there is, in words, and for programs."""

import click

from .app import COMMANDS, SECTIONS, relay
from .failure import did_you_mean
from .output import Form, output_options, put, put_records


def commands_that_begin(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """The names of commands that begin so, for the completion of a shell."""
    return [name for name in COMMANDS if name.startswith(incomplete)]


@click.command("help", short_help="Explain a command and its options.")
@click.argument("words", metavar="[COMMAND]...", nargs=-1, shell_complete=commands_that_begin)
@click.pass_context
def help_command(ctx: click.Context, words: tuple[str, ...]) -> None:
    """Explain COMMAND, as COMMAND --help does: relay help send, relay help token create."""
    assert ctx.parent is not None
    context = ctx.parent
    for word in words:
        group = context.command
        found = group.get_command(context, word) if isinstance(group, click.Group) else None
        if found is None:
            known = group.list_commands(context) if isinstance(group, click.Group) else []
            raise click.UsageError(f"there is no command {' '.join(words)!r}{did_you_mean(word, known)}", ctx.parent)
        context = click.Context(found, context, word, **found.context_settings)
    put(context.get_help().splitlines())


@click.command(short_help="List all commands, each with a line.")
@output_options
def commands(form: Form) -> None:
    """List all commands by section, each with a line."""
    if form.is_json:
        put_records(
            form,
            ({"command": name, "section": entry.section, "help": entry.help} for name, entry in COMMANDS.items()),
        )
        return
    size = max(map(len, COMMANDS))
    for section in SECTIONS:
        put([f"{section}:"])
        put(f"  {name.ljust(size)}  {entry.help}" for name, entry in COMMANDS.items() if entry.section == section)
    put([f"{relay.name} help COMMAND explains one."])
