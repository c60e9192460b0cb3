"""Targets are judged from what was measured, and the table shows all of it."""

import json
from pathlib import Path

from bench.figures import Measured, measured
from bench.idle import Idle, Memory
from bench.report import Report, make_report, save, targets
from bench.rounds import Plan
from bench.table import render
from bench.workloads import Round


def figures(rate: float, relay_rate: float | None, p50_ms: float = 1.0, relay_p50_ms: float = 1.0) -> Measured:
    relay = None if relay_rate is None else [Round(1, 1.0, relay_rate, p50_ms=relay_p50_ms)]
    return measured([Round(1, 1.0, rate, p50_ms=p50_ms)], relay)


def idle(agents: int, kib_each: float) -> Idle:
    memory = Memory(resident=1000, proportional=900, private=800)
    return Idle(agents, 1.0, kib_each, kib_each, kib_each, kib_each, memory, memory, memory, 10.0, 1.5, 30.0)


def report(workloads: dict[str, dict[str, Measured]], idle_figures: Idle | None) -> Report:
    plan = Plan(1, 2.0, 0.3, list(workloads), ["relay", "nats-always", "sqlite"], 5000, 10.0)
    missing = {"nats-default": "nats-server is not installed"}
    return make_report({"kernel": "Linux"}, plan, missing, ["on tmpfs"], workloads, idle_figures)


def verdicts(workloads: dict[str, dict[str, Measured]], idle_figures: Idle | None = None) -> list[bool]:
    return [target.met for target in targets(workloads, idle_figures)]


def test_in_flight_is_met_by_the_rate_or_by_the_ratio() -> None:
    assert verdicts({"in-flight": {"relay": figures(25_000, None)}}) == [True]
    assert verdicts({"in-flight": {"relay": figures(9_000, None), "nats-always": figures(2_000, 9_000)}}) == [True]
    assert verdicts({"in-flight": {"relay": figures(9_000, None), "nats-always": figures(3_000, 9_000)}}) == [False]
    assert verdicts({"in-flight": {"relay": figures(9_000, None)}}) == [False]


def test_one_at_a_time_needs_the_peer() -> None:
    assert verdicts({"one": {"relay": figures(1_000, None)}}) == []
    at_the_bound = {"relay": figures(1_000, None), "nats-always": figures(1_000, 1_000, p50_ms=1.0, relay_p50_ms=1.3)}
    assert verdicts({"one": at_the_bound}) == [True]
    beyond = {"relay": figures(1_000, None), "nats-always": figures(1_000, 1_000, p50_ms=1.0, relay_p50_ms=1.31)}
    assert verdicts({"one": beyond}) == [False]


def test_idle_memory_is_judged_only_with_enough_agents() -> None:
    assert verdicts({}, idle(5_000, 15.0)) == [True]
    assert verdicts({}, idle(5_000, 15.1)) == [False]
    assert verdicts({}, idle(4_999, 1.0)) == []


def test_the_table_has_columns_ratios_missing_peers_warnings_and_targets() -> None:
    workloads = {"in-flight": {"relay": figures(30_000, None), "nats-always": figures(3_000, 30_000)}}
    text = render(report(workloads, idle(5_000, 14.0)))
    assert "10.0 x (10.0..10.0)" in text
    assert "WARNING      on tmpfs" in text
    assert "5,000 idle agents on Relay" in text
    assert "met    100 in flight" in text


def test_a_missing_peer_is_said_to_be_missing() -> None:
    made = report({"one": {"relay": figures(1_000, None)}}, None)
    made.plan.peers.append("nats-default")
    assert "NATS default       MISSING: nats-server is not installed" in render(made)


def test_the_results_are_saved_as_json_with_every_round(tmp_path: Path) -> None:
    file = tmp_path / "new" / "run.json"
    save(report({"one": {"relay": figures(1_000, None)}}, None), file)
    saved = json.loads(file.read_text())
    assert saved["workloads"]["one"]["relay"]["rounds"][0]["rate"] == 1_000
    assert saved["idle"] is None
