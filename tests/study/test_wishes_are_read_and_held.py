"""Objectives and limits: how they are written, and by how much a run misses them."""

import pytest

from clusterwright.errors import InvalidInput
from clusterwright.study import wishes
from clusterwright.study.wishes import ALL, Figure

ZERO = dict.fromkeys(wishes._HINTS, 0.0)
RUN = {
    ALL: ZERO | {"avg_wait_s": 100.0, "goodput_fraction": 0.9, "num_preemptions": 4.0},
    "a": ZERO | {"avg_wait_s": 50.0, "goodput_fraction": 0.8},
    "b": ZERO | {"avg_wait_s": 400.0, "goodput_fraction": 0.95},
}
START = {queue: one | {"avg_wait_s": 200.0} for queue, one in RUN.items()}


def read(objective="avg_wait", *limits, power=False):
    return wishes.read(objective, limits, ["a", "b"], power=power)


@pytest.mark.parametrize(
    ("text", "field", "queue", "value"),
    [
        ("avg_wait", "avg_wait_s", "", 100.0),
        ("avg_wait_s", "avg_wait_s", "", 100.0),
        ("a:avg_wait", "avg_wait_s", "a", 50.0),
        ("*:avg_wait", "avg_wait_s", "*", 400.0),
        ("*:goodput", "goodput_fraction", "*", 0.8),
        ("num_preemptions", "num_preemptions", "", 4.0),
        ("preemptions", "num_preemptions", "", 4.0),
    ],
)
def test_a_figure_is_of_all_of_a_queue_or_of_the_worst(text, field, queue, value):
    objective = read(text).objective
    assert objective.figure == Figure(field=field, queue=queue)
    assert objective.of(RUN) == value


@pytest.mark.parametrize(
    ("text", "excess"),
    [
        ("avg_wait<=2min", 0.0),
        ("avg_wait<=80s", 0.25),
        ("avg_wait >= 2min", 1 / 6),
        ("*:avg_wait<=200s", 1.0),
        ("b:avg_wait<=start", 1.0),
        ("*:avg_wait<=2*start", 0.0),
        ("*:goodput>=95 %", 0.15 / 0.95),
        ("preemptions==0", 4.0),
        ("preemptions==4", 0.0),
    ],
)
def test_a_limit_is_missed_by_a_share_of_its_bound(text, excess):
    assert read("avg_wait", text).limits[0].excess_ratio([RUN], [START]) == pytest.approx(excess)


def test_a_queue_without_jobs_misses_nothing():
    asked = wishes.read("z:avg_wait", ["z:avg_wait<=1s"], ["z"], power=False)
    assert asked.limits[0].excess_ratio([RUN], [START]) == 0.0
    assert asked.objective.of(RUN) == 0.0


def test_the_mean_over_runs_is_held_against_a_limit():
    limit = read("avg_wait", "avg_wait<=200s").limits[0]
    assert limit.excess_ratio([RUN, {ALL: ZERO | {"avg_wait_s": 300.0}}], [RUN, RUN]) == 0.0
    assert limit.excess_ratio([RUN, {ALL: ZERO | {"avg_wait_s": 500.0}}], [RUN, RUN]) == 0.5


def test_what_is_to_be_large_costs_less_the_larger_it_is():
    assert read("goodput").objective.cost(RUN) == -0.9


def test_all_faults_come_at_once_with_near_names():
    with pytest.raises(InvalidInput) as caught:
        read("avg_wiat", "p99_wait<2d", "c:avg_wait<=2d", "avg_wait<=3", "energy<=3 MWh")
    said = str(caught.value)
    assert len(caught.value.faults) == 5
    for part in ("Did you mean avg_wait", "<=, >= or ==", "no queue 'c'", "unit", "--design"):
        assert part in said


def test_energy_can_be_asked_for_where_power_is_known():
    assert read("energy", "cost<=3 MUSD", power=True).limits[0].bound == 3e6
