import pytest

from relay_client.message import Receipt
from relay_client.outbox_items import OutboxFull, OutboxInUse, OutboxUnusable, PendingSend, Queued, RefusedSend
from relay_proto.codec import encode_frame
from relay_proto.errors import ERRORS, BadFrame
from relay_proto.frames import Send


def test_a_queued_receipt_is_told_from_one_of_the_relay() -> None:
    queued = Queued("k1", 1_700_000_000_000, "/tmp/out.db", 3)
    assert isinstance(queued, Receipt)
    assert (queued.queued, Receipt(1, 1, 1, 1, False, "k1").queued) == (True, False)
    assert (queued.message, queued.thread, queued.recipients, queued.online) == (0, 0, 0, 0)
    assert repr(queued) == "Queued('k1', position=3 in /tmp/out.db)"


def test_an_item_shows_what_was_sent() -> None:
    frame = Send(id=0, to="bob", body="hello", key="k1")
    pending = PendingSend(1, "k1", 5, encode_frame(frame))
    assert pending.frame == frame
    assert "k1" in repr(pending)
    refused = RefusedSend(1, "k1", 5, encode_frame(frame), "unknown_agent", "no agent is called bob", 9)
    assert (refused.frame, refused.code, refused.refused_at) == (frame, "unknown_agent", 9)
    assert repr(refused) == "RefusedSend('k1', unknown_agent: 'no agent is called bob')"


def test_an_item_that_was_damaged_says_so_when_it_is_read() -> None:
    with pytest.raises(BadFrame):
        _ = PendingSend(1, "k1", 5, b"\xc1").frame


def test_the_errors_have_codes_of_their_own() -> None:
    kinds = (OutboxFull, OutboxInUse, OutboxUnusable)
    assert {kind.code for kind in kinds} == {"outbox_full", "outbox_in_use", "outbox_unusable"}
    assert not {kind.code for kind in kinds} & ERRORS.keys()
