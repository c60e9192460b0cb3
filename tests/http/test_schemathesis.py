"""Every row of the door, tried out by schemathesis: what the OpenAPI document promises is what the daemon does.

It makes requests of the document, right ones and wrong ones, and sequences of them; its checks are below, and
schemathesis_hooks.py lends it names that exist. The seed is
fixed, and stands in its report; RELAY_LONG=1 takes another one each time and ten times as long.

What it does not see: streams (they do not end), and what only tests with an intention see. What it may not complain of:
a right body that is refused for how its fields go together (`positive_data_acceptance`: JSON Schema has no words for
all of it), and 429 for the eleventh wrong token (`ignored_auth`; tests/http/test_tokens.py has what holds for tokens).
"""

import os
import secrets
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from relay_server.http.operations import OPERATIONS
from tests.daemon import Daemon

LONG = os.environ.get("RELAY_LONG") == "1"
BUDGET_S = 600 if LONG else 45
"""Seconds for all of it. Coverage comes first and takes what it takes; the rest is what is left."""
SEED = secrets.randbelow(2**32) if LONG else 20261121
TOKEN = "a-token-for-schemathesis"
INTEGRATIONS = '[{"name": "ci", "callbackUrl": "http://127.0.0.1:9/"}]'
SETTINGS = Path(__file__).with_name("schemathesis.toml")
CHECKS = (
    "not_a_server_error", "status_code_conformance", "content_type_conformance", "response_headers_conformance",
    "response_schema_conformance", "negative_data_rejection", "missing_required_header", "unsupported_method",
    "allow_header_conformance",
)  # fmt: skip


@pytest.mark.timeout(BUDGET_S * 4)
def test_the_door_does_what_its_document_says(make_daemon: Callable[..., Daemon], tmp_path: Path) -> None:
    env = {"RELAY_TOKEN": TOKEN, "RELAY_INTEGRATIONS": INTEGRATIONS}
    daemon = make_daemon("--group-rate", "0", "--pair-rate", "0", env=env).start()
    command = [
        sys.executable, "-m", "schemathesis.cli", "--config-file", str(SETTINGS), "--no-color",
        "run", f"{daemon.url}/api/openapi.json",
        "--checks", ",".join(CHECKS), "--phases", "coverage,fuzzing,stateful",
        "--max-time", str(BUDGET_S), "--request-timeout", "15", "--seed", str(SEED),
    ]  # fmt: skip
    for header in ("Authorization: Bearer ", "X-Agent-Relay-Token: ", "X-Bus-Token: "):
        command += ["--header", header + TOKEN]
    for row in OPERATIONS:
        if row.is_closed_off:
            command += ["--exclude-path", row.path]
    hooks = {"SCHEMATHESIS_HOOKS": "tests.http.schemathesis_hooks", "PYTHONPATH": str(Path(__file__).parents[2])}
    run = subprocess.run(
        command, cwd=tmp_path, env=os.environ | hooks, capture_output=True, text=True, timeout=BUDGET_S * 3, check=False
    )
    print(run.stdout[-20_000:], run.stderr)
    assert run.returncode == 0, f"schemathesis found something (seed {SEED}); its report stands above"
    open_rows = sum(not row.is_closed_off for row in OPERATIONS)
    assert f"Tested: {open_rows}" in run.stdout
    assert daemon.process is not None
    assert daemon.process.poll() is None
    assert "Traceback" not in daemon.log.read_text()
