"""env_file: what setup writes into relay.env, and that what others wrote there stays."""

import pytest

from relay_client.service.env_file import EnvFileError, changed, masked, read, render


def test_what_is_written_is_read_back_and_begins_with_what_it_is_for() -> None:
    values = {"RELAY_TOKEN": "a-b_c", "RELAY_DATA": '/srv/with a "blank" $HOME', "RELAY_LOG": ""}
    text = render(values, "Two lines\nabout it.")
    assert text.startswith("# Two lines\n# about it.\nRELAY_TOKEN=a-b_c\n")
    assert read(text, "relay.env") == values


def test_a_change_touches_its_line_alone() -> None:
    text = "# mine\nRELAY_PORT = 4850\n\n; also mine\nOTHER='x y'\nRELAY_PORT=1\nLAST=1"
    said = changed(text, {"RELAY_PORT": "5000", "RELAY_TOKEN": "new"}, "relay.env")
    assert said == "# mine\nRELAY_PORT=5000\n\n; also mine\nOTHER='x y'\nLAST=1\nRELAY_TOKEN=new\n"


def test_a_value_over_several_lines_that_looks_like_a_setting_is_not_torn() -> None:
    with pytest.raises(EnvFileError, match=r"relay\.env: RELAY_PORT can't be changed, with values over several lines"):
        changed('A="one\nRELAY_PORT=1\ntwo"\n', {"RELAY_PORT": "2"}, "relay.env")


def test_errors_name_file_and_line_and_never_a_value() -> None:
    with pytest.raises(EnvFileError) as caught:
        read("RELAY_PORT=1\nexport RELAY_TOKEN=the-secret\n", "relay.env")
    assert str(caught.value).startswith("relay.env: line 2")
    assert "the-secret" not in str(caught.value)


def test_a_comment_with_a_form_feed_is_one_line() -> None:
    assert changed("# a\x0cb\u2028c\nA=1", {"B": "2"}, "relay.env") == "# a\x0cb\u2028c\nA=1\nB=2\n"
    assert changed("", {"B": "2"}, "relay.env") == "B=2\n"


def test_what_is_shown_has_no_secret_however_it_is_written() -> None:
    text = (
        "# mine\n; RELAY_TOKEN=hidden-old\nRELAY_PORT = 5000\nAGENT_RELAY_TOKEN=hidden-one\n\n"
        'RELAY_TOKEN="hid\\$den\\"two"\nRELAY_INTEGRATIONS=ci:hidden-three\nRELAY_DATA="/srv/a b"\n'
    )
    assert masked(text, "relay.env") == (
        "# mine\n# (a comment)\nRELAY_PORT=5000\nAGENT_RELAY_TOKEN=(a secret of 10 characters)\n\n"
        "RELAY_TOKEN=(a secret of 11 characters)\nRELAY_INTEGRATIONS=(a secret of 15 characters)\n"
        'RELAY_DATA="/srv/a b"\n'
    )
    for spread in ('RELAY_TOKEN="hidden\n#hidden\nRELAY_PORT=hidden"\n', "RELAY_TOKEN=hidden\\\n#hidden\n"):
        assert masked(spread, "relay.env").startswith("RELAY_TOKEN=(a secret of ")
        assert "hidden" not in masked(spread, "relay.env")
