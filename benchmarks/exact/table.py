"""What a case is, how many are solved, and the line of the table that they make."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

SOLVER = Path(__file__).with_name("solver.py")
WITHIN = 1.10
"""The bar: on average within a tenth of the optimum."""


@dataclass(frozen=True, slots=True)
class Case:
    """One decision beside the best one."""

    ours: float | None
    """What the scheduler's decision costs or gains; None where it found none."""
    best: float | None
    """What the best one does; None where there is none."""

    @classmethod
    def missed(cls, best: float | None) -> Case:
        """Return the case of no decision, which is right where there is none."""
        return cls(None, best)


class Solver:
    """The exact solver, in a process of its own."""

    def __init__(self) -> None:
        """Start it."""
        self._process = subprocess.Popen(
            [sys.executable, str(SOLVER)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def optimum(self, problem: dict[str, Any]) -> float | None:
        """Return the optimum of a problem, None where nothing satisfies it.

        Raises
        ------
        Unsolved
            If the time allowed did not suffice.
        """
        pipe = self._process
        assert pipe.stdin is not None
        assert pipe.stdout is not None
        pipe.stdin.write(json.dumps(problem) + "\n")
        pipe.stdin.flush()
        answer = json.loads(pipe.stdout.readline())
        if answer.get("unsolved"):
            raise UnsolvedError
        return answer["optimum"]

    def close(self) -> None:
        """End it."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


class UnsolvedError(Exception):
    """The exact solver did not finish."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table: a kind of decision, measured over many cases."""

    title: str
    """What is decided."""
    measure: Callable[[np.random.Generator, Solver], Case | None]
    """Makes a case by chance and decides it; None where chance gave nothing to decide."""
    most: bool = False
    """Whether more is better."""
    bar: bool = True
    """Whether the average has to stay within a tenth of the optimum."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the cases of a row came to."""

    row: Row
    ratios: tuple[float, ...]
    """Ours over the optimum, or the other way round where more is better; 1 is optimal."""
    missed: int
    """Cases in which there was a decision and none was found."""
    unsolved: int

    @property
    def mean(self) -> float:
        """Average ratio."""
        return float(np.mean(self.ratios))

    @property
    def holds(self) -> bool:
        """Whether the bar is met, where there is one."""
        return not self.row.bar or (self.mean <= WITHIN and not self.missed)


def measured(row: Row, number: int, cases: int, solver: Solver) -> Outcome:
    """Return what so many cases of a row come to."""
    ratios: list[float] = []
    missed = unsolved = seed = 0
    while len(ratios) + missed + unsolved < cases and seed < 20 * cases:
        seed += 1
        try:
            case = row.measure(np.random.default_rng([number, seed]), solver)
        except UnsolvedError:
            unsolved += 1
            continue
        if case is None or (case.ours is None and case.best is None):
            continue
        if case.ours is None:
            missed += 1
            continue
        ratios.append(_ratio(case, most=row.most))
    return Outcome(row, tuple(ratios), missed, unsolved)


def _ratio(case: Case, *, most: bool) -> float:
    assert case.ours is not None
    assert case.best is not None, "what is decided can be decided"
    ours, best = (case.best, case.ours) if most else (case.ours, case.best)
    assert ours >= best * (1 - 1e-9) - 1e-9, "nothing is better than the optimum"
    if best <= 0:
        return 1.0 if ours <= 0 else float("inf")
    return ours / best
