"""Accelerators at work: how fast they train and serve, and how many the work takes."""

from clusterwright.compute.errorbars import error_of
from clusterwright.compute.models import unfit
from clusterwright.compute.queueing import Offered, gpus_needed, lognormal, offered, wait_p95_s
from clusterwright.compute.serving import (
    Throughput,
    demanded_tokens_per_s,
    serving_accelerators,
    throughput,
)
from clusterwright.compute.sharing import (
    has_profile,
    mig_profile,
    processing_cores,
    seat_gpus,
    simulation_cores,
    simulation_gpus,
)
from clusterwright.compute.training import (
    Campaign,
    Hardware,
    accelerators_needed,
    case_of,
    rounded_up,
    strategies,
)
from clusterwright.compute.work import Shape, TrainingWork, shape_of

__all__ = [
    "Campaign",
    "Hardware",
    "Offered",
    "Shape",
    "Throughput",
    "TrainingWork",
    "accelerators_needed",
    "case_of",
    "demanded_tokens_per_s",
    "error_of",
    "gpus_needed",
    "has_profile",
    "lognormal",
    "mig_profile",
    "offered",
    "processing_cores",
    "rounded_up",
    "seat_gpus",
    "serving_accelerators",
    "shape_of",
    "simulation_cores",
    "simulation_gpus",
    "strategies",
    "throughput",
    "unfit",
    "wait_p95_s",
]
