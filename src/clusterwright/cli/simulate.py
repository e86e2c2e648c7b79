"""`clusterwright simulate`: the digital twin on a design or on a trace."""

import time
from dataclasses import asdict, replace
from typing import Annotated, Literal

from cyclopts import Parameter

from clusterwright import documents, sched, traces, twin
from clusterwright.catalog import Catalog
from clusterwright.cli import files, load
from clusterwright.cli.common import Common, FileName
from clusterwright.cli.output import Answer, emit, items_document
from clusterwright.cli.progress import Progress
from clusterwright.errors import ExitCode, Fault, UsageError
from clusterwright.model.cluster import Cluster, NodeGroup
from clusterwright.model.demand import Demand
from clusterwright.model.design import Design
from clusterwright.model.job import Job
from clusterwright.model.run import Run
from clusterwright.twin import Failures, Power, Setting
from clusterwright.units import SECONDS_PER_DAY

_SHOWN_DROPS = 5  # dropped rows that are told one by one; all are counted


def simulate(
    design: FileName | None = None,
    *,
    demand: Annotated[FileName | None, Parameter(name="--demand")] = None,
    days: float = 30.0,
    nodes: Annotated[FileName | None, Parameter(name="--nodes")] = None,
    gpus_per_node: int = 8,
    trace: Annotated[FileName | None, Parameter(name="--trace")] = None,
    queues: Annotated[FileName | None, Parameter(name="--queues")] = None,
    borrowing: Literal["on", "off"] = "off",
    estimates: Annotated[FileName | None, Parameter(name="--estimates")] = None,
    backfill: Annotated[str, Parameter(name="--backfill")] = "none",
    placement: Annotated[str, Parameter(name="--placement")] = "consolidate",
    policy: Annotated[str, Parameter(name="--policy")] = "fifo",
    failures: Literal["on", "off"] | None = None,
    hourly: Annotated[bool, Parameter(negative=())] = False,
    seed: int = 0,
    list_policies: Annotated[bool, Parameter(name="--list", negative=())] = False,
    catalog: Annotated[str | None, Parameter(name="--catalog")] = None,
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
        How long a run under a demand lasts.
    nodes
        Instead of a design: a number of nodes, or a CSV table of them.
    gpus_per_node
        Accelerators of one node, for --nodes and --queues.
    trace
        Trace in the tidy schema, CSV or gzip of it.
    queues
        CSV table queue,nodes; the trace's vc is the queue, and jobs of other queues are left out.
    borrowing
        on: all queues share all nodes; off: each queue has its own.
    estimates
        CSV table job_id,est_duration_s for policies that guess.
    backfill
        none or easy.
    placement
        consolidate or leaf.
    policy
        Order of waiting jobs; --list names them.
    failures
        Whether nodes fail: on by default under a demand, off under a trace.
    hourly
        Price and carbon hour by hour, where the region has a series.
    seed
        Seed of all random streams.
    list_policies
        Name the policies with their rules and stop.
    catalog
        Directory of your own parts, laid over the catalogue.
    """
    common = common or Common()
    if list_policies:
        rows = twin.describe_policies()
        emit(Answer(document=items_document("PolicyList", rows), rows=rows), common)
        return ExitCode.OK
    setting = Setting(
        policy=sched.policy_of(policy).name,
        placement=placement,
        backfill=sched.check_backfill(backfill),
        pooled=borrowing == "on",
        seed=seed,
    )
    sched.placement_of(placement)
    progress = Progress(common)
    if days <= 0:
        msg = f"--days {days:g}: a run lasts longer than nothing"
        raise UsageError(msg)
    if design is not None and demand is not None:
        if trace is not None:
            msg = "give --demand or --trace, not both: one of them makes the jobs"
            raise UsageError(msg)
        parts = load.the_catalog(catalog)
        run = run_design(
            load.design(design),
            load.demand(demand)[0],
            parts,
            progress,
            days=days,
            setting=setting,
            failures=failures != "off",
            hourly=hourly,
        )
    else:
        cluster, power = _given_cluster(design, nodes, queues, gpus_per_node, catalog, hourly)
        jobs, dropped = _given_jobs(
            trace,
            estimates,
            cluster,
            progress,
            keep=queues is not None,
            may_stop=sched.policy_of(policy).preemptive,
        )
        setting = replace(setting, failures=_failures(catalog) if failures == "on" else None)
        if design is not None or (nodes is not None and queues is None):
            setting = replace(setting, pooled=True)
        run = _timed(trace or "", cluster, jobs, setting, power, progress, dropped=dropped)
    emit(answer(run), common)
    return ExitCode.OK


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
) -> Run:
    """Run a design under its demand and return the summary.

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
    setting = replace(
        setting,
        horizon_s=horizon,
        failures=twin.failures_of(parts) if failures else None,
    )
    power = twin.power_of(design, parts, hourly=hourly)
    return _timed(
        design.name, twin.cluster_of(design, parts), jobs, setting, power, progress, dropped=0
    )


def answer(run: Run) -> Answer:
    """Return a run as an answer: the document, and the queues with the whole run as rows."""
    queues = [asdict(item) for item in run.items if item.name != "all"]
    rows = [*queues, {"name": "all", **asdict(run.status)}]
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
    *,
    dropped: int,
) -> Run:
    started = time.perf_counter()
    with progress.step(f"running {len(jobs):,} jobs on {cluster.num_gpus:,} accelerators") as step:
        outcome = twin.run(
            cluster,
            jobs,
            setting,
            progress=lambda now, events, waiting: step.update(
                f"day {now / SECONDS_PER_DAY:.1f}: {events:,} events, {waiting:,} jobs wait"
            ),
        )
    return twin.summarise(
        name,
        outcome,
        setting,
        power=power,
        num_dropped_rows=dropped,
        wall_s=time.perf_counter() - started,
    )


def _given_cluster(
    design: str | None,
    nodes: str | None,
    queues: str | None,
    gpus_per_node: int,
    catalog: str | None,
    hourly: bool,
) -> tuple[Cluster, Power | None]:
    if gpus_per_node < 1:
        msg = f"--gpus-per-node {gpus_per_node}: at least 1"
        raise UsageError(msg)
    if design is not None:
        parts = load.the_catalog(catalog)
        found = load.design(design)
        return twin.cluster_of(found, parts), twin.power_of(found, parts, hourly=hourly)
    if queues is not None:
        content = files.read_bytes(queues)
        return traces.read_queues(content, file=queues, gpus_per_node=gpus_per_node), None
    if nodes is None:
        msg = "say on what: a design, --nodes N, --nodes NODES.csv or --queues QUEUES.csv"
        raise UsageError(msg)
    if nodes.isdecimal():
        if int(nodes) < 1:
            msg = "--nodes 0: at least 1"
            raise UsageError(msg)
        group = NodeGroup(queue="all", num_nodes=int(nodes), gpus_per_node=gpus_per_node)
        return Cluster(groups=(group,)), None
    return traces.read_nodes(files.read_bytes(nodes), file=nodes), None


def _given_jobs(
    trace: str | None,
    estimates: str | None,
    cluster: Cluster,
    progress: Progress,
    *,
    keep: bool,
    may_stop: bool,
) -> tuple[tuple[Job, ...], int]:
    """Return the jobs of a trace on the cluster's queues, and how many rows were left out."""
    if trace is None:
        msg = "say which jobs: --trace FILE, or --demand FILE with a design"
        raise UsageError(msg)
    found = traces.read_trace(files.read_bytes(trace), file=trace, queue=cluster.queues[0])
    dropped = list(found.dropped)
    jobs = found.jobs
    if keep:
        known = set(cluster.queues)
        strangers = [job for job in jobs if job.queue not in known]
        dropped += [
            Fault(file=trace, path=job.job_id, message=f"queue {job.queue!r} has no nodes")
            for job in strangers
        ]
        jobs = tuple(job for job in jobs if job.queue in known)
    else:
        jobs = tuple(replace(job, queue=cluster.queues[0]) for job in jobs)
    _refuse_too_large(jobs, cluster, keep=keep)
    if dropped:
        progress.say(f"{len(dropped):,} of {found.num_rows:,} rows left out, the first of them:")
        for fault in dropped[:_SHOWN_DROPS]:
            progress.say(f"  {fault}")
    if may_stop:
        jobs = tuple(replace(job, preemptible=True) for job in jobs)
    if estimates is not None:
        jobs = traces.read_estimates(files.read_bytes(estimates), jobs, file=estimates)
    return jobs, len(dropped)


def _refuse_too_large(jobs: tuple[Job, ...], cluster: Cluster, *, keep: bool) -> None:
    """Refuse jobs that their queue could never hold: they would block it for ever."""
    total: dict[str, int] = {}
    for group in cluster.groups:
        name = group.queue if keep else cluster.queues[0]
        total[name] = total.get(name, 0) + group.num_nodes * group.quanta
    large = [job for job in jobs if job.quanta > total.get(job.queue, 0)]
    if large:
        first = large[0]
        msg = (
            f"{len(large):,} jobs ask for more than their queue has, the first is {first.job_id} "
            f"with {first.num_gpus_ratio:g} accelerators in queue {first.queue!r}. Give the queue "
            "more nodes, or leave the jobs out of the trace."
        )
        raise UsageError(msg)


def _failures(catalog: str | None) -> Failures:
    return twin.failures_of(load.the_catalog(catalog))
