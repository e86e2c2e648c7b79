"""Which of many candidates nobody beats, and which of those the objective picks."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from clusterwright.model.demand import Goal, Weights

GOALS: tuple[Goal, ...] = ("cost", "time", "carbon")


def undominated(points: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Return for each candidate whether no other is at least as good in all and better in one.

    Parameters
    ----------
    points
        `(num_candidates, num_goals)`, smaller is better.

    Returns
    -------
    ndarray
        `(num_candidates,)`; of several equal candidates all are kept.
    """
    no_worse = (points[:, None, :] <= points[None, :, :]).all(axis=2)
    better = (points[:, None, :] < points[None, :, :]).any(axis=2)
    return np.asarray(~(no_worse & better).any(axis=0))


def score(points: npt.NDArray[np.float64], objective: Goal | Weights) -> npt.NDArray[np.float64]:
    """Return what the objective makes small, one figure for each candidate.

    A single goal is that goal itself. Weights add goals up after each is divided by its smallest
    value among the candidates, so that with "cost 1, carbon 0.5" a tenth more cost weighs as much
    as a fifth more carbon.

    Parameters
    ----------
    points
        `(num_candidates, num_goals)` in the order of `GOALS`.
    objective
        What the demand asks for.
    """
    weights = _weights(objective)
    best = points.min(axis=0)
    relative = np.where(best > 0, points / np.where(best > 0, best, 1.0), 1.0)
    total = np.zeros(len(points))
    for column, goal in enumerate(GOALS):
        total += weights[goal] * relative[:, column]
    return total


def ranked(
    points: npt.NDArray[np.float64], feasible: Sequence[bool], objective: Goal | Weights
) -> list[int]:
    """Return the candidates from best to worst: feasible ones first, ties in the order given."""
    figures = score(points, objective)
    return sorted(
        range(len(points)), key=lambda i: (not feasible[i], round(float(figures[i]), 12), i)
    )


def _weights(objective: Goal | Weights) -> Mapping[Goal, float]:
    if isinstance(objective, Weights):
        return {
            "cost": objective.cost_ratio,
            "time": objective.time_ratio,
            "carbon": objective.carbon_ratio,
        }
    return {goal: float(goal == objective) for goal in GOALS}
