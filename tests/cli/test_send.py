"""relay send: from the command line to the inbox."""

import base64
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

import relay_client
from relay_client.cli.door import Door
from relay_client.cli.send import Letter, deliver
from tests.cli.command import environment, introduce, listening, run
from tests.daemon import Daemon, free_port


def test_a_message_for_a_new_name_is_held_and_found_in_its_inbox(daemon: Daemon) -> None:
    sent = run("send", "builder", "hello", "--hold", "--subject", "hi", "--channel", "ci", "--url", daemon.url)
    assert (sent.code, sent.err) == (0, "")
    assert "→ builder: in the inbox, offline" in sent.out
    record = run("inbox", "builder", "--json", "--url", daemon.url).records[0]
    assert (record["body"], record["subject"], record["channel"]) == ("hello", "hi", "ci")
    assert record["from"].startswith("cli-")


def test_an_unknown_name_is_refused_with_a_suggestion_and_the_way_out(daemon: Daemon) -> None:
    introduce(daemon.url, "builder")
    refused = run("send", "bulider", "hello", "--url", daemon.url)
    assert refused.code == 1
    assert refused.out == ""
    assert refused.err.startswith("relay: ")
    assert refused.err.count("\n") == 1
    assert refused.err.count("builder") == 1
    assert "hold" in refused.err


def test_a_group_that_matches_nobody_is_accepted_and_says_so(daemon: Daemon) -> None:
    sent = run("send", "cap:review", "anyone?", "--url", daemon.url)
    assert sent.code == 0
    assert "in no inbox" in sent.out


def test_the_same_key_is_the_same_message(daemon: Daemon) -> None:
    options = ("send", "builder", "hello", "--hold", "--key", "k1", "--json", "--url", daemon.url)
    first, second = run(*options), run(*options)
    assert first.records[0]["message"] == second.records[0]["message"]
    assert (first.records[0]["duplicate"], second.records[0]["duplicate"]) == (False, True)
    assert "nothing new was sent" in run(*options[:-3], "--url", daemon.url).out
    other = run("send", "builder", "something else", "--hold", "--key", "k1", "--url", daemon.url)
    assert other.code == 1


@pytest.mark.parametrize("data", ["two\nlines, ünïcode\n".encode(), b"\xff\x00bytes"])
def test_a_body_from_stdin_arrives_byte_for_byte(daemon: Daemon, data: bytes) -> None:
    assert run("send", "builder", "-", "--hold", "--url", daemon.url, stdin=data).code == 0
    record = run("inbox", "builder", "--json", "--url", daemon.url).records[0]
    body = record["body"].encode() if "body" in record else base64.b64decode(record["body_base64"])
    assert body == data


def test_an_argument_that_is_no_text_arrives_as_its_bytes(daemon: Daemon) -> None:
    body = os.fsdecode(b"\xff\xfe")
    assert run("send", "builder", body, "--hold", "--url", daemon.url).code == 0
    record = run("inbox", "builder", "--json", "--url", daemon.url).records[0]
    assert base64.b64decode(record["body_base64"]) == b"\xff\xfe"


def test_an_empty_stdin_is_not_sent() -> None:
    refused = run("send", "builder", "-", "--url", f"http://127.0.0.1:{free_port()}", stdin=b"")
    assert (refused.code, refused.out) == (1, "")
    assert "stdin is empty" in refused.err


def test_a_body_beyond_the_limit_is_refused_before_it_is_sent() -> None:
    refused = run("send", "builder", "-", "--url", f"http://127.0.0.1:{free_port()}", stdin=b"x" * (256 * 1024 + 1))
    assert refused.code == 1
    assert "larger than 262144 bytes" in refused.err


def test_every_field_of_the_envelope_arrives(daemon: Daemon) -> None:
    run("send", "builder", "question", "--hold", "--url", daemon.url)
    question = run("inbox", "builder", "--json", "--url", daemon.url).records[0]
    fields = ["--reply-to", str(question["message"]), "--intent", "request", "--content-type", "text/plain"]
    fields += ["--header", "path=a=b.py", "--header", "n=1", "--claimable"]
    assert run("send", question["from"], "answer", *fields, "--as", "builder", "--url", daemon.url).code == 0
    record = run("inbox", question["from"], "--json", "--url", daemon.url).records[0]
    assert record["reply_to"] == record["thread"] == question["message"]
    assert record["headers"] == {"path": "a=b.py", "n": "1"}
    assert (record["from"], record["intent"], record["content_type"]) == ("builder", "request", "text/plain")
    assert record["claimable"] is True


def test_times_priority_and_what_it_comes_from_arrive(daemon: Daemon) -> None:
    run("send", "builder", "before", "--hold", "--url", daemon.url)
    fields = ["--ttl", "2h", "--delay", "30m", "--priority", "9", "--caused-by", "#1", "--expect-reply", "1d"]
    sent = run("send", "builder", "later", "--hold", "--thread", "1", *fields, "--url", daemon.url)
    assert sent.out == "#2 → builder: in the inbox, offline; due in 30m\n"
    record = run("inbox", "builder", "--json", "--url", daemon.url).records[1]
    assert {name: record[name] - record["sent_at"] for name in ("expires_at", "due_at", "reply_by_at")} == {
        "expires_at": 7_200_000, "due_at": 1_800_000, "reply_by_at": 86_400_000
    }  # fmt: skip
    assert (record["priority"], record["caused_by"], record["thread"], record["hops"]) == (9, 1, 1, 1)
    line = run("inbox", "builder", "--url", daemon.url).out.splitlines()[1]
    assert "priority 9, due " in line


def test_a_newer_message_takes_the_place_of_an_older_one(daemon: Daemon) -> None:
    run("send", "builder", "old", "--hold", "--url", daemon.url)
    assert run("send", "builder", "new", "--hold", "--supersedes", "1", "--url", daemon.url).code == 0
    assert [r["body"] for r in run("inbox", "builder", "--json", "--url", daemon.url).records] == ["new"]
    foreign = run("send", "builder", "mine", "--hold", "--supersedes", "2", "--as", "other", "--url", daemon.url)
    assert foreign.code == 77
    assert "--token" not in foreign.err


def test_one_of_many_is_offered_it_for_the_time_given(daemon: Daemon) -> None:
    with listening(daemon.url, "ann", "--cap", "review") as listener:
        listener.kill()
        listener.wait()
    sent = run("send", "any:cap:review", "look", "--offer", "1h", "--url", daemon.url)
    assert sent.out == "#1 → any:cap:review: in the inbox, offline\n"
    refused = run("send", "ann", "look", "--offer", "1h", "--url", daemon.url)
    assert refused.code == 1
    assert "offer_s" in refused.err


def test_who_had_no_room_and_what_the_relay_noted_is_told(make_daemon: Callable[..., Daemon]) -> None:
    daemon = make_daemon("--inbox-messages", "1").start()
    url = ("--url", daemon.url)
    for name in ("ann", "ben"):
        with listening(daemon.url, name, "--tag", "blue") as listener:
            listener.kill()
    run("send", "ann", "fills it", "--as", "x", *url)
    sent = run("send", "tag:blue", "all", *url).out.splitlines()
    assert sent == ["#2 → tag:blue: in the inbox, offline", "  full, so not in the inbox of: ann"]
    full = run("send", "ann", "one more", *url)
    assert full.code == 1
    assert "; try again in " in full.err
    into = ("send", "new", "may I?", "--reply-to", "1", "--hold", *url, "--as")
    assert run(*into, "stranger").out.splitlines()[1].startswith("  note: ")
    assert run("send", "newer", *into[2:], "another", "--json").records[0]["note"]


def test_eight_at_the_same_moment_under_one_name_all_arrive_once(daemon: Daemon) -> None:
    """They are one agent, so each takes the session over from another; none is lost, none is doubled."""
    command = [sys.executable, "-m", "relay_client.cli", "send", "builder", "--hold", "--url", daemon.url]
    senders = [
        subprocess.Popen([*command, f"body {i}"], env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for i in range(8)
    ]
    results = [(*sender.communicate(timeout=30), sender.returncode) for sender in senders]
    assert [(code, err) for _, err, code in results] == [(0, b"")] * 8
    records = run("inbox", "builder", "--json", "--url", daemon.url).records
    assert sorted(record["body"] for record in records) == [f"body {i}" for i in range(8)]
    assert len({record["from"] for record in records}) == 1


def test_an_unreachable_relay_is_exit_code_69_and_says_what_was_tried() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    refused = run("send", "builder", "hello", "--url", url, "--timeout", "3")
    assert refused.code == 69
    assert (
        f"no relay at {url}: connection refused by 127.0.0.1 port {url.rpartition(':')[2]} (tried once" in refused.err
    )
    assert "`relay serve` starts one" in refused.err
    assert refused.err.endswith("; this one is from the command line\n")
    assert refused.err.startswith("relay: ")
    assert refused.err.count("\n") == 1


def test_a_relay_that_never_answers_is_given_up_and_the_way_to_try_again_is_told(daemon: Daemon) -> None:
    introduce(daemon.url, "builder")
    os.kill(daemon.pid, signal.SIGSTOP)
    try:
        silent = run("send", "builder", "hello", "--url", daemon.url, "--timeout", "1")
    finally:
        os.kill(daemon.pid, signal.SIGCONT)
    assert silent.code == 124
    assert f"no answer from {daemon.url} within 1 s" in silent.err
    assert "--key" not in silent.err  # nothing was sent: it never came in


async def test_a_send_that_may_have_been_accepted_says_how_to_try_again(daemon: Daemon) -> None:
    introduce(daemon.url, "builder")
    send = relay_client.Agent.send

    async def send_and_stop(agent: relay_client.Agent, *arguments: Any, **options: Any) -> relay_client.Receipt:
        os.kill(daemon.pid, signal.SIGSTOP)
        return await send(agent, *arguments, **options)

    door = Door(daemon.url, None, "cli-test", timeout_s=1.0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(relay_client.Agent, "send", send_and_stop)
        try:
            with pytest.raises(TimeoutError) as caught:
                await deliver(door, Letter("builder", "hello", "k1", {}))
        finally:
            os.kill(daemon.pid, signal.SIGCONT)
    assert "--key k1" in caught.value.__notes__[0]


def test_a_relay_that_asks_for_a_token_gets_it_from_the_option_or_the_environment(
    make_daemon: Callable[..., Daemon],
) -> None:
    daemon = make_daemon("--token", "open-sesame-0123456789").start()
    send = ("send", "builder", "hello", "--hold", "--url", daemon.url)
    for refused in (run(*send), run(*send, "--token", "wrong")):
        assert refused.code == 77
        assert "RELAY_TOKEN" in refused.err
        assert refused.err.count("\n") == 1
    assert run(*send, "--token", "open-sesame-0123456789").code == 0
    assert run(*send[:4], env={"RELAY_URL": daemon.url, "RELAY_TOKEN": "open-sesame-0123456789"}).code == 0


def test_a_send_reaches_who_listens(daemon: Daemon) -> None:
    with listening(daemon.url, "builder", "--json", "--count", "1") as listener:
        sent = run("send", "builder", "now", "--url", daemon.url)
        assert "in the inbox, online" in sent.out
        out, _ = listener.communicate(timeout=30)
        assert listener.returncode == 0
        assert '"body":"now"' in out


@pytest.mark.parametrize("scheme", ["http", "ws"])
def test_the_url_may_be_http_or_ws(daemon: Daemon, scheme: str) -> None:
    url = f"{scheme}://127.0.0.1:{daemon.port}"
    assert run("send", "builder", "hello", "--hold", "--url", url).code == 0


def test_a_url_that_is_none_is_said_to_be_none() -> None:
    refused = run("send", "builder", "hello", "--url", "ftp://nowhere")
    assert refused.code in (1, 2)
    assert "ftp://nowhere" in refused.err
    assert refused.err.count("\n") == 1
