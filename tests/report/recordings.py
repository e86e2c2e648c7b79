"""Small runs of the twin, made by hand, for the tests of tables, traces and pictures."""

from clusterwright import sched
from clusterwright.model.cluster import Cluster, NodeGroup
from clusterwright.model.job import Job
from clusterwright.model.quota import Quota
from clusterwright.twin import Failures, Outcome, Setting, run

DAY = 86400.0


def jobs(count, queues, *, gpus=(1, 0.5, 4, 8, 24), days=3.0):
    """Return jobs of many sizes that overlap on every node, some of them stopped for others."""
    return tuple(
        Job(
            job_id=f"{queues[i % len(queues)]}-{i}",
            queue=queues[i % len(queues)],
            user=f"user {i % 3}",
            submit_s=i * days * DAY / count / 2,
            duration_s=600.0 + (i * 7919) % 40_000 + 0.25,
            num_gpus_ratio=float(gpus[i % len(gpus)]),
            priority=i % 3,
            preemptible=True,
            checkpoint_interval_s=1800.0,
            checkpoint_stall_s=10.0,
            restart_s=60.0,
        )
        for i in range(count)
    )


def month() -> Outcome:
    """Return a run with borrowing, preemption and lost nodes that ends before all are through."""
    groups = tuple(
        NodeGroup(queue=name, num_nodes=nodes, gpus_per_node=8, nodes_per_leaf=4)
        for name, nodes in (("vision", 8), ("planning", 4), ("=cmd|'x'!A1", 1))
    )
    quotas = tuple(Quota(queue=one.queue, guarantee_ratio=one.num_nodes * 4.0) for one in groups)
    setting = Setting(
        policy=sched.with_changes(sched.policy_of("fair"), backfill="easy"),
        pooled=True,
        failures=Failures(per_gpu_day=0.05, repair_s=9000.0),
        horizon_s=3 * DAY,
        seed=3,
    )
    cluster = Cluster(groups=groups, quotas=quotas)
    return run(cluster, jobs(300, tuple(one.queue for one in groups)), setting)


def plain() -> Outcome:
    """Return a run on own nodes whose topology is not known, some of them without accelerators."""
    groups = (
        NodeGroup(queue="training", num_nodes=3, gpus_per_node=8),
        NodeGroup(queue="cores", num_nodes=2, gpus_per_node=0, cpus_per_node=64),
    )
    work = jobs(40, ("training",), gpus=(2, 8, 16))
    on_cores = tuple(
        Job(job_id=f"c{i}", queue="cores", submit_s=i * 60.0, duration_s=900.0, num_cpus=32)
        for i in range(12)
    )
    return run(Cluster(groups=groups), work + on_cores, Setting())


def many(nodes: int = 2050, *, leaf: int = 0) -> Outcome:
    """Return a run on more nodes than have a track of their own."""
    group = NodeGroup(queue="all", num_nodes=nodes, gpus_per_node=8, nodes_per_leaf=leaf)
    work = jobs(60, ("all",), gpus=(64, 2048, 8, 4096))
    return run(Cluster(groups=(group,)), work, Setting())


def nothing() -> Outcome:
    """Return a run without a single job."""
    return run(
        Cluster(groups=(NodeGroup(queue="all", num_nodes=2, gpus_per_node=8),)), (), Setting()
    )


RUNS = {
    "queues that lend, lost nodes": month,
    "own nodes, some without accelerators": plain,
    "more nodes than tracks": many,
    "more nodes than tracks, under leaves": lambda: many(leaf=32),
    "no job at all": nothing,
}
