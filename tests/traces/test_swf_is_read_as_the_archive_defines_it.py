"""The Standard Workload Format: a small workload with every kind of line."""

from pathlib import Path

from clusterwright import traces

SMALL = (Path(__file__).parent / "samples" / "small.swf").read_bytes()


def read(**options):
    return traces.read_trace(SMALL, file="small.swf", queue="rest", **options)


def test_lines_are_jobs_on_cores_and_every_other_line_is_told():
    found = read()
    assert found.form == "swf"
    assert found.start_unix_s == 1700000000
    assert [(job.job_id, job.num_cpus, job.duration_s, job.queue) for job in found.jobs] == [
        ("1", 8, 100, "short"),
        ("2", 16, 50, "long"),
        ("5", 32, 30, "long"),
        ("6", 1, 25, "rest"),
        ("7", 2, 300, "3"),
    ]
    assert [job.estimate_s for job in found.jobs] == [200, 60, 60, None, 400]
    assert [job.user for job in found.jobs] == ["3", "3", "5", "", "3"]
    assert found.num_dropped_by_cause == {
        "MALFORMED": 2,
        "UNKNOWN_DURATION": 1,
        "NEVER_STARTED": 1,
        "NO_SIZE": 1,
        "BAD_TIME": 1,
    }
    assert found.num_repaired_by_cause == {"SIZE_AS_REQUESTED": 1, "NEGATIVE_WAIT": 1}
    assert found.num_not_jobs == {"part of a job that was stopped and went on": 2}


def test_a_negative_wait_moves_the_submission_to_the_start():
    job = next(job for job in read().jobs if job.job_id == "6")
    assert job.submit_s == 33


def test_processors_may_be_accelerators_and_the_queue_the_partition():
    found = read(processors="accelerators", queue_from="partition")
    assert [job.num_gpus_ratio for job in found.jobs] == [8, 16, 32, 1, 2]
    assert {job.num_cpus for job in found.jobs} == {0}
    assert [job.queue for job in found.jobs] == ["batch", "batch", "batch", "rest", "batch"]
