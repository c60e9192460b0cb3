"""doorkeeper.py: which token lets in whom, how often one may be wrong, what ends with a token."""

from collections.abc import Callable

import pytest

from relay_proto.errors import RateLimited, Unauthorized
from relay_server.access import token_digest
from relay_server.doorkeeper import ADDRESSES_MAX, FAILURES_MAX, FAILURES_S, LATELY_S, Doorkeeper, network
from relay_server.grants import ADMIN, ANYONE

HERE = "127.0.0.1"
SECRET = "correct horse battery"


def keeper(**options: bool) -> Doorkeeper:
    """With the relay's own token, and one stored one."""
    doorkeeper = Doorkeeper(SECRET, **options)
    doorkeeper.put(token_digest("stored"), 7, ["messages:read"], agent="ada")
    return doorkeeper


def wrong(doorkeeper: Doorkeeper, count: int, address: str = HERE, now: float = 0.0) -> None:
    for attempt in range(count):
        with pytest.raises(Unauthorized):
            doorkeeper.admit(f"guess {attempt}", address, now)


def test_where_no_token_is_asked_for_anyone_may_do_everything_but_a_wrong_token_is_wrong() -> None:
    doorkeeper = Doorkeeper()
    assert doorkeeper.admit(None, HERE, 0.0) is ANYONE
    for token in ("guess", ""):
        with pytest.raises(Unauthorized):
            doorkeeper.admit(token, HERE, 0.0)
    doorkeeper.put(token_digest("stored"), 7, ["messages:read"], agent="ada")
    assert doorkeeper.admit("stored", HERE, 0.0).agent == "ada", "who shows a token is bound by it, here too"


def test_where_one_is_asked_for_nobody_comes_without() -> None:
    assert Doorkeeper(asks=True).asks
    for doorkeeper in (keeper(), Doorkeeper(asks=True)):
        with pytest.raises(Unauthorized, match="asked for here"):
            doorkeeper.admit(None, HERE, 0.0)
    assert keeper().admit(SECRET, HERE, 0.0) is ADMIN
    grant = keeper().admit("stored", HERE, 0.0)
    assert (grant.token, grant.agent, set(grant.scopes)) == (7, "ada", {"messages:read"})


def test_a_refusal_names_no_token() -> None:
    with pytest.raises(Unauthorized) as caught:
        keeper().admit("my-secret-guess", HERE, 0.0)
    assert "my-secret-guess" not in repr(caught.value)


def test_after_too_many_wrong_ones_none_is_looked_at() -> None:
    doorkeeper = keeper()
    wrong(doorkeeper, FAILURES_MAX)
    for token in ("guess", SECRET, "stored"):
        with pytest.raises(RateLimited) as caught:
            doorkeeper.admit(token, HERE, 10.0)
        assert caught.value.retry_after_s == FAILURES_S - 10.0
    assert doorkeeper.admit(SECRET, "10.0.0.4", 10.0) is ADMIN, "another address has its own count"
    assert doorkeeper.admit(SECRET, HERE, FAILURES_S) is ADMIN
    with pytest.raises(Unauthorized, match="asked for"):
        keeper().admit(None, HERE, 0.0)


def test_what_was_refused_unseen_counts_for_nothing() -> None:
    doorkeeper = keeper()
    wrong(doorkeeper, FAILURES_MAX)
    for second in range(59):
        with pytest.raises(RateLimited):
            doorkeeper.admit("guess", HERE, float(second))
    assert doorkeeper.admit(SECRET, HERE, FAILURES_S) is ADMIN


def test_the_count_goes_by_the_last_minute() -> None:
    doorkeeper = keeper()
    wrong(doorkeeper, FAILURES_MAX - 1, now=0.0)
    wrong(doorkeeper, 1, now=50.0)
    with pytest.raises(RateLimited):
        doorkeeper.admit("guess", HERE, 59.0)
    wrong(doorkeeper, FAILURES_MAX - 1, now=61.0)
    with pytest.raises(RateLimited) as caught:
        doorkeeper.admit("guess", HERE, 62.0)
    assert caught.value.retry_after_s == 48.0


def test_a_token_that_was_right_from_there_lately_is_let_in_still() -> None:
    doorkeeper = keeper()
    doorkeeper.admit("stored", HERE, 0.0)
    wrong(doorkeeper, FAILURES_MAX, now=1.0)
    assert doorkeeper.admit("stored", HERE, 2.0).token == 7
    for token, address in ((SECRET, HERE), ("guess", HERE)):
        with pytest.raises(RateLimited):
            doorkeeper.admit(token, address, 2.0)
    wrong(doorkeeper, FAILURES_MAX, now=LATELY_S + 2.0)
    with pytest.raises(RateLimited):
        doorkeeper.admit("stored", HERE, LATELY_S + 2.0)


def test_one_that_ended_is_no_friend() -> None:
    doorkeeper = keeper()
    doorkeeper.admit("stored", HERE, 0.0)
    wrong(doorkeeper, FAILURES_MAX)
    doorkeeper.revoke(7)
    with pytest.raises(RateLimited):
        doorkeeper.admit("stored", HERE, 1.0)


def test_it_remembers_so_many_addresses_and_no_more() -> None:
    doorkeeper = keeper()
    for number in range(ADDRESSES_MAX + 100):
        wrong(doorkeeper, 1, f"10.0.{number // 256}.{number % 256}")
    assert len(doorkeeper._failures) == ADDRESSES_MAX


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("::1", "::1"),
        ("::ffff:10.0.0.4", "::ffff:10.0.0.4"),
        ("2001:db8:0:1:aaaa::1", "2001:db8:0:1"),
        ("2001:db8:0:1:bbbb:1:2:3", "2001:db8:0:1"),
        ("2001:db8::1", "2001:db8:0:0"),
    ],
)
def test_who_owns_a_network_is_one_address(address: str, counted: str) -> None:
    assert network(address) == counted


def test_a_token_ends_at_its_time() -> None:
    doorkeeper = Doorkeeper(asks=True)
    doorkeeper.put(token_digest("short"), 1, ["*"], until=5.0)
    doorkeeper.admit("short", HERE, 4.9)
    with pytest.raises(Unauthorized, match="time is over"):
        doorkeeper.admit("short", HERE, 5.0)


def test_a_revoked_token_ends_what_was_opened_with_it_and_nothing_else() -> None:
    doorkeeper = keeper()
    doorkeeper.put(token_digest("other"), 8, ["*"])
    closed: list[str] = []
    grant = doorkeeper.admit("stored", HERE, 0.0)
    other = doorkeeper.admit("other", HERE, 0.0)
    doorkeeper.watch(grant, lambda: closed.append("first"))
    doorkeeper.watch(grant, lambda: closed.append("second"))
    unwatch = doorkeeper.watch(grant, lambda: closed.append("third"))
    doorkeeper.watch(other, lambda: closed.append("other's"))
    unwatch()
    doorkeeper.revoke(7)
    doorkeeper.revoke(7)
    assert closed == ["first", "second"]
    with pytest.raises(Unauthorized):
        doorkeeper.admit("stored", HERE, 0.0)
    unwatch()
    doorkeeper.watch(grant, lambda: closed.append("too late"))
    assert closed[2:] == ["too late"], "it was open when the token ended"
    assert doorkeeper.stored == 1


def test_nothing_is_kept_of_what_was_closed() -> None:
    doorkeeper = keeper()
    grant = doorkeeper.admit("stored", HERE, 0.0)
    for _ in range(3):
        doorkeeper.watch(grant, lambda: None)()
    for lasting in (ANYONE, ADMIN):
        doorkeeper.watch(lasting, lambda: None)
    assert doorkeeper._open == {}


def test_who_is_watched_may_say_so_while_it_is_closed() -> None:
    doorkeeper = keeper()
    grant = doorkeeper.admit("stored", HERE, 0.0)
    ends: list[Callable[[], None]] = []

    def end_all() -> None:
        for end in ends:
            end()

    ends += [doorkeeper.watch(grant, end_all) for _ in range(3)]
    doorkeeper.revoke(7)
    assert doorkeeper._open == {}


def test_an_integration_comes_with_the_configuration_s_token_and_with_stored_ones() -> None:
    doorkeeper = Doorkeeper(SECRET)
    doorkeeper.add_integration("ci", "token of the ci", targets=["cap:build"])
    doorkeeper.add_integration("pager", None, ["*"])
    doorkeeper.put(token_digest("stored"), 1, ["messages:write"], integration="ci")
    doorkeeper.put(token_digest("pager's"), 2, ["messages:write"], integration="pager")
    doorkeeper.put(token_digest("stray"), 3, ["messages:write"], integration="stray")
    ci = doorkeeper.admit("token of the ci", HERE, 0.0)
    assert (ci.integration, ci.token, ci.channels) == ("ci", None, None)
    assert (set(ci.scopes), set(ci.targets or ())) == ({"events:create"}, {"cap:build"})
    stored = doorkeeper.admit("stored", HERE, 0.0)
    assert (stored.integration, set(stored.scopes)) == ("ci", {"messages:write"})
    assert stored.targets == ci.targets
    assert doorkeeper.admit("pager's", HERE, 0.0).targets is None
    stray = doorkeeper.admit("stray", HERE, 0.0)
    assert (stray.agent, stray.targets, stray.channels) == ("integration/stray", frozenset(), frozenset())


def test_two_with_one_token_are_refused() -> None:
    doorkeeper = Doorkeeper(SECRET)
    with pytest.raises(ValueError, match="the integration ci is another's too"):
        doorkeeper.add_integration("ci", SECRET)


def test_it_knows_when_nobody_can_come_in() -> None:
    assert Doorkeeper().can_let_in()
    assert Doorkeeper(SECRET).can_let_in()
    asking = Doorkeeper(asks=True)
    assert not asking.can_let_in()
    asking.put(token_digest("stored"), 1, ["*"])
    assert asking.can_let_in()
