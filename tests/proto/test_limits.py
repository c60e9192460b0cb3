import ast
import inspect
from typing import get_type_hints

from relay_proto import limits
from relay_proto.targets import TargetKind

UNITS = (
    "BYTES",
    "CHARS",
    "FRAMES",
    "ENTRIES",
    "NAMES",
    "MESSAGES",
    "ID",
    "CREDIT",
    "PAGE",
    "PRIORITY",
    "HOPS",
    "EVENTS",
    "ATTEMPTS",
    "CLAIMS",
    "DEPENDENCIES",
    "TOKENS",
    "SCOPES",
    "S",
)
NOT_LIMITS = {"PROTOCOL_VERSION", "SUBPROTOCOL", "DEFAULT_PORT"}
LIMITS = {name: value for name, value in vars(limits).items() if name.isupper() and name not in NOT_LIMITS}


def test_each_limit_says_its_unit_and_which_bound_it_is() -> None:
    for name in LIMITS:
        words = name.removesuffix("_MAX").removesuffix("_MIN").removesuffix("_DEFAULT").split("_")
        assert words[-1] in UNITS, name


def test_each_limit_is_final() -> None:
    final = {
        node.target.id
        for node in ast.parse(inspect.getsource(limits)).body
        if isinstance(node, ast.AnnAssign)
        and isinstance(node.target, ast.Name)
        and ast.unparse(node.annotation) == "Final"
    }
    assert final == {*LIMITS, *NOT_LIMITS}
    assert get_type_hints(limits).keys() == final


def test_the_contract_s_numbers() -> None:
    assert limits.MESSAGE_BYTES_MAX == 1_048_576
    assert limits.FRAMES_MAX == 1024
    assert limits.BODY_BYTES_MAX == 262_144
    assert limits.AGENT_CHARS_MAX == 128
    assert limits.CREDIT_DEFAULT == 64
    assert (limits.HANDSHAKE_S, limits.REGISTER_S) == (5.0, 5.0)
    assert (limits.PRIORITY_MAX, limits.HOPS_MAX, limits.OFFER_S_DEFAULT) == (9, 16, 30.0)
    assert (limits.ATTEMPTS_DEFAULT, limits.PARK_S_DEFAULT) == (3, 86_400.0)
    assert (limits.DEFAULT_PORT, limits.SUBPROTOCOL, limits.PROTOCOL_VERSION) == (4850, "relay.v1", 1)


def test_the_bounds_of_one_thing_are_in_order() -> None:
    assert limits.LEASE_S_MIN < limits.LEASE_S_DEFAULT < limits.LEASE_S_MAX
    assert limits.PARK_S_MIN < limits.PARK_S_DEFAULT < limits.PARK_S_MAX
    assert 1 <= limits.ATTEMPTS_DEFAULT < limits.ATTEMPTS_MAX
    assert 1 <= limits.CLAIMS_MAX <= limits.CREDIT_MAX
    assert limits.CREDIT_DEFAULT <= limits.CREDIT_MAX
    assert limits.PAGE_DEFAULT <= limits.PAGE_MAX
    assert limits.RESULT_BYTES_MAX < limits.BODY_BYTES_MAX
    assert limits.OFFER_S_MIN < limits.OFFER_S_DEFAULT < limits.OFFER_S_MAX
    assert 0 < limits.PRIORITY_DEFAULT < limits.PRIORITY_MAX  # room below and above
    assert limits.SPAN_S_MIN < limits.REPLY_S_MAX <= limits.TTL_S_MAX


def test_the_shortest_span_is_one_tick_of_the_wires_clock() -> None:
    assert limits.SPAN_S_MIN * 1000 == 1


def test_what_is_delayed_as_long_as_may_be_can_still_be_given_a_time_to_live() -> None:
    assert limits.TTL_S_MAX >= limits.DELAY_S_MAX


def test_one_heartbeat_may_be_lost_before_a_default_lease_ends() -> None:
    assert 2 * limits.HEARTBEAT_S <= limits.LEASE_S_DEFAULT


def test_a_target_has_room_for_its_longest_prefix_and_name() -> None:
    assert len("thread:") + len(str(limits.ID_MAX)) <= limits.TARGET_CHARS_MAX
    named = max(len(kind.value) for kind in TargetKind if kind is not TargetKind.LABEL) + limits.NAME_CHARS_MAX
    assert max(named, len("label:") + limits.LABEL_CHARS_MAX, limits.AGENT_CHARS_MAX) <= limits.TARGET_CHARS_MAX


def test_a_message_has_room_for_four_full_bodies_less_their_envelopes() -> None:
    assert limits.MESSAGE_BYTES_MAX == 4 * limits.BODY_BYTES_MAX
