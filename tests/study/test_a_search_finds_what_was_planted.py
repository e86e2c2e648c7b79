"""The search by itself: runs are made up, so that the best policy is known."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterwright.errors import InvalidInput
from clusterwright.model.policy import Policy
from clusterwright.sched import POLICIES
from clusterwright.study import wishes
from clusterwright.study.space import Candidate, Facts, Grid, PolicySpace, changes, refuse_oracles
from clusterwright.study.space import check as check_space
from clusterwright.study.tuning import Searcher
from clusterwright.study.wishes import ALL

START = Candidate(policy=POLICIES["fifo"])
NOTHING = Facts(lending=False, priorities=False, deadlines=False, topology=False, power=False)
FIGURES = dict.fromkeys(wishes._HINTS, 0.0)  # every figure of a run, to be overlaid


def grid(space=None, start=START, facts=NOTHING):
    return Grid(space or PolicySpace(), start, facts, lambda order, guess: 1e6)


def search(run, *, space=None, limits=(), budget=100, seed=0, num_windows=4, named=()):
    asked = wishes.read("avg_wait", limits, ["q"], power=False)
    return Searcher(
        grid(space),
        asked,
        num_windows=num_windows,
        budget=budget,
        seed=seed,
        run=lambda tasks: [run(task.candidate, task.period) for task in tasks],
    ).search(named)


def figures(wait_s, **more):
    return {ALL: FIGURES | {"avg_wait_s": wait_s} | more}


PATIENCES = grid().values["patience_s"]


def distance(candidate):
    """Return a wait that is least for the planted one: by size, easy, spread, patience of a day."""
    policy = candidate.policy
    wait_s = 100.0
    wait_s -= 40 * (policy.order == ("priority", "size", "submitted"))
    wait_s -= 20 * (policy.backfill == "easy")
    wait_s += 2 * abs(PATIENCES.index(policy.patience_s) - PATIENCES.index(86400.0))
    wait_s -= 5 * (policy.placement == "spread")
    return wait_s


@pytest.mark.parametrize("seed", range(5))
def test_a_planted_optimum_is_found(seed):
    found = search(lambda one, window: figures(distance(one) + window), budget=200, seed=seed)
    assert found.best is not None
    assert distance(found.best.candidate) == 35.0


@pytest.mark.parametrize("budget", [8, 9, 23, 60])
@pytest.mark.parametrize("num_windows", [1, 3, 4])
def test_the_budget_is_never_passed(budget, num_windows):
    ran = []

    def run(one, window):
        ran.append((one, window))
        return figures(distance(one))

    found = search(run, budget=budget, num_windows=num_windows, named=[START])
    assert len(ran) == found.num_runs <= budget
    assert len(set(ran)) == len(ran), "no run is made twice"
    assert found.chosen is not None


def test_one_seed_gives_one_search():
    def tried(seed):
        found = search(lambda one, _: figures(distance(one)), seed=seed)
        return [(one.candidate, len(one.measured)) for one in found.trials]

    assert tried(3) == tried(3)
    assert tried(3) != tried(4)


def test_limits_go_before_the_objective():
    def run(one, _):
        easy = one.policy.backfill == "easy"
        return figures(10.0 if easy else 50.0, p99_wait_s=1e6 if easy else 1e3)

    found = search(run, limits=["p99_wait<=2h"])
    assert found.chosen is not None
    assert found.chosen.candidate.policy.backfill != "easy"


def test_without_a_trial_that_holds_the_limits_nothing_is_chosen():
    found = search(lambda one, _: figures(1.0, p99_wait_s=distance(one)), limits=["p99_wait<=1s"])
    assert found.best is None
    assert found.chosen is None
    assert distance(found.nearest.candidate) < distance(START)


def test_jobs_that_the_start_finishes_must_be_finished():
    def run(one, _):
        easy = one.policy.backfill == "easy"
        return figures(1.0 if easy else 50.0, num_unfinished=3.0 if easy else 0.0)

    assert search(run).chosen.candidate.policy.backfill != "easy"


ORDERS = PolicySpace(
    order=(("submitted",), ("size",)),
    backfill=("none", "easy"),
    guess=("order",),
    ageing_ratio=(0.0,),
    patience_s=("never",),
    placement=("consolidate",),
    half_life_s=("never",),
)


def test_fewer_changes_are_taken_when_they_are_as_good_within_the_error():
    waits = {(): 100.0, ("order",): 10.4, ("order", "backfill"): 10.0, ("backfill",): 90.0}
    noise = [0.0, 1.0, -1.0, 0.3]

    def run(one, window):
        what = tuple(name for name in ("order", "backfill") if name in changes(one, SUBMITTED))
        return figures(waits[what] + noise[window] * len(what))

    found = search_from(SUBMITTED, run)
    assert set(changes(found.best.candidate, SUBMITTED)) == {"order", "backfill"}
    assert set(changes(found.chosen.candidate, SUBMITTED)) == {"order"}


def test_an_erratic_trial_is_not_taken_for_being_simple():
    """By its own error a trial that swings widely would be as good as any."""
    swings = [0.0, 40.0, 0.0, 0.0]

    def run(one, window):
        what = changes(one, SUBMITTED)
        if set(what) == {"backfill"}:
            return figures(10.0 + swings[window])
        return figures({0: 100.0, 1: 9.9, 2: 9.0}[len(what)])

    found = search_from(SUBMITTED, run)
    assert set(changes(found.chosen.candidate, SUBMITTED)) != {"backfill"}


SUBMITTED = Candidate(policy=Policy(name="mine", order=("submitted",)))


def search_from(start, run):
    asked = wishes.read("avg_wait", (), ["q"], power=False)
    return Searcher(
        grid(ORDERS, start),
        asked,
        num_windows=4,
        budget=40,
        seed=0,
        run=lambda tasks: [run(task.candidate, task.period) for task in tasks],
    ).search([])


EVERYTHING = Facts(lending=True, priorities=True, deadlines=True, topology=True, power=True)


@given(st.data())
def test_every_point_is_a_policy_that_the_scheduler_takes(data):
    from clusterwright import sched

    one = grid(facts=data.draw(st.sampled_from([NOTHING, EVERYTHING])))
    point = tuple(data.draw(st.integers(0, len(values) - 1)) for values in one.values.values())
    candidate = one.candidate(point)
    assert sched.checked(candidate.policy) == candidate.policy
    refuse_oracles(candidate.policy)
    assert one.candidate(one.point_of(candidate)) == candidate
    for place in range(one.num_dimensions):
        for near in one.along(point, place):
            assert [i for i, value in enumerate(near) if value != point[i]] == [place]


def test_what_has_no_effect_makes_no_candidate_of_its_own():
    one = grid()
    places = dict.fromkeys(one.values, 0)
    first = one.candidate(tuple(places.values()))
    for field in ("ageing_ratio", "half_life_s", "guess", "backfill_depth"):
        last = len(one.values[field]) - 1
        assert one.candidate(tuple({**places, field: last}.values())) == first


def test_a_space_is_refused_with_all_its_faults():
    space = PolicySpace(
        order=(("sizes",), ("duration",)),
        placement=("spraed",),
        preempt=(("order",),),
        backfill=(),
        backfill_depth=(0,),
    )
    with pytest.raises(InvalidInput) as caught:
        check_space(space, file="space.yaml")
    said = str(caught.value)
    for part in ("did you mean size", "reads true durations", "did you mean spread"):
        assert part in said.lower() or part in said or part.capitalize() in said
    assert len(caught.value.faults) == 6


@pytest.mark.parametrize("name", ["sjf", "srtf"])
def test_an_oracle_is_no_start(name):
    with pytest.raises(InvalidInput, match="true"):
        refuse_oracles(POLICIES[name])
