"""An agent id that is the same tomorrow: `{host}-{project}-{hash}`, made from where a program runs and nothing else.

from relay_client.identity import identity

async with connect(agent=identity()) as agent: ...           # laptop-shop-3fa29c01
async with connect(agent=identity(role="reviewer")) as agent: ...   # laptop-shop-3fa29c01-reviewer
"""

import hashlib
import os
import re
import socket
from pathlib import Path
from typing import Final

from relay_proto import limits
from relay_proto.errors import BadRequest

PROJECT_MARKS: Final = (".git", "pyproject.toml", "package.json")
"""What makes a folder a project: the nearest one upwards that has any of them."""
HASH_CHARS: Final = 8
HOST_CHARS_MAX: Final = 40
PROJECT_CHARS_MAX: Final = 45
ROLE_CHARS_MAX: Final = 32
"""Characters of each part; with the three hyphens they are AGENT_CHARS_MAX together."""
assert HOST_CHARS_MAX + PROJECT_CHARS_MAX + HASH_CHARS + ROLE_CHARS_MAX + 3 == limits.AGENT_CHARS_MAX

_not_of_an_id = re.compile(r"[^a-z0-9._@/-]+")
_role = re.compile(rf"\A[a-z0-9._@/-]{{1,{ROLE_CHARS_MAX}}}\Z")


def identity(project: str | os.PathLike[str] | None = None, *, host: str | None = None, role: str | None = None) -> str:
    """The agent id of this user's work on a project on this machine, at most 128 characters.

    project: its folder, taken as it is. Default: of the current folder and those above it the nearest that has a
    `.git`, `pyproject.toml` or `package.json`; where none has, the current folder. host: default the machine's host
    name. role: ends the id, for several agents in one project; 1-32 characters of a-z 0-9 . _ - @ /.

    The id is `{host}-{project}-{hash}` or `{host}-{project}-{hash}-{role}`. host: the host name up to its first dot.
    project: the name of the folder. Both in lower case, each run of characters that no agent id may have as one `-`, no
    `-` at their ends, at most 40 and 45 characters; what is then empty is `host`, `project`. hash: 8 hex digits of a
    SHA-256 of the full host name, the user (uid) and the folder's real path, as they are.

    So it is the same over restarts, reboots and symlinks, and in each folder of a project; it differs between two
    clones on one machine, two users, two machines. It changes when the folder is moved or the machine gets another host
    name (some networks give laptops one: then pass `host`). Two containers that share host name, uid and path are one.

    Raises BadRequest when project is no folder, or role or host is not what it may be.
    """
    if host is None:
        host = socket.gethostname()
    if not isinstance(host, str) or not host:
        raise BadRequest(f"host is {host!r:.80}; expected the name of a machine")
    if role is not None and not (isinstance(role, str) and _role.match(role)):
        raise BadRequest(f"role is {role!r:.80}; expected 1-{ROLE_CHARS_MAX} characters of a-z 0-9 . _ - @ /")
    folder = _project_folder() if project is None else _real_folder(project)
    parts = [
        _part(host.split(".")[0], HOST_CHARS_MAX) or "host",
        _part(folder.name, PROJECT_CHARS_MAX) or "project",
        _hash(host, str(os.getuid()), folder),
    ]
    return "-".join(parts if role is None else [*parts, role])


def _project_folder() -> Path:
    here = Path(os.path.realpath(os.getcwd()))
    for folder in (here, *here.parents):
        if any((folder / mark).exists() for mark in PROJECT_MARKS):
            return folder
    return here


def _real_folder(project: str | os.PathLike[str]) -> Path:
    try:
        folder = Path(os.path.realpath(project))
        is_folder = isinstance(project, (str, os.PathLike)) and folder.is_dir()
    except (TypeError, ValueError):  # no path at all, or one with a zero byte in it
        is_folder = False
    if not is_folder:
        raise BadRequest(f"project is {str(project)[:200]!r}; expected an existing folder")
    return folder


def _part(text: str, chars_max: int) -> str:
    return _not_of_an_id.sub("-", text.lower()).strip("-")[:chars_max].rstrip("-")


def _hash(host: str, user: str, folder: Path) -> str:
    seed = b"\0".join(os.fsencode(part) for part in (host, user, folder))  # no part can have a zero byte in it
    return hashlib.sha256(seed).hexdigest()[:HASH_CHARS]
