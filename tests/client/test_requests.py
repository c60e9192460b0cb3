import pytest

from relay_client import requests as module
from relay_client.requests import OpenRequest, OpenRequests
from relay_proto.frames import Claim
from tests.client.test_conversation import Caller


def opened(open: OpenRequests[Caller], id: int, data: bytes = b"12345") -> OpenRequest[Caller]:
    request = OpenRequest(id, data, Caller(), Claim(id=id, message=id))
    open.add(request)
    return request


def test_requests_stand_in_the_order_in_which_they_were_asked() -> None:
    open: OpenRequests[Caller] = OpenRequests()
    first, second, third = (opened(open, id) for id in (3, 1, 2))
    open.close(second)
    assert list(open) == [first, third]
    assert (open.get(1), open.get(2), len(open)) == (None, third, 2)


def test_room_is_counted_in_requests_and_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "OPEN_REQUESTS_MAX", 3)
    monkeypatch.setattr(module, "OPEN_BYTES_MAX", 10)
    open: OpenRequests[Caller] = OpenRequests()
    first = opened(open, 1)
    assert open.free == 2
    opened(open, 2)
    assert open.free == 0  # its bytes
    open.close(first)
    assert open.free == 2


def test_a_request_that_is_rewritten_counts_as_it_is_now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "OPEN_BYTES_MAX", 10)
    open: OpenRequests[Caller] = OpenRequests()
    request = opened(open, 1)
    open.rewrite(request, b"1234567890")
    assert (request.data, open.free) == (b"1234567890", 0)
    open.rewrite(request, b"1")
    opened(open, 2)
    assert open.free > 0
    open.close(request)
    opened(open, 3)
    assert open.free == 0


def test_the_end_names_who_waits_and_leaves_nothing() -> None:
    open: OpenRequests[Caller] = OpenRequests()
    first, second = opened(open, 1), opened(open, 2)
    second.waiter = None
    assert open.end() == [first.waiter]
    assert (len(open), open.free) == (0, module.OPEN_REQUESTS_MAX)


def test_a_claim_is_being_asked_as_long_as_someone_waits_for_it() -> None:
    open: OpenRequests[Caller] = OpenRequests()
    request = opened(open, 7)
    assert open.is_claiming(7)
    assert not open.is_claiming(8)
    assert request.waiter is not None
    request.waiter.left = True
    assert not open.is_claiming(7)
