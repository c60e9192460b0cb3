"""listing.py: pages of the directory."""

from relay_proto.frames import Agents
from relay_server.directory import Directory
from relay_server.listing import agents_page


def make() -> Directory:
    directory = Directory()
    for i in range(10):
        agent = directory.ensure(f"a{i}")
        agent.heard_at, agent.connected = 0.0, i % 2 == 0
        directory.describe(agent, "Even" if i % 2 == 0 else None, ("t",), (f"cap{i}",), ())
    return directory


def test_pages_follow_each_other_and_end() -> None:
    directory = make()
    seen: list[str] = []
    after: str | None = None
    while True:
        cards, after = agents_page(directory, Agents(id=1, limit=4, after=after), 0.0, 10**6)
        assert len(cards) <= 4
        seen += [card.agent for card in cards]
        if after is None:
            break
    assert seen == [f"a{i}" for i in range(10)]


def test_every_filter_must_hold() -> None:
    directory = make()
    cards, _ = agents_page(directory, Agents(id=1, tag="t", status="online"), 0.0, 10**6)
    assert [card.agent for card in cards] == ["a0", "a2", "a4", "a6", "a8"]
    cards, _ = agents_page(directory, Agents(id=1, label="Even", cap="cap3"), 0.0, 10**6)
    assert cards == []


def test_a_page_ends_before_it_is_too_large_but_never_empty() -> None:
    cards, after = agents_page(make(), Agents(id=1), 0.0, bytes_max=1)
    assert [card.agent for card in cards] == ["a0"]
    assert after == "a0"
