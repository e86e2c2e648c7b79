"""How wrong a predicted step time may be: the residuals of the regime asked about.

Residuals come from runs of a family that the fit had not seen (`accuracy`). They tell of the counts
of accelerators and the sizes of models among those runs; beyond them the bar widens by as much as
errors were seen to drift with each doubling.
"""

import math

from clusterwright.catalog import Catalog
from clusterwright.compute.stack import Case, regimes_of
from clusterwright.errors import UnknownName
from clusterwright.model.market import StepError

_HAIR = 0.05  # of a doubling: parameters are stated in three digits


def error_of(case: Case, catalog: Catalog) -> tuple[StepError, bool]:
    """Return the error of the nearest regime, and whether it is the case's own."""
    own, *wider = regimes_of(case)
    for name in (own, *wider):
        if name in catalog.step_errors:
            return catalog.step_errors[name], name == own
    msg = "step_errors.csv has no row '*'; write it with `clusterwright calibrate training`"
    raise UnknownName(msg)


def error_bar_fraction(error: StepError, num_accelerators: float, num_parameters: float) -> float:
    """Return the error bar of an answer, wider outside the counts and sizes that were checked."""
    beyond = (
        _doublings(num_accelerators, error.num_least, error.num_most),
        _doublings(num_parameters, error.num_parameters_smallest, error.num_parameters_largest),
    )
    return math.hypot(error.bar_fraction, *(error.drift_fraction * one for one in beyond))


def within(error: StepError, num_accelerators: float, num_parameters: float) -> bool:
    """Return whether an answer lies among the counts and sizes that were checked."""
    return (
        _doublings(num_accelerators, error.num_least, error.num_most) == 0
        and _doublings(num_parameters, error.num_parameters_smallest, error.num_parameters_largest)
        == 0
    )


def _doublings(value: float, least: float, most: float) -> float:
    """Return by how many doublings a value lies outside a range; a hair outside is inside."""
    outside = max(math.log2(least / value), math.log2(value / most), 0.0)
    return outside if outside > _HAIR else 0.0
