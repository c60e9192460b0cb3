"""relay listen: prints, then acks; and takes no name away by accident."""

import json
import signal

from tests.cli.command import listening, run, started
from tests.daemon import Daemon


def test_each_message_is_a_line_and_is_acked_after_it_was_printed(daemon: Daemon) -> None:
    for i in range(3):
        run("send", "builder", f"body {i}", "--hold", "--url", daemon.url)
    with listening(daemon.url, "builder", "--count", "2") as listener:
        out, err = listener.communicate(timeout=30)
    assert (listener.returncode, err) == (0, "")
    assert [line.split("→ builder")[1].strip() for line in out.splitlines()] == ["body 0", "body 1"]
    left = run("inbox", "builder", "--json", "--url", daemon.url).records
    assert [record["body"] for record in left] == ["body 2"]
    stages = {record["body"]: record["stage"] for record in everything(daemon)}
    assert stages["body 0"] == stages["body 1"] == "done"


def everything(daemon: Daemon) -> list[dict[str, object]]:
    return run("inbox", "builder", "--all", "--json", "--url", daemon.url).records


def test_who_is_told_to_end_says_bye(daemon: Daemon) -> None:
    with listening(daemon.url, "builder") as listener:
        listener.send_signal(signal.SIGTERM)
        listener.communicate(timeout=30)
    (card,) = [card for card in run("agents", "--json", "--url", daemon.url).records if card["agent"] == "builder"]
    assert (card["status"], str(card["reason"]).startswith("it said bye")) == ("offline", True)


def test_who_was_started_in_the_background_of_a_script_is_ended_too(daemon: Daemon) -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # as sh does for `relay listen builder &`
    try:
        with listening(daemon.url, "builder") as listener:
            listener.send_signal(signal.SIGTERM)
            listener.communicate(timeout=30)
    finally:
        signal.signal(signal.SIGINT, before)
    assert listener.returncode == 130


def test_a_line_is_there_as_soon_as_the_message_is(daemon: Daemon) -> None:
    with listening(daemon.url, "builder", "--json") as listener:
        assert listener.stdout is not None
        run("send", "builder", "first", "--url", daemon.url)
        assert json.loads(listener.stdout.readline())["body"] == "first"
        run("send", "builder", "second", "--url", daemon.url)
        assert json.loads(listener.stdout.readline())["body"] == "second"


def test_hostile_text_does_not_reach_the_terminal(daemon: Daemon) -> None:
    run("send", "builder", "-", "--hold", "--url", daemon.url, stdin="\x1b]0;x\x07\u202eevil\nrelay: fake".encode())
    with listening(daemon.url, "builder", "--count", "1") as listener:
        out, _ = listener.communicate(timeout=30)
    assert r"\x1b]0;x\x07\u202eevil\nrelay: fake" in out
    assert out.count("\n") == 1


def test_an_agent_that_is_online_is_not_replaced_unasked(daemon: Daemon) -> None:
    with listening(daemon.url, "builder", "--json") as first:
        refused = run("listen", "builder", "--url", daemon.url)
        assert refused.code == 1
        assert "--takeover" in refused.err
        with listening(daemon.url, "builder", "--takeover", "--count", "1") as second:
            _, err = first.communicate(timeout=30)
            assert first.returncode == 1
            assert err.startswith("relay: ")
            run("send", "builder", "for the second", "--url", daemon.url)
            out, _ = second.communicate(timeout=30)
            assert "for the second" in out


def test_without_a_name_it_is_the_agent_of_the_environment(daemon: Daemon) -> None:
    env = {"RELAY_AGENT_ID": "ann", "RELAY_TAGS": "ops", "RELAY_URL": daemon.url}
    with started("listen", "--count", "1", "--json", env=env) as listener:
        assert listener.stderr is not None
        assert listener.stderr.readline() == f"relay: ann listens at {daemon.url}; Ctrl-C ends it\n"
        run("send", "tag:ops", "hello", "--url", daemon.url)
        assert json.loads(listener.communicate(timeout=30)[0])["to"] == "tag:ops"


def test_listening_in_the_name_that_the_cli_itself_has_works(daemon: Daemon) -> None:
    with listening(daemon.url, "me", "--as", "me", "--count", "1") as listener:
        run("send", "me", "hello", "--as", "you", "--url", daemon.url)
        assert "hello" in listener.communicate(timeout=30)[0]


def test_groups_are_listened_to_and_stay_for_the_next_listener(daemon: Daemon) -> None:
    with listening(daemon.url, "watcher", "--tag", "ops", "--cap", "review", "--count", "1") as listener:
        run("send", "tag:ops", "fire", "--url", daemon.url)
        assert "fire" in listener.communicate(timeout=30)[0]
    with listening(daemon.url, "watcher", "--count", "1") as listener:
        run("send", "cap:review", "look", "--url", daemon.url)
        assert "look" in listener.communicate(timeout=30)[0]


def test_what_becomes_of_its_own_tasks_is_said_apart_from_the_messages(daemon: Daemon) -> None:
    with listening(daemon.url, "lead", "--count", "1") as listener:
        run("submit", "ann", "fix it", "--hold", "--url", daemon.url, "--as", "lead")
        run("submit", "ann", "of no interest", "--hold", "--url", daemon.url, "--as", "other")
        for words in (("claim", "2"), ("claim", "1"), ("progress", "1", "40%", "half\x1b"), ("done", "1")):
            assert run(*words, "--url", daemon.url, "--as", "ann").code == 0
        assert run("send", "lead", "that was it", "--url", daemon.url).code == 0
        out, err = listener.communicate(timeout=30)
    assert out.count("\n") == 1
    assert err.splitlines() == [
        "relay: #1 is ready (you)",
        "relay: #1 is claimed by ann, fence 1",
        r"relay: #1 at ann: 40% half\x1b",
        "relay: #1 is done by ann, fence 1",
    ]


def test_what_becomes_of_its_pairs_is_said_too(daemon: Daemon) -> None:
    with listening(daemon.url, "lead", "--count", "2") as listener:
        assert run("pair", "open", "lead", "fix it\x1b", "--url", daemon.url, "--as", "ann").code == 0
        assert run("pair", "hangup", "1", "--url", daemon.url, "--as", "ann").code == 0
        assert run("send", "lead", "that was it", "--url", daemon.url).code == 0
        _, err = listener.communicate(timeout=30)
    lines = err.splitlines()
    assert lines[0] == r"relay: ann invited you into pair #1: fix it\x1b"
    assert lines[1].startswith("relay: pair #1 with ann is ended by ann")
    assert len(lines) == 2


def test_channels_are_followed_and_what_is_sent_to_oneself_always_comes(daemon: Daemon) -> None:
    with listening(daemon.url, "watcher", "--channel", "ci", "--json", "--count", "3") as listener:
        for to, channel in (("ALL", "ops"), ("channel:ci", "ci"), ("ALL", "ci"), ("watcher", "ops")):
            assert run("send", to, f"{to} {channel}", "--channel", channel, "--url", daemon.url).code == 0
        out = listener.communicate(timeout=30)[0]
    assert [json.loads(line)["body"] for line in out.splitlines()] == ["channel:ci ci", "ALL ci", "watcher ops"]


def test_a_line_says_what_is_to_be_done_by_when_and_a_record_has_it_as_fields(daemon: Daemon) -> None:
    options = ("--hold", "--priority", "9", "--ttl", "1h", "--expect-reply", "30m")
    for body in ("for a person", "for a program"):
        run("send", "builder", body, *options, "--url", daemon.url)
    with listening(daemon.url, "builder", "--count", "1") as listener:
        (line,) = listener.communicate(timeout=30)[0].splitlines()
    assert "(reply by " in line
    assert ", priority 9, until " in line
    with listening(daemon.url, "builder", "--count", "1", "--json") as listener:
        record = json.loads(listener.communicate(timeout=30)[0])
    assert record["priority"] == 9
    assert record["expires_at"] - record["sent_at"] == 3_600_000
    assert record["reply_by_at"] - record["sent_at"] == 1_800_000


def test_ctrl_c_ends_it_with_130_and_nothing_said(daemon: Daemon) -> None:
    with listening(daemon.url, "builder") as listener:
        listener.send_signal(signal.SIGINT)
        out, err = listener.communicate(timeout=30)
    assert (listener.returncode, out, err) == (130, "", "")


def test_a_message_whose_reader_is_gone_stays_in_the_inbox(daemon: Daemon) -> None:
    with listening(daemon.url, "builder") as listener:
        assert listener.stdout is not None
        listener.stdout.close()
        run("send", "builder", "unseen", "--url", daemon.url)
        assert listener.wait(timeout=30) == 0
    assert [record["body"] for record in run("inbox", "builder", "--json", "--url", daemon.url).records] == ["unseen"]


def test_it_goes_on_over_a_restart_of_the_relay(daemon: Daemon) -> None:
    with listening(daemon.url, "builder", "--json") as listener:
        assert listener.stdout is not None
        daemon.kill()
        daemon.start()
        assert run("send", "builder", "after", "--url", daemon.url).code == 0
        assert json.loads(listener.stdout.readline())["body"] == "after"


def test_an_unreachable_relay_is_exit_code_69() -> None:
    with started("listen", "builder", "--url", "http://127.0.0.1:9", "--timeout", "3") as process:
        _, err = process.communicate(timeout=30)
        assert process.returncode == 69
        assert err.count("\n") == 1
