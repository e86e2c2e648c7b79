"""How fast a campaign trains, on how many accelerators, under which parallel strategy: first order.

A campaign's time is its model FLOPs over accelerators × peak × MFU × goodput. The MFU of an
accelerator and number format is the one that published runs reached (catalogue, `efficiencies`),
taken as that of a strategy without pipeline bubble; a strategy with p stages and m micro-batches is
slower by the bubble (p-1)/(m v) of an interleaved schedule with v chunks of layers a stage
(Narayanan et al., "Efficient Large-Scale Language Model Training on GPU Clusters", 2021, section
2.2).
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

from clusterwright.compute.memory import memory_bytes
from clusterwright.compute.work import TrainingWork
from clusterwright.model.compute import Strategy
from clusterwright.model.market import Efficiency
from clusterwright.model.parts import Accelerator
from clusterwright.model.work import Parallel
from clusterwright.units import SECONDS_PER_HOUR, Bytes, Fraction
from clusterwright.units import format as show

_WIDEST_TP = 8  # ranks; beyond one 8-way server tensor parallelism leaves the scale-up domain
_DEEPEST_PP = 64
_MOST_CHUNKS = 8  # chunks of layers a stage; more make the messages between stages too small
_ENOUGH = 1 << 20  # accelerators; a pool that limits no strategy
_LATE = 0.9  # share of the time lost in the bubble beyond which more accelerators hardly help
_SHOWN = 4  # strategies beside the chosen one


@dataclass(frozen=True, slots=True, kw_only=True)
class Hardware:
    """What a campaign would run on."""

    accelerator: Accelerator
    """The accelerator."""
    efficiency: Efficiency
    """Its published efficiency in the campaign's number format."""
    num_per_server: int
    """Accelerators in one server."""
    reserve_fraction: Fraction
    """Memory kept for buffers and fragmentation."""
    checkpoint_bytes_per_parameter: float
    """Bytes of a full checkpoint for one parameter."""

    @property
    def usable_bytes(self) -> Bytes:
        """Memory that a strategy may fill."""
        return self.accelerator.memory_bytes * (1 - self.reserve_fraction)

    @property
    def peak_flop_per_s(self) -> float:
        """Dense peak in the campaign's number format."""
        return self.accelerator.peak_flop_per_s[self.efficiency.precision]


def accelerators_needed(
    work: TrainingWork, hardware: Hardware, *, goodput_fraction: float
) -> float:
    """Return how many accelerators finish the campaign in time, before rounding."""
    parallel = work.stated or _by_rule(work, hardware, _ENOUGH)
    replica = parallel.tp * parallel.pp * parallel.cp
    rate = hardware.peak_flop_per_s * hardware.efficiency.mfu_fraction
    without_bubble = work.model_flop / (rate * work.within_s * goodput_fraction)
    # More accelerators mean fewer micro-batches and a longer bubble: needed = ideal (1 + c needed).
    slope = _bubble(work, parallel.pp, 1, 1) / replica
    if slope * without_bubble >= _LATE:
        return without_bubble / (1 - _LATE)
    return max(without_bubble / (1 - slope * without_bubble), float(replica))


def replica_of(work: TrainingWork, hardware: Hardware) -> int:
    """Return the accelerators of one copy of the model, as the rule or the demand cuts it."""
    parallel = work.stated or _by_rule(work, hardware, _ENOUGH)
    return parallel.tp * parallel.pp * parallel.cp


def rounded_up(needed: float, *, num_per_server: int, unit_servers: int, replica: int) -> int:
    """Return a count that can be bought: whole replicas, whole servers, whole scalable units.

    A pool of more than one scalable unit is rounded up to whole ones, since the leaves of a unit
    are bought together; a smaller pool to whole servers.
    """
    unit = unit_servers * num_per_server
    step = math.lcm(num_per_server, replica)
    if needed > unit:
        step = math.lcm(step, unit)
    return max(step, math.ceil(needed / step - 1e-9) * step)


def strategies(
    work: TrainingWork, hardware: Hardware, num_accelerators: int, *, pool: str, goodput: float
) -> tuple[Strategy, ...]:
    """Return the strategy to count on, and others to compare it with.

    The demand's own strategy is taken when it states one that fits; otherwise the one that by rule
    uses the least model parallelism that fits: tensor parallelism up to the scale-up domain first,
    then pipeline stages, so that the rest of the accelerators multiply the batch.
    """
    rule = _by_rule(work, hardware, num_accelerators)
    found = [_evaluated(work, hardware, rule, num_accelerators, pool, goodput)]
    if work.stated is not None and _divides(work.stated, num_accelerators):
        found.insert(0, _evaluated(work, hardware, work.stated, num_accelerators, pool, goodput))
    for other in _neighbours(rule, hardware, num_accelerators):
        if len(found) > _SHOWN:
            break
        one = _evaluated(work, hardware, other, num_accelerators, pool, goodput)
        if one.fits and not any(_same(one, known) for known in found):
            found.append(one)
    chosen = next((one for one in found if one.fits), found[0])
    return tuple(
        _marked(one, chosen=one is chosen, stated=_is_stated(one, work.stated))
        for one in sorted(found, key=lambda one: one is not chosen)
    )


def _evaluated(
    work: TrainingWork,
    hardware: Hardware,
    parallel: Parallel,
    num_accelerators: int,
    pool: str,
    goodput: float,
) -> Strategy:
    replica = parallel.tp * parallel.pp * parallel.cp
    dp = max(1, num_accelerators // replica)
    batch = max(work.num_global_batch, dp)
    bubble = _bubble(work, parallel.pp, 1, dp)
    mfu = hardware.efficiency.mfu_fraction / (1 + bubble)
    used = dp * replica
    step_flop = work.shape.token_flop * batch * work.shape.sequence_length
    step_s = step_flop / (used * hardware.peak_flop_per_s * mfu)
    busy_s = work.model_flop / (used * hardware.peak_flop_per_s * mfu)
    needed = memory_bytes(
        work.shape,
        tp=parallel.tp,
        pp=parallel.pp,
        dp=dp,
        cp=parallel.cp,
        ep=min(parallel.ep, dp),
        zero_stage=parallel.zero_stage,
    )
    return Strategy(
        workload=work.name,
        pool=pool,
        chosen=False,
        accelerator=hardware.accelerator.name,
        tp=parallel.tp,
        pp=parallel.pp,
        dp=dp,
        cp=parallel.cp,
        ep=parallel.ep,
        zero_stage=parallel.zero_stage,
        micro_batch=1,
        num_global_batch=batch,
        precision=hardware.efficiency.precision,
        num_accelerators=used,
        model_flop=work.model_flop,
        peak_flop_per_s=hardware.peak_flop_per_s,
        step_time_s=step_s,
        mfu_fraction=mfu,
        tokens_per_s=batch * work.shape.sequence_length / step_s,
        memory_bytes=needed,
        fits=needed <= hardware.usable_bytes,
        duration_s=busy_s / goodput,
        accelerator_hours=used * busy_s / goodput / SECONDS_PER_HOUR,
        checkpoint_bytes=hardware.checkpoint_bytes_per_parameter * work.shape.num_parameters,
        reason=(
            f"{show(needed, Bytes)} of {show(hardware.usable_bytes, Bytes)} usable memory; "
            f"bubble {show(bubble / (1 + bubble), Fraction)}"
        ),
    )


def _by_rule(work: TrainingWork, hardware: Hardware, num_accelerators: int) -> Parallel:
    last = Parallel()
    for parallel in _ladder(hardware, num_accelerators):
        last = parallel
        dp = max(1, num_accelerators // (parallel.tp * parallel.pp * parallel.cp))
        needed = memory_bytes(
            work.shape,
            tp=parallel.tp,
            pp=parallel.pp,
            dp=dp,
            cp=parallel.cp,
            ep=min(parallel.ep, dp),
        )
        if needed <= hardware.usable_bytes:
            return parallel
    return last


def _ladder(hardware: Hardware, num_accelerators: int) -> Iterator[Parallel]:
    """Yield strategies from the least model parallelism to the most."""
    widest = min(_WIDEST_TP, hardware.accelerator.scaleup_domain)
    widths = [tp for tp in (1, 2, 4, 8) if tp <= widest]
    yield from (Parallel(tp=tp) for tp in widths)
    tall = [(pp, cp) for pp in (1, 2, 4, 8, 16, 32, _DEEPEST_PP) for cp in (1, 2, 4)]
    for pp, cp in sorted(tall, key=lambda both: (both[0] * both[1], both[0])):
        if (pp, cp) != (1, 1) and widths[-1] * pp * cp <= num_accelerators:
            yield Parallel(tp=widths[-1], pp=pp, cp=cp)
    for ep in (8, 32, 64):
        yield Parallel(tp=widths[-1], pp=8, ep=ep)


def _neighbours(rule: Parallel, hardware: Hardware, num_accelerators: int) -> Iterator[Parallel]:
    widest = min(_WIDEST_TP, hardware.accelerator.scaleup_domain)
    for tp, pp in ((rule.tp * 2, rule.pp), (rule.tp, rule.pp * 2), (rule.tp * 2, rule.pp * 2)):
        other = replace(rule, tp=tp, pp=pp)
        if tp <= widest and _divides(other, num_accelerators):
            yield other
    yield replace(rule, zero_stage=3)


def _bubble(work: TrainingWork, pp: int, micro_batch: int, dp: int) -> float:
    """Return idle over busy time of an interleaved pipeline: (p-1)/(m v)."""
    micro_batches = max(1.0, work.num_global_batch / (dp * micro_batch))
    chunks = max(1, min(_MOST_CHUNKS, work.shape.layers // pp))
    return (pp - 1) / (micro_batches * chunks)


def _divides(parallel: Parallel, num_accelerators: int) -> bool:
    return num_accelerators % (parallel.tp * parallel.pp * parallel.cp) == 0


def _same(one: Strategy, other: Strategy) -> bool:
    return (one.tp, one.pp, one.cp, one.ep, one.zero_stage) == (
        other.tp,
        other.pp,
        other.cp,
        other.ep,
        other.zero_stage,
    )


def _is_stated(one: Strategy, stated: Parallel | None) -> bool:
    return stated is not None and (one.tp, one.pp, one.cp, one.zero_stage) == (
        stated.tp,
        stated.pp,
        stated.cp,
        stated.zero_stage,
    )


def _marked(one: Strategy, *, chosen: bool, stated: bool) -> Strategy:
    why = "the demand states it" if stated else "least model parallelism that fits"
    if not chosen:
        why = "shown for comparison"
    return replace(one, chosen=chosen, stated=stated, reason=f"{why}; {one.reason}")
