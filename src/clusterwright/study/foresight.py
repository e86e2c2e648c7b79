"""What perfect foresight could save: the least cost of the same work, as a linear programme.

Legend: x[j, h] share of hour h in which task j runs, y[j, h] how much of it begins there.

  least  Σ_jh cost[j, h] x[j, h]
  where  Σ_h x[j, h] − r_j (Σ_h y[j, h] − free_j) ≥ need_j     restarts take time too
         Σ_h x[j, h] ≥ need_j
         y[j, h] ≥ x[j, h] − x[j, h − 1],  0 ≤ x ≤ availability,  y ≥ 0
         Σ_j gpus_j x[j, h] ≤ room[h]

Shares in place of whole hours, and `free_j` beginnings at no cost (the first one, and one for each
failure, whose restart is in the need), make it a relaxation: no rule that meets the deadlines, with
or without knowledge of the future, can cost less. Deadlines bound the hours of each task.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.optimize import Bounds, LinearConstraint, milp

from clusterwright.errors import UsageError
from clusterwright.sched.outlook import Hours
from clusterwright.study.deferred import Task
from clusterwright.units import SECONDS_PER_HOUR


@dataclass(frozen=True, slots=True)
class Slot:
    """A task as the programme sees it, in hours."""

    first: int
    """First hour in which it may run."""
    shares: Hours
    """Share of each hour, from the first to its deadline, in which it may run."""
    need_hours: float
    """Hours that it must run, restarts after failures included."""
    restart_hours: float
    """Hours that going on after a pause takes."""
    num_free_starts: int
    """Beginnings that cost no restart: the first, and one for each failure."""
    num_gpus_ratio: float
    """Accelerators."""


def least_cost(slots: Sequence[Slot], costs: Sequence[Hours], room: Hours) -> float:
    """Return the least that the tasks can cost.

    Parameters
    ----------
    slots
        The tasks.
    costs
        Cost of running each for one hour, by hour of the run; may be below zero.
    room
        Accelerators of the pool for them, by hour of the run.

    Raises
    ------
    UsageError
        If the tasks do not fit before their deadlines.
    """
    total = 0.0
    for group in _apart(slots):
        total += _solve([slots[i] for i in group], [costs[i] for i in group], room)
    return total


def slot_of(task: Task) -> Slot:
    """Return a task with failures as the programme sees it; what is left open favours it.

    Failures that strike whatever happens, and whose restart the next one does not cut short, are in
    its need. Repairs are not, nor is the work that failures lose.
    """
    begin, end = task.submit_s / SECONDS_PER_HOUR, task.due_s / SECONDS_PER_HOUR
    first, last = math.floor(begin), math.ceil(end)
    hours = np.arange(first, last)
    shares = np.minimum(hours + 1, end) - np.maximum(hours, begin)
    strikes = np.array([at for at in task.failures_at_s if at < task.work_s])
    whole = int((np.diff(strikes, append=np.inf) >= task.restart_s).sum())
    return Slot(
        first,
        shares,
        (task.work_s + whole * task.restart_s) / SECONDS_PER_HOUR,
        task.restart_s / SECONDS_PER_HOUR,
        1 + len(task.failures_at_s),
        task.num_gpus_ratio,
    )


def _apart(slots: Sequence[Slot]) -> list[list[int]]:
    """Return the tasks in groups whose hours do not meet; each is a programme of its own."""
    groups: list[list[int]] = []
    reached = -1
    for index in sorted(range(len(slots)), key=lambda i: slots[i].first):
        slot = slots[index]
        if not groups or slot.first >= reached:
            groups.append([])
        groups[-1].append(index)
        reached = max(reached, slot.first + slot.shares.size)
    return groups


def _solve(slots: Sequence[Slot], costs: Sequence[Hours], room: Hours) -> float:
    sizes = [slot.shares.size for slot in slots]
    offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(int)
    count = int(offsets[-1])
    price = np.concatenate(
        [c[s.first : s.first + s.shares.size] for s, c in zip(slots, costs, strict=True)]
    )
    rows: list[sparse.csr_array] = []
    bounds_of_rows: list[float] = []
    for number, slot in enumerate(slots):
        mine = np.zeros(count)
        mine[offsets[number] : offsets[number + 1]] = 1.0
        begun = slot.restart_hours * mine
        rows += [
            sparse.csr_array([np.concatenate([-mine, begun])]),
            sparse.csr_array([np.concatenate([-mine, np.zeros(count)])]),
        ]
        free = slot.restart_hours * slot.num_free_starts
        bounds_of_rows += [free - slot.need_hours, -slot.need_hours]
    step = sparse.block_diag([sparse.eye_array(n) - sparse.eye_array(n, k=-1) for n in sizes])
    rows.append(sparse.csr_array(sparse.hstack([step, -sparse.eye_array(count)])))
    bounds_of_rows += [0.0] * count
    hours = np.concatenate([np.arange(s.first, s.first + s.shares.size) for s in slots])
    if len(slots) > 1:
        gpus = np.repeat([slot.num_gpus_ratio for slot in slots], sizes)
        place = hours - hours.min()
        shared = sparse.csr_array((gpus, (place, np.arange(count))))
        rows.append(sparse.csr_array(sparse.hstack([shared, sparse.csr_array(shared.shape)])))
        bounds_of_rows += room[hours.min() : hours.max() + 1].tolist()
    most = np.concatenate([*(slot.shares for slot in slots), np.full(count, np.inf)])
    scale = float(np.abs(price).max()) or 1.0
    found = milp(
        np.concatenate([price / scale, np.zeros(count)]),
        constraints=LinearConstraint(sparse.vstack(rows).tocsr(), ub=np.array(bounds_of_rows)),
        bounds=Bounds(0.0, most),
    )
    if found.x is None:
        msg = f"the work does not fit before its deadlines on its pool: {found.message}"
        raise UsageError(msg)
    return float(found.fun) * scale
