"""The step-time model against published runs: bars that are met, misses that are known, the page.

Ratios are fitted in a process of its own, with one thread: the matrices are small, and threads of
the linear algebra that wait for each other took up to ten times as long.
"""

import csv
import os
import pickle
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from clusterwright import catalog
from clusterwright.compute import calibrate
from clusterwright.compute import rows as reading
from clusterwright.compute.told import software_of
from tools import write_accuracy as writer

ROOT = Path(__file__).parents[2]
SHOWN = 0.1
"""Percentage points that a fit on another machine may differ by from the page, beside its rounding:
the optimiser stops at relative changes of 1e-8, and linear algebra rounds as it likes."""
FIT = """
import pickle, sys
from tools import write_accuracy
sys.stdout.buffer.write(pickle.dumps(write_accuracy.evidence().done))
"""


def runs() -> list[dict[str, str]]:
    with writer.RUNS.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def seen():
    done = subprocess.run(
        [sys.executable, "-c", FIT],
        cwd=ROOT,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        check=True,
    )
    parts, rows = catalog.load(), runs()
    found = calibrate.scored(rows, parts, file="training_runs.csv")
    by_id = {row["id"]: row for row in rows}
    return writer.Evidence(by_id, parts, found, pickle.loads(done.stdout))


def test_every_run_has_a_source_and_the_software_that_its_words_tell():
    parts, rows = catalog.load(), runs()
    assert len(rows) == len({row["id"] for row in rows})
    assert all(row["source"].strip() and row["family"].strip() for row in rows)
    told = {}
    for row in rows:
        run = reading.read_run(row, reading.read_numbers([row], file="")[0], parts)
        if isinstance(run, reading.Run):
            words = {**row, "software": ""}
            told[row["id"]] = software_of(words, run.case.accelerator, parts).name
    assert told == {row["id"]: row["software"] for row in rows if row["id"] in told}


@pytest.mark.slow
def test_the_factors_as_shipped_are_those_of_the_published_runs(seen):
    shipped = [one.value for one in seen.parts.step_factors.values()]
    assert seen.done.values == pytest.approx(shipped, rel=2e-3)


@pytest.mark.slow
def test_step_times_of_families_left_out_but_for_the_bloom_trials_are_off_by_8_percent_at_most(
    seen,
):
    one = seen.errors("all but bloom", seen.done.held_out, ~seen.trials)
    assert one.num_rows > 200
    assert one.mean_fraction <= writer.MEAN


@pytest.mark.slow
def test_peak_memory_is_off_by_10_percent_at_most(seen):
    one = seen.errors("memory", seen.done.memory)
    assert one.num_rows > 50
    assert one.mean_fraction <= writer.MEMORY


@pytest.mark.slow
def test_first_choices_of_the_shipped_factors_lose_3_percent_at_most(seen):
    assert seen.loss(seen.done.fitted) <= writer.CHOICE


@pytest.mark.slow
def test_the_median_error_of_families_left_out_is_5_percent_at_most(seen):
    assert seen.errors("all", seen.done.held_out).median_fraction <= writer.MEDIAN


@pytest.mark.slow
def test_the_mean_error_of_families_left_out_is_8_percent_at_most(seen):
    assert seen.errors("all", seen.done.held_out).mean_fraction <= writer.MEAN


@pytest.mark.slow
@pytest.mark.xfail(
    reason="3.04 %: two sets of vtrain_multi lose 11 and 13 %, eight of twelve under 2 %; in one "
    "of the two the first two choices are predicted 0.2 % apart and were measured 13 % apart"
)
def test_first_choices_with_the_family_left_out_lose_3_percent_at_most(seen):
    assert seen.loss(seen.done.held_out) <= writer.CHOICE


@pytest.mark.slow
@pytest.mark.parametrize("heading", [writer.HEAD, "## By family"])
def test_the_page_says_what_a_fresh_fit_says(seen, heading):
    page = writer.PAGE.read_text(encoding="utf-8")
    fresh = writer.page(seen)
    for shown, made in zip(cells(page, heading), cells(fresh, heading), strict=True):
        if isinstance(made, float):  # the page rounds to one digit behind the point from ten on
            assert shown == pytest.approx(made, abs=SHOWN + 0.05)
        else:
            assert shown == made


@pytest.mark.slow
def test_the_page_names_the_same_rows_and_sections_as_a_fresh_fit(seen):
    page, fresh = writer.PAGE.read_text(encoding="utf-8"), writer.page(seen)
    assert re.findall(r"^#+ .*$", page, re.M) == re.findall(r"^#+ .*$", fresh, re.M)
    # Rows of almost one error may change places, the last of the list may change.
    missed = [set(re.findall(r"^\| ([\w]+-\d+) \|", text, re.M)) for text in (page, fresh)]
    assert len(missed[0] & missed[1]) >= len(missed[1]) - 2
    assert np.isfinite(seen.done.held_out).all()


def cells(page: str, heading: str) -> list[float | str]:
    """Return the cells of the first table under a heading, figures in percent as numbers."""
    after = page[page.index(f"{heading}\n") + len(heading) :]
    table = re.search(r"^\|.*?$(?=\n\n|\n[^|])", after, re.MULTILINE | re.DOTALL)
    assert table is not None
    found: list[float | str] = []
    for cell in (
        cell.strip() for line in table[0].splitlines() for cell in line.strip("|").split("|")
    ):
        figure = re.fullmatch(r"([+−-]?[\d.]+)\s%", cell)
        found.append(float(figure[1].replace("−", "-")) if figure else cell)
    return found
