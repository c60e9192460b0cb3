"""settings: the one table, and the documentation that is made of it."""

import re
from collections import Counter
from pathlib import Path

from relay_server.settings import FALLBACK, SETTINGS
from relay_server.settings_report import markdown
from relay_server.sources import config_of, resolve

DOC = Path(__file__).parents[2] / "docs" / "operating.md"
BEFORE = {
    "RELAY_HOST", "RELAY_PORT", "RELAY_DATA", "RELAY_TOKEN", "RELAY_ASK_TOKEN", "RELAY_ALLOW_UNAUTH",
    "RELAY_ALLOW_HOSTS", "RELAY_ALLOW_ORIGINS", "RELAY_REGISTER_TIMEOUT", "RELAY_PING_INTERVAL", "RELAY_PAIR_GRACE",
    "RELAY_INTEGRATIONS", "RELAY_SEND_RATE", "RELAY_GROUP_RATE", "RELAY_PAIR_RATE", "RELAY_HOP_LIMIT",
    "RELAY_INBOX_MESSAGES", "RELAY_INBOX_BYTES", "RELAY_LOG_JSON",
}  # fmt: skip
"""What the first relays knew."""


def test_no_name_is_there_twice() -> None:
    for names in (
        [setting.name for setting in SETTINGS],
        [setting.key for setting in SETTINGS],
        [setting.option for setting in SETTINGS if setting.option],
        [setting.variables[0].name for setting in SETTINGS],
    ):
        assert Counter(names).most_common(1)[0][1] == 1


def test_names_stay_and_follow_one_rule() -> None:
    known = {variable.name for setting in SETTINGS for variable in setting.variables}
    assert known >= BEFORE
    assert all(name.startswith("RELAY_") for name in known)
    assert not any(name.startswith(FALLBACK) for name in known)


def test_every_setting_has_a_default_that_its_own_kind_would_take(tmp_path: Path) -> None:
    for setting in SETTINGS:
        if setting.default not in (None, ()):
            plain = setting.kind.plain(setting.default)
            assert setting.kind.of_toml(plain, Path()) == setting.default, setting
        assert setting.help[0].isupper(), setting
        assert setting.help.endswith((".", ")")), setting


def test_the_document_has_the_table_of_all_settings() -> None:
    """When it does not: put what `markdown` gives between the headline and the next paragraph."""
    table = markdown(resolve({}, {"RELAY_CONFIG": "/dev/null"}))
    assert table in DOC.read_text(), f"docs/operating.md has another table; this is the right one:\n{table}"


def test_the_example_of_the_document_is_read(tmp_path: Path) -> None:
    (example,) = re.findall(r"```toml\n(.*?)```", DOC.read_text(), re.DOTALL)
    (tmp_path / "config.toml").write_text(example)
    (tmp_path / "token").write_text("a-token-of-24-characters\n")
    (tmp_path / "token").chmod(0o600)
    config = config_of(resolve({}, {}, config_file=tmp_path / "config.toml"))
    assert (config.token, config.times.stale_s) == ("a-token-of-24-characters", 120.0)
    assert (config.quotas.group_per_minute, config.integrations[0].targets) == (20, ("cap:ops",))
