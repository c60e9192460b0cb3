"""token: tokens made, listed and revoked from the command line, against a real relay."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from relay_client.cli.token import parse_number, parse_scopes, tokens_table
from relay_proto.frames import TokenInfo
from tests.cli.command import listening, run
from tests.daemon import Daemon

ADMIN = "the-token-that-the-relay-was-started-with"


@pytest.fixture
def daemon(make_daemon: Callable[..., Daemon]) -> Daemon:
    """A relay that asks for tokens."""
    return make_daemon("--token", ADMIN).start()


def admin(daemon: Daemon, *arguments: str) -> tuple[int, str, str]:
    return run("token", *arguments, "--url", daemon.url, env={"RELAY_TOKEN": ADMIN})


def test_on_stdout_stands_the_token_alone_and_it_lets_its_agent_in(daemon: Daemon) -> None:
    code, out, err = admin(daemon, "create", "--agent", "ada", "--note", "laptop")
    assert code == 0
    (token,) = out.splitlines()
    assert token.startswith("rly_")
    assert err.startswith("token 1, ada: agents:read agents:write")
    assert err.endswith("it is shown this once\n")
    url = ("--url", daemon.url)
    assert run("send", "ada", "x", "--as", "ada", *url, env={"RELAY_TOKEN": token}).code == 0
    other = run("send", "ada", "x", "--as", "bob", *url, env={"RELAY_TOKEN": token})
    assert other.code == 77
    assert "agent is 'bob'; this token speaks for ada only (forbidden); --as ada says that it is you" in other.err
    assert token not in other.err
    assert run("agents", *url).code == 77
    assert run("token", "list", "--as", "ada", *url, env={"RELAY_TOKEN": token}).code == 77


def test_tokens_are_listed_without_themselves_and_those_that_are_over_when_asked_for(daemon: Daemon) -> None:
    assert admin(daemon, "list") == (0, "", "there is no token\n")
    secrets = [
        admin(daemon, "create", *options)[1].strip()
        for options in (
            ("--admin",),
            ("--integration", "ci", "--expires", "90d"),
            ("--scope", "stats:read,health:read", "--scope", "stats:read", "--note", "the monitor"),
        )
    ]
    assert admin(daemon, "revoke", "1") == (0, "token 1, admin: it is over\n", "")
    code, out, _ = admin(daemon, "list")
    assert code == 0
    lines = [line.split() for line in out.splitlines()]
    assert lines[0] == ["NUMBER", "FOR", "SCOPES", "MADE", "ENDS", "NOTE"]
    assert lines[1][:4] == ["2", "integration", "ci", "events:create"]
    assert lines[2][:5] == ["3", "any", "name", "health:read", "stats:read"]
    everything = run("token", "list", "--all", "--json", "--url", daemon.url, env={"RELAY_TOKEN": ADMIN})
    assert [(item["number"], item.get("is_over", False)) for item in everything.records] == [
        (1, True),
        (2, False),
        (3, False),
    ]
    assert not any(secret in everything.out + out for secret in secrets)


def test_json_has_the_token_once(daemon: Daemon) -> None:
    made = run(
        "token", "create", "--agent", "ada", "--json", "--url", daemon.url, env={"RELAY_TOKEN": ADMIN}
    ).records[0]  # fmt: skip
    assert (made["number"], made["agent"]) == (1, "ada")
    assert made["token"].startswith("rly_")
    (_, out, _) = admin(daemon, "revoke", "1", "--json")
    assert '"is_over":true' in out
    gone = run("agents", "--as", "ada", "--url", daemon.url, env={"RELAY_TOKEN": made["token"]})
    assert (gone.code, gone.out) == (77, "")
    assert "; a token goes into --token, RELAY_TOKEN, RELAY_TOKEN_FILE or a profile" in gone.err


def test_who_listens_is_told_when_its_token_is_revoked_and_does_not_come_back(daemon: Daemon) -> None:
    token = admin(daemon, "create", "--agent", "ada")[1].strip()
    with listening(daemon.url, "ada", "--token", token) as listener:
        assert admin(daemon, "revoke", "1")[0] == 0
        assert listener.wait(timeout=10) == 77
        assert listener.stderr is not None
        said = listener.stderr.read()
    assert "the token of this connection was revoked, or its time is over" in said
    assert token not in said


def test_what_is_not_there_is_said(daemon: Daemon) -> None:
    code, _, err = admin(daemon, "revoke", "9")
    assert (code, err) == (1, "relay: number is 9; there is no such token\n")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["create"], "say whose it is: --agent NAME, --integration NAME or --admin; or give --scope"),
        (["create", "--agent", "ada", "--admin"], "--agent and --admin: a token is for one of them"),
        (["create", "--admin", "--scope", "*"], "--admin has all scopes; leave out --scope"),
        (["create", "--scope", "messages"], "'messages' is no scope; there are stats:read, health:read"),
        (["create", "--agent", "a b"], "is no agent id"),
        (["create", "--admin", "--expires", "0.5"], "at least 1s and at most 3650d"),
    ],
)
def test_a_wrong_command_line_asks_no_relay(arguments: list[str], said: str) -> None:
    code, out, err = run("token", *arguments, "--url", "http://127.0.0.1:9")
    assert (code, out) == (2, "")
    assert said in err


def test_who_pastes_the_token_itself_does_not_see_it_repeated() -> None:
    code, _, err = run("token", "revoke", "rly_secret", "--url", "http://127.0.0.1:9")
    assert code == 2
    assert "relay token list shows them" in err
    assert "rly_secret" not in err
    with pytest.raises(ValueError, match="no number of a token") as caught:
        parse_number("rly_secret")
    assert "rly_secret" not in str(caught.value)


def test_scopes_may_stand_together() -> None:
    assert parse_scopes("messages:read,tasks:read") == ("messages:read", "tasks:read")
    assert parse_scopes("*") == ("*",)


def test_what_a_note_would_do_to_a_terminal_is_escaped() -> None:
    item = TokenInfo(number=1, scopes=["*"], created_at=0, note="a\x1b[2Jb", revoked_at=0)
    (_, line) = tokens_table([item], now=datetime(1970, 1, 1, tzinfo=UTC))
    assert "\x1b" not in line
    assert "revoked 00:00:00" in line
