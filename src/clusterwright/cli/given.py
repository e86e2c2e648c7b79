"""The nodes and the jobs that `simulate` is given: a design, tables of nodes, a trace."""

from dataclasses import dataclass, replace
from typing import get_args

from clusterwright import documents, sched, traces, twin, units
from clusterwright.catalog import Catalog
from clusterwright.cli import files, load
from clusterwright.cli.progress import Progress
from clusterwright.errors import Fault, UnknownName, UsageError
from clusterwright.model.cluster import Cluster, NodeGroup
from clusterwright.model.job import Job
from clusterwright.model.policy import Backfill, Policy
from clusterwright.study.bench import Checkpoints
from clusterwright.twin import Power
from clusterwright.units import Seconds

_SHOWN_DROPS = 5  # dropped rows that are told one by one; all are counted


@dataclass(frozen=True, slots=True)
class Saving:
    """What the options say about checkpoints of a trace's jobs; None for the catalogue's."""

    every: str | None
    """Work between two checkpoints."""
    cost: str | None
    """Time that one of them stops the work."""
    restart: str | None
    """Time that a stopped job needs to go on."""


def policy(name: str, backfill: str | None = None, placement: str | None = None) -> Policy:
    """Return the policy of a name or a file, with what the options say in place of its own.

    Raises
    ------
    UnknownName
        If there is no such policy, backfill or placement.
    InvalidInput
        With every fault of a file.
    """
    if name.endswith((".yaml", ".yml", ".json")) or name == "-":
        found = documents.read(files.read_bytes(name), Policy, file=name)
        sched.checked(found, file=name)
    else:
        found = sched.policy_of(name)
    if backfill is not None and backfill not in get_args(Backfill):
        raise UnknownName.of("backfill", backfill, get_args(Backfill))
    if placement is not None:
        sched.placement_of(placement)
    return sched.with_changes(found, backfill=backfill, placement=placement)


def checkpoints(saving: Saving, parts: Catalog) -> Checkpoints:
    """Return how jobs of a trace save their work, by the options and else by the catalogue.

    Raises
    ------
    UsageError
        If an option is no time.
    """
    told = {"every": saving.every, "cost": saving.cost, "restart": saving.restart}
    lasts = {
        name: parts.default(f"trace.checkpoint_{name}", Seconds)
        if text is None
        else units.parse(text, Seconds)
        for name, text in told.items()
    }
    return Checkpoints(every_s=lasts["every"], cost_s=lasts["cost"], restart_s=lasts["restart"])


def cluster(
    design: str | None,
    nodes: str | None,
    queues: str | None,
    gpus_per_node: int,
    catalog: str | None,
    *,
    hourly: bool,
) -> tuple[Cluster, Power | None]:
    """Return the nodes to run on, and their power where a design tells it.

    Raises
    ------
    UsageError
        If nothing says on what to run.
    """
    if gpus_per_node < 1:
        msg = f"--gpus-per-node {gpus_per_node}: at least 1"
        raise UsageError(msg)
    if design is not None:
        parts = load.the_catalog(catalog)
        drawn = load.design(design)
        return twin.cluster_of(drawn, parts), twin.power_of(drawn, parts, hourly=hourly)
    if queues is not None:
        content = files.read_bytes(queues)
        found = traces.read_queues(content, file=queues, gpus_per_node=gpus_per_node)
        quotas = traces.read_quotas(content, file=queues, gpus_per_node=gpus_per_node)
        return replace(found, quotas=quotas), None
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


def jobs(
    trace: str | None,
    estimates: str | None,
    cluster: Cluster,
    progress: Progress,
    *,
    keep: bool,
    shared: bool,
) -> tuple[tuple[Job, ...], int]:
    """Return the jobs of a trace on the cluster's queues, and how many rows were left out.

    With `keep` the trace's own queues count; else all jobs go to the first one. With `shared` a
    queue may use the nodes of all.

    Raises
    ------
    UsageError
        If there is no trace, or a job that its queue could never hold.
    """
    if trace is None:
        msg = "say which jobs: --trace FILE, or --demand FILE with a design"
        raise UsageError(msg)
    found = traces.read_trace(files.read_bytes(trace), file=trace, queue=cluster.queues[0])
    dropped = list(found.dropped)
    taken = found.jobs
    if keep:
        known = {*cluster.queues, *(one.queue for one in cluster.quotas)}
        strangers = [job for job in taken if job.queue not in known]
        dropped += [
            Fault(file=trace, path=job.job_id, message=f"queue {job.queue!r} has no nodes")
            for job in strangers
        ]
        taken = tuple(job for job in taken if job.queue in known)
    else:
        taken = tuple(replace(job, queue=cluster.queues[0]) for job in taken)
    refuse_too_large(taken, cluster, keep=keep, shared=shared)
    if dropped:
        progress.say(f"{len(dropped):,} of {found.num_rows:,} rows left out, the first of them:")
        for fault in dropped[:_SHOWN_DROPS]:
            progress.say(f"  {fault}")
    if estimates is not None:
        taken = traces.read_estimates(files.read_bytes(estimates), taken, file=estimates)
    return taken, len(dropped)


def fitting(
    jobs: tuple[Job, ...], cluster: Cluster, progress: Progress, *, shared: bool
) -> tuple[Job, ...]:
    """Return the jobs that their queue can hold; the others would block it for ever.

    With `shared` a queue may use the nodes of all.

    Raises
    ------
    UsageError
        If there is none.
    """
    room = dict.fromkeys(cluster.queues, 0)
    for group in cluster.groups:
        room[group.queue] += group.num_nodes * group.quanta
    if shared:
        room = {
            queue: sum(room.values())
            for queue in (*room, *(quota.queue for quota in cluster.quotas))
        }
    kept = tuple(job for job in jobs if job.quanta <= room.get(job.queue, 0))
    if len(kept) < len(jobs):
        progress.say(
            f"{len(jobs) - len(kept):,} of {len(jobs):,} jobs left out: their queue has no nodes, "
            "or not enough for them"
        )
    if not kept:
        msg = "no job of the trace is in a queue with nodes; look at the names in --queues"
        raise UsageError(msg)
    return kept


def refuse_too_large(jobs: tuple[Job, ...], cluster: Cluster, *, keep: bool, shared: bool) -> None:
    """Refuse jobs that their queue could never hold: they would block it for ever."""
    total: dict[str, int] = {}
    for group in cluster.groups:
        name = group.queue if keep else cluster.queues[0]
        total[name] = total.get(name, 0) + group.num_nodes * group.quanta
    everything = sum(total.values()) if shared else 0
    large = [job for job in jobs if job.quanta > (everything or total.get(job.queue, 0))]
    if large:
        first = large[0]
        msg = (
            f"{len(large):,} jobs ask for more than their queue has, the first is {first.job_id} "
            f"with {first.num_gpus_ratio:g} accelerators in queue {first.queue!r}. Give the queue "
            "more nodes (--spares takes some away), or leave the jobs out."
        )
        raise UsageError(msg)
