"""Tokens, samples and operations that jobs report, over what was held and paid for them."""

from dataclasses import replace

import pytest
from tests.control.drive import Drive
from tests.control.plane import JOB, plane  # noqa: F401 - a fixture
from tests.control.world import centre, job

from clusterwright.catalog import load
from clusterwright.control import accounts, fold
from clusterwright.control.entries import Entry
from clusterwright.control.filled import filled
from clusterwright.model.centre import Rates


def _run(drive, name, tokens, lasts_s, end="completed", samples=0.0):
    number = len(drive.book.jobs[name].attempts)
    drive.begin(name)
    body = {"attempt": number, "step": 1, "tokens": tokens, "samples": samples, "offset": 10}
    drive.do(lambda _, now: [Entry(now, "progress", name, body=body)])
    if end == "lost":
        drive.lose(drive.book.jobs[name].current.nodes[0], lasts_s)
    else:
        drive.end(name, end, lasts_s)


def _driven(**more):
    return Drive(centre(rates=Rates(usd_per_accelerator_hour=2.0), **more))


def test_a_job_that_reports_tokens_has_a_price_for_a_million_of_them():
    drive = _driven()
    name = drive.submit(job(gpus=4, nodes=2))
    _run(drive, name, tokens=7.2e6, lasts_s=3600.0, samples=3600.0)
    found = accounts.progress(accounts.of_job(drive.book, drive.book.jobs[name], drive.now_s))
    assert found["tokens_per_s"] == pytest.approx(2000.0)
    assert found["samples_per_s"] == pytest.approx(1.0)
    assert found["usd_per_million_tokens"] == pytest.approx(8 * 2.0 / 7.2)
    assert found["useful_fraction"] == pytest.approx(1.0)


def test_work_that_was_lost_is_paid_for_but_not_useful():
    drive = _driven()
    name = drive.submit(job(gpus=4, nodes=1))
    _run(drive, name, tokens=1e6, lasts_s=1000.0, end="lost")
    _run(drive, name, tokens=1e6, lasts_s=3000.0)
    found = accounts.of_job(drive.book, drive.book.jobs[name], drive.now_s)
    assert accounts.progress(found)["useful_fraction"] == pytest.approx(0.75, rel=1e-3)
    assert (found.num_tokens, found.reporting_s) == (2_000_000, pytest.approx(4000.0))


def test_who_reports_nothing_has_no_figures_and_spoils_no_rate():
    drive = _driven()
    quiet, told = drive.submit(job(gpus=4)), drive.submit(job(gpus=4))
    drive.begin(quiet)
    _run(drive, told, tokens=1e6, lasts_s=1000.0)
    drive.end(quiet)
    (project,) = accounts.statement(drive.book, 0.0, drive.now_s).items
    assert accounts.progress(project)["tokens_per_s"] == pytest.approx(1000.0)
    silent = accounts.of_job(drive.book, drive.book.jobs[quiet], drive.now_s)
    assert accounts.progress(silent)["tokens_per_s"] is None
    assert accounts.progress(silent)["usd_per_million_tokens"] is None


def test_a_stretch_of_time_has_its_part_of_the_tokens():
    drive = _driven()
    name = drive.submit(job(gpus=4))
    begun_s = drive.now_s
    _run(drive, name, tokens=1e6, lasts_s=1000.0)
    parts = [
        accounts.statement(drive.book, since, until).items[0].num_tokens
        for since, until in ((0.0, begun_s + 250.0), (begun_s + 250.0, drive.now_s))
    ]
    assert parts == [pytest.approx(250_000, rel=1e-3), pytest.approx(750_000, rel=1e-3)]
    assert sum(parts) == pytest.approx(1_000_000, abs=1)
    again = fold.book_of(drive.entries)
    assert again.jobs[name].attempts[0].tokens == 1e6


def _reported(drive, name, flop, lasts_s):
    drive.begin(name)
    body = {"attempt": len(drive.book.jobs[name].attempts), "step": 1, "flop": flop, "offset": 10}
    drive.do(lambda _, now: [Entry(now, "progress", name, body=body)])
    drive.end(name, "completed", lasts_s)


def _with_peak(peak_flop_per_s, **more):
    plain = centre(**more)
    nodes = tuple(replace(one, gpu_peak_flop_per_s=peak_flop_per_s) for one in plain.nodes)
    return Drive(replace(plain, nodes=nodes))


def test_utilisation_is_what_models_needed_over_what_accelerators_could_do():
    drive = _with_peak(1e15)
    half, whole, quiet = (drive.submit(job(gpus=gpus)) for gpus in (2, 4, 2))
    drive.begin(quiet)
    _reported(drive, half, flop=0.5 * 2 * 1e15 * 1000, lasts_s=1000.0)
    _reported(drive, whole, flop=0.3 * 4 * 1e15 * 1000, lasts_s=1000.0)
    drive.end(quiet)
    of = {
        name: accounts.progress(accounts.of_job(drive.book, drive.book.jobs[name], drive.now_s))
        for name in (half, whole, quiet)
    }
    assert of[half]["mfu_fraction"] == pytest.approx(0.5, rel=1e-3)
    assert of[whole]["mfu_fraction"] == pytest.approx(0.3, rel=1e-3)
    assert of[quiet]["mfu_fraction"] is None
    (project,) = accounts.statement(drive.book, 0.0, drive.now_s).items
    assert accounts.progress(project)["mfu_fraction"] == pytest.approx(2.2 / 6, rel=1e-3)


def test_without_a_peak_there_is_no_utilisation():
    drive = _with_peak(0.0)
    name = drive.submit(job())
    _reported(drive, name, flop=1e18, lasts_s=1000.0)
    found = accounts.of_job(drive.book, drive.book.jobs[name], drive.now_s)
    assert accounts.progress(found)["mfu_fraction"] is None
    assert found.work_flop == 0.0


def test_the_catalogue_gives_peaks_and_draws_where_a_centre_is_silent():
    plain = centre()
    (group,) = plain.nodes
    h100, own, unknown = (
        replace(group, name="a", gpu_model="H100-SXM"),
        replace(group, name="b", gpu_model="H100-SXM", gpu_peak_flop_per_s=1.0),
        replace(group, name="c", gpu_model="abacus"),
    )
    found = filled(replace(plain, nodes=(h100, own, unknown)))
    assert [one.gpu_peak_flop_per_s for one in found.nodes] == [
        load().accelerator("H100-SXM").peak_flop_per_s["bf16"],
        1.0,
        0.0,
    ]
    assert 0.0 < found.rates.idle_fraction < found.rates.busy_fraction <= 1.0


def test_the_api_shows_it_with_the_job_and_in_the_accounts(plane):  # noqa: F811 - the fixture
    admin = plane.client("admin")
    name = admin.post("/api/v1/jobs", json=JOB).json()["spec"]["job_id"]
    shown = admin.get(f"/api/v1/jobs/{name}").json()["spec"]
    assert shown["progress"]["tokens_per_s"] is None
    (row,) = admin.get("/api/v1/accounts", params={"by": "job"}).json()["items"]
    assert set(shown["progress"]) <= set(row)
