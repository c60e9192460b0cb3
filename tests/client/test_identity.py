import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay_client.identity import identity
from relay_proto.errors import BadRequest
from relay_proto.frames import Register
from relay_proto.targets import TargetKind, parse_target


@pytest.fixture
def make_project(tmp_path: Path) -> Callable[..., Path]:
    def make(path: str, mark: str = ".git") -> Path:
        folder = tmp_path / path
        folder.mkdir(parents=True)
        (folder / mark).touch()
        return folder

    return make


MakeProject = Callable[..., Path]


def test_an_identity_names_the_host_the_project_and_what_makes_it_unique(make_project: MakeProject) -> None:
    name = identity(make_project("My Shop (2)"), host="Build-7.example.org")
    host_and_project, _, unique = name.rpartition("-")
    assert host_and_project == "build-7-my-shop-2"
    assert len(unique) == 8
    assert int(unique, 16) >= 0


def test_the_host_is_this_machine_unless_it_is_given(make_project: MakeProject) -> None:
    folder = make_project("shop")
    assert identity(folder) == identity(folder, host=socket.gethostname())
    assert identity(folder) != identity(folder, host="elsewhere")


@pytest.mark.parametrize("mark", [".git", "pyproject.toml", "package.json"])
def test_the_project_is_the_nearest_marked_folder_upwards(
    make_project: MakeProject, mark: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_project("outer")
    inner = make_project("outer/inner", mark)
    (inner / "src" / "deep").mkdir(parents=True)
    monkeypatch.chdir(inner / "src" / "deep")
    assert identity() == identity(inner)
    assert "-inner-" in identity()


def test_without_a_mark_the_project_is_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if any((folder / ".git").exists() for folder in tmp_path.parents):
        pytest.fail("the folder for tests is inside a project; this test can't say anything there")
    monkeypatch.chdir(tmp_path)
    assert identity() == identity(tmp_path)


def test_a_given_folder_is_taken_as_it_is(make_project: MakeProject) -> None:
    folder = make_project("shop") / "part"
    folder.mkdir()
    assert "-part-" in identity(folder)


def test_two_clones_of_one_project_differ(make_project: MakeProject) -> None:
    one, two = identity(make_project("a/shop"), host="h"), identity(make_project("b/shop"), host="h")
    assert one != two
    assert one[:-8] == two[:-8] == "h-shop-"


def test_a_symlink_leads_to_the_same_identity(
    make_project: MakeProject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_project("shop")
    (tmp_path / "link").symlink_to(folder)
    assert identity(tmp_path / "link") == identity(folder) == identity(f"{folder}/../shop/")
    monkeypatch.chdir(tmp_path / "link")
    assert identity() == identity(folder)


def test_another_process_gets_the_same_identity(make_project: MakeProject) -> None:
    folder = make_project("shop")
    code = "from relay_client.identity import identity; print(identity(role='reviewer'))"
    environment = os.environ | {"PYTHONHASHSEED": "7", "USER": "someone", "LOGNAME": "someone"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == identity(folder, role="reviewer")


def test_another_user_is_another_identity(make_project: MakeProject, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make_project("shop")
    mine = identity(folder)
    monkeypatch.setattr(os, "getuid", lambda: 4711)
    assert identity(folder) != mine


def test_a_role_ends_the_identity_of_its_project(make_project: MakeProject) -> None:
    folder = make_project("shop")
    assert identity(folder, role="reviewer") == f"{identity(folder)}-reviewer"


def test_long_names_are_cut_so_that_the_whole_is_an_agent_id(make_project: MakeProject) -> None:
    folder = make_project("p" * 200)
    name = identity(folder, host="h" * 200, role="r" * 32)
    assert len(name) == 128
    assert name != identity(folder, host="h" * 201, role="r" * 32)  # what is cut off still counts
    Register(id=1, agent=name)


def test_names_without_a_usable_character_have_a_word_in_their_place(make_project: MakeProject) -> None:
    assert identity(make_project("日本"), host="…").startswith("host-project-")
    assert identity("/", host=".local").startswith("host-project-")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"role": ""}, "role is ''"),
        ({"role": "a b"}, "role is 'a b'"),
        ({"role": "Reviewer"}, "role is 'Reviewer'"),
        ({"role": "r" * 33}, "1-32"),
        ({"role": 5}, "role is 5"),
        ({"host": ""}, "host is ''"),
        ({"host": 5}, "host is 5"),
        ({"project": "/no/such/folder"}, "expected an existing folder"),
        ({"project": __file__}, "expected an existing folder"),
        ({"project": "a\0b"}, "expected an existing folder"),
        ({"project": 5}, "project is '5'"),
        ({"project": b"/tmp"}, "expected an existing folder"),
    ],
)
def test_what_makes_no_identity_is_refused(arguments: dict[str, str], says: str) -> None:
    with pytest.raises(BadRequest, match=says):
        identity(**arguments)


@given(st.text(min_size=1, max_size=80).filter(lambda text: not any("\ud800" <= char <= "\udfff" for char in text)))
def test_every_host_name_gives_an_agent_id(host: str) -> None:
    name = identity("/", host=host, role="r")
    assert parse_target(name).kind is TargetKind.AGENT, json.dumps(host)
    assert name == name.lower()
