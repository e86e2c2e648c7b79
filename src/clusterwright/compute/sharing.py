"""Slices, cores and cases: how much hardware the work takes that is not a gang."""

import math

from clusterwright.errors import UnknownName
from clusterwright.model.parts import Accelerator, MigProfile
from clusterwright.model.work import Processing, Seats, Simulation

WHOLE = "whole"


def seat_gpus(seats: Seats, accelerator: Accelerator, *, active: float) -> int:
    """Return GPUs for the people at work at the busiest time.

    Raises
    ------
    UnknownName
        If the accelerator cannot be cut that way; the message names the profiles that it has.
    """
    busy = math.ceil(seats.num_people * active)
    if seats.gpu == WHOLE:
        return busy
    return math.ceil(busy / mig_profile(accelerator, seats.gpu).num_instances)


def mig_profile(accelerator: Accelerator, name: str) -> MigProfile:
    """Return a MIG profile of an accelerator.

    Raises
    ------
    UnknownName
        If it has none of that name.
    """
    for profile in accelerator.mig:
        if profile.name == name:
            return profile
    known = [profile.name for profile in accelerator.mig]
    raise UnknownName.of(f"MIG profile of {accelerator.name}", name, [*known, WHOLE])


def has_profile(accelerator: Accelerator, name: str) -> bool:
    """Return whether an accelerator can be cut that way."""
    return name == WHOLE or any(profile.name == name for profile in accelerator.mig)


def simulation_cores(work: Simulation) -> int:
    """Return CPU cores that get all cases through in time, in whole waves of cases."""
    waves = max(1, math.floor(work.within_s / work.case.duration_s))
    return math.ceil(work.num_cases / waves) * work.case.num_cpus


def simulation_gpus(work: Simulation) -> int:
    """Return GPUs that get all cases through in time, in whole waves of cases."""
    waves = max(1, math.floor(work.within_s / work.case.duration_s))
    return math.ceil(work.num_cases / waves) * work.case.num_gpus


def processing_cores(work: Processing) -> int:
    """Return CPU cores that keep up with the inflow."""
    return math.ceil(work.input_bytes_per_s / work.core_bytes_per_s)
