"""payload: any JSON value in a program, JSON text on the wire."""

import asyncio
from typing import Any

import pytest

import relay_client
from relay_client.payload import read_payload, write_payload
from relay_proto.errors import BadRequest, Forbidden
from tests.daemon import Daemon


@pytest.mark.parametrize("value", [{"a": [1, 2.5, None, True]}, [], "text", 0, False, 1.5, {"ü": "\n"}])
def test_what_is_written_is_read_again(value: Any) -> None:
    text = write_payload(value)
    assert isinstance(text, str)
    assert read_payload(text) == value


def test_none_is_no_payload_and_no_json_is_its_text() -> None:
    assert (write_payload(None), read_payload(None), read_payload("{oops")) == (None, None, "{oops")


@pytest.mark.parametrize("value", [object(), {1.5: {object()}}, "\ud800"])
def test_what_json_has_no_word_for_is_refused(value: Any) -> None:
    with pytest.raises(BadRequest, match="payload is a"):
        write_payload(value)


async def test_it_goes_with_a_send_an_ask_and_a_task_and_comes_decoded(daemon: Daemon) -> None:
    async with (
        relay_client.connect(daemon.url, agent="bob") as bob,
        relay_client.connect(daemon.url, agent="ada") as ada,
    ):
        await ada.send("bob", "sent", payload={"n": 1})
        await ada.submit("bob", "job", payload=[2])
        asking = asyncio.create_task(ada.ask("bob", "asked", timeout=30, payload="three"))
        messages = bob.__aiter__()
        given = [await anext(messages) for _ in range(3)]
        assert [message.payload for message in given] == [{"n": 1}, [2], "three"]
        await given[-1].reply("yes", payload=None)
        assert (await asking).payload is None


async def test_a_message_that_was_withdrawn_is_not_given_out(daemon: Daemon) -> None:
    async with (
        relay_client.connect(daemon.url, agent="ada") as ada,
        relay_client.connect(daemon.url, agent="eve") as eve,
    ):
        sent = await ada.send("bob", "oops", hold=True)
        with pytest.raises(Forbidden):
            await eve.withdraw(sent.message)
        await ada.withdraw(sent.message, reason="a slip")
        await ada.withdraw(sent.message)
        (state,) = await ada.receipts(sent.message)
        assert (state.stage, state.reason) == ("superseded", "withdrawn by ada: a slip")
        assert (await ada.message(sent.message)).withdrawn_at is not None
