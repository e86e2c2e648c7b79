"""Placement and preemption beside the optima that OR-Tools proves, on a few seeded cases each.

The solver runs in a process of its own: it must not meet SciPy's HiGHS. The page of the docs has
more cases of each row (`benchmarks/optima.py`).
"""

import json
import subprocess
import sys
from importlib.util import find_spec

import pytest
from tests.plan.conftest import ROOT

pytestmark = pytest.mark.skipif(
    find_spec("ortools") is None, reason="OR-Tools is not installed (extra cpsat)"
)


@pytest.mark.slow
def test_every_decision_with_a_bar_is_within_a_tenth_of_the_optimum_and_misses_nothing():
    command = [sys.executable, "benchmarks/optima.py", "--bars", "--cases", "6", "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stderr
    rows = json.loads(done.stdout)
    assert len(rows) == 26
    beyond = {row["title"]: (row["mean"], row["missed"]) for row in rows if not row["holds"]}
    assert not beyond
