"""The benchmark runner says what is absent or failed rather than timing it."""

import resource
import sys
from pathlib import Path

from benchmarks import run as bench


def rows(*cases):
    samples = {bench.YARDSTICK.title: [bench.Sample(0.5, 2**20, 0)]}
    for case in cases:
        present = case.needs is None or case.needs.exists()
        samples[case.title] = [bench.measure(case)] if present else []
    text = bench.table([bench.YARDSTICK, *cases], samples, 1)
    return {line.split("|")[1].strip(): line for line in text.splitlines() if "|" in line}


def test_a_missing_file_is_absent():
    case = bench.Case("plan of nothing", ("false",), Path("no-such-centre.yaml"))
    assert "absent" in rows(case)["plan of nothing"]


def test_a_failing_command_is_failed_with_its_code():
    case = bench.Case("breaks", (sys.executable, "-c", "raise SystemExit(70)"))
    assert "failed, exit 70" in rows(case)["breaks"]


def test_the_answer_no_is_an_answer():
    case = bench.Case("infeasible", (sys.executable, "-c", "raise SystemExit(1)"))
    assert " s |" in rows(case)["infeasible"]


def test_peak_memory_is_that_of_the_child():
    held = 200 * 2**20
    large = bench.measure(bench.Case("large", (sys.executable, "-c", f"bytearray({held})")))
    # The interpreter itself takes some 10 MiB on top; and a child begins as a copy of this process,
    # so that what it reports is never less than what this one holds.
    mine = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    assert held < large.peak_bytes < max(1.2 * held, 1.2 * mine)


def test_every_row_has_as_many_cells_as_the_title():
    case = bench.Case("plan of nothing", ("false",), Path("no-such-centre.yaml"))
    assert {line.count("|") for line in rows(case).values()} == {7}


def test_a_search_is_shown_with_what_it_counted():
    told = (
        '{"status": {"num_points": 9000, "num_evaluated": 8000, "num_feasible": 600, "wall_s": 2}}'
    )
    case = bench.Case("search", (sys.executable, "-c", f"print('{told}')"), counts=True)
    text = bench.searches([case], {"search": [bench.measure(case)]})
    assert "| search | 9,000 | 8,000 | 600 | 2.00 s | 300 |" in text
    assert bench.searches([], {}) == ""
