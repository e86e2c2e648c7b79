"""What a failure takes, when it is noticed, and what comes back when."""

import math

import pytest

from clusterwright.model.cluster import Cluster, NodeGroup
from clusterwright.model.event import EventKind
from clusterwright.model.job import Job
from clusterwright.model.work import Spread
from clusterwright.twin import Cause, Failures, Setting, run
from clusterwright.units import SECONDS_PER_HOUR

HOUR = SECONDS_PER_HOUR


def cluster(num_nodes=4, spares=0, leaf=2):
    group = NodeGroup(
        queue="q", num_nodes=num_nodes, gpus_per_node=8, nodes_per_leaf=leaf, num_spares=spares
    )
    return Cluster(groups=(group,))


def jobs(count=4, gpus=8.0):
    return tuple(
        Job(
            job_id=f"j{number}",
            queue="q",
            submit_s=0.0,
            duration_s=200 * HOUR,
            num_gpus_ratio=gpus,
            checkpoint_interval_s=600.0,
        )
        for number in range(count)
    )


def cause(hits="node", *, rate=0.05, detect_s=0.0, repair_s=10 * HOUR, name="a"):
    repair = None if hits == "job" else Spread(median_s=repair_s, p95_s=repair_s)
    return Cause(name=name, per_gpu_day=rate, hits=hits, detect_s=detect_s, repair=repair)


def events(outcome, kind):
    return [event for event in outcome.log.events() if event.kind is kind]


def test_a_failure_of_a_job_leaves_its_node_up():
    setting = Setting(failures=Failures(causes=(cause("job"),)), horizon_s=200 * HOUR)
    outcome = run(cluster(), jobs(), setting)
    assert events(outcome, EventKind.INTERRUPT)
    assert not events(outcome, EventKind.NODE_FAIL)
    assert sum(record.waited_s for record in outcome.records) == 0  # they start again at once


def test_a_failure_on_a_free_part_of_a_node_stops_nobody():
    setting = Setting(failures=Failures(causes=(cause("job"),)), horizon_s=800 * HOUR, seed=2)
    outcome = run(cluster(num_nodes=1), jobs(count=1, gpus=1.0), setting)
    struck = 8 * 0.05 * 200 / 24  # strikes at the node while the job runs; one in eight meets it
    assert outcome.records[0].num_interruptions < struck


def test_a_lost_leaf_takes_all_its_nodes_and_their_jobs():
    setting = Setting(failures=Failures(causes=(cause("leaf"),)), horizon_s=200 * HOUR)
    outcome = run(cluster(), jobs(), setting)
    times: dict[float, set[int]] = {}
    for event in events(outcome, EventKind.NODE_FAIL):
        times.setdefault(event.time_s, set()).add(event.node)
    assert times
    assert all(nodes in ({0, 1}, {2, 3}) for nodes in times.values())


def test_a_lost_leaf_takes_one_node_where_no_topology_is_known():
    setting = Setting(failures=Failures(causes=(cause("leaf"),)), horizon_s=200 * HOUR)
    lost = events(run(cluster(leaf=0), jobs(), setting), EventKind.NODE_FAIL)
    assert len({event.time_s for event in lost}) == len(lost) > 0


def test_work_between_a_failure_and_its_notice_is_lost():
    kept = {}
    for detect_s in (0.0, 1800.0):
        failures = Failures(causes=(cause("job", detect_s=detect_s),))
        outcome = run(cluster(), jobs(), Setting(failures=failures, horizon_s=200 * HOUR))
        first = events(outcome, EventKind.INTERRUPT)[0]
        kept[detect_s] = first.kept_s
    assert kept[0.0] - kept[1800.0] == pytest.approx(1800.0, abs=600.0)


@pytest.mark.parametrize(("spares", "away_s"), [(0, 10 * HOUR), (2, 300.0)])
def test_a_spare_stands_in_after_the_time_of_the_exchange(spares, away_s):
    failures = Failures(causes=(cause(),), swap_s=300.0)
    setting = Setting(failures=failures, horizon_s=100 * HOUR)
    outcome = run(cluster(spares=spares), jobs(), setting)
    lost = events(outcome, EventKind.NODE_FAIL)[0]
    back = next(e for e in events(outcome, EventKind.NODE_REPAIR) if e.node == lost.node)
    assert back.time_s - lost.time_s == pytest.approx(away_s)


def test_where_spares_run_out_the_node_mended_first_stands_in():
    failures = Failures(causes=(cause(rate=0.5, repair_s=20 * HOUR),), swap_s=300.0)
    outcome = run(cluster(spares=1), jobs(), Setting(failures=failures, horizon_s=2000 * HOUR))
    lost: dict[int, float] = {}
    away = []
    for event in outcome.log.events():
        if event.kind is EventKind.NODE_FAIL:
            lost[event.node] = event.time_s
        elif event.kind is EventKind.NODE_REPAIR:
            away.append(round(event.time_s - lost.pop(event.node)))
    assert away.count(300) > 1
    assert all(300 <= one <= 20 * HOUR + 300 for one in away)
    assert any(300 < one < 20 * HOUR for one in away)


def test_one_cause_more_moves_no_strike_of_another():
    def strikes(causes):
        setting = Setting(failures=Failures(causes=causes), horizon_s=200 * HOUR)
        outcome = run(cluster(), jobs(), setting)
        return {event.time_s for event in events(outcome, EventKind.NODE_FAIL)}

    first = cause(repair_s=60.0)
    both = strikes((first, cause("node", name="b", repair_s=60.0)))
    alone = strikes((first,))
    assert alone
    assert alone <= both


def test_causes_sum_to_the_interruptions_of_the_jobs():
    causes = (cause("job", name="a"), cause("node", name="b"), cause("leaf", name="c"))
    setting = Setting(failures=Failures(causes=causes, swap_s=60.0), horizon_s=400 * HOUR)
    outcome = run(cluster(spares=1), jobs(), setting)
    stopped = sum(record.num_interruptions for record in outcome.records)
    assert sum(one.num_interruptions for one in outcome.causes) == stopped > 0
    lost = sum(one.lost_gpu_s for one in outcome.causes)
    assert math.isfinite(lost)
    assert lost > 0
