"""What a step's time hangs on: its elasticity to each property of the machine, and what more buys.

An elasticity of -0.6 says that one per cent more of it makes the step 0.6 % shorter, with the
strategy as it is. What more of it would buy is another question, since another strategy may then be
the best: it is searched for again.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from clusterwright.compute.columns import Array, Layouts, Machines
from clusterwright.compute.search import Question, evaluate, search

INPUTS: Mapping[str, tuple[str, ...]] = {
    "flop_per_s": ("gemm_flop_per_s", "peak16_flop_per_s"),
    "memory_bytes_per_s": ("memory_bytes_per_s",),
    "scaleup_bytes_per_s": ("scaleup_bytes_per_s",),
    "scaleout_bytes_per_s": ("scaleout_bytes_per_s",),
    "latency_s": ("scaleup_latency_s", "scaleout_latency_s"),
    "memory_bytes": ("memory_bytes",),
}
"""Properties of a machine, and the columns that hold them."""
_NUDGE = 1.01


@dataclass(frozen=True, slots=True, kw_only=True)
class WhatIf:
    """The best strategy on a machine that has more of something."""

    changed: str
    """Property of the machine."""
    factor: float
    """How many times as much it has."""
    step_s: float
    """Time of the best strategy there."""
    layout: Layouts
    """That strategy, its columns of shape (1,)."""


def scaled(machine: Machines, name: str, factor: float) -> Machines:
    """Return a machine with a property scaled."""
    columns = {one: getattr(machine, one) * factor for one in INPUTS[name]}
    return replace(machine, **columns)


def elasticities(question: Question, layout: Layouts) -> dict[str, Array]:
    """Return d ln(step time) / d ln(property) of strategies of shape (n,), by property.

    The size of the memory does not move the time of a strategy, so that its elasticity is zero;
    `what_if` says what it buys.
    """
    found = {}
    for name in INPUTS:
        more, less = (
            evaluate(replace(question, machine=scaled(question.machine, name, by)), layout)[0]
            for by in (_NUDGE, 1.0 / _NUDGE)
        )
        found[name] = np.asarray(np.log(more.step_s / less.step_s) / (2.0 * np.log(_NUDGE)))
    return found


def what_if(question: Question, layout: Layouts, name: str, *, factor: float = 2.0) -> WhatIf:
    """Return the best strategy on a machine with a property scaled.

    Parameters
    ----------
    question
        What is trained on what.
    layout
        A strategy that fits there as well, columns of shape (1,); the best one today saves work.
    name
        One of the properties.
    factor
        How many times as much of it; at least 1 for the memory, so that the layout still fits.
    """
    other = replace(question, machine=scaled(question.machine, name, factor))
    step, _ = evaluate(other, layout)
    found = search(other, at_most_s=float(step.step_s[0]))
    return WhatIf(
        changed=name, factor=factor, step_s=float(found.step.step_s[0]), layout=found.layout
    )
