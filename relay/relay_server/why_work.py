"""What a piece of claimable work waits for: its holder, its time, or somebody who takes it."""

from typing import Final

from relay_proto.frames import WorkState
from relay_proto.targets import Target, TargetKind, parse_target

from . import words
from .directory import Directory
from .standing import Story
from .store import interface as ask

_GROUPS: Final = {
    TargetKind.CAP: "with cap {}", TargetKind.ANY_CAP: "with cap {}", TargetKind.TAG: "with tag {}",
    TargetKind.ANY_TAG: "with tag {}", TargetKind.LABEL: "labelled {}", TargetKind.BROADCAST: "but its sender",
}  # fmt: skip
"""Targets whose work is offered to agents that come later."""
_NEEDS: Final = {
    "human": "a person", "input": "input", "auth": "an authorisation", "dependency": "other tasks to be done",
}  # fmt: skip
_ENDS: Final = {"done": "resolved from outside", "canceled": "canceled", "superseded": "replaced"}
NEEDS_TOLD_MAX: Final = 5
"""Tasks that something waits for and that are named as what would help."""


def tell_work(story: Story, facts: ask.MessageFacts) -> None:
    """The state of the work, what keeps it there, and what comes next."""
    work = facts.item.work
    if work is None:
        return
    _note(story, facts, work)
    match work.state:
        case "claimed" | "working":
            _tell_claim(story, facts, work)
        case "parked":
            _tell_parked(story, facts, work)
        case "ready":
            story.waits_since(facts.work_changed_at)
            story.say(f"It is work that can be claimed, and nobody holds it (attempts used: {_attempts(work)}).")
            _tell_candidates(story, facts)
        case "delayed":
            story.waits_since(facts.work_changed_at)
            if work.ready_at is None:
                return _tell_needs(story, facts, "It is offered when")
            at = words.when(work.ready_at, story.now_ms)
            if work.attempts:
                story.say(f"Attempt {_attempts(work)} failed{_reason(work)}. It is offered again at {at}.")
            else:
                story.say(f"It is work that its sender put off: it is offered at {at}.")
        case _:
            _tell_end(story, facts, work)


def _note(story: Story, facts: ask.MessageFacts, work: WorkState) -> None:
    values = {
        "state": work.state, "holder": work.holder, "fence": work.fence, "attempts": work.attempts,
        "attempts_max": work.attempts_max, "ready_at": work.ready_at, "reason": work.reason, "needs": work.needs,
        "park_until_at": work.park_until_at, "progress": work.progress, "note": work.note,
        "waiting_for": [message for message, _ in facts.needs] or None, "changed_at": facts.work_changed_at,
    }  # fmt: skip
    story.facts["work"] = {name: value for name, value in values.items() if value is not None}


def _attempts(work: WorkState) -> str:
    return f"{work.attempts} of {work.attempts_max}"


def _reason(work: WorkState) -> str:
    return f": {work.reason}" if work.reason else ""


def _tell_claim(story: Story, facts: ask.MessageFacts, work: WorkState) -> None:
    holder, message = work.holder, facts.item.message
    assert holder is not None
    assert facts.work_changed_at is not None
    story.waits_since(facts.work_changed_at)
    story.say(
        f"{holder} holds it as work (fence {work.fence}, attempt {_attempts(work)}), claimed or renewed at "
        f"{words.when(facts.work_changed_at, story.now_ms)}."
    )
    if work.progress is not None or work.note:
        how_far = [f"{work.progress:.0%}"] if work.progress is not None else []
        story.say(f"It is at work: {', '.join([*how_far, *([repr(work.note)] if work.note else [])])}.")
    story.say_state(holder)
    lease, left_s = story.broker.leases.get(message), story.broker.leases.left_s(message, story.now)
    if lease is not None and left_s is not None:
        known = story.broker.directory.get(holder)
        if known is None or not known.connected:
            renewed = f"nothing renews it until {holder} is back"
        elif known.epoch != lease.epoch:
            renewed = f"another instance of {holder} is there now, which renews it by name only"
        else:
            renewed = f"whatever {holder} says renews it"
        last = work.attempts >= work.attempts_max
        after = "the work is given up, this being its last attempt" if last else "the work is offered again"
        story.say(f"The lease has {words.span(left_s)} left, and {renewed}; when it ends {after}.")
        story.facts["work"]["lease_left_s"] = int(left_s)
    story.move_of(holder, f"complete, fail or release message {message}")


def _tell_parked(story: Story, facts: ask.MessageFacts, work: WorkState) -> None:
    """Its holder said that it can't go on by itself."""
    holder, message, sender = work.holder, facts.item.message, facts.item.sender
    assert holder is not None
    assert facts.work_changed_at is not None
    assert work.park_until_at is not None
    story.waits_since(facts.work_changed_at)
    wants = f": {work.reason!r}" if work.reason else ""
    story.say(
        f"{holder} holds it as work (fence {work.fence}, attempt {_attempts(work)}) and has parked it "
        f"{words.since(facts.work_changed_at, story.now_ms)}: it needs {_NEEDS[work.needs or 'input']}{wants}."
    )
    story.say(
        f"Its lease does not run; it runs again when {holder} resumes, or at "
        f"{words.when(work.park_until_at, story.now_ms)}."
    )
    if work.needs == "dependency":
        return _tell_needs(story, facts, "It is resumed when")
    who = sender if work.needs == "input" else "a person"
    story.would_help(who, f"give {holder} what it needs for message {message}")


def _tell_needs(story: Story, facts: ask.MessageFacts, then: str) -> None:
    """Other tasks must be done first."""
    left = [f"{message} ({state})" for message, state in facts.needs]
    noun = "task" if len(left) == 1 else "tasks"
    story.say(f"{then} {noun} {words.listed(left)} {'is' if len(left) == 1 else 'are'} done.")
    for message, _ in facts.needs[:NEEDS_TOLD_MAX]:
        story.would_help("whoever has it", f"get task {message} done")


def _tell_end(story: Story, facts: ask.MessageFacts, work: WorkState) -> None:
    """Nothing of it is waited for any more."""
    assert facts.work_changed_at is not None
    at = words.when(facts.work_changed_at, story.now_ms)
    if work.state == "done" and not work.reason:
        story.say(f"{work.holder} completed it at {at}.")
    elif work.state in ("done", "canceled", "superseded"):
        story.say(f"It was {_ENDS[work.state]} at {at}{_reason(work)}. Nobody is offered it again.")
    elif work.state == "buried":
        story.say(
            f"It was given up (buried) at {at} after {words.count(work.attempts, 'attempt')}, the last one by "
            f"{work.holder}{_reason(work)}. Nobody is offered it again until it is kicked: one more attempt."
        )
    elif any(one.state.agent == work.holder and one.state.stage == "dead" for one in facts.deliveries):
        story.say(f"{work.holder} failed it for good at {at}{_reason(work)}. Nobody is offered it again.")
    else:
        story.say(f"Its work was over at {at}{_reason(work)}.")


def _tell_candidates(story: Story, facts: ask.MessageFacts) -> None:
    """Why nobody can take it, when that is so; those who can are told of with their deliveries."""
    states = [one.state for one in facts.deliveries]
    if any(state.stage in ("queued", "pushed", "surfaced") for state in states):
        return
    item = facts.item
    target = parse_target(item.to)
    if target.kind not in _GROUPS:
        story.say(f"Nobody has it to claim, and who comes later is not offered it: {item.sender} must send it again.")
        story.move_of(item.sender, "send it again")
        return
    who = _GROUPS[target.kind].format(target.name)
    registered = [name for name in members(story.broker.directory, target) if name != item.sender]
    had_it = {state.agent for state in states}
    left_out = [name for name in registered if name not in had_it]
    if left_out:
        story.say(f"Registered and not offered it: {words.listed(left_out)}; it is offered when they register again.")
        for name in left_out:
            story.move_of(name, "register again" if story.is_there(name) else "", any_one=True)
    elif registered:
        story.say(f"No other agent {who} is registered; the first one that comes is offered it.")
    else:
        story.say(f"No agent {who} is registered; the first one that comes is offered it.")
    story.would_help(f"an agent {who}", "come", any_one=True)


def members(directory: Directory, target: Target) -> list[str]:
    """Who is registered and would be meant by a group or any: target now, connected or not."""
    match target.kind:
        case TargetKind.CAP | TargetKind.ANY_CAP:
            return sorted(directory.by_cap.get(target.name, ()))
        case TargetKind.TAG | TargetKind.ANY_TAG:
            return sorted(directory.by_tag.get(target.name, ()))
        case TargetKind.LABEL:
            return sorted(directory.by_label.get(target.name, ()))
        case _:
            return directory.names() if target.kind is TargetKind.BROADCAST else []
