"""Bytes <-> frames. A WebSocket message is one MessagePack array of frames, both ways.

Rules
- What comes from the network is hostile. It is decoded into checked structs in one pass; anything that is not what the
  schema says is refused before it costs more than reading it.
- Two kinds of wrong. Bytes that are no array of frames (malformed, ext types, duplicate keys, too deep, too many) raise
  BadFrame: the peer can't be trusted to count brackets, the connection closes. One frame with a wrong field becomes a
  Refusal in its place; its neighbours in the batch are served.
- msgspec keeps the last of two equal keys without a word. So a batch is encoded again and compared: equal bytes prove
  that nothing was hidden (0.1 us a frame; our own clients always take this way). A frame that differs (unknown fields,
  another field order) is held to its shape: each map must have as many keys as its header says.
- A field that takes any type builds whatever stands there before it can be refused: 1 MiB of empty lists is 67 MB and
  0.2 s. So a large message is read frame by frame, and a large frame is held to its shape before it is decoded.
"""

from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Final, get_args

import msgspec

from . import limits
from .errors import BadFrame, BadRequest, RelayError, TooLarge, UnknownOp
from .frames import ClientFrame, FieldRefused, RelayFrame
from .scopes import TOKEN_PREFIX
from .targets import AGENT_PATTERN, LABEL_PATTERN, NAME_PATTERN, SOURCE_PATTERN

FRAME_FIELDS_MAX: Final = 64
"""Keys of any one map, known and unknown: twice what any frame of this version has."""
FIELD_ITEMS_MAX: Final = 4 * limits.MESSAGES_MAX
"""Items of a list in a frame, before it is no frame at all; what is only over its own limit is a `bad_request`."""
WHOLE_BYTES_MAX: Final = 64 * 1024
"""Larger messages are read frame by frame (0.3 us a frame more), so that the first bad one ends it."""
UNSEEN_BYTES_MAX: Final = 16 * 1024
"""Larger frames of such a message are held to their shape before they are decoded."""

_Batch = Annotated[list[ClientFrame], msgspec.Meta(min_length=1, max_length=limits.FRAMES_MAX)]
_RelayBatch = Annotated[list[RelayFrame], msgspec.Meta(min_length=1, max_length=limits.FRAMES_MAX)]
_RawBatch = Annotated[list[msgspec.Raw], msgspec.Meta(min_length=1, max_length=limits.FRAMES_MAX)]
_RawFields = Annotated[dict[str, msgspec.Raw], msgspec.Meta(max_length=FRAME_FIELDS_MAX)]
_Scalar = None | bool | int | float | str  # bytes are known by their header: msgspec has no union of str and bytes
_Value = (
    _Scalar
    | Annotated[list[_Scalar], msgspec.Meta(max_length=FIELD_ITEMS_MAX)]
    | Annotated[dict[str, _Scalar], msgspec.Meta(max_length=FRAME_FIELDS_MAX)]
)

_encoder: Final = msgspec.msgpack.Encoder()
_client_batch: Final = msgspec.msgpack.Decoder(_Batch)
_client_frame: Final = msgspec.msgpack.Decoder(ClientFrame)
_relay_batch: Final = msgspec.msgpack.Decoder(_RelayBatch)
_relay_frame: Final = msgspec.msgpack.Decoder(RelayFrame)
_raw_batch: Final = msgspec.msgpack.Decoder(_RawBatch)
_raw_fields: Final = msgspec.msgpack.Decoder(_RawFields)
_value: Final = msgspec.msgpack.Decoder(_Value)
_bytes: Final = msgspec.msgpack.Decoder(bytes)

_UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What msgspec raises for bytes that are no MessagePack, or nest too deep; ValidationError is one of them."""

_RULES: Final = {
    f"`str` matching regex {AGENT_PATTERN!r}": "1-128 characters of A-Z a-z 0-9 . _ - @ /",
    f"`str` matching regex {NAME_PATTERN!r}": "1-64 characters of A-Z a-z 0-9 . _ - @ / : + #",
    f"`str` matching regex {SOURCE_PATTERN!r}": "1-128 characters of A-Z a-z 0-9 . _ - @ / : + #",
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
        op = frame.__struct_config__.tag
        raise _explain(exc, {"op": op, **msgspec.structs.asdict(frame)}) from None
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
    if len(data) > WHOLE_BYTES_MAX:
        return _decode_one_by_one(data)
    try:
        frames = _client_batch.decode(data)
    except msgspec.ValidationError:
        return _decode_one_by_one(data)
    except _UNREADABLE as exc:
        raise _unreadable(exc) from None
    if _encoder.encode(frames) != data:
        for raw in _raw_batch.decode(data):
            _check_shape(raw)
    return frames  # type: ignore[return-value]  # list is invariant; nobody appends to it


def _decode_one_by_one(data: bytes) -> "list[ClientFrame | Refusal]":
    try:
        raws = _raw_batch.decode(data)
    except msgspec.ValidationError as exc:
        raise BadFrame(f"a message is an array of 1 to {limits.FRAMES_MAX} frames: {exc}") from None
    except _UNREADABLE as exc:
        raise _unreadable(exc) from None
    return [_decode_one(bytes(raw)) for raw in raws]


def _decode_one(data: bytes) -> "ClientFrame | Refusal":
    if len(data) > UNSEEN_BYTES_MAX:
        _check_shape(data)
    try:
        frame: ClientFrame = _client_frame.decode(data)
    except msgspec.ValidationError as exc:
        fields = _check_shape(data)
        if not isinstance(fields.get("op"), str):
            raise BadFrame("a frame is a map with a string `op`") from None
        re = fields.get("id")
        known = type(re) is int and 0 <= re <= limits.ID_MAX
        return Refusal(_explain(exc, fields), re if known else None)
    except _UNREADABLE as exc:
        raise _unreadable(exc) from None
    if _encoder.encode(frame) != data:
        _check_shape(data)
    return frame


def _check_shape(data: bytes | msgspec.Raw) -> dict[str, Any]:
    """The fields of a frame. Raises BadFrame unless its keys are unique and its values scalars, flat lists or maps."""
    try:
        fields = _raw_fields.decode(data)
    except msgspec.ValidationError as exc:
        raise BadFrame(f"a frame is a map with at most {FRAME_FIELDS_MAX} string keys: {exc}") from None
    except _UNREADABLE as exc:
        raise _unreadable(exc) from None
    if len(fields) != _map_length(data):
        raise BadFrame(f"one of the keys {_show(list(fields))} stands twice in a frame")
    values: dict[str, Any] = {}
    for field, raw in fields.items():
        kind = memoryview(raw)[0]
        try:
            value = values[field] = (_bytes if 0xC4 <= kind <= 0xC6 else _value).decode(raw)  # bin 8, 16, 32
        except msgspec.ValidationError as exc:
            raise BadFrame(f"{_show(field)} holds what no field does (nesting, ext types, length): {exc}") from None
        except _UNREADABLE as exc:
            raise _unreadable(exc) from None
        if value and type(value) is dict and len(value) != _map_length(raw):
            raise BadFrame(f"one of the keys {_show(list(value))} stands twice in {_show(field)}")
    return values


def _map_length(data: bytes | msgspec.Raw) -> int:
    """How many keys the header of this map announces; msgspec has proven that they are there."""
    header = memoryview(data)
    match header[0]:
        case 0xDE:
            return int.from_bytes(header[1:3])
        case 0xDF:
            return int.from_bytes(header[1:5])
        case kind:
            return kind & 0x0F


def _unreadable(exc: Exception) -> BadFrame:
    if isinstance(exc, RecursionError):
        return BadFrame("nested deeper than any frame")
    return BadFrame(f"not a MessagePack array of frames: {exc}")


# -- in: the client's side -------------------------------------------------------------------------------------------


def decode_relay_batch(data: bytes) -> list[RelayFrame]:
    """The frames of one WebSocket message from the relay. Ops of a newer relay are left out, not an error.

    Raises BadFrame when the message can't be read or a known frame lacks what it must have.
    """
    try:
        return _relay_batch.decode(data)
    except msgspec.ValidationError:
        pass  # one unknown op fails the whole batch: read it again, frame by frame
    except _UNREADABLE as exc:
        raise _unreadable(exc) from None
    out: list[RelayFrame] = []
    try:
        for raw in _raw_batch.decode(data):
            try:
                out.append(_relay_frame.decode(raw))
            except msgspec.ValidationError as exc:
                text = str(exc)
                if not (text.startswith("Invalid value") and text.endswith("`$.op`")):
                    raise
    except msgspec.ValidationError as exc:
        raise BadFrame(f"the relay sent a frame that is not of this protocol: {exc}") from None
    except _UNREADABLE as exc:
        raise _unreadable(exc) from None
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
    text = in_words(text)
    if text.startswith("Invalid enum value"):
        text = f"expected one of {' '.join(_choices(fields.get('op'), path))}"
    if text.startswith("Object missing required field "):
        missing = text.split()[-1]
        return BadRequest(f"{f'{path}.{missing}' if path else missing} is missing; {fields.get('op')} needs it")
    if not path or " in " in path:
        return BadRequest(text[0].lower() + text[1:])
    name = path.split("[")[0].split(".")[0]
    shown = "***" if name == "token" else _show(_value_at(fields, path, name))  # errors end up in logs
    return BadRequest(f"{path} is {shown}; {text}")


def in_words(text: str) -> str:
    """What msgspec says of a value that does not fit, without its notation."""
    for rule, words in _RULES.items():
        text = text.replace(rule, words)
    return text.replace("Expected ", "expected ").replace("`", "")


def _choices(op: object, name: str) -> list[str]:
    """The words that a field may hold, read off its type."""
    [kind] = [frame for frame in get_args(ClientFrame) if frame.__struct_config__.tag == op]
    [field] = [field for field in msgspec.structs.fields(kind) if field.encode_name == name.split("[")[0]]
    return words_of(field.type)


def words_of(part: Any) -> list[str]:
    """The words of every Literal in a type, however deep it stands."""
    return [word for arg in get_args(part) for word in ([arg] if isinstance(arg, str) else words_of(arg))]


def _value_at(fields: dict[str, Any], path: str, name: str) -> Any:
    value = fields.get(name)
    if isinstance(value, dict) and path.startswith(f"{name}."):
        return value.get(path[len(name) + 1 :])
    index = path[len(name) :].strip("[]")
    if isinstance(value, list) and index.isdigit() and int(index) < len(value):
        return value[int(index)]
    return value


def _show(value: Any) -> str:
    text = repr(value)
    if TOKEN_PREFIX in text:
        return "***"  # a token that somebody put into the wrong field
    return text if len(text) <= 80 else f"{text[:77]}..."
