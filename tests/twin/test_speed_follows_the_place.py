"""How fast a job runs where it stands."""

import itertools

import pytest
from tests.plan.conftest import the_catalog

from clusterwright.model.cluster import Cluster, NodeGroup
from clusterwright.model.job import QUANTA, Job
from clusterwright.twin import Setting, Speeds, fastest_first, rooflines, run, speeds_on
from clusterwright.twin.speed import Gang

ALIKE = Cluster(
    groups=(
        NodeGroup(queue="q", num_nodes=16, gpus_per_node=8, nodes_per_leaf=4, leaves_per_pod=2),
    )
)
NVL = Cluster(groups=(NodeGroup(queue="q", num_nodes=8, gpus_per_node=4, nodes_per_domain=4),))


def gang(**changes):
    facts = {
        "step_s": 10.0,
        "inside_s": 1.0,
        "outside_s": 2.0,
        "group": 1,
        "replicas": 16,
        "message_bytes": 1e9,
        "scaleup_bytes_per_s": 450e9,
        "port_bytes_per_s": 50e9,
        "oversubscription_ratio": 1.0,
        "latency_s": 5e-6,
        "hop_s": 6e-7,
    }
    return Gang(**{**facts, **changes})


def speed(speeds, cluster, nodes, gpus=8, **fields):
    quanta = gpus * QUANTA
    job = Job(
        job_id="a",
        queue="q",
        user="gang",
        submit_s=0.0,
        duration_s=100.0,
        num_gpus_ratio=float(gpus * len(nodes)),
        **fields,
    )
    return speeds.on(cluster)((job,))(0, tuple((node, quanta) for node in nodes))


def test_under_one_leaf_a_gang_is_at_its_best():
    speeds = Speeds(gangs={"gang": gang(oversubscription_ratio=4.0)})
    assert speed(speeds, ALIKE, [0, 1, 2, 3]) == 1.0


def test_a_gang_that_must_spread_is_at_its_best_spread():
    speeds = Speeds(gangs={"gang": gang(oversubscription_ratio=4.0)})
    assert speed(speeds, ALIKE, range(8)) == 1.0
    assert speed(speeds, ALIKE, range(4, 12)) < 1.0  # as many leaves, but in two pods


def test_thin_uplinks_slow_a_spread_gang_by_its_messages():
    # Four times the time for 2 s of messages of a step of 10 s: 16 s.
    speeds = Speeds(gangs={"gang": gang(oversubscription_ratio=4.0, latency_s=0.0, hop_s=0.0)})
    assert speed(speeds, ALIKE, [0, 4]) == pytest.approx(10 / 16)


def test_on_full_uplinks_only_the_hops_are_felt():
    speeds = Speeds(gangs={"gang": gang()})
    assert 0.999 < speed(speeds, ALIKE, [0, 4]) < 1.0


def test_no_place_is_faster_with_thinner_uplinks_or_more_levels():
    for thin, levels in itertools.product((1.0, 2.0, 4.0), (0, 1)):
        one = gang(oversubscription_ratio=thin)
        assert one.speed(levels + 1, 0, split=False) <= one.speed(levels, 0, split=False)
        thinner = gang(oversubscription_ratio=2 * thin)
        assert thinner.speed(1, 0, split=False) <= one.speed(1, 0, split=False)


def test_a_group_split_over_two_domains_talks_over_the_network():
    # 1 s of messages at a ninth of the bandwidth: 8 s more.
    speeds = Speeds(gangs={"gang": gang(group=8)})
    assert speed(speeds, NVL, [0, 1], gpus=4) == 1.0
    assert speed(speeds, NVL, [3, 4], gpus=4) == pytest.approx(10 / 18)


@pytest.mark.parametrize(
    ("nodes", "gpus", "levels"),
    [([0], 8, 0), ([0, 1], 8, 0), ([0, 1], 4, 1), ([0, 4], 8, 1), ([0, 8], 8, 2), ([0, 8], 4, 3)],
)
def test_a_job_of_a_trace_pays_for_each_level_too_many(nodes, gpus, levels):
    speeds = Speeds(spread_penalty_fraction=0.1)
    assert speed(speeds, ALIKE, nodes, gpus=gpus) == pytest.approx(0.9**levels)


def test_slower_accelerators_take_longer_and_are_tried_last():
    models = ("V100-SXM2-32GB", "H100-SXM5-80GB")
    bounds = rooflines(models, the_catalog())
    groups = tuple(
        NodeGroup(queue="q", num_nodes=1, gpus_per_node=8, gpu_model=model) for model in models
    )
    cluster = Cluster(groups=groups)
    jobs = tuple(
        Job(job_id=f"j{n}", queue="q", submit_s=float(n), duration_s=100.0, num_gpus_ratio=8.0)
        for n in range(2)
    )
    by_model = speeds_on(jobs[0], bounds)
    assert list(by_model) == ["H100-SXM5-80GB", "V100-SXM2-32GB"]
    assert by_model["H100-SXM5-80GB"] == 1.0
    assert 0.1 < by_model["V100-SXM2-32GB"] < 0.5
    speeds = Speeds(rooflines=bounds)
    jobs = fastest_first(jobs, bounds)
    outcome = run(cluster, jobs, Setting(), rate=speeds.on(cluster))
    first, second = outcome.records
    assert first.end_s == pytest.approx(100.0)
    assert second.end_s == pytest.approx(1.0 + 100.0 / by_model["V100-SXM2-32GB"])
