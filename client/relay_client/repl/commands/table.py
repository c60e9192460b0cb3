"""The one table of the commands of the REPL. It drives parsing, completion, validation, colours, help and docs/repl.md.

Each has one line of help and one example that works as it stands, where there are messages of these numbers: a test
does them all against a relay. The numbers in them are made up: #12 is a message, #34 is work.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Final, get_args

from relay_proto import limits
from relay_proto.frames import Needs, PairState, Presence, Status

from ...cli.task_text import STATES
from ...cli.tasks import GROUPS
from ..desk import WATCHES
from ..result import Result
from ..shape import Command, Option, Parameter
from . import own, pairing, reading, speaking, working
from .helping import help_of
from .parts import (
    AFTER,
    AGENT_IF_ANY,
    ATTEMPTS,
    CHANNEL,
    CLAIMABLE,
    DELAY,
    ENVELOPE,
    FORCE,
    HOLD,
    ID,
    LEASE,
    LIMIT,
    PRIORITY,
    REASON,
    REASON_IF_ANY,
    SEVERITY,
    SUBJECT,
    SUPERSEDES,
    TARGET,
    TASK,
    TEXT,
    TTL,
    TYPE,
)  # fmt: skip

if TYPE_CHECKING:
    from ..desk import Desk


async def help_(desk: "Desk", words: list[str] | None) -> Result:
    return help_of(words, COMMANDS)


def _of(section: str, *commands: Command) -> Iterable[Command]:
    """These commands, and their sub-commands, under this heading of the help."""
    return (
        replace(one, section=section, subs=tuple(replace(sub, section=section) for sub in one.subs)) for one in commands
    )


_LATER = Parameter("TIME", "span", most_s=limits.DELAY_S_MAX)
_PAIR_IF_ANY = Parameter("ID", "pair", optional=True)
_KINDS = Parameter("KIND", "choice", optional=True, many=True, choices=(*WATCHES, own.ALL))
_TAG_FILTER = Option("--tag", "tag", "tag", "Only agents with this tag.")
_TIMEOUT = Option(
    "--timeout", "span", "within_s", "When the reply is overdue; 60s.", least_s=limits.SPAN_S_MIN,
    most_s=limits.REPLY_S_MAX,
)  # fmt: skip
_SIGNED = ("+x adds x, -x takes it away; words without a sign are all there are.",)

_TALK = _of(
    "talk",
    Command(
        "send", (TARGET, TEXT), "Send a message.", speaking.send,
        (SUBJECT, *ENVELOPE, CLAIMABLE, TYPE, SEVERITY, ATTEMPTS, DELAY, SUPERSEDES),
        example="send --ttl 5m builder the door is open",
        more=("The message is on the relay's disk when this says so.",),
    ),
    Command(
        "to", (replace(TARGET, optional=True),), "Whom text without a command goes to.", speaking.to,
        (Option("--off", "flag", "off", "To nobody any more."),),
        example="to builder", more=("Then just type. Without TARGET: whom it goes to now.",),
    ),
    Command(
        "say", (TEXT,), "Text, whatever its first word is.", speaking.say, example="say done is what I call done",
        more=("It goes into your pair, else to whom `to` named.",),
    ),
    Command(
        "reply", (ID, TEXT), "Answer in its thread; ack it unless it is work.", speaking.reply,
        (SUBJECT, CHANNEL, PRIORITY, TTL), example="reply 12 it is green again",
    ),
    Command(
        "ask", (TARGET, TEXT), "Ask; you are told if no reply comes.", speaking.ask,
        (SUBJECT, *ENVELOPE, CLAIMABLE, _TIMEOUT), example="ask --timeout 2m builder which branch?",
        more=("It does not wait: the reply comes as a message. owed lists what is owed.",),
    ),
    Command(
        "ack", (replace(ID, optional=True, many=True),), "These are dealt with; they leave the inbox.", speaking.ack,
        (
            Option("--all", "flag", "everything", "All but work."),
            Option("--from", "agent", "sender", "With --all: what this agent sent."),
            Option("--channel", "channel", "channel", "With --all: what is of this channel."),
        ),
        example="ack 12 13",
    ),
    Command("refuse", (ID, REASON), "Refuse it for good; its sender sees why.", speaking.refuse,
            example="refuse 12 not mine to say"),
    Command("withdraw", (ID, REASON_IF_ANY), "Take back what you sent.", speaking.withdraw, (FORCE,),
            example="withdraw 12 it is solved"),
    Command("forgive", (ID,), "No reply to your ask is owed any more.", speaking.forgive, example="forgive 12"),
    Command("schedule", (_LATER, TEXT), "A message to yourself, later.", speaking.schedule,
            example="schedule 20m look at the build"),
)  # fmt: skip

_LOOK = _of(
    "look",
    Command(
        "inbox", (), "What is not dealt with yet, oldest first.", reading.inbox,
        (
            Option("--all", "flag", "everything", "Also what is dealt with already."),
            Option("--channel", "channel", "channel", "Only messages of this channel."),
            Option("--of", "agent", "of", "Another agent's; its senders are told nothing."),
            LIMIT, AFTER,
        ),
        example="inbox --channel ci", more=("Your senders see that what it shows has surfaced.",),
    ),
    Command("message", (ID,), "One message in full, how far it came, its work.", reading.message, aliases=("show",),
            example="message 12"),
    Command("thread", (ID,), "The thread that it is part of, oldest first.", reading.thread, (LIMIT, AFTER),
            example="thread 12"),
    Command("receipts", (ID,), "How far what you sent came, at each recipient.", reading.receipts,
            example="receipts 12"),
    Command("owed", (AGENT_IF_ANY,), "Replies owed to you and by you.", reading.owed, example="owed builder"),
    Command("why", (Parameter("AGENT-OR-ID", "about"),), "What it waits for, and who could unblock it.", reading.why,
            example="why 12"),
    Command("who", (replace(TARGET, optional=True),), "Who is there now; of those whom TARGET means.", reading.who,
            example="who cap:review"),
    Command(
        "agents", (), "Who is known and what they can do.", reading.agents,
        (
            _TAG_FILTER,
            Option("--cap", "cap", "cap", "Only agents with this capability."),
            Option("--label", "label", "label", "Only agents with this label."),
            Option("--channel", "channel", "channel", "Only agents that follow this channel."),
            Option("--machine", "name", "machine", "Only agents on this machine."),
            Option("--status", "choice", "status", "Only agents in this state.", choices=get_args(Presence)),
        ),
        example="agents --cap review",
    ),
    Command(
        "tasks", (Parameter("STATE", "choice", optional=True, many=True, choices=(*GROUPS, *STATES)),),
        "Tasks that are open or buried, and how many.", reading.tasks,
        (
            Option("--mine", "flag", "mine", "Only what you hold or ended."),
            Option("--to", "target", "to", "Only what was sent to exactly this target."),
            Option("--sender", "agent", "sender", "Only what this agent submitted."),
            Option("--holder", "agent", "holder", "Only what this agent holds or ended."),
            Option("--type", "name", "type", "Only tasks of this type."),
            replace(SEVERITY, help="Only tasks of this severity."),
            Option("--source", "name", "source", "Only what this system reported."),
            Option("--dedupe-key", "key", "dedupe_key", "Only tasks about this."),
            Option("--channel", "channel", "channel", "Only tasks of this channel."),
            Option("--newest", "flag", "newest", "The newest first."),
            LIMIT, AFTER,
        ),
        example="tasks ready buried",
    ),
    Command("task", (TASK,), "One task in full, with its history.", reading.task, example="task 34"),
)  # fmt: skip

_WORK = _of(
    "work",
    Command(
        "claim", (replace(TASK, optional=True),), "Take work: this, or the next that is ready.", working.claim,
        (
            Option("--next", "count", "count", "Without ID: so many at once.", most=limits.CLAIMS_MAX),
            LEASE,
            Option("--to", "target", "to", "Without ID: only what was sent to exactly this."),
            Option("--type", "name", "type", "Without ID: only tasks of this type."),
            Option("--channel", "channel", "channel", "Without ID: only tasks of this channel."),
        ),
        example="claim 34", more=("Nobody else can take it while you hold it.",),
    ),
    Command("done", (TASK, Parameter("RESULT", "text", optional=True)), "Complete work you hold.", working.done,
            example="done 34 merged as 1f3a9c2"),
    Command(
        "fail", (TASK, REASON), "Give work up; it is tried again later.", working.fail,
        (Option("--no-retry", "flag", "no_retry", "For good: nobody is to try it again."),),
        example="fail 34 the disk is full",
    ),
    Command(
        "progress", (TASK, Parameter("SHARE", "share", optional=True), Parameter("NOTE", "text", optional=True)),
        "Say how far work you hold has come.", working.progress, example="progress 34 40% the tests run",
    ),
    Command(
        "park", (TASK, Parameter("NEEDS", "choice", choices=get_args(Needs)), REASON_IF_ANY),
        "Keep it, but wait for something.", working.park,
        (
            Option("--deadline", "span", "deadline_s", "Parked for so long at most; 1d.", least_s=limits.PARK_S_MIN,
                   most_s=limits.PARK_S_MAX),
            Option("--on", "task", "depends_on", "Of a dependency: this task first; may be repeated.", many=True),
        ),
        example="park --deadline 2h 34 human may I push?",
        more=(f"NEEDS is {', '.join(get_args(Needs))}. No lease runs meanwhile.",),
    ),
    Command("resume", (TASK,), "Go on with what you parked.", working.resume, (LEASE,), example="resume 34"),
    Command("release", (TASK,), "Give it back unfinished, for someone else.", working.release, example="release 34"),
)  # fmt: skip

_GIVE = _of(
    "give",
    Command(
        "submit", (TARGET, Parameter("TITLE", "text")), "Submit a task.", working.submit,
        (
            TYPE, SEVERITY,
            Option("--dedupe-key", "key", "dedupe_key", "What it is about: one open task for one thing."),
            Option("--source", "name", "source", "The system that reports it, for --dedupe-key."),
            Option("--depends-on", "task", "depends_on", "Ready when this is done; may be repeated.", many=True),
            ATTEMPTS, *ENVELOPE, DELAY, SUPERSEDES,
        ),
        example="submit --type review any:cap:review look at the parser",
        more=("Lines below the first (Alt-Enter begins one) are its body.",),
    ),
    Command("kick", (TASK, REASON_IF_ANY), "Buried work: one more attempt.", working.kick, example="kick 34"),
    Command("cancel", (TASK, REASON_IF_ANY), "Nobody is to do it any more.", working.cancel, (FORCE,),
            example="cancel 34 not needed any more"),
    Command(
        "resolve", (Parameter("KEY", "key"), REASON_IF_ANY), "What the task of this key is about is over.",
        working.resolve,
        (
            Option("--source", "name", "source", "The system that reported it; without it you."),
            Option("--result", "word", "result", "What came of it."),
        ),
        example="resolve disk-full somebody made room",
    ),
)  # fmt: skip

_PAIR = _of(
    "pair",
    Command(
        "pair", (), "A conversation with one agent alone.", pairing.list_pairs, bare="list", example="pair list",
        subs=(
            Command(
                "pair open", (Parameter("AGENT", "agent"), Parameter("OBJECTIVE", "text", optional=True)),
                "Invite an agent.", pairing.open_pair, (HOLD,), example="pair open builder the release",
                more=("When it accepts, text without a command goes there.",),
            ),
            Command("pair accept", (_PAIR_IF_ANY,), "Take part, where you were invited.", pairing.accept,
                    example="pair accept"),
            Command("pair reject", (_PAIR_IF_ANY, REASON_IF_ANY), "Decline an invitation.", pairing.reject,
                    example="pair reject 56 later, please"),
            Command("pair say", (TEXT,), "Say something in your pair.", pairing.say, example="pair say shall we?"),
            Command("pair hangup", (_PAIR_IF_ANY, REASON_IF_ANY), "End it, for both.", pairing.hang_up,
                    example="pair hangup all done"),
            Command(
                "pair list", (AGENT_IF_ANY,), "Your pairs, or another agent's.", pairing.list_pairs,
                (
                    Option("--all", "flag", "everyone", "Everyone's."),
                    Option("--state", "choice", "state", "Only pairs that stand so.", choices=get_args(PairState)),
                    LIMIT, AFTER,
                ),
                example="pair list --state active",
            ),
        ),
    ),
)  # fmt: skip

_CLEAR = Option("--clear", "flag", "clear", "None at all.")
_YOU = _of(
    "you",
    Command("label", (Parameter("LABEL", "label", optional=True),), "Your label, for people.", own.label,
            example='label "Build master"'),
    Command("tags", (Parameter("TAG", "tag", optional=True, many=True, signed=True),), "Your tags.", own.tags,
            (_CLEAR,), example="tags +blue -green", more=_SIGNED),
    Command("caps", (Parameter("CAP", "cap", optional=True, many=True, signed=True),), "Your capabilities.", own.caps,
            (_CLEAR,), example="caps +review", more=_SIGNED),
    Command("channels", (Parameter("NAME", "channel", optional=True, many=True, signed=True),),
            "The channels you follow.", own.channels, (_CLEAR,), example="channels ci releases", more=_SIGNED),
    Command("status", (Parameter("STATUS", "choice", optional=True, choices=get_args(Status)),),
            "How you are: online, idle or busy.", own.status, example="status busy"),
    Command("watch", (_KINDS,), "Be told of receipts, presence, tasks, pairs.", own.watch,
            example="watch receipts tasks",
            more=("submitted: the tasks you sent (watched from the start); tasks: all.",)),
    Command("unwatch", (_KINDS,), "Be told of these no more.", own.unwatch, example="unwatch tasks"),
)  # fmt: skip

_HERE = _of(
    "here",
    Command("use", (Parameter("PROFILE", "profile", optional=True),), "Go on with another profile.", own.use,
            example="use reviewer", more=("Without PROFILE: which there are.",)),
    Command(
        "set", (Parameter("NAME", "setting", optional=True), Parameter("VALUE", "value", optional=True)),
        "Settings: form, bell, editor.", own.set_, example="set form json",
        more=("form is table, json, jsonl or raw; bell is on or off; editor a command.",),
    ),
    Command("raw", (Parameter("JSON", "json"),), "A frame of the protocol, and its answer.", own.raw,
            example='raw {"op": "agents", "cap": "review"}', more=("docs/protocol.md has them all.",)),
    Command("clear", (), "Empty the screen.", own.clear, example="clear"),
    Command("help", (Parameter("COMMAND", "command", optional=True, many=True),), "This list, or one command.", help_,
            example="help send", aliases=("?",)),
    Command("quit", (), "Leave; claims you hold are given back.", own.quit_, example="quit", aliases=("exit",)),
)  # fmt: skip

COMMANDS: Final[dict[str, Command]] = {
    command.name: command for part in (_TALK, _LOOK, _WORK, _GIVE, _PAIR, _YOU, _HERE) for command in part
}
