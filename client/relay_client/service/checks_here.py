"""What `relay doctor` looks at on this machine: Python, the terminal, files and who may read them, room, limits, ports.

Every check gives findings and raises nothing: a machine in a bad state is what a doctor is for.
"""

import errno
import http.client
import os
import platform
import resource
import shutil
import socket
import stat
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from relay_proto.version import __version__

from . import env_file
from .disks import disk_of, nearest
from .finding import Finding, fail, ok, warn
from .places import Places, given

MIB: Final = 1024 * 1024
ROOM_FAIL_BYTES: Final = 128 * MIB
"""A store begins with 50 MB, and a relay refuses sends when less than twice its ballast of 16 MiB is free."""
ROOM_WARN_BYTES: Final = 1024 * MIB
FILES_WARN: Final = 4096
"""Each agent is one open file of the relay's."""
COMMIT_SLOW_S: Final = 0.05
PROBE_S: Final = 1.0
"""What listens on this machine and says nothing for so long is taken for no relay."""


def check_versions() -> Iterator[Finding]:
    """This client and its Python."""
    yield ok("client", f"relay-broker {__version__}, Python {platform.python_version()}, {sys.prefix}")


def check_terminal(environ: Mapping[str, str]) -> Iterator[Finding]:
    """Whether text of any language can be shown."""
    encoding = (getattr(sys.stdout, "encoding", None) or "ascii").lower().replace("-", "")
    term = environ.get("TERM") or "(not set)"
    if encoding != "utf8":
        yield warn(
            "terminal",
            f"text is written as {encoding}: what that has no letters for is shown as \\u escapes",
            "set LANG=C.UTF-8, or another UTF-8 locale (locale -a lists them)",
        )
    elif sys.stdout.isatty() and term in ("(not set)", "dumb", "unknown"):
        yield warn(
            "terminal",
            f"TERM is {term}: relay top and relay-repl can't draw there",
            "set TERM, to xterm-256color mostly",
        )
    else:
        yield ok("terminal", f"UTF-8, TERM {term}{', NO_COLOR' if environ.get('NO_COLOR') else ''}")


def check_settings(places: Places, problem: str | None, config_file: str | None) -> Iterator[Finding]:
    """The relay's settings: the files they stand in, and whether it would start with them (`problem`: why not)."""
    path = places.env_file
    there = path.exists()
    if problem is not None and there:
        yield fail(
            "settings", f"the relay would not start: {problem}", f"mend that; relay config show --env-file {path}"
        )
    elif problem is not None:
        yield warn("settings", f"relay serve would not start here: {problem}", "relay config show has all of them")
    elif there or config_file:
        read = [str(path)] if there else []
        yield ok("settings", " and ".join([*read, *([config_file] if config_file else [])]))
    else:
        yield ok("settings", f"{path} is not there: no relay is set up here (relay setup makes one)")
    if there:
        yield from _check_tokens(places)


def _check_tokens(places: Places) -> Iterator[Finding]:
    try:
        settings = env_file.read(places.env_file.read_text(encoding="utf-8"), str(places.env_file))
        held = places.token_file.read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        return  # the one is said already, the other need not be there
    token = given(settings, "RELAY_TOKEN")
    if token and held and token != held:
        yield warn(
            "token file",
            f"{places.token_file} holds another token than {places.env_file}",
            "remove it and run relay setup, if it is meant for this relay",
        )


def check_permissions(places: Places, data: Path) -> Iterator[Finding]:
    """Files with secrets, and the data folder: theirs alone whose they are."""
    secret = (places.env_file, places.token_file, places.profiles_file, data, *sorted(data.glob("*.db*")))
    looked = 0
    wrong = False
    for path in secret:
        try:
            status = path.stat()
        except OSError:
            continue
        looked += 1
        mode = stat.S_IMODE(status.st_mode)
        if status.st_uid != os.getuid():
            wrong = True
            yield fail(
                "permissions", f"{path} is user {status.st_uid}'s, not yours", "run this as that user, or chown it"
            )
        elif mode & 0o077 and (path != places.profiles_file or mode & 0o022):
            wrong = True
            want = "0700" if stat.S_ISDIR(status.st_mode) else "0600"
            yield fail("permissions", f"{path} is open to other users (mode {mode:04o})", f"chmod {want} {path}")
    if looked and not wrong:
        yield ok("permissions", f"{looked} files and folders are yours alone")


def check_disk(data: Path) -> Iterator[Finding]:
    """Room for the store, and whether the place lasts."""
    disk = disk_of(data)
    if disk.concern:
        yield warn("disk", f"{data}: {disk.concern}", "keep the data elsewhere: relay setup --data DIR, and move it")
    try:
        usage = shutil.disk_usage(nearest(data))
    except OSError as exc:
        yield fail("room", f"{data} can't be looked at: {_why(exc)}", "see who owns it, and what it stands on")
        return
    there = "" if data.exists() else ", which is not there yet"
    said = f"{_size(usage.free)} free of {_size(usage.total)} for {data}{there}, {disk.kind or 'a file system'}"
    if usage.free < ROOM_FAIL_BYTES:
        yield fail("room", said, f"make room: with less than {_size(ROOM_FAIL_BYTES)} a relay soon refuses sends")
    elif usage.free < ROOM_WARN_BYTES:
        yield warn("room", said, "make room before a relay refuses sends (storage_full)")
    else:
        yield ok("room", said)


def check_files() -> Iterator[Finding]:
    """How many files, and so agents, one process may have."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = hard == resource.RLIM_INFINITY
    said = "any number of open files" if unlimited else f"{hard} open files at most: a little fewer agents at once"
    if not unlimited and hard < FILES_WARN:
        yield warn("limits", said, "raise the hard limit: ulimit -Hn, /etc/security/limits.conf, LimitNOFILE=")
    else:
        yield ok("limits", said)


def check_port(host: str, port: int) -> Iterator[Finding]:
    """Whether the relay could listen there, or does already."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the relay does: a port just left is free
            probe.bind((host, port))
    except OSError as exc:
        if exc.errno == errno.EADDRINUSE and _is_relay(host, port):
            yield ok("port", f"{port}: a relay has it")
            return
        whose = holder_of(port)
        todo = f"stop {whose or 'what has it'}, or take another port: relay setup --port N, then relay daemon restart"
        yield fail("port", f"{host}:{port} can't be had: {_why(exc)}{f' ({whose})' if whose else ''}", todo)
    else:
        yield ok("port", f"{port} is free at {host}")


def _is_relay(host: str, port: int) -> bool:
    """Whether what listens there answers as a relay does."""
    connection = http.client.HTTPConnection(
        {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host), port, timeout=PROBE_S
    )
    try:
        connection.request("GET", "/healthz")
        with connection.getresponse() as response:
            return response.status == 200 and b'"version"' in response.read(1000)
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def holder_of(port: int) -> str | None:
    """`process 12 (nginx)`, for the process of this user that listens at a port; None where nobody can say."""
    inodes = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            lines = Path(table).read_text().splitlines()[1:]
        except OSError:
            continue
        rows = (line.split() for line in lines)
        inodes |= {row[9] for row in rows if row[3] == "0A" and int(row[1].rpartition(":")[2], 16) == port}
    wanted = {f"socket:[{inode}]" for inode in inodes}
    for process in Path("/proc").glob("[0-9]*") if wanted else ():
        try:
            if any(os.readlink(file) in wanted for file in (process / "fd").iterdir()):
                return f"process {process.name} ({(process / 'comm').read_text().strip()})"
        except OSError:
            continue  # another user's, or gone meanwhile
    return None


def check_store(found: Any, data: Path) -> Iterator[Finding]:
    """What the server's side found (its module examine) about SQLite and the data folder."""
    if not found.is_new_enough:
        yield fail("sqlite", f"SQLite {found.sqlite}; {found.sqlite_oldest} or newer is needed", "take a newer Python")
    else:
        note = (
            ""
            if found.is_safe_with_two
            else "; before 3.51.3 two writers can damage a store: let nothing but the relay write to its database"
        )
        yield ok("sqlite", f"SQLite {found.sqlite}{note}")
    for refused in found.refused:
        yield fail("store", f"SQLite does not take {refused} on this disk", "keep the data on a local disk")
    if found.commit_s is not None and not found.refused:
        said = f"every setting holds; a commit takes {found.commit_s * 1000:.2g} ms"
        if found.commit_s > COMMIT_SLOW_S:
            yield warn("store", said, "that disk is slow to say that something is on it; each send waits for that")
        else:
            yield ok("store", said)
    if found.damage:
        yield fail("database", found.damage, "restore a backup; relay verify FILE looks at one")
    elif found.database_bytes is not None:
        schema = "" if found.schema is None else f", schema {found.schema} of {found.schema_known}"
        said = f"{data}: {_size(found.database_bytes)}{schema}"
        if found.schema is not None and found.schema > found.schema_known:
            yield fail("database", said, "a newer relay wrote it: relay upgrade, or restore a backup")
        else:
            yield ok("database", said + (f", in use by process {found.owner}" if found.owner else ""))


def _size(size: int) -> str:
    for unit in ("B", "KiB", "MiB"):
        if size < 1024:
            return f"{size} {unit}" if unit == "B" else f"{size:.0f} {unit}"
        size /= 1024  # type: ignore[assignment]
    return f"{size:.1f} GiB"


def _why(exc: Exception) -> str:
    return (exc.strerror if isinstance(exc, OSError) else None) or str(exc)
