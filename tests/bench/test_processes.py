"""Starting, failing and cleaning up."""

import signal
import sys
from pathlib import Path

import psutil
import pytest

from bench import processes
from bench.processes import BenchError, open_workspace

SERVER = """
import http.server, sys
class Ready(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Ready).serve_forever()
"""


@pytest.fixture(autouse=True)
def _results_in_tmp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "RESULTS", tmp_path)


def start_server(workspace: processes.Workspace) -> processes.Daemon:
    port = processes.free_port()
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-c", SERVER, str(port)]
    return workspace.start_daemon("server", command, workspace.new_folder("server"), url, url)


def test_leaving_the_workspace_ends_its_processes_and_removes_its_folder() -> None:
    with open_workspace() as workspace:
        pid = start_server(workspace).pid
        assert psutil.pid_exists(pid)
    assert not psutil.pid_exists(pid)
    assert not workspace.folder.exists()


def test_an_interrupt_cleans_up_too(tmp_path: Path) -> None:
    pids: list[int] = []

    def interrupted() -> None:
        with open_workspace() as workspace:
            pids.append(start_server(workspace).pid)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert not psutil.pid_exists(pids[0])
    assert list(tmp_path.iterdir()) == []


def test_sigterm_leaves_like_an_interrupt_and_the_old_handler_comes_back(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as caught, open_workspace():
        signal.raise_signal(signal.SIGTERM)
    assert caught.value.code == 128 + signal.SIGTERM
    assert signal.getsignal(signal.SIGTERM) is before
    assert list(tmp_path.iterdir()) == []


def test_a_daemon_that_ends_before_it_is_ready_fails_with_its_log() -> None:
    url = f"http://127.0.0.1:{processes.free_port()}"
    command = [sys.executable, "-c", "import sys; print('out of luck'); sys.exit(3)"]
    with open_workspace() as workspace:
        folder = workspace.new_folder("unlucky")
        with pytest.raises(BenchError, match=r"(?s)ended with code 3 .*out of luck"):
            workspace.start_daemon("unlucky", command, folder, url, url)


def test_a_process_that_ignores_sigterm_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "STOP_S", 0.05)
    with open_workspace() as workspace:
        stubborn = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + SERVER
        port = processes.free_port()
        url = f"http://127.0.0.1:{port}"
        command = [sys.executable, "-c", stubborn, str(port)]
        daemon = workspace.start_daemon("stubborn", command, workspace.new_folder("stubborn"), url, url)
        daemon.stop()
        assert not psutil.pid_exists(daemon.pid)


def test_processor_time_of_this_process_is_known() -> None:
    if not Path("/proc/self/stat").exists():
        pytest.skip("no /proc here")
    used = processes.processor_seconds(psutil.Process().pid)
    assert used is not None
    assert used > 0
