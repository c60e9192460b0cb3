"""What the numbers were taken on: processor, kernel, filesystem, versions. Nothing here is guessed: unknown is said."""

import importlib.metadata
import os
import platform
import resource
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
"""The checkout."""

BIN = Path(sys.executable).parent
"""Where the commands of this environment are."""

MEMORY_FILESYSTEMS = frozenset({"tmpfs", "ramfs", "devtmpfs"})
"""Filesystems whose fsync does nothing: what is measured on them says nothing about durable sends."""


def facts(folder: Path) -> dict[str, str]:
    """The machine and the versions, by name, in the order they are printed. folder: where the daemons keep data."""
    return {
        "processor": f"{processor()}, {os.cpu_count()} cores",
        "kernel": f"{platform.system()} {platform.release()} {platform.machine()}",
        "filesystem": f"{filesystem(folder)} at {folder}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "event loop": loop_name(),
        "relay": relay_version(),
        "libraries": ", ".join(f"{name} {version(name)}" for name in ("websockets", "msgspec", "aiosqlite", "uvicorn")),
        "nats": f"{nats_server_version()}, nats-py {version('nats-py')}",
        "sqlite": sqlite3.sqlite_version,
    }


def processor() -> str:
    """The model as the kernel names it."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or "unknown processor"


def filesystem(folder: Path) -> str:
    """The type of the filesystem that holds `folder`: of all mounts above it, the deepest."""
    mounts = Path("/proc/mounts")
    if not mounts.exists():
        return "unknown filesystem"
    deepest, kind = "", "unknown filesystem"
    for line in mounts.read_text().splitlines():
        _, point, mount_kind, *_ = line.split()
        if folder.resolve().is_relative_to(point) and len(point) >= len(deepest):
            deepest, kind = point, mount_kind
    return kind


def loop_name() -> str:
    """The event loop that every client process of the run uses, whichever peer it talks to."""
    return f"uvloop {version('uvloop')} in all clients" if has_uvloop() else "asyncio's own in all clients"


def has_uvloop() -> bool:
    """True where uvloop is installed."""
    return version("uvloop") != "missing"


def version(distribution: str) -> str:
    """The installed version, or `missing`."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return "missing"


def relay_version() -> str:
    """Relay's version and, in a git checkout, its commit; `+ changes` where files differ from it."""
    described = f"relay-broker {version('relay-broker')}"
    git = shutil.which("git")
    if git is None or not (ROOT / ".git").exists():
        return described
    commit = subprocess.run([git, "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    if commit.returncode != 0:
        return described
    changed = subprocess.run([git, "status", "--porcelain"], cwd=ROOT, capture_output=True, text=True).stdout.strip()
    return f"{described} at {commit.stdout.strip()}{' + changes' if changed else ''}"


def nats_server_version() -> str:
    """What `nats-server --version` says, or that it is missing."""
    binary = beside_python("nats-server")
    if binary is None:
        return "nats-server missing"
    said = subprocess.run([binary, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    return said.replace(": v", " ")


def beside_python(command: str) -> str | None:
    """The path of a command: from this interpreter's own environment first, then from PATH. None: not installed."""
    return shutil.which(command, path=str(BIN)) or shutil.which(command)


def raise_file_limit() -> int:
    """Lets this process and its children open as many files as the system allows; returns how many that is."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard
