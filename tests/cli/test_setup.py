"""setup: from nothing to a relay that clients find, and once more without harm."""

import json
import stat
from pathlib import Path

import pytest

from relay_proto.env_file import parse_env_file
from tests.service.machine import Account


@pytest.fixture
def account(tmp_path: Path) -> Account:
    return Account(tmp_path)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_yes_makes_everything_for_this_user_alone_and_says_what_is_next(account: Account) -> None:
    code, out, _ = account.relay("setup", "--yes")
    assert code == 0
    settings = parse_env_file((account.config / "relay.env").read_text())
    token = settings["RELAY_TOKEN"]
    assert len(token) == 43  # 256 bits in base64
    assert settings == {
        "RELAY_TOKEN": token, "RELAY_HOST": "127.0.0.1", "RELAY_PORT": "4850", "RELAY_DATA": str(account.data)
    }  # fmt: skip
    assert (account.config / "token").read_text() == f"{token}\n"
    assert json.loads((account.config / "profiles.json").read_text())["default"]["url"] == "http://127.0.0.1:4850"
    assert {mode(path) for path in account.config.iterdir()} == {0o600}
    assert (mode(account.config), mode(account.data)) == (0o700, 0o700)
    assert token not in out
    for hint in ("relay daemon install", f"relay serve --env-file {account.config}/relay.env", "relay doctor"):
        assert hint in out


def test_once_more_nothing_changes_and_the_token_stays(account: Account) -> None:
    account.relay("setup", "--yes")
    before = {path.name: path.read_text() for path in account.config.iterdir()}
    code, out, _ = account.relay("setup", "--yes")
    assert code == 0
    assert "everything is there" in out
    assert "its token stays; --rotate-token makes a new one" in out
    assert {path.name: path.read_text() for path in account.config.iterdir()} == before


def test_a_new_token_is_made_when_one_is_asked_for(account: Account) -> None:
    account.relay("setup", "--yes")
    old = (account.config / "token").read_text().strip()
    code, out, _ = account.relay("setup", "--yes", "--rotate-token")
    new = (account.config / "token").read_text().strip()
    assert (code, "relay daemon restart" in out) == (0, True)
    assert new != old
    assert parse_env_file((account.config / "relay.env").read_text())["RELAY_TOKEN"] == new


def test_without_yes_it_asks_before_each_and_no_to_the_first_writes_nothing(account: Account) -> None:
    code, _, err = account.relay("setup", stdin="n\n")
    assert code == 1
    assert "relay.env (mode 0600): the relay's settings, with a new token? [Y/n]" in err
    assert not account.config.exists()
    code, out, err = account.relay("setup", stdin="y\ny\nn\ny\n")
    assert code == 1
    assert "not everything was written" in err
    assert "next" not in out
    assert sorted(path.name for path in account.config.iterdir()) == ["profiles.json", "relay.env"]
    assert account.relay("setup", stdin="\n").code == 0  # what was left out; Enter is yes
    assert (account.config / "token").exists()


def test_with_nobody_to_ask_it_says_so(account: Account) -> None:
    code, _, err = account.relay("setup")
    assert code == 2
    assert "there is nobody to ask; --yes asks nothing, --dry-run shows what it would do" in err
    assert not account.config.exists()


def test_dry_run_shows_all_but_the_token_and_writes_nothing(account: Account) -> None:
    code, out, _ = account.relay("setup", "--dry-run", "--port", "5000")
    assert code == 0
    assert f"write {account.config}/relay.env (mode 0600):" in out
    assert "    RELAY_TOKEN=(a secret of 43 characters)\n" in out
    assert "    RELAY_PORT=5000\n" in out
    assert f"make the folder {account.data} (mode 0700)" in out
    assert list(account.home.iterdir()) == []
    account.relay("setup", "--yes", "--port", "5000")
    again = account.relay("setup", "--dry-run")
    assert again.out.endswith("there is nothing to do\n")
    assert (account.config / "token").read_text().strip() not in again.out


def test_print_gives_the_env_file_to_keep_elsewhere(account: Account) -> None:
    code, out, _ = account.relay("setup", "--print", "--data", "/srv/relay")
    assert code == 0
    assert len(parse_env_file(out)["RELAY_TOKEN"]) == 43
    assert parse_env_file(out)["RELAY_DATA"] == "/srv/relay"
    assert list(account.home.iterdir()) == []
    assert account.relay("setup", "--print", "--dry-run").code == 2


def test_a_place_that_does_not_last_is_warned_about(account: Account) -> None:
    _, _, err = account.relay("setup", "--dry-run", "--data", "/tmp/relay-data")
    assert err.startswith("relay: careful: /tmp/relay-data is no place to keep data: it is in /tmp, which is emptied")
    assert err.endswith("; --data DIR takes another folder\n")


def test_a_folder_is_named_from_where_one_is_and_a_tilde_is_home(account: Account) -> None:
    _, out, _ = account.relay("setup", "--dry-run", "--data", "~/x")
    assert f"RELAY_DATA={account.home}/x\n" in out
    _, out, _ = account.relay("setup", "--dry-run", "--data", "data/..//y")
    assert f"RELAY_DATA={Path.cwd()}/y\n" in out


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        (
            "relay.env",
            "export RELAY_TOKEN=the-secret\n",
            "relay.env: line 1: 'export RELAY_TOKEN' is no name of a variable",
        ),
        ("profiles.json", "{", "profiles.json is no JSON"),
    ],
)
def test_what_is_there_and_can_t_be_read_is_not_written_over(
    account: Account, file: str, content: str, said: str
) -> None:
    account.config.mkdir(parents=True)
    (account.config / file).write_text(content)
    code, out, err = account.relay("setup", "--yes")
    assert (code, out) == (1, "")
    assert said in err
    assert "the-secret" not in err
    assert [path.name for path in account.config.iterdir()] == [file]


def test_what_a_shell_has_set_over_the_profile_is_said(account: Account) -> None:
    _, out, _ = account.relay("setup", "--yes", env={"RELAY_URL": "http://x:1"})
    assert "RELAY_URL of this shell win over the profile" in out


@pytest.mark.parametrize("port", ["0", "65536", "x"])
def test_a_port_that_is_none_is_refused(account: Account, port: str) -> None:
    assert account.relay("setup", "--yes", "--port", port).code == 2
    assert not account.config.exists()
