"""relay why: sentences for people, one record for programs."""

import pytest

from relay_client.cli.app import main
from tests.cli.command import introduce, listening, run
from tests.daemon import Daemon


def sent(daemon: Daemon, *options: str) -> str:
    """The id of a message that was sent with these options."""
    return str(run("send", *options, "--json", "--url", daemon.url).records[0]["message"])


def test_a_message_says_where_it_is_and_who_must_come(daemon: Daemon) -> None:
    message = sent(daemon, "builder", "hello", "--hold", "--as", "ada")
    told = run("why", "message", message, "--url", daemon.url)
    first, second, third, last = told.out.splitlines()
    assert first.startswith("ada sent it to builder at 20")
    assert first.endswith(("ago).", "(just now)."))
    assert second.startswith("It has waited in the inbox of builder since 20")
    assert second.endswith("not pushed, since builder is not connected.")
    assert third == "builder has never registered."
    assert last == "To go on: builder must register."
    assert (told.code, told.err) == (0, "")
    for words in ([message], [f"#{message}"], ["message", f"#{message}"]):
        assert run("why", *words, "--url", daemon.url).out.splitlines()[2:] == [third, last]


def test_an_agent_says_what_it_is_and_that_nothing_waits(daemon: Daemon) -> None:
    with listening(daemon.url, "watcher", "--cap", "review"):
        for words in (["agent", "watcher"], ["watcher"]):
            told = run("why", *words, "--url", daemon.url).out.splitlines()
            assert told[0].startswith("watcher is online, last heard of ")
            assert told[1] == (
                "Nothing waits for watcher: its inbox is empty, it owes nothing and nobody owes it anything."
            )


def test_a_task_says_who_could_do_it(daemon: Daemon) -> None:
    task = sent(daemon, "cap:review", "look", "--claimable")
    told = run("why", "task", task, "--url", daemon.url).out.splitlines()
    assert told[1] == "It is work that can be claimed, and nobody holds it (attempts used: 0 of 3)."
    assert told[-1] == "To go on: an agent with cap review must come."


def test_a_message_that_is_no_task_is_said_to_be_none(daemon: Daemon) -> None:
    message = sent(daemon, "builder", "hello", "--hold")
    refused = run("why", "task", message, "--url", daemon.url)
    assert (refused.code, refused.out) == (1, "")
    assert refused.err == (
        f"relay: message {message} is no task: it was not sent as claimable; "
        f"relay why message {message} says where it is\n"
    )


def test_as_json_it_is_one_record_with_what_the_sentences_are_made_of(daemon: Daemon) -> None:
    task = sent(daemon, "cap:review", "look", "--claimable")
    (record,) = run("why", "task", task, "--json", "--url", daemon.url).records
    assert record["about"] == f"message {task}"
    assert record["sentences"][-1] == "To go on: an agent with cap review must come."
    assert record["facts"]["work"]["state"] == "ready"
    assert isinstance(record["since_at"], int)


def test_text_of_others_cannot_act_on_the_terminal(daemon: Daemon) -> None:
    task = sent(daemon, "label:\u202eevil", "look", "--claimable")
    told = run("why", task, "--url", daemon.url).out
    assert "\u202e" not in told
    assert "an agent labelled \\u202eevil must come" in told


def test_what_is_not_there_is_refused_in_one_line(daemon: Daemon) -> None:
    introduce(daemon.url, "builder")
    agent = run("why", "bulider", "--url", daemon.url)
    assert agent.code == 1
    assert "did you mean builder?" in agent.err
    assert agent.err.count("\n") == 1
    message = run("why", "task", "999", "--url", daemon.url)
    assert (message.code, message.err) == (1, "relay: message is 999; there is no such message\n")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "missing argument"),
        (["agent"], "agent needs a NAME behind it"),
        (["task"], "task needs an ID behind it"),
        (["a", "b"], "'a' is none of agent, message and task"),
        (["agent", "a", "b"], "one agent, message or task at a time"),
        (["message", "builder"], "'builder' is no message id (12 or #12)"),
        (["0"], "'0' is no message id"),
        (["99999999999999999999"], "'99999999999999999999' is no message id"),
        (["tag:red"], "'tag:red' is no agent id"),
    ],
)
def test_a_wrong_command_line_is_one_line_and_exit_code_2(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["why", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert said in err
    assert err.count("\n") == 1
