"""The workload model: what is drawn from it keeps what the trace had, and is the caller's size."""

from pathlib import Path

import numpy as np
import pytest

from clusterwright import traces
from clusterwright.errors import InvalidInput, UsageError
from clusterwright.model.job import Job
from clusterwright.traces import generate as drawing
from clusterwright.traces import likeness, summary, workload

REFERENCE = Path(__file__).parents[3] / "shared" / "reference" / "traces"
HOUR_S = 3600.0
WEEK_S = 168 * HOUR_S


def made(seed=3, *, weeks=4):
    """Return jobs of two teams: sweeps of short ones by day, long gangs at any time."""
    rng = np.random.default_rng(seed)
    jobs = []
    for hour in range(weeks * 168):
        by_day = 8 <= hour % 24 < 20
        for _ in range(rng.poisson(1.2 if by_day else 0.1)):
            start, middle = rng.uniform(0, HOUR_S), rng.normal(5, 1)
            for n in range(rng.integers(3, 12)):
                length = np.exp(middle + rng.normal(0, 0.2))
                jobs.append(("sweeps", "ann", hour * HOUR_S + start + 5 * n, length, 1))
        for _ in range(rng.poisson(0.2)):
            at = hour * HOUR_S + rng.uniform(0, HOUR_S)
            jobs.append(("gangs", "bob", at, np.exp(rng.normal(9, 1)), 64))
    return tuple(
        Job(job_id=str(n), queue=queue, user=user, submit_s=at, duration_s=s, num_gpus_ratio=gpus)
        for n, (queue, user, at, s, gpus) in enumerate(jobs)
    )


SOURCE = made()
MODEL = workload.fit(SOURCE)


def draw(seed=0, **options):
    return drawing.generate(MODEL, rng=np.random.default_rng(seed), **options)


def test_a_seed_draws_the_same_trace_and_another_seed_another():
    assert draw(1) == draw(1)
    assert draw(1) != draw(2)


def test_a_model_is_the_same_after_it_was_written_and_read():
    text = workload.to_json(MODEL)
    assert workload.is_model(text)
    assert workload.from_json(text, file="m") == MODEL
    with pytest.raises(InvalidInput, match="--model"):
        workload.from_json('{"kinds": 3}', file="m")


def test_jobs_come_in_order_within_the_span_and_in_whole_seconds():
    drawn = draw(span_s=WEEK_S)
    submits = [job.submit_s for job in drawn]
    assert submits == sorted(submits)
    assert 0 <= submits[0] <= submits[-1] < WEEK_S
    assert all(job.submit_s == int(job.submit_s) for job in drawn)
    assert len({job.job_id for job in drawn}) == len(drawn)


def test_number_load_and_sizes_are_those_of_the_source():
    drawn = [draw(seed) for seed in range(8)]
    jobs = np.mean([len(one) for one in drawn])
    hours = np.mean([summary.summarise(one).accelerator_hours for one in drawn])
    assert jobs == pytest.approx(len(SOURCE), rel=0.1)
    assert hours == pytest.approx(summary.summarise(SOURCE).accelerator_hours, rel=0.15)
    for row in likeness.compare(SOURCE, drawn[0]):
        limit = 0.25 if row.measure == "jobs_per_hour" else 0.12
        assert row.distance_fraction < limit, row


def test_queue_user_size_and_duration_keep_to_each_other():
    drawn = draw()
    assert {(job.queue, job.user, job.num_gpus_ratio) for job in drawn} == {
        ("sweeps", "ann", 1.0),
        ("gangs", "bob", 64.0),
    }
    long = [job.duration_s for job in drawn if job.queue == "gangs"]
    assert np.median(long) > 10 * np.median([job.duration_s for job in drawn if job.user == "ann"])


def test_arrivals_follow_the_hour_of_the_day():
    hours = np.array([job.submit_s // HOUR_S % 24 for job in draw() if job.queue == "sweeps"])
    assert np.mean((hours >= 8) & (hours < 20)) > 0.7  # 0.92 in the source


def test_bursts_stay_bursts():
    def dispersion(jobs):
        counts = np.bincount([int(job.submit_s // 60) for job in jobs if job.queue == "sweeps"])
        return counts.var() / counts.mean()

    assert dispersion(draw()) == pytest.approx(dispersion(SOURCE), rel=0.3)
    assert MODEL.likeness_fraction > 0.6  # the jobs of a sweep last alike


def test_a_number_is_exact_and_a_scale_is_one_of_rate_and_of_size():
    usual = len(SOURCE) / MODEL.span_s
    assert len(draw(num_jobs=777)) == 777
    assert len(draw(num_jobs=777, span_s=WEEK_S)) == 777
    assert len(draw(rate_ratio=3.0)) == pytest.approx(3 * len(SOURCE), rel=0.1)
    assert len(draw(span_s=WEEK_S, rate_ratio=2.0)) == pytest.approx(2 * usual * WEEK_S, rel=0.2)
    assert {job.num_gpus_ratio for job in draw(size_ratio=1.5)} == {2.0, 96.0}


def test_what_cannot_be_drawn_is_refused():
    with pytest.raises(UsageError, match="one too many"):
        draw(num_jobs=5, span_s=10.0, rate_ratio=2.0)
    with pytest.raises(UsageError, match="above zero"):
        draw(rate_ratio=0.0)
    with pytest.raises(InvalidInput, match="when jobs come"):
        workload.fit(SOURCE[:1])


def test_an_hour_that_the_trace_does_not_reach_gets_the_usual_rate():
    short = tuple(job for job in SOURCE if job.submit_s < 30 * HOUR_S)
    model = workload.fit(short)
    assert min(model.batches_per_s) > 0
    drawn = drawing.generate(model, rng=np.random.default_rng(0), span_s=WEEK_S)
    assert drawn[-1].submit_s > 6 * 24 * HOUR_S


@pytest.mark.skipif(
    not REFERENCE.is_dir(), reason="the published traces are not beside the repository (../shared)"
)
def test_a_model_of_the_first_half_is_no_further_from_the_second_than_the_first_half_is():
    file = "philly_2017-10.csv.gz"
    jobs = traces.read_trace((REFERENCE / file).read_bytes(), file=file).jobs
    middle = np.median([job.submit_s for job in jobs])
    first = [job for job in jobs if job.submit_s < middle]
    second = [job for job in jobs if job.submit_s >= middle]
    drawn = drawing.generate(workload.fit(first), rng=np.random.default_rng(0))
    own = {row.measure: row.distance_fraction for row in likeness.compare(first, second)}
    ours = {row.measure: row.distance_fraction for row in likeness.compare(drawn, second)}
    for measure in ("duration_s", "num_gpus", "accelerator_s", "gap_s"):
        # What the model adds to the drift between the halves is small.
        assert ours[measure] < own[measure] + 0.06, measure
