"""The search for a policy: a race over windows of the period searched, then sweeps from its best.

Every window is a run of the twin, and runs are what the budget counts. The start and the policies
with a name run every window: they are the simple answers. Candidates that fill the space race
window by window, the better half going on. From the best of them the search goes along each
dimension in turn to its best value, others dropped at the first window after which they are behind,
as long as that helps and the budget lasts; what is left of the budget fills the space again. In the
end the changes of the best are taken back one by one, so that a simpler policy has its chance.

Runs are asked for in batches whose contents do not depend on how many are made at a time.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from clusterwright.study.bench import Task
from clusterwright.study.space import Candidate, Grid, Point, changes
from clusterwright.study.wishes import Measured, Wishes
from clusterwright.units import Fraction, InUnit, Ratio

Runner = Callable[[Sequence[Task]], Sequence[Measured]]

_RACED: Fraction = 0.6  # of the budget goes to the first race; the rest to sweeps from its best
_ALIKE: Fraction = 0.005  # of the objective: a difference that nobody would change a policy for


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How a trial stands over the windows that it ran."""

    excess_ratio: Ratio
    """By how much it misses the limits, all of them together."""
    cost: InUnit
    """Mean of the objective over the windows, so that less is better."""

    @property
    def key(self) -> tuple[float, float]:
        """What is compared: limits first."""
        return self.excess_ratio, self.cost


@dataclass(slots=True, kw_only=True)
class Trial:
    """A candidate, and what it came to so far."""

    number: int
    """In which order it came up, from 0."""
    origin: str
    """Where it came from: start, named, filling, sweep or simpler."""
    candidate: Candidate
    """What was tried."""
    point: Point | None
    """Where it stands in the grid; None for a start that the space does not hold."""
    measured: list[Measured] = field(default_factory=list)
    """Figures by window, in the order of the race."""

    def standing(self, wishes: Wishes, start: "Trial", num_windows: int | None = None) -> Standing:
        """Return how it stands over the first windows of the race; over all that it ran."""
        ran = self.measured[:num_windows]
        return Standing(
            excess_ratio=wishes.excess_ratio(ran, start.measured[: len(ran)]),
            cost=math.fsum(wishes.objective.cost(one) for one in ran) / len(ran),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """What a search found."""

    trials: tuple[Trial, ...]
    """All that was tried, the start first."""
    num_runs: int
    """Runs that it took."""
    best: Trial | None
    """The best that holds all limits; None if there is none."""
    chosen: Trial | None
    """The one with the fewest changes that is as good within one standard error."""
    nearest: Trial
    """The one that misses the limits least."""


class Searcher:
    """One search, from its start to what it chose."""

    def __init__(
        self,
        grid: Grid,
        wishes: Wishes,
        *,
        num_windows: int,
        budget: int,
        seed: int,
        run: Runner,
        told: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Prepare a search.

        Parameters
        ----------
        grid
            What is searched.
        wishes
            What for.
        num_windows
            Windows; the last one is run first, for it is nearest to what comes.
        budget
            Runs that may be made.
        seed
            Seed of the points that fill the space, and of the order of dimensions.
        run
            Makes runs.
        told
            Told how it goes.
        """
        self._grid, self._wishes, self._run, self._told = grid, wishes, run, told
        self._windows = tuple(range(num_windows))[::-1]
        self._left = self._budget = budget
        self._rng = np.random.default_rng(seed)
        self._known: dict[Candidate, Trial] = {}
        self._told_at = 0
        self.trials: list[Trial] = []

    def search(self, named: Iterable[Candidate]) -> Search:
        """Search; the budget covers the start on every window at least."""
        start = self._trial("start", self._grid.start, self._grid.point_of(self._grid.start))
        self._advance([start], len(self._windows))
        points = [point for one in named if (point := self._grid.point_of(one)) is not None]
        self._advance(self._fresh("named", points, len(points)), len(self._windows))
        self._race(self._filling(int(_RACED * self._affordable())))
        while self._spare() > 0:
            if self._sweep() or self._spare() <= 0:
                continue
            more = self._filling(self._affordable())
            if not more:
                break
            self._race(more)
        self._simplify(self._leader())
        return self._found()

    def _race(self, trials: Sequence[Trial]) -> None:
        """Run trials window by window, the better half going on."""
        for rung in range(1, len(self._windows) + 1):
            trials = self._advance(trials, rung)
            if not trials:
                return
            ranked = sorted(trials, key=lambda one: (self._standing(one).key, one.number))
            if rung < len(self._windows):
                trials = ranked[: math.ceil(len(ranked) / 2)]
            self._tell()

    def _sweep(self) -> bool:
        """Go along each dimension in turn to its best value; return whether that was of use."""
        first = self._leader()
        for place in self._rng.permutation(self._grid.num_dimensions):
            leader = self._leader()
            if leader.point is None or self._spare() <= 0:
                break
            points = self._grid.along(leader.point, int(place))
            better = self._at("sweep", points, self._affordable())
            for rung in range(1, len(self._windows) + 1):
                better = [
                    one
                    for one in self._advance(better, rung)
                    if self._standing(one, rung).key < self._standing(leader, rung).key
                ]
            self._tell()
        return self._leader() is not first

    def _simplify(self, leader: Trial) -> None:
        """Take its changes back one by one, each for good where that is as good."""
        base = self._grid.point_of(self._grid.start)
        if leader.point is None or base is None:
            return
        here = leader.point
        for place, value in enumerate(base):
            point = (*here[:place], value, *here[place + 1 :])
            self._advance(self._at("simpler", [point], 1), len(self._windows))
            trial = self._known[self._grid.candidate(point)]
            if trial in self._as_good(self._leader()):
                here = point

    def _spare(self) -> int:
        """Return the runs that are left when those to simplify the leader are set aside."""
        changed = changes(self._leader().candidate, self._grid.start)
        return self._left - len(changed) * len(self._windows)

    def _affordable(self) -> int:
        """Return how many trials the budget starts, if half of them go on at each window."""
        share = sum(0.5**i for i in range(len(self._windows)))
        return max(1, int(max(0, self._spare()) / share))

    def _filling(self, count: int) -> list[Trial]:
        """Return trials that fill the space, fewer where it has not so many new ones."""
        found: list[Trial] = []
        for _ in range(8):  # points that come to the same candidate are drawn again
            if len(found) >= count:
                break
            points = self._grid.filling(count - len(found), self._rng)
            found += self._fresh("filling", points, count - len(found))
        return found

    def _fresh(self, origin: str, points: Iterable[Point], most: int) -> list[Trial]:
        """Return trials of points that come to candidates not seen before."""
        found: list[Trial] = []
        for point in points:
            candidate = self._grid.candidate(point)
            if len(found) < most and candidate not in self._known:
                found.append(self._trial(origin, candidate, point))
        return found

    def _at(self, origin: str, points: Sequence[Point], most: int) -> list[Trial]:
        """Return the trials at points, new ones and those that were dropped on the way."""
        self._fresh(origin, points, most)
        known = {self._grid.candidate(point) for point in points} & self._known.keys()
        trials = sorted((self._known[one] for one in known), key=lambda one: one.number)
        return [one for one in trials if len(one.measured) < len(self._windows)]

    def _trial(self, origin: str, candidate: Candidate, point: Point | None) -> Trial:
        number = len(self._known)
        trial = Trial(number=number, origin=origin, candidate=candidate, point=point)
        self._known[candidate] = trial
        return trial

    def _advance(self, trials: Sequence[Trial], rung: int) -> list[Trial]:
        """Run trials on the windows up to a rung; return those for which the budget lasted."""
        tasks: list[tuple[Trial, Task]] = []
        done: list[Trial] = []
        for trial in trials:
            missing = self._windows[len(trial.measured) : rung]
            if len(missing) > self._left:
                break
            self._left -= len(missing)
            tasks += [(trial, Task(candidate=trial.candidate, period=w)) for w in missing]
            done.append(trial)
        for (trial, _), measured in zip(tasks, self._run([task for _, task in tasks]), strict=True):
            if not trial.measured:
                self.trials.append(trial)
            trial.measured.append(measured)
        return done

    def _standing(self, trial: Trial, num_windows: int | None = None) -> Standing:
        return trial.standing(self._wishes, self.trials[0], num_windows)

    def _whole(self) -> list[Trial]:
        return [one for one in self.trials if len(one.measured) == len(self._windows)]

    def _leader(self) -> Trial:
        inside = [one for one in self._whole() if one.point is not None] or self._whole()
        return min(inside, key=lambda one: (self._standing(one).key, one.number))

    def _found(self) -> Search:
        leader = self._leader()
        holds = leader.point is not None and self._standing(leader).excess_ratio == 0
        best = leader if holds else None
        return Search(
            trials=tuple(sorted(self.trials, key=lambda one: one.number)),
            num_runs=self._budget - self._left,
            best=best,
            chosen=None if best is None else self._simplest(best),
            nearest=leader,
        )

    def _simplest(self, best: Trial) -> Trial:
        """Return the trial with the fewest changes of those that are as good as the best."""
        return min(
            self._as_good(best),
            key=lambda one: (
                len(changes(one.candidate, self._grid.start)),
                self._standing(one).cost,
                one.number,
            ),
        )

    def _as_good(self, best: Trial) -> list[Trial]:
        """Return the trials that hold the limits and are as good within one standard error.

        The error is the same for all, the median of those of the differences to the best: by its
        own error a trial would count as good for being erratic. Half a percent is never worth a
        change.
        """
        whole = [
            one
            for one in self._whole()
            if one.point is not None and self._standing(one).excess_ratio == 0
        ]
        errors = [self._error(one, best) for one in whole if one is not best]
        least = self._standing(best).cost
        enough = least + max(_ALIKE * abs(least), float(np.median(errors)) if errors else 0.0)
        return [one for one in whole if self._standing(one).cost <= enough]

    def _error(self, one: Trial, best: Trial) -> float:
        """Return the standard error over windows of how far a trial is behind the best."""
        cost = self._wishes.objective.cost
        pairs = zip(one.measured, best.measured, strict=True)
        behind = np.array([cost(mine) - cost(other) for mine, other in pairs])
        return float(behind.std(ddof=1)) / math.sqrt(behind.size) if behind.size > 1 else 0.0

    def _tell(self) -> None:
        done = self._budget - self._left
        if done == self._told_at:
            return
        self._told_at = done
        value = abs(self._standing(self._leader()).cost)
        name = self._wishes.objective.text
        self._told(f"{done} of {self._budget} runs: {name} {value:,.6g} at best")
