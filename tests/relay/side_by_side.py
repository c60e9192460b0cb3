"""What hypothesis drives to hold the relay to a model: a desk over a real store in its own folder, and a watcher."""

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from hypothesis.stateful import RuleBasedStateMachine

from relay_proto.frames import Register
from relay_server.quota import Limits
from relay_server.session import Session
from tests.relay.desk import Desk
from tests.relay.stress import temporary_folder

UNLIMITED = Limits(
    send_per_s=0, group_per_minute=0, pair_per_minute=0, hops_max=0, inbox_messages_max=0, inbox_bytes_max=0
)


class SideBySide(RuleBasedStateMachine):
    """The desk and the model side by side. Each rule does one thing to both."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.folder = temporary_folder()
        self.desk = Desk(Path(self.folder.name) / "desk", UNLIMITED)
        self.run(self.desk.open())
        self.sessions: dict[str, Session] = {}
        self.watch()

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(work)

    def watch(self) -> None:
        """Somebody who only looks."""
        self.watcher = self.desk.connect()
        self.run(self.desk.say(self.watcher, Register(id=0, agent="watcher", visit=True)))

    def teardown(self) -> None:
        self.run(self.desk.close())
        self.runner.close()
        self.folder.cleanup()
