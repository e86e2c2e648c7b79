"""The fastest strategies that fit: every one of a space tried, or only those that may win.

Both ways go through the splits of the space and cross routines with states at once, memory first.
The pruned way leaves out what is shown to be too large or too slow:

1. To compute again never shortens a step, and a state touches nothing but parameter traffic and
   update. So the time of a pace without recomputation, traffic and update is a bound for all its
   strategies, and the least of a split for all of the split: splits are taken by this bound until
   it passes the best that was found.
2. Of the states of one routine the leanest has the highest ZeRO stage (or, since stage 3 holds
   gathered blocks, the one below), the largest shard group, the most offload and the narrowest
   gradients. A routine whose leanest state does not fit has none that does.
3. The time of a routine without traffic and update is a bound for all its states.

These hold for the model as it is: tests/compute keeps them, and the search itself checks the times
it finds against the bounds. Equal times rank by memory, then by the order of the space.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np

from clusterwright.compute.blocks import Blocks, blocks
from clusterwright.compute.columns import Array, Layouts, Machines, Stacks, Transformers
from clusterwright.compute.footprint import Footprint, footprint
from clusterwright.compute.space import SPLIT, Rows, Space, States, padded
from clusterwright.compute.steptime import Steps, steps

_CHUNK = 1 << 16
"""Strategies evaluated at once: enough to hide the calls, few enough for the caches."""
_PACES = 1 << 13
"""Paces bounded at once, every column a full array."""
_FIRST = 32
"""Routines that the pruned search takes of a split before it looks at the bound again."""
_SLACK = 1.0 + 1e-9
"""Bounds are compared with this much room for rounding."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is to be trained on what; all columns are single values."""

    model: Transformers
    """The model."""
    machine: Machines
    """The accelerator and its links."""
    stack: Stacks
    """The training software on it."""
    space: Space
    """The strategies to choose from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The best strategy of each of the best splits, fastest first, as columns of shape (k,)."""

    layout: Layouts
    """The strategies."""
    step: Steps
    """Their time by cause."""
    memory: Footprint
    """Their memory by what it holds."""
    num_evaluated: int
    """Strategies whose memory was looked at."""
    num_feasible: int
    """Those that fit and were timed."""
    leanest_bytes: float
    """Memory of the strategy that needs least, of those looked at; infinite when there is none."""
    leanest: Layouts
    """That strategy, its columns of shape (1,), or (0,) when there is none."""

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.layout.tp)


@dataclass(frozen=True, slots=True)
class _Best:
    """The best strategy of a split."""

    step_s: float
    total_bytes: float
    split: int
    routine: int
    state: int

    @property
    def key(self) -> tuple[float, ...]:
        return self.step_s, self.total_bytes, self.split, self.routine, self.state


@dataclass(slots=True)
class _Count:
    """What was looked at on the way."""

    evaluated: int = 0
    feasible: int = 0
    leanest: float = np.inf
    place: tuple[int, int, int] = (-1, -1, -1)

    def lean(self, total: Array, split: int, routines: Rows, states: Rows) -> None:
        """Keep the leanest of routines against states."""
        if total.size and float(total.min()) < self.leanest:
            routine, state = divmod(int(total.argmin()), len(states))
            self.leanest = float(total[routine, state])
            self.place = split, int(routines[routine]), int(states[state])


def evaluate(question: Question, layout: Layouts) -> tuple[Steps, Footprint]:
    """Return time and memory of strategies of shape (n,)."""
    costs = _Costs.of(question, layout)
    model = padded(question.model, layout)
    block = costs.gathered(np.arange(np.size(layout.micro_batch)))
    step = steps(model, question.machine, question.stack, layout, block)
    return step, footprint(model, question.stack, layout)


def search(
    question: Question,
    *,
    exhaustive: bool = False,
    top: int = 1,
    at_most_s: float = np.inf,
) -> Found:
    """Return the best strategies that fit.

    Parameters
    ----------
    question
        What is to be trained on what.
    exhaustive
        Try every strategy; else only those that the bounds leave, with the same answer.
    top
        How many splits to answer with, the best strategy of each.
    at_most_s
        Time of a strategy of the space that is known to fit; slower splits may be left out.
    """
    count, best = _Count(), list[_Best]()
    costs = _Costs.of(question, question.space.paces)
    of_pace = _least_s(question, costs)
    least = np.minimum.reduceat(of_pace, question.space.starts[:-1]) if len(of_pace) else of_pace
    order = np.arange(question.space.num_splits) if exhaustive else np.argsort(least, kind="stable")
    for split in order:
        limit = np.inf
        if not exhaustive:
            limit = best[top - 1].step_s if len(best) >= top else at_most_s
            if least[split] > limit * _SLACK:
                break
        group = _Group.of(question, costs, int(split))
        found = group.best(count) if exhaustive else group.best_within(limit, of_pace, count)
        if found is not None:
            assert found.step_s * _SLACK >= least[split], "the bound of a split is not sound"
            best = sorted([*best, found], key=lambda one: one.key)[:top]
    return _answer(question, best, count)


@dataclass(frozen=True, slots=True)
class _Costs:
    """Costs of a block for each combination of what they depend on, computed once."""

    block: Blocks
    row: Rows
    """Which of them each layout takes."""

    @classmethod
    def of(cls, question: Question, layout: Layouts) -> "_Costs":
        key = np.zeros(np.size(layout.micro_batch), dtype=np.int64)
        for name in (*SPLIT, "micro_batch", "sequence_parallel", "cp_gather"):
            column = np.asarray(getattr(layout, name))
            if column.ndim and name not in ("pp", "dp"):
                kinds, place = np.unique(column, return_inverse=True)
                key = key * len(kinds) + place
        _, first, row = np.unique(key, return_index=True, return_inverse=True)
        few = layout.take(first)
        model = padded(question.model, few)
        return cls(blocks(model, question.machine, question.stack, few), row)

    def gathered(self, layouts: Rows) -> Blocks:
        """Return the costs of layouts, in the shape of their numbers."""
        rows = self.row[layouts]
        values = {one.name: np.asarray(getattr(self.block, one.name)) for one in fields(Blocks)}
        return Blocks(**{name: cost[rows] if cost.ndim else cost for name, cost in values.items()})


def _least_s(question: Question, costs: _Costs) -> Array:
    """Return the time below which no strategy of a pace comes, shape (num_paces,)."""
    paces = question.space.paces
    least = np.empty(question.space.starts[-1])
    for begin in range(0, len(least), _PACES):
        rows = np.arange(begin, min(begin + _PACES, len(least)))
        some = paces.take(rows)
        model = padded(question.model, some)
        block = costs.gathered(rows)
        step = steps(model, question.machine, question.stack, some, block)
        least[rows] = _without_state_s(step)
    return least


def _without_state_s(step: Steps) -> Array:
    """Return the part of a step that no state touches."""
    return np.asarray(step.step_s - step.dp_s - step.update_s)


@dataclass(frozen=True, slots=True)
class _Group:
    """The strategies of one split: routines, of shape (n, 1), against states, of shape (m,)."""

    question: Question
    costs: _Costs
    split: int
    model: Transformers
    routines: Layouts
    paces: Rows
    states: States

    @classmethod
    def of(cls, question: Question, costs: _Costs, split: int) -> "_Group":
        routines, paces = question.space.routines_of(split)
        states = question.space.states_of(split)
        model = padded(question.model, routines)
        return cls(question, costs, split, model, routines, paces, states)

    def best(self, count: _Count) -> _Best | None:
        """Return the best of all strategies that fit."""
        each = max(_CHUNK // max(len(self.states), 1), 1)
        found = None
        for begin in range(0, len(self.paces), each):
            rows = np.arange(begin, min(begin + each, len(self.paces)))
            found = _better(found, self._best_of(rows, count))
        return found

    def best_within(self, limit: float, of_pace: Array, count: _Count) -> _Best | None:
        """Return the same, or none where it takes longer than a limit."""
        every = np.flatnonzero(of_pace[self.paces] <= limit * _SLACK)
        states = _leanest(self.states)
        total = self._total_bytes(every, self.states.take(states))
        count.evaluated += total.size
        count.lean(total, self.split, every, states)
        fit = every[total.min(axis=1) <= self.question.machine.memory_bytes]
        if len(fit) == 0:
            return None
        least = _without_state_s(self._steps(fit))
        order = np.argsort(least, kind="stable")
        found, done, each = None, 0, _FIRST
        while done < len(order):
            most = min(limit, found.step_s if found is not None else np.inf) * _SLACK
            some = order[done : done + each]
            some = np.sort(some[least[some] <= most])
            if len(some) == 0:
                break
            count.evaluated -= len(some) * len(states)  # looked at above already
            found = _better(found, self._best_of(fit[some], count, least[some]))
            done, each = done + each, 2 * each
        return found

    def _best_of(self, rows: Rows, count: _Count, least: Array | None = None) -> _Best | None:
        """Return the best strategy of some routines, each with each state."""
        total = self._total_bytes(rows, self.states)
        count.evaluated += total.size
        count.lean(total, self.split, rows, np.arange(len(self.states)))
        fits = total <= self.question.machine.memory_bytes
        some = np.flatnonzero(fits.any(axis=1))
        if len(some) == 0:
            return None
        rows, total, fits = rows[some], total[some], fits[some]
        count.feasible += int(np.count_nonzero(fits))
        seconds = np.broadcast_to(self._steps(rows, self.states).step_s, fits.shape)
        seconds = np.where(fits, seconds, np.inf)
        if least is not None:
            assert np.all(seconds * _SLACK >= least[some][:, None]), "a bound is not sound"
        ties = np.flatnonzero(seconds == seconds.min())
        routine, state = divmod(int(ties[np.argmin(total.ravel()[ties])]), len(self.states))
        fastest, held = float(seconds[routine, state]), float(total[routine, state])
        return _Best(fastest, held, self.split, int(rows[routine]), state)

    def _total_bytes(self, rows: Rows, states: States) -> Array:
        layout = _crossed(self.routines.take(rows), states)
        total = footprint(self.model, self.question.stack, layout).total_bytes
        return np.broadcast_to(total, (len(rows), len(states)))

    def _steps(self, rows: Rows, states: States | None = None) -> Steps:
        routines, paces = self.routines.take(rows), self.paces[rows]
        if states is not None:
            routines, paces = _crossed(routines, states), paces[:, None]
        block = self.costs.gathered(paces)
        return steps(self.model, self.question.machine, self.question.stack, routines, block)


def _better(one: _Best | None, other: _Best | None) -> _Best | None:
    there = [best for best in (one, other) if best is not None]
    return min(there, key=lambda best: best.key, default=None)


def _crossed(routines: Layouts, states: States) -> Layouts:
    """Return routines upright beside states, so that columns of either broadcast to every pair."""
    columns = {one.name: getattr(states, one.name) for one in fields(states)}
    return replace(routines.upright(), **columns)


def _leanest(states: States) -> Rows:
    """Return the states of which one needs least memory, whatever the routine."""
    rows = np.arange(len(states))
    for column in (-states.offload, states.grad_bytes):
        rows = rows[column[rows] == column[rows].min(initial=np.inf)]
    stages = np.unique(states.zero_stage[rows])[-2:]
    chosen = [
        max(rows[states.zero_stage[rows] == stage], key=lambda row: states.shard[row])
        for stage in stages
    ]
    return np.asarray(chosen, dtype=np.intp)


def _answer(question: Question, best: list[_Best], count: _Count) -> Found:
    layout = _layouts(question.space, [(one.split, one.routine, one.state) for one in best])
    step, memory = evaluate(question, layout)
    return Found(
        layout=layout,
        step=step,
        memory=memory,
        num_evaluated=count.evaluated,
        num_feasible=count.feasible,
        leanest_bytes=count.leanest,
        leanest=_layouts(question.space, [count.place] if np.isfinite(count.leanest) else []),
    )


def _layouts(space: Space, places: Sequence[tuple[int, int, int]]) -> Layouts:
    """Return the strategies at places: split, routine and state."""
    rows = []
    for split, routine, state in places:
        routines, _ = space.routines_of(split)
        one = _crossed(
            routines.take(np.asarray([routine])), space.states_of(split).take(np.asarray([state]))
        ).only()
        rows.append([float(getattr(one, column.name)) for column in fields(Layouts)])
    table = np.asarray(rows, dtype=float).reshape(-1, len(fields(Layouts)))
    return Layouts(**{one.name: table[:, n] for n, one in enumerate(fields(Layouts))})
