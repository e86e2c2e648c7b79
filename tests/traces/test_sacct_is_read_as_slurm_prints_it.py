"""Slurm's accounting: a real log, and the cases that a small cluster does not produce."""

import json
import zoneinfo
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterwright import traces
from clusterwright.errors import InvalidInput, UnknownName
from clusterwright.model import slurm

SAMPLES = Path(__file__).parent / "samples"
HEADER = (
    "JobID|JobName|User|Partition|Account|Submit|Start|End|ElapsedRaw|Timelimit|State|AllocTRES"
)
DAY = "2026-03-01T"


def read(content, **options):
    return traces.read_trace(content, file="s", **options)


def rows(*lines, header=HEADER):
    return "\n".join([header, *lines, ""]).encode()


def row(job="1", *, name="n", submit="10:00:00", start="10:00:10", end="10:01:10", **changed):
    cells = {
        "elapsed": "60",
        "limit": "01:00:00",
        "state": "COMPLETED",
        "tres": "billing=4,cpu=4,gres/gpu=8,mem=4G,node=1",
        **changed,
    }
    times = [
        text if text[:1].isalpha() or not text else DAY + text for text in (submit, start, end)
    ]
    return "|".join([job, name, "ann", "p1", "acc", *times, *cells.values()])


def test_a_real_log_is_read_alike_as_text_and_as_json():
    text = read((SAMPLES / "sacct-22.05.txt").read_bytes())
    form = read((SAMPLES / "sacct-22.05.json").read_bytes())
    assert (text.form, form.form) == ("sacct", "sacct-json")
    assert sorted(text.jobs, key=lambda job: job.job_id) == sorted(
        form.jobs, key=lambda job: job.job_id
    )
    assert text.start_unix_s == form.start_unix_s == 1795613856
    assert text.num_dropped_by_cause == form.num_dropped_by_cause
    assert text.num_not_jobs == form.num_not_jobs


def test_a_real_log_keeps_what_ran_and_tells_the_rest():
    found = read((SAMPLES / "sacct-22.05.txt").read_bytes())
    by_id = {job.job_id: job for job in found.jobs}
    whole, victim, array, mixed = by_id["1"], by_id["21"], by_id["6_3"], by_id["10"]
    assert (whole.num_gpus_ratio, whole.duration_s, whole.estimate_s) == (16, 8, 600)
    assert (victim.submit_s, victim.duration_s) == (200, 12)  # the first submission, the last run
    assert (array.num_gpus_ratio, array.duration_s) == (2, 3)
    assert (mixed.num_gpus_ratio, mixed.num_cpus) == (2, 3)  # both components
    assert by_id["3"].estimate_s is None  # UNLIMITED
    assert by_id["24"].duration_s == 1  # its name holds the delimiter
    assert found.num_dropped_by_cause == {"NEVER_STARTED": 2, "STILL_RUNNING": 2}
    assert found.num_repaired_by_cause == {"RUN_AGAIN": 2, "DELIMITER_IN_TEXT": 1}
    assert found.num_not_jobs == {
        "job step": 28,
        "earlier run": 2,
        "component of a heterogeneous job": 1,
    }


DROPPED = {
    "it waits": (
        row(state="PENDING", start="Unknown", end="Unknown", elapsed="0"),
        "NEVER_STARTED",
    ),
    "an array that waits": (
        row("7_[0-9%1]", state="PENDING", start="Unknown", end="Unknown", elapsed="0"),
        "NEVER_STARTED",
    ),
    "cancelled before its start": (
        row(state="CANCELLED by 1000", start="None", elapsed="0", tres=""),
        "NEVER_STARTED",
    ),
    "it runs": (row(state="RUNNING", end="Unknown"), "STILL_RUNNING"),
    "no submission": (row(submit="Unknown"), "BAD_TIME"),
    "a start that is no time": (row(start="1o:00"), "BAD_TIME"),
    "nothing to run on": (row(tres="billing=1"), "NO_SIZE"),
    "shares of an accelerator": (row(tres="cpu=1,gres/shard=4"), "UNKNOWN_SIZE"),
    "a resource without a count": (row(tres="cpu=1,gres/gpu"), "BAD_SIZE"),
    "a cell too many, not in a text": ("1|2", "MALFORMED"),
    "ends before it starts, elapsed unknown": (row(end="09:00:00", elapsed=""), "UNKNOWN_DURATION"),
    "no number": (row(""), "NO_ID"),
}


@pytest.mark.parametrize("case", DROPPED)
def test_a_record_that_is_no_finished_job_is_dropped_with_its_cause(case):
    line, cause = DROPPED[case]
    found = read(rows(row("99"), line))
    assert found.num_dropped_by_cause == {cause: 1}
    assert [job.job_id for job in found.jobs] == ["99"]
    assert found.num_rows == 2
    assert found.dropped[0].line == 3


REPAIRED = {
    "starts before it is submitted": (row(start="09:59:00"), "NEGATIVE_WAIT", 60),
    "ends before it starts": (row(end="09:59:00"), "END_BEFORE_START", 60),
    "a limit that is none": (row(limit="soon"), "UNKNOWN_ESTIMATE", 60),
    "a name with the delimiter": (row(name="a|b|c"), "DELIMITER_IN_TEXT", 60),
}


@pytest.mark.parametrize("case", REPAIRED)
def test_a_record_that_can_be_mended_is_used_and_told(case):
    line, cause, duration_s = REPAIRED[case]
    found = read(rows(line))
    assert found.num_repaired_by_cause == {cause: 1}
    assert [job.duration_s for job in found.jobs] == [duration_s]
    assert found.repaired[0].line == 2


def test_what_was_asked_for_stands_in_for_what_was_granted():
    header = HEADER + "|ReqTRES"
    found = read(rows(row(tres="") + "|cpu=2,gres/gpu=3", header=header))
    assert found.jobs[0].num_gpus_ratio == 3
    assert found.num_repaired_by_cause == {"SIZE_AS_REQUESTED": 1}


SIZES = {
    "gres/gpu:h100=8": 8,
    "gres/gpu=8,gres/gpu:h100=8": 8,
    "gres/gpu=3,gres/gpu:a100=1,gres/gpu:h100=2": 3,
    "gres/gpu:a100=1,gres/gpu:h100=2": 3,
    "gres/gpu:1g.10gb=7": 1,
    "gres/gpu=2,gres/gpu:3g.40gb=2": 6 / 7,
    "gres/gpu=1,gres/shard=4": 1,
}


@pytest.mark.parametrize("tres", SIZES)
def test_accelerators_are_counted_once_and_slices_as_their_share(tres):
    found = read(rows(row(tres=f"cpu=4,{tres}")))
    assert found.jobs[0].num_gpus_ratio == pytest.approx(SIZES[tres])


LIMITS = {
    "UNLIMITED": None,
    "Partition_Limit": None,
    "": None,
    "1-00:00:00": 86400,
    "2-03": 2 * 86400 + 3 * 3600,
    "01:02:03": 3723,
    "30:00": 1800,
    "90": 5400,  # plain numbers are minutes, as Timelimit takes them
}


@pytest.mark.parametrize("text", LIMITS)
def test_time_limits_are_read_in_every_form(text):
    assert slurm.limit_s(text) == LIMITS[text]


@given(st.integers(0, 10**8))
def test_an_elapsed_time_is_read_as_it_was_printed(seconds):
    days, rest = divmod(seconds, 86400)
    hours, rest = divmod(rest, 3600)
    minutes, rest = divmod(rest, 60)
    text = f"{hours:02d}:{minutes:02d}:{rest:02d}"
    assert slurm.duration_s(f"{days}-{text}" if days else text) == seconds


def test_the_columns_may_stand_in_any_order_and_elapsed_may_be_printed():
    header = "State|AllocTRES|Elapsed|Submit|Start|JobID|"
    line = f"TIMEOUT|cpu=1,gres/gpu=2|1-00:00:01|{DAY}10:00:00|{DAY}10:00:00|12_3|"
    found = read(rows(line, header=header))
    assert [(job.job_id, job.duration_s) for job in found.jobs] == [("12_3", 86401)]


def test_a_number_that_is_used_again_is_another_job():
    again = row(submit="12:00:00", start="12:00:01", end="12:01:01")
    found = read(rows(row(), again))
    assert [job.job_id for job in found.jobs] == ["1", "1.2"]
    assert [job.submit_s for job in found.jobs] == [0, 7200]
    assert found.num_repaired_by_cause == {"ID_REUSED": 1}


def test_a_job_that_lost_its_node_twice_is_its_last_run():
    lost = [
        row(submit=f"10:0{n}:00", start=f"10:0{n}:10", end=f"10:0{n}:50", elapsed="40", state=state)
        for n, state in enumerate(("NODE_FAIL", "REQUEUED"))
    ]
    done = row(submit="10:02:00", start="10:03:00", end="10:05:00", elapsed="120")
    found = read(rows(*lost, done))
    assert [(job.submit_s, job.duration_s) for job in found.jobs] == [(0, 120)]
    assert found.num_not_jobs == {"earlier run": 2}
    assert found.num_repaired_by_cause == {"RUN_AGAIN": 1}


def test_the_queue_may_be_the_account():
    assert read(rows(row()), queue_from="account").jobs[0].queue == "acc"
    with pytest.raises(UnknownName, match="partition"):
        read(rows(row()), queue_from="patrition")
    with pytest.raises(InvalidInput, match="qos"):
        read(rows(row()), queue_from="qos")


@pytest.mark.skipif(
    "Asia/Shanghai" not in zoneinfo.available_timezones(), reason="the package tzdata is missing"
)
def test_times_may_have_a_zone():
    utc, east = read(rows(row())), read(rows(row()), timezone="Asia/Shanghai")
    assert utc.start_unix_s - east.start_unix_s == 8 * 3600
    offset = rows(row().replace(f"{DAY}10:00:00", f"{DAY}10:00:00+0800"))
    assert read(offset).start_unix_s == east.start_unix_s
    with pytest.raises(UnknownName, match="Europe/Berlin"):
        read(rows(row()), timezone="Mars")


def test_a_header_without_what_a_job_needs_is_refused_with_the_command_that_prints_it():
    with pytest.raises(InvalidInput, match=r"no column Submit, ElapsedRaw, AllocTRES.*sacct -a"):
        read(rows("1|COMPLETED", header="JobID|State"))


def newer(number):
    return {"set": True, "infinite": False, "number": number}


NEWER = {
    "job_id": 5,
    "array": {"job_id": 4, "task_id": newer(0)},
    "het": {"job_id": 0, "job_offset": {"set": False, "infinite": False, "number": 0}},
    "association": {"account": "acc", "user": "ann"},
    "partition": "p1,p2",
    "state": {"current": ["COMPLETED"], "reason": "None"},
    "time": {
        "elapsed": 60,
        "submission": 1000,
        "start": 1010,
        "end": 1070,
        "limit": newer(30),
    },
    "tres": {"allocated": [{"type": "gres", "name": "gpu", "count": 4}]},
    "steps": [{}],
}


def test_the_json_of_newer_releases_with_wrapped_numbers_and_listed_states_is_read():
    found = read(json.dumps({"jobs": [NEWER], "meta": {"slurm": {}}}).encode())
    job = found.jobs[0]
    assert (job.job_id, job.queue, job.estimate_s) == ("4_0", "p1", 1800)
    endless = {"set": True, "infinite": True, "number": 0}
    whole = NEWER | {"time": NEWER["time"] | {"limit": endless}}
    assert read(json.dumps({"jobs": [whole]}).encode()).jobs[0].estimate_s is None


@pytest.mark.parametrize("broken", ['{"jobs": [{"job_id": 1}], "meta": {}}', '{"jobs": [{}]}'])
def test_a_json_record_without_its_parts_is_dropped_with_its_place(broken):
    found = read(broken.encode())
    assert found.jobs == ()
    assert found.dropped[0].path == "jobs[0]"
