"""What a job lacks decides who makes way for it."""

from clusterwright.model.cluster import Cluster, NodeGroup
from clusterwright.model.event import Event, EventKind
from clusterwright.model.job import Job
from clusterwright.sched import POLICIES, State, cycle, with_changes


def test_nobody_is_stopped_for_host_memory_alone():
    node = NodeGroup(
        queue="a", num_nodes=1, gpus_per_node=8, cpus_per_node=32, node_memory_bytes=1e12
    )
    jobs = tuple(
        Job(
            job_id=f"j{priority}",
            queue="a",
            submit_s=0.0,
            duration_s=9.0,
            num_gpus_ratio=1,
            memory_bytes=7e11,
            priority=priority,
            preemptible=True,
        )
        for priority in range(2)
    )
    policy = with_changes(POLICIES["fifo"], preempt=("priority",))
    state = State(Cluster(groups=(node,)), jobs, policy)
    for job in range(2):
        state.apply(Event(0.0, EventKind.SUBMIT, job))
        cycle(state, 0.0)
    assert list(state.running) == [0]
