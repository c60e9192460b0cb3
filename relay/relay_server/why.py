"""`why`: what an agent or a message waits for, since when, and who could unblock it, in plain sentences.

They are made of the ledger and of what memory knows, and of nothing that was not seen: a stage is said as it was
reached, and of an agent is said when it was last heard of.
"""

from typing import TYPE_CHECKING, Any, Final

from relay_proto.frames import Explanation, OwedReply
from relay_proto.targets import parse_target

from . import words
from .standing import Story
from .store import interface as ask
from .why_delivery import tell_deliveries
from .why_work import tell_work

if TYPE_CHECKING:
    from .broker import Broker

TOLD_MAX: Final = 5
"""Replies and claims that get a sentence of their own; of more is said how many."""
FACTS_MAX: Final = 20
"""Items of one list in `facts`."""


def explain_message(broker: "Broker", facts: ask.MessageFacts, now: float) -> Explanation:
    """Where a message stands: at each recipient, as work, and as an ask."""
    story, item = Story(broker, now), facts.item
    story.say(f"{item.sender} sent it to {item.to} at {words.when(item.sent_at, story.now_ms)}.")
    story.facts.update({"from": item.sender, "to": item.to, "sent_at": item.sent_at})
    if facts.superseded_by is not None:
        story.facts["superseded_by"] = facts.superseded_by
    tell_work(story, facts)
    tell_deliveries(story, facts)
    _tell_replies(story, facts)
    return story.end(f"message {item.message}", "It waits for nothing any more.")


def _tell_replies(story: Story, facts: ask.MessageFacts) -> None:
    """An ask: who still owes the reply, and what became of the others."""
    item = facts.item
    if item.reply_by_at is None:
        return
    for owed in facts.asks[:TOLD_MAX]:
        story.say(f"{owed.agent} owes {owed.asker} a reply, {_deadline(story, owed)}.")
        story.say_state(owed.agent)
    if len(facts.asks) > TOLD_MAX:
        story.say(f"{len(facts.asks) - TOLD_MAX} more owe {item.sender} a reply.")
    any_one = item.claimable or parse_target(item.to).is_any
    for owed in facts.asks:
        story.waits_since(owed.asked_at)
        story.move_of(owed.agent, f"reply to message {owed.message}", any_one=any_one)
    if facts.asks and (wait := story.broker.waits.of(item.message)) is not None:
        story.say(f"{wait.asker} does nothing else until then.")
    ended: dict[str, list[str]] = {}
    for over in facts.asks_over:
        words_of = {
            "answered": f"replied with message {over.reply}",
            "refused": "will not reply: the ask was not taken",
        }
        ended.setdefault(words_of.get(over.state, "owes no reply any more"), []).append(over.agent)
    for what, agents in ended.items():
        story.say(f"{words.listed(agents)} {what}.")
    if not facts.asks and not facts.asks_over and not facts.deliveries:
        story.say(f"{item.sender} asked for a reply, and nobody was there to owe it.")
    story.facts["owes"] = [_owed_fact(owed) for owed in facts.asks[:FACTS_MAX]]


def _deadline(story: Story, owed: OwedReply) -> str:
    late = owed.reply_by_at <= story.now_ms
    return f"{'which was due at' if late else 'due by'} {words.when(owed.reply_by_at, story.now_ms)}"


def _owed_fact(owed: OwedReply) -> dict[str, Any]:
    fact: dict[str, Any] = {
        "message": owed.message, "agent": owed.agent, "asker": owed.asker, "asked_at": owed.asked_at,
        "reply_by_at": owed.reply_by_at, "overdue": owed.overdue,
    }  # fmt: skip
    return fact | {"stage": owed.stage, "stage_at": owed.stage_at} if owed.stage is not None else fact


# -- agents ----------------------------------------------------------------------------------------------------------


def explain_agent(broker: "Broker", agent: str, facts: ask.AgentFacts, now: float) -> Explanation:
    """What an agent is, what waits for it, and what it waits for."""
    story = Story(broker, now)
    story.say_state(agent)
    known = broker.directory.get(agent)
    if known is not None:
        story.facts.update({"status": known.presence(now), "epoch": known.epoch})
        if (heard_at := story.heard_at(known)) is not None:
            story.facts["last_seen_at"] = heard_at
    _tell_inbox(story, agent, facts)
    _tell_claims(story, agent, facts)
    _tell_debts(story, agent, [owed for owed in facts.owed if owed.agent == agent])
    _tell_hopes(story, agent, [owed for owed in facts.owed if owed.asker == agent])
    return story.end(
        f"agent {agent}",
        f"Nothing waits for {agent}: its inbox is empty, it owes nothing and nobody owes it anything.",
    )


def _tell_inbox(story: Story, agent: str, facts: ask.AgentFacts) -> None:
    story.facts.update({"pending": facts.pending, "bytes": facts.size})
    session, oldest = story.broker.sessions.get(agent), facts.oldest
    if session is not None:
        story.facts.update({"unacked": len(session.unacked), "credit": session.credit})
    if oldest is None:
        return
    stage = "pushed" if story.broker.has_pushed(agent, oldest.message) and oldest.stage == "queued" else oldest.stage
    story.facts.update({"oldest_message": oldest.message, "oldest_stage": stage, "oldest_at": oldest.at})
    story.waits_since(oldest.at)
    later = oldest.due_at is not None and oldest.due_at > story.now_ms
    story.say(
        f"Its inbox holds {words.count(facts.pending, 'message')}; the oldest is message {oldest.message} from "
        f"{oldest.sender}, {story.stage_since(agent, oldest)}"
        f"{f' before {words.when(oldest.due_at or 0, story.now_ms)}' if later else ''}."
    )
    quotas = story.broker.quotas
    if 0 < quotas.inbox_messages_max <= facts.pending or 0 < quotas.inbox_bytes_max <= facts.size:
        story.say(f"Its inbox is full ({facts.pending} messages, {facts.size} bytes): who writes to it is refused.")
    if session is None:
        if not later or facts.pending > 1:
            story.move_of(agent)
    elif (window := story.window_of(agent)) is not None:
        first = min(session.unacked, default=oldest.message)
        story.say(f"{agent} {window}: nothing more is pushed to it now.")
        story.move_of(agent, f"ack or nack message {first}" if session.unacked else "read what is sent to it")
    elif not later and not _has_other_deed(agent, facts, oldest.message):
        story.move_of(agent, f"{'claim' if oldest.claimable else 'ack'} or nack message {oldest.message}")


def _has_other_deed(agent: str, facts: ask.AgentFacts, message: int) -> bool:
    """It holds this as work, or owes a reply to it: that is to be done about it."""
    return any(held == message for held, _ in facts.holding) or any(
        owed.agent == agent and owed.message == message for owed in facts.owed
    )


def _tell_claims(story: Story, agent: str, facts: ask.AgentFacts) -> None:
    if not facts.holding:
        return
    held: list[dict[str, Any]] = []
    for message, changed_at in facts.holding[:FACTS_MAX]:
        left_s = story.broker.leases.left_s(message, story.now)
        held.append({"message": message, "changed_at": changed_at, "lease_left_s": int(left_s or 0)})
        if len(held) > TOLD_MAX:
            continue
        left = f"; its lease has {words.span(left_s)} left if nothing is heard" if left_s is not None else ""
        story.say(f"It holds message {message}, claimed or renewed at {words.when(changed_at, story.now_ms)}{left}.")
        _should(story, agent, f"complete, fail or release message {message}")
    if len(facts.holding) > TOLD_MAX:
        story.say(f"It holds {len(facts.holding) - TOLD_MAX} more.")
    story.facts["holds"] = held
    story.waits_since(min(changed_at for _, changed_at in facts.holding))


def _tell_debts(story: Story, agent: str, debts: list[OwedReply]) -> None:
    for owed in debts:
        story.waits_since(owed.asked_at)
    for owed in debts[:TOLD_MAX]:
        stage = f"; the ask is {owed.stage}" if owed.stage is not None else ""
        story.say(f"It owes {owed.asker} a reply to message {owed.message}, {_deadline(story, owed)}{stage}.")
        _should(story, agent, f"reply to message {owed.message}")
    if len(debts) > TOLD_MAX:
        story.say(f"It owes {len(debts) - TOLD_MAX} more replies.")
    if debts:
        story.facts["owes"] = [_owed_fact(owed) for owed in debts[:FACTS_MAX]]


def _should(story: Story, agent: str, deed: str) -> None:
    """What an agent should do; one that is not there is told no more than to come."""
    story.move_of(agent, deed if story.is_there(agent) else "")


def _tell_hopes(story: Story, agent: str, hopes: list[OwedReply]) -> None:
    is_blocked = story.is_blocked(agent)
    for owed in hopes:
        story.waits_since(owed.asked_at)
    for owed in hopes[:TOLD_MAX]:
        about = f"{owed.agent} owes it a reply to message {owed.message}, {_deadline(story, owed)}"
        if owed.stage is not None:
            about += f"; the ask is {owed.stage} there"
        story.say(f"{about}.")
        if not is_blocked or story.broker.waits.of(owed.message) is None:  # what blocks it is told as a chain, later
            story.say_state(owed.agent)
            story.move_of(owed.agent, f"reply to message {owed.message}")
    if len(hopes) > TOLD_MAX:
        story.say(f"{len(hopes) - TOLD_MAX} more replies are owed to it.")
    if hopes:
        story.facts["awaits"] = [_owed_fact(owed) for owed in hopes[:FACTS_MAX]]
