"""sources: which of the places that say something counts, and what is said of what can't be used."""

import math
import os
from pathlib import Path
from typing import Any

import pytest

from relay_server.config import Config, ConfigError
from relay_server.quota import Limits
from relay_server.settings import FALLBACK, QUOTAS, SETTINGS, Setting
from relay_server.sources import Resolved, config_of, find_config, resolve
from relay_server.times import Times

TOKEN = "a-token-of-24-characters"


def settings(
    tmp_path: Path,
    environ: dict[str, str] | None = None,
    *,
    toml: str | None = None,
    variables: str | None = None,
    mode: int = 0o600,
    **options: Any,
) -> Resolved:
    """The settings of these options, variables, a config.toml and a file of variables."""
    config_file = env_file = None
    if toml is not None:
        config_file = tmp_path / "config.toml"
        config_file.write_text(toml)
        config_file.chmod(mode)
    if variables is not None:
        env_file = tmp_path / "relay.env"
        env_file.write_text(variables)
        env_file.chmod(mode)
    nowhere = {"XDG_CONFIG_HOME": str(tmp_path / "none")}
    return resolve(options, nowhere | (environ or {}), config_file=config_file, env_file=env_file)


def said(found: Resolved, name: str) -> tuple[Any, str]:
    return found[name], found.found[name].source


# -- the order -------------------------------------------------------------------------------------------------------


def test_without_a_word_a_daemon_is_as_config_says(tmp_path: Path) -> None:
    found = settings(tmp_path)
    assert config_of(found) == Config()
    assert {one.source for one in found.found.values()} == {"default"}
    assert found.config_file.path == tmp_path / "none" / "relay" / "config.toml"


def test_options_win_over_the_environment_that_over_its_file_that_over_config_toml(tmp_path: Path) -> None:
    toml, variables, environ = "port = 1\n", "RELAY_PORT=2\n", {"RELAY_PORT": "3"}
    config, file = tmp_path / "config.toml", tmp_path / "relay.env"
    assert said(settings(tmp_path, toml=toml), "port") == (1, f"config.toml:{config}")
    assert said(settings(tmp_path, toml=toml, variables=variables), "port") == (2, f"env RELAY_PORT in {file}")
    assert said(settings(tmp_path, environ, toml=toml, variables=variables), "port") == (3, "env RELAY_PORT")
    found = settings(tmp_path, environ, toml=toml, variables=variables, port=4)
    assert said(found, "port") == (4, "option --port")
    assert said(found, "host") == ("127.0.0.1", "default"), "each setting by itself"


def test_the_names_of_agent_relay_are_fallbacks_and_an_empty_variable_is_none(tmp_path: Path) -> None:
    environ = {"AGENT_RELAY_PORT": "5", "RELAY_HOST": "", "AGENT_RELAY_HOST": "127.0.0.2"}
    assert said(settings(tmp_path, environ), "port") == (5, "env AGENT_RELAY_PORT")
    assert said(settings(tmp_path, environ), "host") == ("127.0.0.2", "env AGENT_RELAY_HOST")
    assert said(settings(tmp_path, environ | {"RELAY_PORT": "6"}), "port") == (6, "env RELAY_PORT")


AGENT_RELAY_SERVER: dict[str, tuple[str, str, Any]] = {
    "PORT": ("6000", "port", 6000),
    "HOST": ("127.0.0.9", "host", "127.0.0.9"),
    "DB_PATH": ("/srv/relay/fleet.db", "database", "fleet.db"),
    "STALE_TTL_MS": ("90000", "stale_after", 90.0),
    "OFFLINE_PRUNE_MS": ("3600000", "prune_after", 3600.0),
    "REAP_INTERVAL_MS": ("30000", "reap_every", 30.0),
    "RETENTION_DAYS": ("7", "retention", 7 * 86_400.0),
    "CORS_ORIGINS": (
        "https://a.example, https://b.example",
        "allow_origins",
        ("https://a.example", "https://b.example"),
    ),
    "ALLOW_UNAUTH": ("1", "allow_unauth", True),
    "INTEGRATIONS": ('[{"name": "alerts"}]', "integrations", '[{"name": "alerts"}]'),
    "INTEGRATION_RATE_LIMIT_PER_MINUTE": ("30", "integration_rate", 30),
}


@pytest.mark.parametrize("prefix", ["RELAY_", "AGENT_RELAY_"])
@pytest.mark.parametrize("name", AGENT_RELAY_SERVER)
def test_each_variable_of_agent_relay_server_is_honoured(tmp_path: Path, prefix: str, name: str) -> None:
    text, setting, value = AGENT_RELAY_SERVER[name]
    assert said(settings(tmp_path, {f"{prefix}{name}": text}), setting) == (value, f"env {prefix}{name}")


def test_what_they_say_is_what_the_daemon_gets(tmp_path: Path) -> None:
    environ = {f"RELAY_{name}": text for name, (text, _, _) in AGENT_RELAY_SERVER.items()}
    config = config_of(settings(tmp_path, environ))
    assert (config.host, config.port, config.allow_unauth) == ("127.0.0.9", 6000, True)
    assert (config.data, config.database) == (Path("/srv/relay"), "fleet.db")
    assert config.times == Times(stale_s=90.0, prune_s=3600.0, retention_s=604_800.0, reap_s=30.0)
    assert config.origins == {"https://a.example", "https://b.example"}
    assert [(one.name, one.rate_per_min) for one in config.integrations] == [("alerts", 30)]


def test_every_setting_can_be_said_in_every_place(tmp_path: Path) -> None:
    """Its variables, their fallbacks and its key are read; what none of them could be is refused by each name."""
    file = tmp_path / "token"
    file.write_text(TOKEN)
    file.chmod(0o600)
    for setting in SETTINGS:
        for variable in setting.variables:
            for name in (variable.name, FALLBACK + variable.name):
                value = _another(setting, str(file))
                text = {"RELAY_DB_PATH": "/srv/x.db"}.get(variable.name, _text(setting, variable.name, value))
                found = settings(tmp_path, {name: text})
                assert found.found[setting.name].source == f"env {name}", setting
                assert found[setting.name] != setting.default
        toml = f"{setting.key} = {_toml(_another(setting, str(file)))}\n"
        assert settings(tmp_path, toml=toml).found[setting.name].source.startswith("config.toml:"), setting


def test_no_setting_does_nothing(tmp_path: Path) -> None:
    """What is said of each is another daemon than the usual one; but how it logs, which the command does by itself."""
    token, integrations = tmp_path / "token", tmp_path / "integrations"
    for file, text in ((token, TOKEN), (integrations, '[{"name": "alerts"}]')):
        file.write_text(text)
        file.chmod(0o600)
    special = {"integrations": '[{"name": "alerts"}]', "integrations_file": str(integrations)}
    usual = config_of(settings(tmp_path))
    for setting in SETTINGS:
        if setting.name != "log_json":
            text = special.get(setting.name) or _text(setting, "", _another(setting, str(token)))
            assert config_of(settings(tmp_path, {setting.variables[0].name: text})) != usual, setting
    patient = config_of(settings(tmp_path, {"RELAY_PING_INTERVAL": "90"}))
    assert (patient.ping_s, patient.pong_s) == (90.0, 90.0)


def _another(setting: Setting, file: str) -> Any:
    """A value that is not the default."""
    default = setting.default
    if isinstance(default, bool):
        return not default
    if isinstance(default, (int, float)):
        return int(default) + 1
    if isinstance(default, tuple):
        return ["https://x.example"]
    return {"token": TOKEN, "integrations": {}, "host": "127.0.0.3", "database": "x.db"}.get(setting.name, file)


def _text(setting: Setting, variable: str, value: Any) -> str:
    if variable.endswith("_MS"):
        return str(value * 1000)
    if variable.endswith("_DAYS"):
        return "31"
    return ",".join(value) if isinstance(value, list) else "{}" if value == {} else str(value)


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else str(value)


def test_quotas_are_a_table_and_nought_is_none(tmp_path: Path) -> None:
    toml = "[quotas]\nsend_rate = 5\nhop_limit = 0\n"
    assert config_of(settings(tmp_path, toml=toml)).quotas == Limits(send_per_s=5, hops_max=0)
    assert config_of(settings(tmp_path, {"RELAY_INBOX_BYTES": "300000"})).quotas == Limits(inbox_bytes_max=300_000)
    assert all(f"quotas.{name}" in {setting.key for setting in SETTINGS} for name in QUOTAS)


def test_a_path_in_config_toml_goes_on_from_its_folder(tmp_path: Path) -> None:
    found = settings(tmp_path, toml='data = "store"\nintegrations_file = "integrations.json"\n')
    assert (found["data"], found["integrations_file"]) == (tmp_path / "store", tmp_path / "integrations.json")
    assert settings(tmp_path, {"RELAY_DATA": "store"})["data"] == Path("store")


# -- names that disagree -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("environ", "error"),
    [
        (
            {"RELAY_DATA": "/a", "RELAY_DB_PATH": "/b/relay.db"},
            "RELAY_DATA says /a and RELAY_DB_PATH says /b; both are d",
        ),
        (
            {"RELAY_STALE_AFTER": "1m", "RELAY_STALE_TTL_MS": "5000"},
            "RELAY_STALE_AFTER says 1m and RELAY_STALE_TTL_MS says",
        ),
        ({"RELAY_ALLOW_ORIGINS": "http://a", "RELAY_CORS_ORIGINS": "http://b"}, "both are allow_origins, say it once"),
        (
            {"AGENT_RELAY_DATA": "/a", "AGENT_RELAY_DB_PATH": "/b/x.db"},
            "AGENT_RELAY_DATA says /a and AGENT_RELAY_DB_PATH",
        ),
    ],
)
def test_two_names_that_disagree_are_an_error_that_names_both(
    tmp_path: Path, environ: dict[str, str], error: str
) -> None:
    with pytest.raises(ConfigError, match=error):
        settings(tmp_path, environ)


def test_two_names_that_agree_are_fine_and_a_fallback_is_silent(tmp_path: Path) -> None:
    found = settings(tmp_path, {"RELAY_DATA": "/a", "RELAY_DB_PATH": "/a/fleet.db", "AGENT_RELAY_DATA": "/c"})
    assert (found["data"], found["database"]) == (Path("/a"), "fleet.db")
    found = settings(tmp_path, {"RELAY_STALE_AFTER": "1m", "RELAY_STALE_TTL_MS": "60000"})
    assert found["stale_after"] == 60.0


def test_a_database_is_called_so_only_in_its_own_folder(tmp_path: Path) -> None:
    environ = {"RELAY_DB_PATH": "/srv/fleet.db"}
    assert settings(tmp_path, environ, data=Path("/srv"))["database"] == "fleet.db"
    found = settings(tmp_path, environ, data=Path("/tmp/try"))
    assert (found["data"], found["database"]) == (Path("/tmp/try"), "relay.db")
    assert settings(tmp_path, {"RELAY_DATA": "/a", "AGENT_RELAY_DB_PATH": "/b/x.db"})["database"] == "relay.db"
    assert settings(tmp_path, variables="RELAY_DB_PATH=/b/x.db", data=Path("/c"))["database"] == "relay.db"


@pytest.mark.parametrize("path", [":memory:", "/srv/relay.lock"])
def test_what_is_no_file_of_a_database_is_refused(tmp_path: Path, path: str) -> None:
    with pytest.raises(ConfigError, match="RELAY_DB_PATH names the file"):
        settings(tmp_path, {"RELAY_DB_PATH": path})


# -- tokens ----------------------------------------------------------------------------------------------------------


def test_of_a_token_and_its_file_the_nearer_counts(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("another-token-of-28-characters\n")
    file.chmod(0o600)
    environ = {"RELAY_TOKEN_FILE": str(file)}
    assert said(settings(tmp_path, environ), "token") == (file.read_text().strip(), "token_file (env RELAY_TOKEN_FILE)")
    assert said(settings(tmp_path, environ | {"RELAY_TOKEN": TOKEN}), "token") == (TOKEN, "env RELAY_TOKEN")
    assert settings(tmp_path, {"RELAY_TOKEN": TOKEN}, token_file=file)["token"] == file.read_text().strip()
    assert settings(tmp_path, environ, token=TOKEN)["token"] == TOKEN
    with pytest.raises(ConfigError, match="--token and --token-file are both given"):
        settings(tmp_path, token=TOKEN, token_file=file)
    file.write_text("short")
    with pytest.raises(ConfigError, match=f"the token in {file} has 5 characters") as raised:
        settings(tmp_path, environ)
    assert "short" not in str(raised.value)


def test_a_configuration_with_a_secret_must_be_its_owners_alone(tmp_path: Path) -> None:
    for secret in (
        f'token = "{TOKEN}"',
        f'[integrations.a]\ntoken = "{TOKEN}"',
        '[[integrations]]\ncallbackSecret = "x"',
    ):
        with pytest.raises(ConfigError, match=r"config\.toml can be read by others \(mode 0644\).*chmod 600") as raised:
            settings(tmp_path, toml=secret, mode=0o644)
        assert TOKEN not in str(raised.value)
    assert settings(tmp_path, toml="port = 1", mode=0o644)["port"] == 1
    assert settings(tmp_path, toml=f'token = "{TOKEN}"')["token"] == TOKEN


# -- config.toml -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("toml", "error"),
    [
        ("prot = 1", "there is no setting 'prot'; did you mean 'port'?"),
        ("stale-after = 1", "there is no setting 'stale-after'; did you mean 'stale_after'?"),
        ("send_rate = 1", "there is no setting 'send_rate'; did you mean 'quotas.send_rate'?"),
        ("[quotas]\nsend-rat = 1", "there is no setting 'quotas.send-rat'; did you mean 'quotas.send_rate'?"),
        ("[quotas]\nport = 1", "there is no setting 'quotas.port'; did you mean 'port'?"),
        ("[zebra]\nx = 1", "there is no setting 'zebra'; relay config show lists what there is"),
        ('port = "4850"', "port is '4850'; it must be a whole number, 0 to 65535"),
        ("port = true", "port is True; it must be a whole number, 0 to 65535"),
        ("port = 70000", "port is 70000; it must be a whole number, 0 to 65535"),
        ("quotas = 5", r"quotas is 5; it must be a table: \[quotas\]"),
        (
            "[quotas]\ninbox_bytes = 1",
            r"quotas.inbox_bytes is 1; it must be 0 \(no limit\) or a whole number, 262144 to",
        ),
        ('stale_after = "2 m"', "stale_after is '2 m'; it must be seconds"),
        ('allow_hosts = "a"', "allow_hosts is 'a'; it must be a list"),
        ("ask_token = 1", "ask_token is 1; it must be true or false"),
        ("token = 12345678901234567890", "token is no text"),
        ("host = 127", "host is 127; it must be an address"),
        ("data = 1", "data is 1; it must be a path of a folder"),
        ('database = "a/b"', "database is 'a/b'; it must be a file name"),
        ("port = \n", "is no TOML: .*line 1"),
        ("port = 1\nport = 2\n", "is no TOML: .*line 2"),
    ],
)
def test_what_is_wrong_in_config_toml_is_named_with_file_key_and_value(tmp_path: Path, toml: str, error: str) -> None:
    with pytest.raises(ConfigError, match=error) as raised:
        settings(tmp_path, toml=toml)
    assert str(raised.value).startswith(str(tmp_path / "config.toml"))
    assert "\n" not in str(raised.value)


def test_config_toml_is_where_it_is_said_to_be_or_in_the_folder_of_configurations(tmp_path: Path) -> None:
    home = tmp_path / "xdg" / "relay"
    home.mkdir(parents=True)
    (home / "config.toml").write_text("port = 7")
    other = tmp_path / "other.toml"
    other.write_text("port = 8")
    environ = {"XDG_CONFIG_HOME": str(tmp_path / "xdg")}
    assert resolve({}, environ)["port"] == 7
    assert resolve({}, environ | {"RELAY_CONFIG": str(other)})["port"] == 8
    assert resolve({}, environ | {"RELAY_CONFIG": os.devnull})["port"] == 4850
    assert resolve({}, environ | {"RELAY_CONFIG": os.devnull}, config_file=other)["port"] == 8
    assert find_config(None, environ).path == home / "config.toml"
    (tmp_path / ".config").symlink_to("xdg")
    for relative in ("", "xdg"):
        assert resolve({}, {"HOME": str(tmp_path), "XDG_CONFIG_HOME": relative})["port"] == 7


@pytest.mark.parametrize("variable", ["RELAY_CONFIG", "RELAY_ENV_FILE"])
def test_a_file_that_was_named_must_be_there(tmp_path: Path, variable: str) -> None:
    missing = tmp_path / "missing"
    with pytest.raises(ConfigError, match=rf"\(env {variable}\) {missing} can't be read: No such file"):
        settings(tmp_path, {variable: str(missing)})


# -- the file of variables -------------------------------------------------------------------------------------------


def test_a_file_of_variables_is_read_for_its_owner_alone_and_may_name_config_toml(tmp_path: Path) -> None:
    (tmp_path / "here.toml").write_text("port = 9")
    assert settings(tmp_path, variables=f"RELAY_CONFIG='{tmp_path}/here.toml'\n")["port"] == 9
    assert settings(tmp_path, variables="# mine\nRELAY_TOKEN=\nOTHER=1\n")["token"] is None
    with pytest.raises(ConfigError, match=r"relay\.env can be read by others \(mode 0640\)"):
        settings(tmp_path, variables="RELAY_PORT=1", mode=0o640)
    with pytest.raises(ConfigError, match=r"relay\.env: line 2 has no '='"):
        settings(tmp_path, variables="RELAY_PORT=1\nRELAY_HOST\n")
    with pytest.raises(ConfigError, match=rf"RELAY_PORT in {tmp_path}/relay.env is 'x'; it must be a whole number"):
        settings(tmp_path, variables="RELAY_PORT=x\n")


def test_another_name_in_the_environment_silences_the_file(tmp_path: Path) -> None:
    found = settings(tmp_path, {"RELAY_DATA": "/a"}, variables="RELAY_DB_PATH=/b/x.db\nRELAY_PORT=5\n")
    assert (found["data"], found["database"], found["port"]) == (Path("/a"), "relay.db", 5)


# -- integrations ----------------------------------------------------------------------------------------------------


def test_integrations_of_the_file_and_of_one_other_place_come_together(tmp_path: Path) -> None:
    (tmp_path / "some.json").write_text('[{"name": "file", "ratePerMin": 7}]')
    toml = 'integrations_file = "some.json"\nintegration_rate = 9\n[integrations.table]\ntargets = ["cap:ops"]\n'
    config = config_of(settings(tmp_path, toml=toml))
    assert [(one.name, one.rate_per_min, one.targets) for one in config.integrations] == [
        ("file", 7, None), ("table", 9, ("cap:ops",))
    ]  # fmt: skip
    config = config_of(settings(tmp_path, {"RELAY_INTEGRATIONS": '{"env": {}}'}, toml=toml))
    assert [one.name for one in config.integrations] == ["file", "env"]


@pytest.mark.parametrize(
    ("toml", "environ", "error"),
    [
        (
            "[integrations.a]\nname = 5",
            {},
            r"config\.toml: integrations: integration 'a': name is 5; it must be its key",
        ),
        ("[integrations.a]\nrate = 5", {}, "there is no field 'rate'"),
        ("integrations = 5", {}, "integrations holds a JSON number"),
        ("", {"RELAY_INTEGRATIONS": "["}, "RELAY_INTEGRATIONS is no JSON"),
        ("", {"RELAY_INTEGRATIONS_FILE": "/nowhere/x.json"}, r"the integrations /nowhere/x\.json can't be read"),
    ],
)
def test_what_is_wrong_with_integrations_names_its_place(
    tmp_path: Path, toml: str, environ: dict[str, str], error: str
) -> None:
    with pytest.raises(ConfigError, match=error):
        config_of(settings(tmp_path, environ, toml=toml))


# -- together ----------------------------------------------------------------------------------------------------------


def test_nobody_is_forgotten_before_they_are_stale(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="prune_after is 1m and stale_after 2m"):
        config_of(settings(tmp_path, {"RELAY_PRUNE_AFTER": "60"}))
    assert config_of(settings(tmp_path, {"RELAY_PRUNE_AFTER": "0"})).times.prune_s == math.inf
