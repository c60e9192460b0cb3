"""unreachable: the error says what was tried, why it failed and what to do next."""

import errno
import socket

from relay_client import Unreachable
from relay_client.address import parse_url
from relay_client.unreachable import os_error_words, unreachable

HERE = parse_url("http://localhost:4850")


def test_it_says_url_address_tries_and_what_to_do() -> None:
    error = unreachable(HERE, Unreachable("connection refused"), 3, 1.24)
    assert str(error) == (
        "no relay at http://localhost:4850: connection refused (tried 3 times ws://localhost:4850/ws in 1.2 s). "
        "Is it running? `relay serve` starts one; another address goes into --url, RELAY_URL or a profile, in a "
        "program into url"
    )
    assert error.detail == {"url": "http://localhost:4850", "host": "localhost", "port": 4850}


def test_where_something_else_answers_nobody_is_told_to_start_a_relay() -> None:
    error = unreachable(HERE, Unreachable("it is no relay", detail={"permanent": True}), 1, 0.0)
    assert "relay serve" not in str(error)
    assert "(tried once ws://" in str(error)
    assert error.detail["permanent"] is True
    assert "no answer" in str(unreachable(HERE, None, 1, 10.0))


def test_each_address_that_refused_is_named() -> None:
    one = ConnectionRefusedError(errno.ECONNREFUSED, "Connect call failed ('127.0.0.1', 4850)")
    assert os_error_words(one, HERE) == "connection refused by 127.0.0.1 port 4850"
    both = OSError(
        "Multiple exceptions: [Errno 111] Connect call failed ('::1', 4850, 0, 0), "
        "[Errno 111] Connect call failed ('127.0.0.1', 4850)"
    )
    assert os_error_words(both, HERE) == "connection refused by ::1 port 4850 and 127.0.0.1 port 4850"
    assert os_error_words(ConnectionRefusedError(), HERE) == "connection refused"


def test_other_failures_are_said_in_the_system_s_words() -> None:
    unknown = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    assert os_error_words(unknown, HERE) == "the host name localhost is not known here (Name or service not known)"
    assert os_error_words(OSError(errno.EHOSTUNREACH, "No route to host"), HERE) == "No route to host"
    mixed = OSError(
        "Multiple exceptions: [Errno 111] Connect call failed ('::1', 4850, 0, 0), "
        "[Errno 113] Connect call failed ('127.0.0.1', 4850)"
    )
    assert os_error_words(mixed, HERE) == str(mixed)
    assert os_error_words(OSError(), HERE) == "OSError"
