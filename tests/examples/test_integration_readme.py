"""What the README of the integrations shows is true: its configuration is read, its code knows our signature."""

import time
from typing import Any

from relay_server.integrations import read_integrations, sign

from .connector import FOLDER

README = (FOLDER / "README.md").read_text()
SECRET = "callback-secret-0123456789"


def test_the_code_that_checks_a_signature_knows_ours() -> None:
    names: dict[str, Any] = {}
    exec(README.split("```python\n")[1].split("```")[0], names)
    is_ours, body = names["is_ours"], b'{"id": "evt_1"}'
    now, old = str(int(time.time() * 1000)), str(int(time.time() * 1000) - 3_600_000)

    def headers(timestamp: str, secret: str = SECRET) -> dict[str, str]:
        return {"X-Relay-Timestamp": timestamp, "X-Relay-Signature": sign(secret, timestamp, body)}

    assert is_ours(SECRET, headers(now), body)
    assert not is_ours(SECRET, headers(now), body + b" ")
    assert not is_ours(SECRET, headers(now, "another-secret-0123456789"), body)
    assert not is_ours(SECRET, headers(old), body)


def test_the_configuration_is_read_and_names_each_connector() -> None:
    found = read_integrations((FOLDER / "integrations.json").read_bytes(), "integrations.json")
    assert [one.name for one in found] == ["github", "alertmanager", "ops", "support"]
    for file in FOLDER.iterdir():
        assert file.name in README or file.name in ("README.md", "__pycache__"), file
