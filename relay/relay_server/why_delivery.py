"""How far a message came at each of its recipients, and what it waits for there."""

from collections import Counter
from typing import Any, Final

from relay_proto.targets import parse_target

from . import words
from .claim import NACKS_MAX
from .standing import Story
from .store import interface as ask
from .why_work import members

TOLD_MAX: Final = 6
"""Recipients that get a sentence each. More of them are told of by stage."""
FACTS_MAX: Final = 20
"""Deliveries in `facts`."""
NAMES_MAX: Final = 3
"""Names in the sentence about a stage."""
_GROUPS: Final = {
    "away": "not pushed, since the recipient is not connected",
    "full": "not pushed, since the recipient takes no more now",
    "later": "not pushed before its time",
    "next": "not pushed yet",
    "pushed": "pushed and not surfaced",
    "surfaced": "surfaced and not dealt with",
    "done": "dealt with",
    "nacked": "refused by the recipient",
    "expired": "expired",
    "superseded": "withdrawn",
    "dead": "dead",
}
"""In the order in which they are told."""
_OPEN: Final = ("queued", "pushed", "surfaced")


def tell_deliveries(story: Story, facts: ask.MessageFacts) -> None:
    """A sentence for each recipient, or for each stage when they are many."""
    item, work = facts.item, facts.item.work
    story.facts["stages"] = dict(Counter(one.state.stage for one in facts.deliveries))
    shown = [one for one in facts.deliveries if not _is_told_with_work(one, facts)]
    if not facts.deliveries and work is None:
        story.say(
            f"It reached nobody: no recipient was there when it was sent, and who comes later does not get it. "
            f"{item.sender} must send it again."
        )
        return
    story.facts["deliveries"] = [_fact(one) for one in sorted(shown, key=_is_over)[:FACTS_MAX]]
    for one in shown:
        if one.state.stage in _OPEN:
            story.waits_since(one.state.at)
    if len(shown) <= TOLD_MAX:
        for one in shown:
            story.say(f"{_sentence(story, facts, one)}.")
            if one.state.stage in _OPEN:
                story.say_state(one.state.agent)
    else:
        _tell_groups(story, facts, shown)


def _is_told_with_work(one: ask.DeliveryFacts, facts: ask.MessageFacts) -> bool:
    """The delivery of one that holds the work, or ended it, says no more than the work does."""
    work = facts.item.work
    if work is None or one.state.agent != work.holder:
        return False
    return one.state.stage == "dead" or work.state != "failed"


def _is_over(one: ask.DeliveryFacts) -> bool:
    return one.state.stage not in _OPEN


def _fact(one: ask.DeliveryFacts) -> dict[str, Any]:
    state = one.state
    values = {
        "agent": state.agent, "stage": state.stage, "at": state.at, "attempt": state.attempt, "reason": state.reason,
        "due_at": one.due_at, "expires_at": one.expires_at, "offer_at": one.offer_at, "ahead": one.ahead or None,
    }  # fmt: skip
    return {name: value for name, value in values.items() if value is not None}


def _kind(story: Story, one: ask.DeliveryFacts) -> str:
    if one.state.stage != "queued":
        return one.state.stage
    if one.due_at is not None and one.due_at > story.now_ms:
        return "later"
    if not story.is_there(one.state.agent):
        return "away"
    return "next" if story.window_of(one.state.agent) is None else "full"


# -- one recipient ---------------------------------------------------------------------------------------------------


def _sentence(story: Story, facts: ask.MessageFacts, one: ask.DeliveryFacts) -> str:
    state, agent = one.state, one.state.agent
    at, reason = words.when(state.at, story.now_ms), f": {state.reason}" if state.reason else ""
    match _kind(story, one):
        case "away" | "full" | "later" | "next" as kind:
            text = f"It has waited in the inbox of {agent} {words.since(state.at, story.now_ms)}, not pushed"
            return text + _why_not_pushed(story, facts, one, kind) + _ahead(one) + _what_then(story, facts, one)
        case "pushed":
            text = f"It was pushed to {agent} and is not surfaced; it has waited {words.since(state.at, story.now_ms)}"
        case "surfaced":
            text = f"{agent} surfaced it at {at} and has not dealt with it"
        case "done":
            return f"{agent} dealt with it at {at}"
        case "nacked":
            return f"{agent} refused it at {at}{reason}{_passed_on(story, one)}"
        case "expired":
            return f"It expired in the inbox of {agent} at {at}{reason}"
        case "superseded":
            if facts.superseded_by is not None and reason:
                reason = f": superseded by message {facts.superseded_by}"
            return f"It was withdrawn from {agent} at {at}{reason or ': somebody else had it'}"
        case _:
            times = f" after {NACKS_MAX} nacks" if one.nacks >= NACKS_MAX - 1 and facts.item.work is None else ""
            return f"It is dead at {agent} {words.since(state.at, story.now_ms)}{times}{reason}{_passed_on(story, one)}"
    _should(story, facts, agent)
    return text + _what_then(story, facts, one)


def _should(story: Story, facts: ask.MessageFacts, agent: str) -> None:
    """What a recipient that has it should do."""
    message, is_work = facts.item.message, facts.item.work is not None
    if is_work:
        deed = f"claim message {message}"
    elif any(owed.agent == agent for owed in facts.asks):
        deed = f"reply to message {message}"
    else:
        deed = f"ack or nack message {message}"
    story.move_of(agent, deed, any_one=is_work)


def _why_not_pushed(story: Story, facts: ask.MessageFacts, one: ask.DeliveryFacts, kind: str) -> str:
    agent, state = one.state.agent, one.state
    if kind == "later":
        assert one.due_at is not None
        cause = "its sender put it off"
        if one.nacks:
            cause = f"{agent} nacked it" + (f" ({state.reason})" if state.reason else "")
        elif state.attempt > 1:
            cause = f"{agent} acked it and did not claim it"
        return f" before {words.when(one.due_at, story.now_ms)}: {cause}"
    if kind == "away":
        story.move_of(agent, any_one=facts.item.work is not None)
        return f", since {agent} is not connected"
    if kind == "next":
        return ": its turn comes next"
    unacked = story.broker.sessions[agent].unacked
    if not unacked:
        story.move_of(agent, "read what is sent to it")
        return f": {agent} {story.window_of(agent)}"
    first, since = min(unacked), ""
    if one.oldest is not None and one.oldest.message == first and one.oldest.at is not None:
        since = f", {story.stage_since(agent, one.oldest)}"
    story.move_of(agent, f"ack or nack message {first}", any_one=facts.item.work is not None)
    return f": {agent} {story.window_of(agent)}, the oldest is message {first}{since}"


def _ahead(one: ask.DeliveryFacts) -> str:
    if not one.ahead:
        return ""
    return f"; {words.count(one.ahead, 'message')} there {'comes' if one.ahead == 1 else 'come'} before it"


def _what_then(story: Story, facts: ask.MessageFacts, one: ask.DeliveryFacts) -> str:
    """Until when it stays there: its time, or the next one of the many it may be for."""
    text = ""
    if one.expires_at is not None and one.state.stage in ("queued", "pushed"):
        text += f"; it expires at {words.when(one.expires_at, story.now_ms)}"
    target = parse_target(facts.item.to)
    if one.offer_at is None or not target.is_any:
        return text
    gone = {other.state.agent for other in facts.deliveries if other.state.stage in ("nacked", "dead")}
    had_it = {other.state.agent for other in facts.deliveries}
    others = [
        name
        for name in members(story.broker.directory, target)
        if name not in (facts.item.sender, one.state.agent) and name not in gone
    ]
    fresh = [name for name in others if name not in had_it]
    if not others:
        return f"{text}; it stays there, since nobody else who is registered matches {facts.item.to}"
    taken = "claimed" if facts.item.work is not None else "surfaced"
    at = words.when(one.offer_at, story.now_ms)
    return f"{text}; if it is not {taken} by {at} it is offered to {words.listed(fresh or others, 'or')}"


def _passed_on(story: Story, one: ask.DeliveryFacts) -> str:
    """It was for any one of many, and nobody has it for a moment."""
    if one.offer_at is None:
        return ""
    story.waits_since(one.state.at)
    return "; the relay is about to look for another one"


# -- many ------------------------------------------------------------------------------------------------------------


def _tell_groups(story: Story, facts: ask.MessageFacts, shown: list[ask.DeliveryFacts]) -> None:
    groups: dict[str, list[ask.DeliveryFacts]] = {}
    for one in shown:
        groups.setdefault(_kind(story, one), []).append(one)
    for kind, phrase in _GROUPS.items():
        if not (group := groups.get(kind)):
            continue
        names = [one.state.agent for one in group]
        first = min(group, key=lambda one: one.state.at)
        at = words.when(first.state.at, story.now_ms)
        earliest = f"; the earliest at {at}" if len(group) > 1 else f" at {at}"
        if kind in ("away", "full", "later", "next", "pushed"):
            earliest = f"; {'the longest ' if len(group) > 1 else ''}{words.since(first.state.at, story.now_ms)}"
        story.say(f"{len(group)} of {len(shown)} {phrase}: {words.listed(names, shown_max=NAMES_MAX)}{earliest}.")
        for one in group:
            _move(story, facts, one, kind)


def _move(story: Story, facts: ask.MessageFacts, one: ask.DeliveryFacts, kind: str) -> None:
    agent = one.state.agent
    if kind == "away":
        story.move_of(agent, any_one=facts.item.work is not None)
    elif kind == "full":
        story.move_of(agent, "ack what it holds", any_one=facts.item.work is not None)
    elif kind in ("pushed", "surfaced"):
        _should(story, facts, agent)
