"""`relay token`: make, list and revoke the tokens that let agents, integrations and operators in."""

from datetime import datetime
from typing import TYPE_CHECKING, Final, get_args

import click

from relay_proto import limits
from relay_proto.frames import TokenInfo
from relay_proto.scopes import Scope

from .door import Door, ask, check_agent, client_options, run
from .escape import escape
from .output import Form, now, output_options, put, put_records, width
from .records import json_line, struct_record
from .render import ago, table, when
from .values import Parsed, span

if TYPE_CHECKING:
    from relay_client import Agent
    from relay_client.tokens import NewToken

SCOPE_WORDS: Final = get_args(Scope)
ALL: Final = "*"


def parse_scopes(text: str) -> tuple[str, ...]:
    """The scopes that `messages:read` or `messages:read,tasks:read` name. Raises ValueError."""
    words = tuple(text.split(","))
    for word in words:
        if word not in SCOPE_WORDS:
            raise ValueError(f"{word[:40]!r} is no scope; there are {', '.join(SCOPE_WORDS)}")
    return words


def parse_number(text: str) -> int:
    """The number of a token. Raises ValueError, which does not repeat the text: somebody may paste the token itself."""
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:20]) <= limits.ID_MAX):
        raise ValueError("that is no number of a token; relay token list shows them")
    return int(text)


@click.group(short_help="Make, list and revoke the tokens that let others in.")
def token() -> None:
    """Tokens: who may come in, in whose name, and for what.

    A relay asks for them when it was started with --token (which is then an admin's) or --ask-token. On one that asks
    for none, everybody may do everything, make tokens too: that is how the first one is made.
    """


@token.command(short_help="Make a token; it is shown this once.")
@click.option("--agent", metavar="NAME", callback=check_agent, help="For this agent: it speaks for no other.")
@click.option("--integration", metavar="NAME", help="For this integration of the relay's configuration.")
@click.option("--admin", is_flag=True, help="For an operator: every scope, in any name.")
@click.option(
    "--scope",
    "scopes",
    type=Parsed("scope", parse_scopes),
    multiple=True,
    metavar="SCOPE",
    help="What it may do; may be repeated, or given as a,b.  [default: what an agent or an integration needs]",
)
@click.option(
    "--expires",
    "expires_s",
    type=span(limits.TOKEN_S_MIN, limits.TOKEN_S_MAX),
    metavar="TIME",
    help="It ends by itself after this long: 12h, 90d.  [default: never]",
)
@click.option("--note", metavar="TEXT", help="What it is for; relay token list shows it.")
@output_options
@client_options
def create(
    agent: str | None,
    integration: str | None,
    admin: bool,
    scopes: tuple[tuple[str, ...], ...],
    expires_s: float | None,
    note: str | None,
    form: Form,
    door: Door,
) -> None:
    """Make a token and print it: on stdout stands the token alone, so that TOKEN=$(relay token create ...) holds it.

    Whoever has it can use it: keep it in a secret store, hand it to clients as RELAY_TOKEN. The relay keeps its SHA-256
    and can't show it again.

    Give one of --agent, --integration and --admin; or none, and with --scope what it may do in any name. Scopes:
    stats:read health:read events:read channels:read agents:read agents:write messages:read messages:write tasks:read
    tasks:write tasks:create events:create pairs:read pairs:write system:write, and * for all.
    """
    said = list(dict.fromkeys(scope for group in scopes for scope in group)) or None
    whose = [name for name, given in (("--agent", agent), ("--integration", integration), ("--admin", admin)) if given]
    if len(whose) > 1:
        raise click.UsageError(f"{' and '.join(whose)}: a token is for one of them")
    if admin and said:
        raise click.UsageError("--admin has all scopes; leave out --scope")
    if not whose and said is None:
        raise click.UsageError("say whose it is: --agent NAME, --integration NAME or --admin; or give --scope")

    async def action(visit: "Agent") -> "NewToken":
        return await visit.create_token(
            agent=agent, integration=integration, admin=admin, scopes=said, expires_s=expires_s, note=note
        )

    # Not again when it was cut off: there would be two of them, and one that nobody knows of.
    made = run(ask(door, action, again=False))
    if form.is_json:
        put([json_line({**struct_record(made.info), "token": made.token})])
    else:
        click.echo(f"token {made.info.number}, {_whose(made.info)}: {' '.join(made.info.scopes)}", err=True)
        click.echo("it is shown this once", err=True)
        put([made.token])


@token.command("list", short_help="Show the tokens that were made.")
@click.option("--all", "everything", is_flag=True, help="Also those that are over, for a month.")
@output_options
@client_options
def list_tokens(everything: bool, form: Form, door: Door) -> None:
    """Show the tokens that were made, oldest first: whose they are and what they may do. None is shown itself."""

    async def action(visit: "Agent") -> list[TokenInfo]:
        items: list[TokenInfo] = []
        after: int | None = None
        while True:
            page = await visit.tokens(limit=limits.PAGE_MAX, after=after)
            items += page.items
            if not isinstance(page.next, int):
                return items
            after = page.next

    items = [item for item in run(ask(door, action)) if everything or not item.is_over]
    if form.is_json:
        put_records(form, map(struct_record, items))
    elif items:
        put(tokens_table(items, now=now(), width=width()))
    else:
        click.echo("there is no token", err=True)


@token.command(short_help="End a token, and every connection that came with it.")
@click.argument("number", metavar="NUMBER", type=Parsed("number", parse_number))
@output_options
@client_options
def revoke(number: int, form: Form, door: Door) -> None:
    """End token NUMBER at once: who came with it is thrown out, and nobody comes in with it any more."""

    async def action(visit: "Agent") -> TokenInfo:
        return await visit.revoke_token(number)

    info = run(ask(door, action))
    over = escape(f"token {info.number}, {_whose(info)}: it is over")
    put([json_line(struct_record(info)) if form.is_json else over])


def tokens_table(items: list[TokenInfo], *, now: datetime, width: int | None = None) -> list[str]:
    """One token a line."""
    headings = ("NUMBER", "FOR", "SCOPES", "MADE", "ENDS", "NOTE")
    rows = (
        (
            str(item.number),
            _whose(item),
            " ".join(item.scopes),
            ago(item.created_at, now),
            _end(item, now),
            item.note or "",
        )
        for item in items
    )
    return table(headings, rows, width)


def _whose(item: TokenInfo) -> str:
    if item.integration is not None:
        return f"integration {item.integration}"
    if item.agent is not None:
        return item.agent
    return "admin" if ALL in item.scopes else "any name"


def _end(item: TokenInfo, now: datetime) -> str:
    if item.revoked_at is not None:
        return f"revoked {when(item.revoked_at, now)}"
    return "" if item.expires_at is None else when(item.expires_at, now)
