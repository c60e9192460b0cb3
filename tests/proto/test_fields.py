import pytest

from relay_proto.errors import TooLarge
from relay_proto.fields import FieldRefused, body_bytes, check_finite, check_meta, check_opaque


@pytest.mark.parametrize(
    ("body", "size"), [("", 0), ("abc", 3), ("é", 2), ("€", 3), ("😀", 4), (b"\xff\x00", 2), ("x" * 1000, 1000)]
)
def test_the_size_of_a_body_is_what_it_takes_in_bytes(body: str | bytes, size: int) -> None:
    assert body_bytes(body) == size


@pytest.mark.parametrize("value", ["", "1234", "éé", b"", b"\xff\xff\xff\xff"])
def test_what_is_opaque_may_take_its_limit_in_bytes(value: str | bytes) -> None:
    check_opaque("body", value, 4)


@pytest.mark.parametrize("value", ["12345", "ééa", b"12345"])
def test_what_is_opaque_is_too_large_beyond_its_limit(value: str | bytes) -> None:
    with pytest.raises(FieldRefused, match="result is 5 bytes; the limit is 4") as caught:
        check_opaque("result", value, 4)
    assert caught.value.kind is TooLarge


@pytest.mark.parametrize("value", [None, 5, ["a"], {"a": 1}, bytearray(b"a")])
def test_what_is_opaque_is_text_or_bytes(value: object) -> None:
    with pytest.raises(ValueError, match=f"body must be a string or bytes, not {type(value).__name__}"):
        check_opaque("body", value, 4)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_numbers_are_finite(value: float) -> None:
    with pytest.raises(ValueError, match=f"load is {value}; it must be a finite number"):
        check_finite("load", value)
    with pytest.raises(ValueError, match=rf"meta\.cpu is {value}; it must be a finite number"):
        check_meta({"text": "nan", "cpu": value})


def test_finite_numbers_texts_and_nothing_pass() -> None:
    for value in (None, 0, 2**64 - 1, -1.5, 1e308, True):
        check_finite("load", value)
    check_meta({"a": None, "b": 1.5, "c": "inf", "d": False})
