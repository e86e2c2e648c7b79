"""`clusterwright simulate`: the digital twin on a design or on a trace."""

import time
from dataclasses import asdict, replace
from typing import Annotated, Literal, NamedTuple

from cyclopts import Parameter

from clusterwright import documents, report, sched, twin
from clusterwright.catalog import Catalog
from clusterwright.cli import files, given, load, waits, what_if
from clusterwright.cli.common import Common, FileName
from clusterwright.cli.jobs import ContextName
from clusterwright.cli.limits import Limits
from clusterwright.cli.output import Answer, emit, items_document
from clusterwright.cli.physics import Physics
from clusterwright.cli.progress import Progress
from clusterwright.errors import ExitCode, UsageError
from clusterwright.model.cluster import Cluster
from clusterwright.model.demand import Demand
from clusterwright.model.design import Design
from clusterwright.model.job import Job
from clusterwright.model.run import Run
from clusterwright.twin import Outcome, Power, Setting, Speeds
from clusterwright.units import SECONDS_PER_DAY

_NESTED = ("states", "causes", "staging")  # parts of the status that are no cell of a table


def simulate(
    design: FileName | None = None,
    *,
    demand: Annotated[FileName | None, Parameter(name="--demand")] = None,
    days: float | None = None,
    nodes: Annotated[FileName | None, Parameter(name="--nodes")] = None,
    gpus_per_node: int = 8,
    trace: Annotated[FileName | None, Parameter(name="--trace")] = None,
    queues: Annotated[FileName | None, Parameter(name="--queues")] = None,
    borrowing: Literal["on", "off"] = "off",
    estimates: Annotated[FileName | None, Parameter(name="--estimates")] = None,
    backfill: Annotated[str | None, Parameter(name="--backfill")] = None,
    placement: Annotated[str | None, Parameter(name="--placement")] = None,
    policy: Annotated[str, Parameter(name="--policy")] = "fifo",
    checkpoint_every: Annotated[str | None, Parameter(name="--checkpoint-every")] = None,
    checkpoint_cost: Annotated[str | None, Parameter(name="--checkpoint-cost")] = None,
    restart_cost: Annotated[str | None, Parameter(name="--restart-cost")] = None,
    failures: Literal["on", "off"] | None = None,
    hourly: Annotated[bool, Parameter(negative=())] = False,
    seed: int = 0,
    when: Annotated[str | None, Parameter(name="--when")] = None,
    from_live: Annotated[bool, Parameter(name="--from-live", negative=())] = False,
    change: Annotated[tuple[str, ...], Parameter(name="--change", negative=())] = (),
    context: ContextName = None,
    list_policies: Annotated[bool, Parameter(name="--list", negative=())] = False,
    out: Annotated[str | None, Parameter(name="--out")] = None,
    lang: str = "en",
    dry_run: Annotated[bool, Parameter(negative=())] = False,
    catalog: Annotated[str | None, Parameter(name="--catalog")] = None,
    physics: Physics | None = None,
    limits: Limits | None = None,
    common: Common | None = None,
) -> int:
    """Run the digital twin: a design under its demand, or nodes under a trace.

    Parameters
    ----------
    design
        A design.yaml, or the directory it is in. With --demand the demand makes the jobs, with
        --trace the trace does.
    demand
        The demand whose jobs the design gets.
    days
        How long a run under a demand lasts, absent 30; with --from-live, of how many days those
        who come are told, absent 7.
    nodes
        Instead of a design: a number of nodes, or a CSV table of them.
    gpus_per_node
        Accelerators of one node, for --nodes and --queues.
    trace
        Trace in the tidy schema, CSV or gzip of it.
    queues
        CSV table queue,nodes; the trace's vc is the queue, and jobs of other queues are left out.
        With borrowing also parent, guarantee, deserved, limit (accelerators) and weight.
    borrowing
        on: queues lend each other what is idle and take back what they are owed, by stopping jobs;
        off: each queue has its own nodes.
    estimates
        CSV table job_id,est_duration_s for policies that guess.
    backfill
        none, easy or conservative; absent, as the policy says.
    placement
        consolidate, leaf or spread; absent, as the policy says.
    policy
        A policy by its name, --list names them; or a policy.yaml.
    checkpoint_every
        Work between two checkpoints of a job of the trace; what was done since is lost when it is
        stopped.
    checkpoint_cost
        Time that one checkpoint stops the work.
    restart_cost
        Time that a stopped job needs to go on.
    failures
        Whether nodes fail: on by default under a demand, off under a trace.
    hourly
        Price and carbon hour by hour, where the region has a series.
    seed
        Seed of all random streams.
    when
        Instead of a summary: stop then, such as 10d, and say of every job of the trace that waits
        why, and by when it will start with a chance of 10, 50 and 90 %.
    from_live
        Instead of a summary: go on from the running centre, as it is and with each --change, and
        say how long those who wait, and those who come, wait in either.
    change
        What would be different: nodes.gpu.nodes=+4, queues.prod.guarantee=16, policy=predicted or
        any field of the centre's file, or the name of such a file; may be given several times.
    context
        Which running centre is meant.
    list_policies
        Name the policies with their rules and stop.
    out
        Directory for run.json, events.npz, jobs.csv, series.csv, trace.json.gz and month.html.
    lang
        Language of month.html: en or zh.
    dry_run
        Run in full, write nothing.
    catalog
        Directory of your own parts, laid over the catalogue.
    """
    common = common or Common()
    report.check_language(lang)
    physics, limits = physics or Physics(), limits or Limits()
    if list_policies:
        rows = twin.describe_policies()
        emit(Answer(document=items_document("PolicyList", rows), rows=rows), common)
        return ExitCode.OK
    if from_live or change or context is not None:
        what_if.check(
            from_live=from_live, changes=change, others=(design, demand, nodes, trace, queues)
        )
        return what_if.tell(change, context=context, days=days, common=common)
    how = given.policy(policy, backfill, placement)
    setting = Setting(policy=how, pooled=borrowing == "on", seed=seed)
    progress = Progress(common)
    if days is not None and days <= 0:
        msg = f"--days {days:g}: a run lasts longer than nothing"
        raise UsageError(msg)
    if when is not None and (trace is None or out is not None):
        msg = "--when answers for the jobs of a --trace and writes no files: leave out --out"
        raise UsageError(msg)
    if design is not None and demand is not None:
        if trace is not None:
            msg = "give --demand or --trace, not both: one of them makes the jobs"
            raise UsageError(msg)
        parts = load.the_catalog(catalog)
        played = run_design(
            load.design(design),
            load.demand(demand)[0],
            parts,
            progress,
            days=30.0 if days is None else days,
            setting=setting,
            failures=failures != "off",
            hourly=hourly,
            physics=physics,
            limits=limits,
        )
    else:
        cluster, power = given.cluster(design, nodes, queues, gpus_per_node, catalog, hourly=hourly)
        parts = load.the_catalog(catalog)
        power = limits.power(power, parts)
        cluster = limits.cluster(physics.cluster(cluster), power)
        keep, shared = queues is not None, setting.pooled
        jobs, dropped = given.jobs(trace, estimates, cluster, progress, keep=keep, shared=shared)
        setting = physics.setting(setting, parts, failures=failures == "on")
        setting = limits.deferred(physics.staged(setting, None), parts, None)
        if design is not None or (nodes is not None and queues is None):
            setting = replace(setting, pooled=True)
        lending = setting.pooled and bool(cluster.quotas)
        pauses = how.resize != "none" or setting.deferral is not None
        if pauses or sched.may_stop(how, lending=lending):
            saving = given.Saving(checkpoint_every, checkpoint_cost, restart_cost)
            saves = given.checkpoints(saving, parts)
            jobs = tuple(saves.on(job) for job in jobs)
        speeds, jobs = physics.speeds(
            cluster, jobs, parts, None, pooled=setting.pooled, say=progress.say
        )
        if when is not None:
            emit(waits.answer(cluster, jobs, setting, speeds, when, progress), common)
            return ExitCode.OK
        name = trace or ""
        played = _timed(name, cluster, jobs, setting, power, progress, speeds, dropped=dropped)
    if out is not None and not dry_run:
        with progress.step(f"writing {out}"):
            files.write_directory(out, run_files(played, lang=lang))
    emit(answer(played.run), common)
    return ExitCode.OK


class Played(NamedTuple):
    """A run of the twin: its summary, everything that it brought forth, how it was made."""

    run: Run
    outcome: Outcome
    power: Power | None
    setting: Setting


def run_files(played: Played, *, lang: str) -> dict[str, str | bytes]:
    """Return the files of a run by name."""
    run, outcome, power, setting = played
    recording = twin.record(outcome)
    asleep_s = setting.policy.sleep_after_s
    hours = twin.series(outcome, recording, power, sleep_after_s=asleep_s)
    return {
        "run.json": documents.dump(run, format="json"),
        "events.npz": twin.recording_bytes(recording),
        "jobs.csv": report.jobs_csv(outcome, recording),
        "series.csv": report.series_csv(hours),
        "trace.json.gz": report.trace_json(recording),
        "month.html": report.month_html(run, recording, lang=lang),
    }


def run_design(
    design: Design,
    demand: Demand,
    parts: Catalog,
    progress: Progress,
    *,
    days: float,
    setting: Setting,
    failures: bool,
    hourly: bool,
    physics: Physics | None = None,
    limits: Limits | None = None,
) -> Played:
    """Run a design under its demand.

    Raises
    ------
    UsageError
        If the design has a pool for none of the demand's workloads.
    """
    served = {name for pool in design.spec.compute.pools for name in pool.workloads}
    left_out = [work.name for work in demand.workloads if work.name not in served]
    if len(left_out) == len(demand.workloads):
        msg = (
            f"design {design.name!r} has no pool for {', '.join(left_out)}: it was drawn from "
            f"another demand than {demand.name!r}. Draw one with `clusterwright plan`."
        )
        raise UsageError(msg)
    if left_out:
        progress.say(f"left out, because no pool of the design takes them: {', '.join(left_out)}")
    horizon = days * SECONDS_PER_DAY
    jobs = twin.jobs_of(demand, design, parts, horizon_s=horizon, seed=setting.seed)
    physics, limits = physics or Physics(), limits or Limits()
    setting = physics.setting(replace(setting, horizon_s=horizon), parts, failures=failures)
    setting = limits.deferred(physics.staged(setting, design), parts, design)
    power = limits.power(twin.power_of(design, parts, hourly=hourly), parts)
    cluster = limits.cluster(physics.cluster(twin.cluster_of(design, parts)), power)
    if physics.spares is not None:
        given.refuse_too_large(jobs, cluster, keep=True, shared=setting.pooled)
    speeds, jobs = physics.speeds(
        cluster, jobs, parts, design, pooled=setting.pooled, say=progress.say
    )
    return _timed(design.name, cluster, jobs, setting, power, progress, speeds, dropped=0)


def answer(run: Run) -> Answer:
    """Return a run as an answer: the document, and the queues with the whole run as rows."""
    queues = [asdict(item) for item in run.items if item.name != "all"]
    whole = {k: v for k, v in asdict(run.status).items() if k not in _NESTED}
    rows = [*queues, {"name": "all", **whole}]
    return Answer(
        document=documents.as_dict(run),
        rows=rows,
        columns=(
            *("name", "num_jobs", "num_unfinished", "avg_jct_s", "avg_wait_s", "p95_wait_s"),
            *("makespan_s", "gpu_allocation_fraction", "goodput_fraction", "num_interruptions"),
        ),
    )


def _timed(
    name: str,
    cluster: Cluster,
    jobs: tuple[Job, ...],
    setting: Setting,
    power: Power | None,
    progress: Progress,
    speeds: Speeds,
    *,
    dropped: int,
) -> Played:
    started = time.perf_counter()
    with progress.step(f"running {len(jobs):,} jobs on {cluster.num_gpus:,} accelerators") as step:
        outcome = twin.run(
            cluster,
            jobs,
            setting,
            rate=None if speeds == Speeds() else speeds.on(cluster),
            progress=lambda now, events, waiting: step.update(
                f"day {now / SECONDS_PER_DAY:.1f}: {events:,} events, {waiting:,} jobs wait"
            ),
        )
    run = twin.summarise(
        name,
        outcome,
        setting,
        power=power,
        num_dropped_rows=dropped,
        wall_s=time.perf_counter() - started,
    )
    return Played(run, outcome, power, setting)
