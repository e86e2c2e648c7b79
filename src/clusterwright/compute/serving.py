"""How many accelerators answer a service's requests: from audited throughput, scaled where needed.

A measurement of the same model on the same accelerator is taken as it is. Otherwise the measured
model whose active parameters are nearest is scaled by the ratio of active parameters, or the
measured accelerator by the ratio of memory bandwidth, since generating tokens is bound by reading
weights; both are marked as estimates.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from clusterwright.model.market import InferenceThroughput, Preset
from clusterwright.model.parts import Accelerator
from clusterwright.model.work import Inference
from clusterwright.units import Fraction, TokensPerSecond


@dataclass(frozen=True, slots=True, kw_only=True)
class Throughput:
    """What one accelerator delivers for a model."""

    output_tokens_per_s: TokensPerSecond
    """Generated tokens per second."""
    estimated: bool
    """True when it was scaled."""
    reason: str
    """Where it comes from."""


def throughput(
    active_parameters: float,
    model_name: str,
    accelerator: Accelerator,
    measured: Iterable[tuple[InferenceThroughput, Preset, Accelerator]],
    *,
    scenario: str,
) -> Throughput:
    """Return what one accelerator delivers, from the nearest measurement."""
    rows = [row for row in measured if row[0].scenario == scenario]
    best = min(
        rows,
        key=lambda row: (
            row[2].name != accelerator.name,
            row[1].name != model_name,
            abs(math.log(row[1].num_active_parameters / active_parameters)),
            abs(math.log(row[2].memory_speed_bytes_per_s / accelerator.memory_speed_bytes_per_s)),
            row[0].name,
        ),
    )
    result, preset, host = best
    by_model = preset.num_active_parameters / active_parameters
    by_memory = accelerator.memory_speed_bytes_per_s / host.memory_speed_bytes_per_s
    scaled = preset.name != model_name or host.name != accelerator.name
    words = f"MLPerf {scenario}: {preset.name} on {host.name}"
    if scaled:
        words += f", scaled by {by_model * by_memory:.2g}"
    return Throughput(
        output_tokens_per_s=result.output_tokens_per_s * by_model * by_memory,
        estimated=scaled,
        reason=words,
    )


def demanded_tokens_per_s(service: Inference, *, prompt_worth: Fraction) -> float:
    """Return output tokens per second, a prompt token counted at its share of a generated one."""
    worth = service.output_tokens + prompt_worth * service.input_tokens
    return service.requests_per_s * worth


def serving_accelerators(
    demanded: float, delivered: float, *, headroom: Fraction, weights_bytes: float, memory: float
) -> int:
    """Return accelerators for a service: its load with headroom, at least one replica that fits."""
    for_load = demanded / delivered / (1 - min(headroom, 0.95))
    one_replica = math.ceil(weights_bytes / memory)
    return max(math.ceil(for_load), one_replica)
