"""/api/agents: register without a socket, say that one is alive, see who is there."""

from typing import Annotated

from msgspec import Meta, Struct

from relay_proto import frames as wire
from relay_proto.fields import AgentId, Instance, Label, MachineName, MetaMap, Name, Names, PageLimit, Presence, Status
from relay_proto.targets import BROADCAST_WORDS

from ..directory import Agent
from . import polled, shapes
from .callers import http_instance
from .dispatch import Call
from .errors import HttpError
from .said import Process, check_process, items, next_page, not_of, say, stale
from .table import Operation, Reply

FOUND_MAX = 1000


class NewAgent(Struct, rename="camel"):
    """Who it is. `name`: for people. `instanceId`: names this process; another one takes the agent over (its epoch
    grows); left out, it is always the same. What an earlier register said and this one does not is gone."""

    id: AgentId
    name: Label | None = None
    label: Label | None = None
    machine: MachineName | None = None
    tags: Names | None = None
    capabilities: Names | None = None
    channels: Names | None = None
    instance_id: Instance | None = None
    meta: MetaMap | None = None
    status: Status | None = None

    def __post_init__(self) -> None:
        if self.id in BROADCAST_WORDS:
            raise ValueError(f"id is {self.id!r}; that word addresses everyone and cannot name an agent")


class Heartbeat(Process, rename="camel"):
    """It is alive: how it is, and how busy."""

    status: Status | None = None
    load: Annotated[float, Meta(ge=-1e15, le=1e15)] | None = None


class NewLabel(Struct):
    """Its name for people."""

    label: Label


class AgentPath(Struct):
    id: AgentId


class AgentsQuery(Struct):
    """All that are given must hold. `since`: only ids behind this one; X-Next-Since of a page says it."""

    tag: Name | None = None
    capability: Name | None = None
    channel: Name | None = None
    label: Label | None = None
    machine: MachineName | None = None
    status: Presence | None = None
    limit: PageLimit = FOUND_MAX
    since: AgentId | None = None


class FindQuery(Struct):
    """Who can do this."""

    capability: Name
    status: Presence | None = None
    limit: PageLimit = FOUND_MAX
    since: AgentId | None = None


def _listed(call: Call, agent: str) -> Agent | None:
    known = call.relay.broker.directory.get(agent)
    return None if known is None or known.visitor or not known.epoch else known


def _card(call: Call, known: Agent) -> shapes.Agent:
    return shapes.agent(call.relay.broker.directory.card(known, call.relay.now()))


async def register(call: Call) -> Reply:
    """Be an agent. 201 when the relay did not know it, 200 when it did; the epoch is the same while the instance is."""
    body: NewAgent = call.body
    agent = call.speaker(body.id, "id")
    known, live = _listed(call, agent), call.relay.broker.sessions.get(agent)
    if body.instance_id is None and live is not None and not live.polled:
        said = f"id is {agent!r}; it is connected by a socket: name an instanceId to take it over"
        raise HttpError(409, "busy", said, field="id", detail={"epoch": live.epoch})
    instance = body.instance_id or http_instance(agent)
    frame = wire.Register(
        id=0, agent=agent, label=body.label or body.name, machine=body.machine, tags=body.tags, caps=body.capabilities,
        channels=body.channels, instance=instance, meta=body.meta, status=body.status,
    )  # fmt: skip
    ok = await polled.register(call.relay, call.grant, frame)
    card = _card(call, call.relay.broker.directory.agents[agent])
    # Of this register, whatever happened since: another instance may have come in the same turn.
    card.epoch, card.instance_id, card.pending = ok.epoch or 0, instance, ok.pending
    return Reply(card, 200 if known is not None else 201)


async def list_agents(call: Call) -> Reply:
    """Who is there, by id."""
    query: AgentsQuery = call.query
    return await _page(
        call,
        wire.Agents(
            id=0, tag=query.tag, cap=query.capability, channel=query.channel, label=query.label, machine=query.machine,
            status=query.status, limit=query.limit, after=query.since,
        ),
    )  # fmt: skip


async def find(call: Call) -> Reply:
    """Who can do something."""
    query: FindQuery = call.query
    frame = wire.Agents(id=0, cap=query.capability, status=query.status, limit=query.limit, after=query.since)
    return await _page(call, frame)


async def _page(call: Call, frame: wire.Agents) -> Reply:
    ok = await call.look_up(frame)
    cards = [shapes.agent(card) for card in items(ok, wire.AgentCard)]
    return Reply(cards, headers=next_page(ok))


async def get(call: Call) -> Reply:
    """One agent."""
    known = _listed(call, call.path.id)
    if known is None:
        raise not_of(call.path.id)
    return Reply(_card(call, known))


async def remove(call: Call) -> Reply:
    """It leaves for good: what it holds is given back, it is listed no more. Its name, epoch and inbox stay."""
    agent = call.path.id
    speaker = agent
    if not call.grant.speaks_for(agent) and call.grant.may("system:write") and call.grant.agent is not None:
        speaker = call.grant.agent
    call.speaker(speaker, "id")
    if _listed(call, agent) is None:
        raise not_of(agent)
    await say(call, speaker, wire.Remove(id=0, agent=agent))
    return Reply(shapes.Removed(agent))


async def heartbeat(call: Call) -> Reply:
    """It is alive. After two minutes without a word, or a restart of the relay, this brings it back as it was."""
    body: Heartbeat = call.body
    agent = call.speaker(call.path.id, "id")
    known = _listed(call, agent)
    if known is None:
        raise not_of(agent)
    check_process(call, agent, body)
    if agent not in call.relay.broker.sessions:
        if body.instance_id is None and known.instance != http_instance(agent):
            raise stale(agent, "instanceId", None, known.epoch)
        await polled.come_back(call.relay, call.grant, known)
    await say(call, agent, wire.Heartbeat(id=0, status=body.status, load=body.load), body)
    return Reply(_card(call, known))


async def label(call: Call) -> Reply:
    """Give it another name for people."""
    agent = call.speaker(call.path.id, "id")
    known = _listed(call, agent)
    if known is None:
        raise not_of(agent)
    await say(call, agent, wire.Update(id=0, label=call.body.label))
    return Reply(_card(call, known))


_WRITE, _READ = "agents:write", "agents:read"

OPERATIONS = (
    Operation(
        "POST", "/api/agents", register, _WRITE, "Register an agent", "agents", {200: shapes.Agent, 201: shapes.Agent},
        body=NewAgent, errors=(409,),
    ),
    Operation(
        "GET", "/api/agents", list_agents, _READ, "List the agents", "agents", {200: list[shapes.Agent]},
        query=AgentsQuery,
    ),
    Operation(
        "GET", "/api/agents/find", find, _READ, "Find agents by what they can do", "agents",
        {200: list[shapes.Agent]}, query=FindQuery,
    ),
    Operation(
        "GET", "/api/agents/{id}", get, _READ, "Show one agent", "agents", {200: shapes.Agent}, path_of=AgentPath,
        errors=(404,),
    ),
    Operation(
        "DELETE", "/api/agents/{id}", remove, _WRITE, "Remove an agent", "agents", {200: shapes.Removed},
        path_of=AgentPath, errors=(404,),
    ),
    Operation(
        "POST", "/api/agents/{id}/heartbeat", heartbeat, _WRITE, "Say that an agent is alive", "agents",
        {200: shapes.Agent}, path_of=AgentPath, body=Heartbeat, errors=(404, 409),
    ),
    Operation(
        "PATCH", "/api/agents/{id}/label", label, _WRITE, "Change the label of an agent", "agents",
        {200: shapes.Agent}, path_of=AgentPath, body=NewLabel, errors=(404,),
    ),
)  # fmt: skip
