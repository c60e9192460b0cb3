"""The command: `python -m bench` measures everything, `python -m bench idle --agents N` the idle agents alone.

Exit codes: 0 measured (whether or not a target was met), 1 a process failed, 2 usage.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import click

from .idle import run_idle
from .machine import MEMORY_FILESYSTEMS, facts, filesystem, raise_file_limit
from .peers import PEERS
from .processes import RESULTS, BenchError, Workspace, open_workspace
from .progress import measurements, say, step
from .report import Report, make_report, save
from .rounds import Plan, run_workloads
from .table import render
from .workloads import WORKLOADS

LATEST = RESULTS / "latest.json"
IDLE = "idle"
PARTS = (*WORKLOADS, IDLE)
IDLE_AGENTS = 5_000
IDLE_REST_S = 10.0
QUICK = {"rounds": 1, "seconds": 0.5, "warmup": 0.2, "agents": 500, "rest": 2.0}
"""What --quick sets where no option says otherwise: does it run, not how fast it is."""


def names(allowed: Sequence[str]) -> Callable[[click.Context, click.Parameter, str], list[str]]:
    """The callback of an option that takes words of a fixed set, joined by commas."""

    def split(context: click.Context, parameter: click.Parameter, value: str) -> list[str]:
        given = value.split(",")
        for name in given:
            if name not in allowed:
                raise click.BadParameter(f"{name!r} is none of {', '.join(allowed)}", context, parameter)
        return given

    return split


@click.group(invoke_without_command=True, context_settings={"show_default": True})
@click.option("--rounds", type=click.IntRange(1), default=5, help="Rounds of each workload on each peer.")
@click.option("--seconds", type=click.FloatRange(0.05), default=2.0, help="The measured window of each round.")
@click.option("--warmup", type=click.FloatRange(0.0), default=0.3, help="Seconds of work before the window.")
@click.option("--quick", is_flag=True, help="One short round of everything: does it run, not how fast it is.")
@click.option("--only", callback=names(PARTS), default=",".join(PARTS), help="Parts to measure, joined by commas.")
@click.option(
    "--peers",
    callback=names([peer.name for peer in PEERS]),
    default=",".join(peer.name for peer in PEERS),
    help="Whom to measure, joined by commas.",
)
@click.option("--agents", type=click.IntRange(1), default=IDLE_AGENTS, help="Idle agents.")
@click.option("--rest", type=click.FloatRange(0.1), default=IDLE_REST_S, help="Seconds the idle agents rest.")
@click.option("--json", "file", type=click.Path(path_type=Path), default=LATEST, help="Where the results go.")
@click.pass_context
def main(
    context: click.Context,
    rounds: int,
    seconds: float,
    warmup: float,
    quick: bool,
    only: list[str],
    peers: list[str],
    agents: int,
    rest: float,
    file: Path,
) -> None:
    """Measures Relay, NATS JetStream and the limit of the disk in one run, and prints them side by side."""
    if context.invoked_subcommand is not None:
        return
    given = {"rounds": rounds, "seconds": seconds, "warmup": warmup, "agents": agents, "rest": rest}
    if quick:
        for name, value in QUICK.items():
            if context.get_parameter_source(name) is click.core.ParameterSource.DEFAULT:
                given[name] = value
    plan = Plan(
        rounds=int(given["rounds"]),
        window_s=given["seconds"],
        warmup_s=given["warmup"],
        workloads=[name for name in WORKLOADS if name in only],
        peers=[peer.name for peer in PEERS if peer.name in peers],
        idle_agents=int(given["agents"]) if IDLE in only else 0,
        idle_rest_s=given["rest"],
    )
    measure(plan, file)


@main.command()
@click.option("--agents", type=click.IntRange(1), default=IDLE_AGENTS, help="How many connect.")
@click.option("--rest", type=click.FloatRange(0.1), default=IDLE_REST_S, help="Seconds they rest.")
@click.option("--json", "file", type=click.Path(path_type=Path), default=RESULTS / "idle.json", help="Results.")
def idle(agents: int, rest: float, file: Path) -> None:
    """Measures what idle agents cost the daemon, and nothing else."""
    measure(Plan(0, 0.0, 0.0, [], ["relay"], agents, rest), file)


def measure(plan: Plan, file: Path) -> None:
    """Runs the plan, prints the table, writes the results. Raises ClickException (exit 1) when a process fails."""
    raise_file_limit()
    missing = {peer.name: reason for peer in PEERS if peer.name in plan.peers and (reason := peer.missing())}
    for name, reason in missing.items():
        say(f"missing: {name}: {reason}")
    try:
        with open_workspace() as workspace:
            report_of = _run(workspace, plan, missing)
    except BenchError as error:
        raise click.ClickException(str(error)) from error
    click.echo(render(report_of))
    save(report_of, file)
    say(f"results: {file}")


def _run(workspace: Workspace, plan: Plan, missing: dict[str, str]) -> Report:
    warnings = []
    kind = filesystem(workspace.folder)
    if kind in MEMORY_FILESYSTEMS:
        warnings.append(f"{workspace.folder} is on {kind}: fsync does nothing there, durable figures are not durable")
    present = [peer for peer in PEERS if peer.name in plan.peers and peer.name not in missing]
    with_idle = plan.idle_agents and any(peer.name == "relay" for peer in present)
    with measurements(plan.rounds * len(plan.workloads) * len(present) + bool(with_idle)):
        workloads = run_workloads(workspace, plan, present)
        idle_figures = run_idle(workspace, plan.idle_agents, plan.idle_rest_s) if with_idle else None
        step()
    return make_report(facts(RESULTS), plan, missing, warnings, workloads, idle_figures)


if __name__ == "__main__":
    main(prog_name="python -m bench")
