"""The report as text: the machine, one block a workload with a column a peer, the idle agents, the targets."""

from collections.abc import Callable, Iterator

from .figures import Measured, Spread
from .peers import PEERS
from .report import Report
from .workloads import BODY_BYTES, WORKLOADS

NAME_WIDTH = 26
COLUMN_WIDTH = 23
ABSENT = "-"


def render(report: Report) -> str:
    """The whole report, ready to print. Pure ASCII but for what the machine calls itself."""
    lines = [f"Relay benchmark, {report.taken_at}"]
    lines += [f"  {name:<12} {value}" for name, value in report.machine.items()]
    plan = report.plan
    if plan.workloads:
        lines.append(
            f"  {'method':<12} {plan.rounds} rounds of {plan.window_s:g} s each after {plan.warmup_s:g} s warm-up, "
            f"pair by pair; median (least..most); bodies of {BODY_BYTES} bytes"
        )
    for warning in report.warnings:
        lines.append(f"  WARNING      {warning}")
    for workload, by_peer in report.workloads.items():
        lines += ["", *_block(WORKLOADS[workload], by_peer)]
    if report.workloads:
        lines += ["", *_legend(report)]
    if report.idle is not None:
        lines += ["", *_idle(report)]
    if report.targets:
        lines += ["", "targets of this run"]
        lines += [f"  {'met   ' if target.met else 'MISSED'} {target.words}" for target in report.targets]
    return "\n".join(lines)


def _block(title: str, by_peer: dict[str, Measured]) -> Iterator[str]:
    columns = [peer for peer in PEERS if peer.name in by_peer]
    yield f"{title:<{NAME_WIDTH}}" + "".join(f"{peer.title:>{COLUMN_WIDTH}}" for peer in columns)
    rows: tuple[tuple[str, Callable[[Measured], str]], ...] = (
        ("messages a second", lambda figures: f"{figures.rate.median:,.0f}"),
        ("  least..most", lambda figures: f"{figures.rate.least:,.0f}..{figures.rate.most:,.0f}"),
        ("p50 ms", lambda figures: _range(figures.p50_ms)),
        ("p99 ms", lambda figures: _range(figures.p99_ms)),
        ("drain s", lambda figures: _range(figures.drain_s)),
        ("client CPU us a message", lambda figures: _range(figures.client_us)),
        ("daemon CPU us a message", lambda figures: _range(figures.daemon_us)),
        ("rate: Relay / this", lambda figures: _range(figures.ratio, " x")),
        ("p50: Relay / this", lambda figures: _range(figures.p50_ratio, " x")),
    )
    for name, cell in rows:
        cells = [cell(by_peer[peer.name]) for peer in columns]
        if any(text != ABSENT for text in cells):
            yield f"  {name:<{NAME_WIDTH - 2}}" + "".join(f"{text:>{COLUMN_WIDTH}}" for text in cells)


def _range(spread: Spread | None, unit: str = "") -> str:
    if spread is None:
        return ABSENT
    return f"{_number(spread.median)}{unit} ({_number(spread.least)}..{_number(spread.most)})"


def _number(value: float) -> str:
    """About three digits: more would claim what no such run can know."""
    if value < 10:
        return f"{value:.2f}"
    return f"{value:.1f}" if value < 100 else f"{value:,.0f}"


def _legend(report: Report) -> Iterator[str]:
    yield "what an answer means"
    for peer in PEERS:
        if peer.name in report.plan.peers:
            missing = report.missing.get(peer.name)
            yield f"  {peer.title:<18} {f'MISSING: {missing}' if missing else peer.promise}"


def _idle(report: Report) -> Iterator[str]:
    idle = report.idle
    assert idle is not None
    yield f"{idle.agents:,} idle agents on Relay, connected and registered in {idle.connect_s:.2f} s"
    yield (
        f"  daemon memory each     {idle.resident_kib_each:.1f} KiB resident, "
        f"{idle.proportional_kib_each:.1f} proportional, {idle.private_kib_each:.1f} private; "
        f"{idle.resident_kib_each_after_rest:.1f} resident after the rest"
    )
    yield f"  daemon memory in all   {idle.before.resident:,} KiB before, {idle.registered.resident:,} KiB with them"
    yield (
        f"  daemon CPU at rest     {idle.rest_cpu_percent:.1f} % of a core over {idle.rest_s:.0f} s, "
        f"each agent heartbeating every {idle.heartbeat_s:g} s"
    )
