"""Bytes <-> frames. A WebSocket message is one MessagePack array of frames, both ways.

Rules
- What comes from the network is hostile. It is decoded into checked structs in one pass; anything that is not what the
  schema says is refused before it costs more than reading it.
- Two kinds of wrong. Bytes that are no array of frames (malformed, ext types, duplicate keys, too deep, too many) raise
  BadFrame: the peer can't be trusted to count brackets, the connection closes. One frame with a wrong field becomes a
  Refusal in its place; its neighbours in the batch are served.
- msgspec keeps the last of two equal keys without a word. So a batch is encoded again and compared: equal bytes prove
  that nothing was hidden (0.1 us a frame; our own clients always take this way). Only what differs (unknown fields,
  another field order) is read a second time by an independent decoder that sees every key.
"""

from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Final, NoReturn

import msgpack
import msgspec

from . import limits
from .errors import BadFrame, BadRequest, RelayError, TooLarge, UnknownOp
from .frames import ClientFrame, FieldRefused, RelayFrame
from .targets import AGENT_PATTERN, LABEL_PATTERN, NAME_PATTERN

_Batch = Annotated[list[ClientFrame], msgspec.Meta(min_length=1, max_length=limits.FRAMES_MAX)]
_RawBatch = Annotated[list[msgspec.Raw], msgspec.Meta(min_length=1, max_length=limits.FRAMES_MAX)]

_encoder: Final = msgspec.msgpack.Encoder()
_client_batch: Final = msgspec.msgpack.Decoder(_Batch)
_client_frame: Final = msgspec.msgpack.Decoder(ClientFrame)
_relay_batch: Final = msgspec.msgpack.Decoder(list[RelayFrame])
_relay_frame: Final = msgspec.msgpack.Decoder(RelayFrame)
_raw_batch: Final = msgspec.msgpack.Decoder(_RawBatch)

FRAME_FIELDS_MAX: Final = 64
"""Keys of one frame, known and unknown: twice what any frame of this version has."""

_RULES: Final = {
    f"`str` matching regex {AGENT_PATTERN!r}": "1-128 characters of A-Z a-z 0-9 . _ - @ /",
    f"`str` matching regex {NAME_PATTERN!r}": "1-64 characters of A-Z a-z 0-9 . _ - @ / : + #",
    f"`str` matching regex {LABEL_PATTERN!r}": "1-128 characters, none of them a control character",
}


class Refusal:
    """A frame that was refused while reading it: what to answer, and under which `re` (None where it had no id)."""

    __slots__ = ("error", "re")

    def __init__(self, error: RelayError, re: int | None) -> None:
        self.error = error
        self.re = re

    def __repr__(self) -> str:
        return f"Refusal({self.error!r}, re={self.re})"


# -- out -------------------------------------------------------------------------------------------------------------


def encode_frame(frame: Any) -> bytes:
    """One frame (or a list item) as MessagePack, unchecked: for frames that were built from checked parts."""
    return _encoder.encode(frame)


def encode_checked(frame: ClientFrame) -> bytes:
    """One client frame as MessagePack, proven to be one that the relay's decoder takes.

    Raises BadRequest or TooLarge, naming field, value and limit. Reading back what would be sent (0.5 us) is the whole
    check: so there is one set of rules, and it stands in frames.py.
    """
    try:
        data = _encoder.encode(frame)
        _client_frame.decode(data)
    except msgspec.ValidationError as exc:
        raise _explain(exc, msgspec.structs.asdict(frame)) from None
    except (TypeError, ValueError, OverflowError, RecursionError) as exc:
        raise BadRequest(f"{frame.__struct_config__.tag}: {exc}") from None
    return data


def join_frames(frames: Sequence[bytes]) -> bytes:
    """Encoded frames as the payload of one WebSocket message. At most FRAMES_MAX of them."""
    return _array_header(len(frames)) + b"".join(frames)


def batches(frames: list[bytes]) -> Iterator[bytes]:
    """Encoded frames, in order, as payloads that each keep FRAMES_MAX and MESSAGE_BYTES_MAX."""
    start, size = 0, 3
    for i, frame in enumerate(frames):
        if i - start == limits.FRAMES_MAX or (size + len(frame) > limits.MESSAGE_BYTES_MAX and i > start):
            yield join_frames(frames[start:i])
            start, size = i, 3
        size += len(frame)
    if start < len(frames):
        yield join_frames(frames[start:] if start else frames)


def _array_header(count: int) -> bytes:
    if count < 16:
        return bytes((0x90 | count,))
    assert count <= 0xFFFF, count
    return b"\xdc" + count.to_bytes(2, "big")


# -- in: the relay's side --------------------------------------------------------------------------------------------


def decode_client_batch(data: bytes) -> "list[ClientFrame | Refusal]":
    """The frames of one WebSocket message from an agent, in order.

    A frame with a wrong field or an unknown op stands as a Refusal in its place. Raises BadFrame or TooLarge when the
    message as a whole can't be read; the connection should then close.
    """
    if len(data) > limits.MESSAGE_BYTES_MAX:
        raise TooLarge(f"the message is {len(data)} bytes; the limit is {limits.MESSAGE_BYTES_MAX}")
    try:
        frames = _client_batch.decode(data)
    except msgspec.ValidationError:
        return _decode_one_by_one(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise BadFrame(f"not a MessagePack array of frames: {exc}") from None
    except RecursionError:
        raise BadFrame("nested deeper than any frame") from None
    if _encoder.encode(frames) != data:
        _read_strictly(data)
    return frames  # type: ignore[return-value]  # list is invariant; nobody appends to it


def _decode_one_by_one(data: bytes) -> "list[ClientFrame | Refusal]":
    _read_strictly(data)
    out: list[ClientFrame | Refusal] = []
    try:
        raws = _raw_batch.decode(data)
    except msgspec.ValidationError as exc:
        raise BadFrame(f"a message is an array of 1 to {limits.FRAMES_MAX} frames: {exc}") from None
    for raw in raws:
        try:
            out.append(_client_frame.decode(raw))
        except msgspec.ValidationError as exc:
            fields = msgpack.unpackb(bytes(raw), strict_map_key=False)
            if not isinstance(fields, dict) or not isinstance(fields.get("op"), str):
                raise BadFrame("a frame is a map with a string `op`") from None
            re = fields.get("id")
            known = isinstance(re, int) and not isinstance(re, bool) and 0 <= re <= limits.ID_MAX
            out.append(Refusal(_explain(exc, fields), re if known else None))
    return out


def _refuse_ext(code: int, data: bytes) -> NoReturn:
    raise BadFrame(f"ext type {code}; frames have none")


def _unique_keys(pairs: list[tuple[Any, Any]]) -> dict[Any, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        seen: set[Any] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise BadFrame(f"key {twice!r} stands twice in one map")
    for key in fields:
        if type(key) is not str:
            raise BadFrame(f"key {key!r} is not a string")
    return fields


def _read_strictly(data: bytes) -> None:
    """Raises BadFrame unless every map has unique string keys, nothing is an ext type and nothing nests too deep."""
    try:
        frames = msgpack.unpackb(
            data,
            object_pairs_hook=_unique_keys,
            ext_hook=_refuse_ext,
            max_array_len=limits.FRAMES_MAX,
            max_map_len=FRAME_FIELDS_MAX,
            max_ext_len=0,
        )
    except BadFrame:
        raise
    except (ValueError, msgpack.exceptions.UnpackException, RecursionError) as exc:
        raise BadFrame(f"not a MessagePack array of frames: {exc}") from None
    if not isinstance(frames, list):
        raise BadFrame("a message is an array of frames")
    for frame in frames:
        if not isinstance(frame, dict):
            raise BadFrame("a frame is a map with a string `op`")
        for field, value in frame.items():
            members = value.values() if isinstance(value, dict) else value if isinstance(value, list) else (value,)
            for member in members:
                if isinstance(member, (dict, list, msgpack.Timestamp)):
                    raise BadFrame(f"{str(field)[:64]!r} nests deeper than any field, or has an ext type")


# -- in: the client's side -------------------------------------------------------------------------------------------


def decode_relay_batch(data: bytes) -> list[RelayFrame]:
    """The frames of one WebSocket message from the relay. Ops of a newer relay are left out, not an error.

    Raises BadFrame when the message can't be read or a known frame lacks what it must have.
    """
    try:
        return _relay_batch.decode(data)
    except msgspec.ValidationError:
        pass  # one unknown op fails the whole batch: read it again, frame by frame
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise BadFrame(f"the relay sent what is no array of frames: {exc}") from None
    out: list[RelayFrame] = []
    for raw in _raw_batch.decode(data):
        try:
            out.append(_relay_frame.decode(raw))
        except msgspec.ValidationError as exc:
            if not str(exc).endswith("`$.op`"):
                raise BadFrame(f"the relay sent a frame that is not of this protocol: {exc}") from None
    return out


# -- saying what was wrong -------------------------------------------------------------------------------------------


def _explain(exc: msgspec.ValidationError, fields: dict[str, Any]) -> RelayError:
    """The error to answer with: field, value and limit, in words that need no knowledge of the schema."""
    text, _, path = str(exc).partition(" - at `$")
    cause = exc.__cause__
    if isinstance(cause, FieldRefused):
        return cause.kind(text)
    if cause is not None:
        return BadRequest(text)
    path = path.strip("`").lstrip(".")
    if path == "op":
        return UnknownOp(f"op is {_show(fields.get('op'))}; this relay does not know it")
    for rule, words in _RULES.items():
        text = text.replace(rule, words)
    text = text.replace("Expected ", "expected ").replace("`", "")
    if not path or " in " in path:
        return BadRequest(text[0].lower() + text[1:])
    name = path.split("[")[0].split(".")[0]
    return BadRequest(f"{path} is {_show(_value_at(fields, path, name))}; {text}")


def _value_at(fields: dict[str, Any], path: str, name: str) -> Any:
    value = fields.get(name)
    index = path[len(name) :].strip("[]")
    if isinstance(value, list) and index.isdigit() and int(index) < len(value):
        return value[int(index)]
    return value


def _show(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
