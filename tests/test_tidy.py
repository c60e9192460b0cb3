"""The house style that a machine can hold: imports run one way, policy is pure, things stay small and have tests.

A module that is new needs no entry here. It is edge until it is named below, and it needs a test file of its own, or a
line in COVERED_BY with the reason.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = {"relay_proto": ROOT / "proto", "relay_client": ROOT / "client", "relay_server": ROOT / "relay"}
FILE_LINES_MAX = 400
FUNCTION_LINES_MAX = 69

POLICY = {
    f"relay_server.{name}"
    for name in (
        "access", "arrivals", "claim", "deadlines", "directory", "doorkeeper", "grants", "integrations", "leases",
        "presence", "quota", "target", "times", "waits",
    )
}  # fmt: skip
DESK = {
    f"relay_server.{name}"
    for name in (
        "answers", "asking", "broker", "calling", "feed", "feeding", "granting", "housekeeping", "listing", "news",
        "overview", "paired", "pairing", "post", "sending", "sent", "session", "standing", "tally", "telling",
        "visitors", "why", "why_delivery", "why_work", "words", "worked", "working",
    )
}  # fmt: skip
INTERFACE = "relay_server.store.interface"
DATA = {
    f"relay_server.store.{name}"
    for name in ("callback_data", "commands", "outcomes", "overview_data", "pair_data", "questions", "token_data")
}
"""What the interface is made of: as pure as the interface, and nobody outside of the store imports them by name."""
MAY_IMPORT_SERVER = {f"relay_server.{name}" for name in ("server", "cli", "__main__")}

PURE = {
    "abc", "base64", "bisect", "collections", "dataclasses", "difflib", "enum", "functools", "hashlib", "heapq", "hmac",
    "itertools", "math", "msgspec", "operator", "re", "string", "types", "typing",
}  # fmt: skip
"""What proto, policy, desk and the store's interface may import besides ours: no I/O and no clock is among it."""

LAZY = {"relay_client": "its names load when they are used: `relay --help` should not pay for a WebSocket"}
"""Packages whose __init__ may have a module-level __getattr__, and why."""

COVERED_BY = {
    "relay_client.cli.__main__": ("tests/cli/command.py", "two lines; the tests of the command start through it"),
    "relay_client.cli.spans": ("tests/proto/test_spans.py", "names of relay_proto.spans"),
    "relay_client.service.finding": ("tests/cli/test_doctor.py", "data; what each check makes of it is tested there"),
    "relay_client.repl.__main__": ("tests/repl/test_script.py", "two lines; the script is started through it"),
    "relay_client.repl.result": ("tests/repl/test_forms.py", "data; what each command puts there is in its tests"),
    "relay_client.repl.shape": ("tests/repl/test_grammar.py", "data; the grammar reads lines by it"),
    "relay_client.repl.commands.leaving": ("tests/repl/commands/test_own.py", "two exceptions; what raises them"),
    "relay_client.repl.commands.line": ("tests/repl/commands/test_speaking.py", "every line of these tests goes by it"),
    "relay_client.repl.commands.parts": ("tests/repl/commands/test_table.py", "data; the table is held to it"),
    "relay_client.repl.style": ("tests/repl/test_lexer.py", "data; every colour that is used is looked for in it"),
    "relay_proto.version": ("tests/relay/test_wire.py", "one line; register's answer shows it"),
    "relay_server.__main__": ("tests/daemon.py", "two lines; every daemon of the tests starts through it"),
    "relay_server.answers": ("tests/relay/test_broker.py", "the desk is tested as a whole, over a real store"),
    "relay_server.asking": ("tests/relay/test_broker.py", "the desk is tested as a whole, over a real store"),
    "relay_server.calling": ("tests/http/test_courier.py", "a few lines, tested with the courier"),
    "relay_server.exits": ("tests/relay/test_server.py", "constants; the exit statuses are tested with the process"),
    "relay_server.feeding": ("tests/relay/test_feed.py", "what the feed is given; tested through the desk"),
    "relay_server.paired": ("tests/relay/test_pairing.py", "tested through the desk, with pairing"),
    "relay_server.front": ("tests/relay/test_server.py", "uvicorn, set up; tested with the process"),
    "relay_server.hangup": ("tests/relay/test_door.py", "tested with the process, which notices who has gone"),
    "relay_server.keeping.keeper": ("tests/http/test_keeping.py", "tested with the rows that use it"),
    "relay_server.lobby": ("tests/http/test_hostile.py", "tested with the process, by crowds"),
    "relay_server.metrics": ("tests/http/test_metrics.py", "tested with the process, which shows them"),
    "relay_server.http.event_data": ("tests/http/test_events.py", "what a listener is told, over HTTP"),
    "relay_server.post": ("tests/relay/test_broker.py", "the desk is tested as a whole, over a real store"),
    "relay_server.sent": ("tests/relay/test_sending.py", "the way back of each send; its cost is in test_cost.py"),
    "relay_server.settings_report": ("tests/cli/test_config.py", "what relay config shows"),
    "relay_server.telling": ("tests/relay/test_broker.py", "the desk is tested as a whole, over a real store"),
    "relay_server.worked": ("tests/relay/test_task_news.py", "tested through the desk, which says what became of work"),
    "relay_server.working": ("tests/relay/test_broker.py", "the desk is tested as a whole, over a real store"),
    "relay_server.http.admission": ("tests/http/test_tokens.py", "tested with the process"),
    "relay_server.http.app": ("tests/http/test_dispatch.py", "tested with the process"),
    "relay_server.http.calls": ("tests/http/test_courier.py", "tested with the courier and the rows that use it"),
    "relay_server.http.inboxes": ("tests/http/test_long_poll.py", "tested with the process"),
    "relay_server.http.polled": ("tests/http/test_agents.py", "tested with the process; its desk in test_polled"),
    "relay_server.http.said": ("tests/http/test_messages.py", "what each refusal is about, tested with the process"),
    "relay_server.http.overview": ("tests/relay/test_overview.py", "tested with the process, beside the op"),
    "relay_server.http.shapes": ("tests/http/test_messages.py", "data; each row's tests look at what it answers"),
    "relay_server.http.errors": ("tests/http/test_dispatch.py", "tested with the process"),
    "relay_server.http.desk": ("tests/http/test_callers.py", "what each caller goes through"),
    "relay_server.http.payloads": ("tests/http/test_messages.py", "tested with the rows that take one"),
    "relay_server.http.followed": ("tests/http/test_bus.py", "tested with the process"),
    "relay_server.http.operations": ("tests/http/test_dispatch.py", "a list of lists"),
    "relay_server.http.probes": ("tests/relay/test_server.py", "tested with the process"),
    "relay_server.http.table": ("tests/http/test_dispatch.py", "data without behaviour"),
    "relay_server.store.interface": (
        "tests/relay/store/test_sqlite.py",
        "data without behaviour; the engine is held to it",
    ),
    "relay_server.store.agents": ("tests/relay/test_housekeeping.py", "tested through the desk"),
    "relay_server.store.alarms": ("tests/relay/test_time.py", "what goes off and when is seen at the desk"),
    "relay_server.store.applying": ("tests/relay/store/test_sqlite.py", "a table; each entry is tested by its subject"),
    "relay_server.store.asks": ("tests/relay/test_asks.py", "tested through the desk"),
    "relay_server.store.callback_data": ("tests/relay/store/test_callbacks.py", "data without behaviour"),
    "relay_server.store.claims": ("tests/relay/test_claim.py", "each place of the state table, through the desk"),
    "relay_server.store.commands": ("tests/relay/store/test_sqlite.py", "data without behaviour"),
    "relay_server.store.deliveries": ("tests/relay/test_broker.py", "tested through the desk"),
    "relay_server.store.dependencies": ("tests/relay/test_dependencies.py", "tested through the desk"),
    "relay_server.store.due": ("tests/relay/test_any.py", "tested through the desk, whose clock the test holds"),
    "relay_server.store.due_work": ("tests/relay/test_parking.py", "tested through the desk, like due"),
    "relay_server.store.history": ("tests/relay/test_tasks.py", "tested through the desk, which shows it"),
    "relay_server.store.keys": ("tests/relay/test_sending.py", "tested through the desk; of reports in test_tasks.py"),
    "relay_server.store.messages": ("tests/relay/test_sending.py", "tested through the desk"),
    "relay_server.store.moves": ("tests/relay/test_news.py", "tested through the desk, which says them"),
    "relay_server.store.outcomes": ("tests/relay/store/test_sqlite.py", "data without behaviour"),
    "relay_server.store.overview_data": ("tests/relay/store/test_overview.py", "data without behaviour"),
    "relay_server.store.pair_data": ("tests/relay/test_pairing.py", "data without behaviour"),
    "relay_server.store.pairs": ("tests/relay/test_pairing.py", "tested through the desk, which asks it"),
    "relay_server.store.questions": ("tests/relay/store/test_sqlite.py", "data without behaviour"),
    "relay_server.store.reaper": ("tests/relay/test_housekeeping.py", "tested through the desk"),
    "relay_server.store.reads": ("tests/relay/store/test_sqlite.py", "tested through the engine"),
    "relay_server.store.refusals": ("tests/relay/test_forgive.py", "tested through the desk, which says them"),
    "relay_server.store.rows": ("tests/relay/store/test_sqlite.py", "tested through the engine"),
    "relay_server.store.special": ("tests/relay/test_time.py", "tested through the desk"),
    "relay_server.store.task_reads": ("tests/relay/test_tasks.py", "tested through the desk"),
    "relay_server.store.token_data": ("tests/relay/test_granting.py", "data without behaviour"),
    "relay_server.store.tokens": ("tests/relay/test_granting.py", "tested through the desk"),
    "relay_server.store.tasks": ("tests/relay/test_tasks.py", "tested through the desk, and in test_claim_next.py"),
    "relay_server.store.threads": ("tests/relay/test_sending.py", "tested through the desk"),
    "relay_server.store.transaction": ("tests/relay/store/test_sqlite.py", "data without behaviour"),
    "relay_server.store.withdrawals": ("tests/relay/test_withdraw.py", "tested through the desk"),
    "relay_server.store.work": ("tests/relay/test_broker.py", "the transitions are tested through the desk"),
}
"""Modules without a test file of their own name: which file tests them, and why that is so."""


class Module:
    """One source file: its dotted name, its text and its syntax tree."""

    def __init__(self, base: Path, path: Path) -> None:
        parts = path.relative_to(base).with_suffix("").parts
        self.path = path
        self.is_package = parts[-1] == "__init__"
        self.name = ".".join(parts[:-1] if self.is_package else parts)
        self.text = path.read_text()
        self.tree = ast.parse(self.text, str(path))

    def imports(self, *, for_types: bool) -> set[str]:
        """Dotted names of what it imports, relative ones resolved; those under TYPE_CHECKING only `for_types`."""
        hidden = {id(inner) for node in ast.walk(self.tree) if _is_type_checking(node) for inner in ast.walk(node)}
        names: set[str] = set()
        for node in ast.walk(self.tree):
            if id(node) in hidden and not for_types:
                continue
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                package = self.name.split(".")[: None if self.is_package else -1]
                above = package[: len(package) - node.level + 1] if node.level else []
                source = ".".join([*above, *([node.module] if node.module else [])])
                # `from .store import interface` is an import of the module interface, as far as anyone can know.
                names |= {source, *(f"{source}.{alias.name}" for alias in node.names)}
        return names

    def __repr__(self) -> str:
        return self.name


def _is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")


MODULES = [Module(base, path) for name, base in PACKAGES.items() for path in sorted((base / name).rglob("*.py"))]
KNOWN = {module.name for module in MODULES}
each_module = pytest.mark.parametrize("module", MODULES, ids=repr)


def ours(names: set[str]) -> set[str]:
    """Of these imports the modules that are ours (a name that is imported from a module is not one)."""
    return {name for name in names if name in KNOWN}


def foreign(names: set[str]) -> set[str]:
    """Of these imports the distributions and standard modules that are not ours."""
    return {top for name in names if (top := name.split(".")[0]) not in PACKAGES}


# -- imports run one way ---------------------------------------------------------------------------------------------


@each_module
def test_packages_import_only_what_stands_below_them(module: Module) -> None:
    package = module.name.split(".")[0]
    allowed = {"relay_proto"} if package == "relay_proto" else {"relay_proto", package}
    assert {name.split(".")[0] for name in module.imports(for_types=True)} & PACKAGES.keys() <= allowed


@each_module
def test_the_pure_do_no_io_and_read_no_clock(module: Module) -> None:
    if module.name.startswith("relay_proto") or module.name in POLICY | DESK | DATA | {INTERFACE}:
        assert foreign(module.imports(for_types=True)) <= PURE | {"msgpack"}


@each_module
def test_inside_the_daemon_imports_run_from_the_edge_to_the_policy(module: Module) -> None:
    imported = {name for name in ours(module.imports(for_types=True)) if name.startswith("relay_server.")}
    if module.name in POLICY:
        assert imported <= POLICY
    elif module.name in DESK:
        assert imported <= POLICY | DESK | {INTERFACE, "relay_server.store"}
    elif module.name in {INTERFACE, *DATA}:
        assert imported <= DATA
    elif module.name.startswith("relay_server.store"):
        assert {name for name in imported if not name.startswith("relay_server.store")} <= POLICY
    elif module.name not in MAY_IMPORT_SERVER:
        assert not ours(module.imports(for_types=False)) & MAY_IMPORT_SERVER


def test_the_layers_name_modules_that_exist() -> None:
    assert POLICY | DESK | DATA | {INTERFACE} | MAY_IMPORT_SERVER <= KNOWN


# -- things stay small -----------------------------------------------------------------------------------------------


@each_module
def test_files_are_short(module: Module) -> None:
    assert len(module.text.splitlines()) <= FILE_LINES_MAX


@each_module
def test_functions_are_short(module: Module) -> None:
    long = {
        node.name: length
        for node in ast.walk(module.tree)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        and (length := (node.end_lineno or 0) - node.lineno + 1) > FUNCTION_LINES_MAX
    }
    assert long == {}


@each_module
def test_nothing_is_implemented_in_an_init(module: Module) -> None:
    def may_stand_there(node: ast.stmt) -> bool:
        is_docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        is_names = isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
        if is_names:
            return True
        if _is_type_checking(node):
            return all(may_stand_there(inner) for inner in ast.iter_child_nodes(node) if isinstance(inner, ast.stmt))
        if module.name in LAZY and isinstance(node, (ast.Assign, ast.FunctionDef)):
            return (
                ast.unparse(node.targets[0]) == "_HOMES" if isinstance(node, ast.Assign) else node.name == "__getattr__"
            )
        return is_docstring or isinstance(node, (ast.Import, ast.ImportFrom))

    if module.is_package:
        assert [ast.unparse(node) for node in module.tree.body if not may_stand_there(node)] == []


# -- nothing is left lying about -------------------------------------------------------------------------------------


def sources() -> Iterator[Path]:
    """Every text file of ours that is code: Python and SQL, the tests aside."""
    for folder in ("proto", "client", "relay", "bench", "docs"):
        for suffix in ("py", "sql"):
            yield from sorted((ROOT / folder).rglob(f"*.{suffix}"))


def test_no_note_to_oneself_is_left_in_a_source() -> None:
    note = re.compile(r"\b(TODO|FIXME|XXX)\b")
    assert [str(path.relative_to(ROOT)) for path in sources() if note.search(path.read_text())] == []


def test_no_error_is_swallowed_whole() -> None:
    """`except:` catches what nobody meant; `except Exception: pass` hides what somebody needs."""
    swallowed = []
    for path in sources():
        if path.suffix != ".py":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ExceptHandler):
                everything = node.type is None or ast.unparse(node.type) in ("Exception", "BaseException")
                silent = all(isinstance(statement, (ast.Pass, ast.Continue)) for statement in node.body)
                if node.type is None or (everything and silent):
                    swallowed.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert swallowed == []


# -- each module has its tests ---------------------------------------------------------------------------------------


def where_tests_may_stand(module: Module) -> list[Path]:
    """Where its tests may stand: relay_client.cli.send in tests/client/cli/test_send.py or tests/cli/test_send.py."""
    package, *folders, name = module.name.split(".")
    top = package.removeprefix("relay_").replace("server", "relay")
    tests = ROOT / "tests"
    return [
        tests.joinpath(top, *folders, f"test_{name}.py"),
        tests.joinpath(*folders[:1] or [top], *folders[1:], f"test_{name}.py"),
    ]


@each_module
def test_each_module_has_its_test_file(module: Module) -> None:
    if module.is_package:
        return
    if module.name in COVERED_BY:
        file, reason = COVERED_BY[module.name]
        assert (ROOT / file).exists()
        assert reason
    else:
        assert any(path.exists() for path in where_tests_may_stand(module)), (
            f"no test file, and no line in COVERED_BY: {module}"
        )


def test_what_is_said_to_be_covered_exists() -> None:
    assert COVERED_BY.keys() <= KNOWN
