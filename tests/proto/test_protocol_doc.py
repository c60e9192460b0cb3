"""docs/protocol.md is the contract for people who write other clients: it stays in step with the types."""

import re
from pathlib import Path
from typing import get_args

import msgpack
import msgspec
import pytest

from relay_proto import limits
from relay_proto.codec import decode_client_batch
from relay_proto.errors import ERRORS, CloseCode
from relay_proto.fields import EventKind, Needs, Severity, State
from relay_proto.frames import (
    AgentAtWork,
    AgentCard,
    DeliveryState,
    Event,
    Explanation,
    Frame,
    OldestUnacked,
    Overview,
    OwedReply,
    Register,
    Send,
    ServerInfo,
    StoredMessage,
    StuckTask,
    Submit,
    Task,
    TaskEvent,
    TokenInfo,
    Will,
    WorkState,
)
from relay_proto.scopes import SCOPES
from relay_proto.targets import TargetKind
from relay_server.claim import TRANSITIONS, a2a
from relay_server.grants import OP_SCOPES
from tests.proto.frame_strategies import CLIENT_FRAMES, RELAY_FRAMES
from tests.proto.test_answers import EVENTS

DOCS = Path(__file__).parents[2] / "docs"
TEXT = (DOCS / "protocol.md").read_text()
WORDS = (
    "agent", "session", "instance", "epoch", "message", "body", "target", "recipient", "inbox", "delivery", "stage",
    "channel", "thread", "key", "claim", "lease", "fence", "task", "pair", "integration", "credit", "turn",
)  # fmt: skip
"""The vocabulary of the design; others are not used for these things."""
ALL_FRAMES = tuple(dict.fromkeys((*CLIENT_FRAMES, *RELAY_FRAMES)))


def section(title: str) -> str:
    """The text from a heading to the next one of any level."""
    match = re.search(rf"^##+ {re.escape(title)}\n(.*?)(?=^##+ |\Z)", TEXT, re.MULTILINE | re.DOTALL)
    assert match is not None, f"docs/protocol.md has no section {title}"
    return match[1]


def words(text: str) -> set[str]:
    """Every word that stands in backquotes, alone or within a shape like `{a, b?}`."""
    return {word for quoted in re.findall(r"`([^`]+)`", text) for word in re.findall(r"\w+", quoted)}


def table(text: str) -> dict[str, list[str]]:
    """The rows of a section's tables by each word of their first cell; the first table wins."""
    rows: dict[str, list[str]] = {}
    for line in text.splitlines():
        if line.startswith("|"):
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            for word in re.findall(r"\w+", cells[0]):
                rows.setdefault(word, cells)
    return rows


def op_of(kind: type[Frame]) -> str:
    return str(kind.__struct_config__.tag)


def names_of(kind: type[msgspec.Struct]) -> set[str]:
    return {field.encode_name for field in msgspec.structs.fields(kind)}


@pytest.mark.parametrize("kind", ALL_FRAMES, ids=op_of)
def test_each_op_has_a_section_that_names_each_of_its_fields(kind: type[Frame]) -> None:
    text = section(f"`{op_of(kind)}`")
    assert names_of(kind) - words(text) == set()


@pytest.mark.parametrize("kind", CLIENT_FRAMES, ids=op_of)
def test_each_request_s_table_has_its_fields_and_says_which_are_required(kind: type[Frame]) -> None:
    rows = table(section(f"`{op_of(kind)}`"))
    for field in msgspec.structs.fields(kind):
        if kind.__name__ != "Bye":
            said = "required" in rows[field.encode_name]
            assert said is field.required, field.encode_name


@pytest.mark.parametrize("kind", CLIENT_FRAMES, ids=op_of)
def test_no_table_names_a_field_that_does_not_exist(kind: type[Frame]) -> None:
    text = section(f"`{op_of(kind)}`")
    request_table = re.split(r"\n\n", text[text.find("|") :], maxsplit=1)[0]
    documented = {word for row in request_table.splitlines()[2:] for word in re.findall(r"`(\w+)`", row.split("|")[1])}
    assert documented - names_of(kind) == set()


ELSEWHERE: dict[type[msgspec.Struct], tuple[set[str], str]] = {
    StoredMessage: ({"deliveries"}, "`message`"),
    Task: ({"body", "payload", "result", "history"}, "`task`"),
}
"""What a list does not show of its items, and the section of the question that does."""


@pytest.mark.parametrize(
    ("kind", "title"),
    [
        (AgentCard, "`agents`"),
        (StoredMessage, "`inbox`"),
        (DeliveryState, "`receipts`"),
        (WorkState, "`message`"),
        (ServerInfo, "`register`"),
        (Will, "`register`"),
        (OwedReply, "`owed`"),
        (Explanation, "`why`"),
        (Task, "`tasks`"),
        (TaskEvent, "`task`"),
        (TokenInfo, "`tokens`"),
        (Overview, "`overview`"),
        (AgentAtWork, "`overview`"),
        (OldestUnacked, "`overview`"),
        (StuckTask, "`overview`"),
    ],
)
def test_each_item_of_a_list_is_spelled_out(kind: type[msgspec.Struct], title: str) -> None:
    elsewhere, where = ELSEWHERE.get(kind, (set(), title))
    assert names_of(kind) - words(section(title)) == elsewhere
    assert elsewhere <= words(section(where))


def test_each_error_code_is_in_the_table_with_whether_it_may_be_retried() -> None:
    rows = {code: cells for code, cells in table(section("Errors")).items() if cells[0] == f"`{code}`"}
    assert list(rows) == list(ERRORS)
    assert {code for code, cells in rows.items() if cells[1] == "yes"} == {
        code for code, kind in ERRORS.items() if kind.retryable
    }


def test_each_close_code_is_in_the_table() -> None:
    documented = {int(word) for word in table(section("Close codes")) if word.isdigit()}
    assert {code for name, code in vars(CloseCode).items() if name.isupper()} <= documented


def test_each_stage_and_state_is_explained() -> None:
    for kind, field, title in ((DeliveryState, "stage", "`receipts`"), (WorkState, "state", "`message`")):
        [literal] = [found.type for found in msgspec.structs.fields(kind) if found.name == field]
        assert set(literal.__args__) <= words(section(title))


def rows_of(title: str, heading: str) -> list[list[str]]:
    """The cells of the table of a section whose first heading is this one, without headings."""
    text = section(title)
    start = text.index(f"| {heading} |")
    lines = text[start : text.find("\n\n", start)].splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_each_state_of_work_stands_in_the_table_with_its_word_in_a2a() -> None:
    rows = {cells[0].strip("`"): cells[2] for cells in rows_of("States", "state")}
    assert rows.keys() == set(get_args(State))
    for state in get_args(State):
        needs = (*get_args(Needs), None) if state == "parked" else (None,)
        assert words(rows[state]) == {a2a(state, need, begun) for need in needs for begun in (False, True)}


def test_what_leads_from_which_state_to_which_is_the_relay_s_table() -> None:
    said = {
        (state, event.strip("`")): state if to == "the same" else to
        for event, before, to, _ in rows_of("States", "event")
        for state in before.split(", ")
    }
    assert said == TRANSITIONS


@pytest.mark.parametrize("op", ["send", "submit", "tasks"])
def test_each_severity_is_named(op: str) -> None:
    assert set(get_args(Severity)) <= words(" ".join(table(section(f"`{op}`"))["severity"]))


def test_each_need_is_named() -> None:
    assert words(table(section("`park`"))["needs"][1]) == set(get_args(Needs))


def test_each_target_is_explained() -> None:
    explained = " ".join(line for line in section("Targets").splitlines() if line.startswith("|"))
    for kind in TargetKind:
        if kind is not TargetKind.AGENT:
            assert f"`{kind.value}" in explained


def test_each_status_is_explained() -> None:
    [literal] = [found.type for found in msgspec.structs.fields(AgentCard) if found.name == "status"]
    assert set(literal.__args__) == set(table(section("Presence"))) - {"status"}


def test_each_event_is_in_the_table_with_the_fields_that_it_has() -> None:
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in section("`event`").splitlines()]
    said = {cells[0].strip("`"): set(re.findall(r"`(\w+)`", cells[3])) for cells in rows if len(cells) == 4}
    del said["event"], said["---"]
    assert said == {kind: set(msgspec.to_builtins(event)) - {"op", "event", "at"} for kind, event in EVENTS.items()}
    assert {field for fields in said.values() for field in fields} | {"event", "at"} == names_of(Event)


@pytest.mark.parametrize("op", ["subscribe", "unsubscribe"])
def test_what_can_be_subscribed_to_is_named(op: str) -> None:
    assert set(get_args(EventKind)) <= words(" ".join(table(section(f"`{op}`"))["events"]))


def test_what_is_content_of_a_key_is_a_field_of_send() -> None:
    text = section("Idempotency")
    content, of_a_task = (
        words(part) for part in text[text.index("Content is") : text.index("Give every")].split("and of a `submit`")
    )
    assert content <= names_of(Send)
    assert {"to", "body", "claimable", "ttl_s", "supersedes", "expect_reply_s", "attempts", "type"} <= content
    assert of_a_task == names_of(Submit) - names_of(Send)


def test_each_limit_stands_in_the_table() -> None:
    text = section("Limits").replace(",", "")
    for name, value in vars(limits).items():
        if name.endswith(("_MAX", "_DEFAULT", "_MIN", "_S")) and name != "HEARTBEAT_S" and value != limits.ID_MAX:
            assert re.search(
                rf"\b{value:g}\b" if isinstance(value, float) and value < 1e5 else rf"\b{int(value)}\b", text
            ), name


def test_what_is_refused_is_no_op_of_this_version() -> None:
    refused = words(section("What this version refuses"))
    assert "unknown_op" in refused
    assert not refused & {op_of(kind) for kind in ALL_FRAMES}


def test_the_bytes_are_what_they_are_said_to_be() -> None:
    block = re.search(r"```hex\n(.*?)```", TEXT, re.DOTALL)
    assert block is not None
    data = bytes.fromhex("".join(line[:48] for line in block[1].splitlines()))  # the words stand to the right of it
    frames = [Register(id=1, agent="scout"), Send(id=2, to="cap:review", body="hi", key="k1")]
    assert decode_client_batch(data) == frames
    assert msgpack.packb(msgpack.unpackb(data)) == data


def anchors(text: str) -> set[str]:
    """What a link into a page can name: its headings, as GitHub spells them."""
    titles = re.findall(r"^##+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in titles}


def test_links_lead_to_headings_that_exist() -> None:
    assert set(re.findall(r"\]\(#([\w-]+)\)", TEXT)) <= anchors(TEXT)


@pytest.mark.parametrize("page", ["protocol.md", "guarantees.md", "glossary.md"])
def test_links_between_the_pages_lead_somewhere(page: str) -> None:
    links = re.findall(r"\]\(([\w./-]*)(?:#([\w-]+))?\)", (DOCS / page).read_text())
    assert links
    for file, anchor in links:
        target = (DOCS / file).resolve() if file else DOCS / page
        assert target.exists(), file
        if anchor:
            assert anchor in anchors(target.read_text()), f"{file}#{anchor}"


def test_the_glossary_is_in_order_and_each_term_leads_to_the_protocol() -> None:
    entries = re.findall(
        r"^\*\*(.+?)\*\*(.*?)(?=^\*\*|\Z)", (DOCS / "glossary.md").read_text(), re.MULTILINE | re.DOTALL
    )
    terms = [term.lower() for term, _ in entries]
    assert terms == sorted(terms)
    assert [term for term, text in entries if "(protocol.md#" not in text] == []


def test_the_glossary_has_the_words_of_the_design() -> None:
    text = (DOCS / "glossary.md").read_text()
    missing = {word for word in WORDS if f"**{word}**" not in text}
    assert missing == set()


def test_each_file_that_the_guarantees_name_exists() -> None:
    text = (DOCS / "guarantees.md").read_text()
    folders = [DOCS.parent, DOCS.parent / "relay" / "relay_server", DOCS.parent / "client" / "relay_client"]
    for file in re.findall(r"`((?!tests/)[\w/]+\.py)`", text):
        assert any((folder / file).exists() for folder in folders), file


def test_each_test_that_the_guarantees_name_exists() -> None:
    """A promise that names a test which was renamed has none."""
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", (DOCS / "guarantees.md").read_text())
    assert named
    for file, name in named:
        path = DOCS.parent / file
        assert path.exists(), file
        assert re.search(rf"^(async )?def {name}\(", path.read_text(), re.MULTILINE) or not name, f"{file}::{name}"


def test_each_op_stands_with_its_scope() -> None:
    said = {
        op: None if cells[0] == "none" else cells[0].strip("`")
        for cells in rows_of("Tokens", "scope")
        for op in re.findall(r"`(\w+)`", cells[1])
    }
    assert said == OP_SCOPES
    assert set(re.findall(r"`([a-z]+:[a-z]+)`", section("Tokens"))) >= SCOPES
