import csv
import io
from dataclasses import replace

import pytest
from tests.report.recordings import RUNS, month, plain

from clusterwright import report, twin
from clusterwright.report.run_tables import JOB_COLUMNS, SERIES_COLUMNS
from clusterwright.twin import Power, Setting, summarise

POWER = Power(
    idle_fraction=0.3,
    busy_fraction=0.9,
    other_power_w=5000.0,
    pue_ratio=1.2,
    price_usd_per_j=(2e-8, -1e-8),
    carbon_g_per_j=(1e-4,),
)


def rows(text):
    return list(csv.DictReader(io.StringIO(text)))


@pytest.mark.parametrize("name", RUNS)
def test_jobs_have_one_row_each_and_say_what_the_records_say(name):
    outcome = RUNS[name]()
    found = rows(report.jobs_csv(outcome, twin.record(outcome)))
    assert len(found) == len(outcome.jobs)
    for row, job, kept in zip(found, outcome.jobs, outcome.records, strict=True):
        assert tuple(row) == tuple(JOB_COLUMNS)
        assert row["job_id"].removeprefix("'") == job.job_id
        assert row["end_s"] == "" or float(row["end_s"]) == kept.end_s
        assert (row["state"] == "COMPLETED") == (row["end_s"] != "")
        assert float(row["held_s"]) == kept.held_s
        assert float(row["lost_s"]) == kept.lost_s
        assert int(row["num_preemptions"]) == kept.num_preemptions
        if row["state"] in {"COMPLETED", "RUNNING"}:
            assert float(row["waited_s"]) == pytest.approx(kept.waited_s, abs=1e-6)
            assert row["nodes"]


def test_a_name_that_a_spreadsheet_would_run_is_made_harmless():
    outcome = month()
    recording = twin.record(outcome)
    texts = [report.jobs_csv(outcome, recording)]
    texts.append(report.series_csv(twin.series(outcome, recording, None)))
    for text in texts:
        cells = [cell for row in rows(text) for cell in row.values()]
        assert any(cell.startswith("'=") for cell in cells)
        assert not any(cell.startswith(("=", "+", "@")) for cell in cells)


def test_hours_sum_to_what_the_run_says_of_use_waiting_and_energy():
    outcome = plain()
    outcome = replace(
        outcome,
        cluster=replace(
            outcome.cluster,
            groups=tuple(replace(one, node_power_w=4000.0) for one in outcome.cluster.groups),
        ),
    )
    status = summarise("x", outcome, Setting(), power=POWER).status
    recording = twin.record(outcome)
    found = rows(report.series_csv(twin.series(outcome, recording, POWER)))
    assert tuple(found[0]) == tuple(SERIES_COLUMNS)
    lasts = [min(3600.0, outcome.end_s - float(row["start_s"])) for row in found]
    whole = [(row, time) for row, time in zip(found, lasts, strict=True) if row["queue"] == "*"]
    energy = sum(float(row["power_w"]) * time for row, time in whole)
    assert energy == pytest.approx(status.energy_j, rel=1e-6)
    cost = sum(
        float(row["power_w"]) * time / 3.6e6 * float(row["price_usd_per_kwh"])
        for row, time in whole
    )
    assert cost == pytest.approx(status.cost_usd, rel=1e-4)
    assert any(row["price_usd_per_kwh"].startswith("-") for row, _ in whole)
    used = sum(float(row["used_gpus"]) * time for row, time in whole)
    assert used / (24 * outcome.end_s) == pytest.approx(status.gpu_allocation_fraction, rel=1e-4)
    waiting = sum(float(row["waiting_jobs"]) * time for row, time in whole)
    assert waiting == pytest.approx(sum(one.waited_s for one in outcome.records), rel=1e-4, abs=9)
    own = [row for row in found if row["queue"] == "training"]
    assert all(float(row["power_w"]) >= 3 * 4000 * 0.3 * 1.2 - 1 for row in own)


def test_queues_that_share_nodes_have_no_power_of_their_own():
    outcome = month()
    found = rows(report.series_csv(twin.series(outcome, twin.record(outcome), POWER)))
    assert {row["queue"] for row in found if row["power_w"]} == {"*"}
    assert sum(float(row["nodes_down"]) for row in found if row["queue"] == "*") > 0
