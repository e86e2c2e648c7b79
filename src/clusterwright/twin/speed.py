"""How fast a job runs where it stands, over where it would stand best.

Three things slow a job down: messages of its gang that pass more switches, or thinner ones, than
they must; a scale-up domain that holds only a part of a tensor-parallel group; accelerators slower
than others that it may use. What a gang's messages take comes from the strategy of its design and
from the collectives of `fabric`; for the jobs of a trace, of which nothing is known, there is a
stated penalty for each level (nodes, leaves, pods) on which they spread over more than they must.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from clusterwright.catalog import Catalog
from clusterwright.compute.stack import peak_flop_per_s
from clusterwright.fabric import collectives
from clusterwright.model.cluster import Cluster
from clusterwright.model.compute import Strategy
from clusterwright.model.design import Design
from clusterwright.model.job import QUANTA, Job
from clusterwright.sched.nodes import Placed
from clusterwright.sched.state import Rate
from clusterwright.twin.places import Places
from clusterwright.units import Bytes, BytesPerSecond, FlopPerSecond, Fraction, Ratio, Seconds

_INSIDE = {"tensor-parallel messages": "tp", "context-parallel messages": "cp"}
_OUTSIDE = ("expert messages", "stage messages", "gradient messages", "hidden messages")
_HOPS = (1, 3, 5)  # switches that a message passes under one leaf, within a pod, between pods


@dataclass(frozen=True, slots=True, kw_only=True)
class Gang:
    """What the messages of a training gang take, standing at its best."""

    step_s: Seconds
    """Time of a step."""
    inside_s: Seconds
    """Part of it that waits for messages within scale-up domains."""
    outside_s: Seconds
    """Messages over the network, those hidden behind work included."""
    group: int
    """Accelerators that must share a scale-up domain; 1 where none must."""
    replicas: int
    """Ranks that reduce gradients with each other."""
    message_bytes: Bytes
    """Gradients of one rank."""
    scaleup_bytes_per_s: BytesPerSecond
    """Bandwidth of one accelerator within its domain."""
    port_bytes_per_s: BytesPerSecond
    """Bandwidth of one accelerator into the network."""
    oversubscription_ratio: Ratio
    """Bandwidth below a leaf over that above it."""
    latency_s: Seconds
    """Latency of a message under one leaf."""
    hop_s: Seconds
    """What one switch more adds."""

    def speed(self, levels: int, fewest: int, *, split: bool) -> float:
        """Return the speed over the best one.

        Messages that were hidden behind work come out by all that they grow, so that the true
        speed lies between this and 1.

        Parameters
        ----------
        levels
            Levels of switches that the gang's messages pass: 0 under one leaf, 1 within a pod, 2.
        fewest
            Levels that they must pass wherever the gang stands.
        split
            Whether a group that must share a domain stands in two.
        """
        grown = self.outside_s * (self._reduction_s(levels) / self._reduction_s(fewest) - 1)
        if split:
            grown += self.inside_s * (self.scaleup_bytes_per_s / self.port_bytes_per_s - 1)
        return self.step_s / (self.step_s + max(0.0, grown))

    def _reduction_s(self, levels: int) -> float:
        """Return the time of one reduction of the gradients over so many levels."""
        thin = self.oversubscription_ratio if levels else 1.0
        latency_s = self.latency_s + (_HOPS[levels] - _HOPS[0]) * self.hop_s
        bandwidth = self.port_bytes_per_s / max(1.0, thin)
        ranks = max(2, self.replicas)
        return float(collectives.all_reduce_ring_s(ranks, self.message_bytes, bandwidth, latency_s))


@dataclass(frozen=True, slots=True, kw_only=True)
class Roofline:
    """What bounds the work of an accelerator."""

    peak_flop_per_s: FlopPerSecond
    """Its arithmetic, dense and in 16 bits."""
    memory_bytes_per_s: BytesPerSecond
    """Its memory."""

    @property
    def mean(self) -> float:
        """Return the geometric mean of the two, which has no unit of its own."""
        return math.sqrt(self.peak_flop_per_s * self.memory_bytes_per_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Speeds:
    """What a run's job speeds depend on."""

    gangs: Mapping[str, Gang] = field(default_factory=dict)
    """Training gangs by the user of their jobs, which is the workload's name."""
    rooflines: Mapping[str, Roofline] = field(default_factory=dict)
    """What accelerators can do; empty when all count as equal."""
    usable: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Accelerators that a job may use, by job, where it is held to some of them."""
    spread_penalty_fraction: Fraction = 0.0
    """What a gang that is none of `gangs` loses for each level on which it spreads."""

    def on(self, cluster: Cluster) -> Callable[[Sequence[Job]], Rate]:
        """Return the speed of jobs on a cluster, as `run` takes it."""
        places = Places.of(cluster)

        def rate_of(jobs: Sequence[Job]) -> Rate:
            return _Rates(self, cluster, places, jobs).rate

        return rate_of


def of_design(design: Design, catalog: Catalog) -> Speeds:
    """Return the speeds of a design's campaigns."""
    chosen = (one for one in design.spec.compute.strategies if one.chosen and one.parts)
    return Speeds(gangs={one.workload: _gang(one, design, catalog) for one in chosen})


def rooflines(models: Iterable[str], catalog: Catalog) -> dict[str, Roofline]:
    """Return the bounds of accelerators, by dense 16-bit peak and memory bandwidth.

    Raises
    ------
    UnknownName
        If an accelerator is not in the catalogue.
    """
    parts = {name: catalog.accelerator(name) for name in dict.fromkeys(models)}
    return {
        name: Roofline(
            peak_flop_per_s=peak_flop_per_s(part, "bf16"),
            memory_bytes_per_s=part.memory_speed_bytes_per_s,
        )
        for name, part in parts.items()
    }


def speeds_on(job: Job, bounds: Mapping[str, Roofline]) -> dict[str, float]:
    """Return the predicted speed of a job on each accelerator that it may use, the fastest first.

    On the fastest it is 1. Where its memory-bound part is known (on the one with the highest
    geometric mean of arithmetic and memory) each part takes as long as its bound says; of another
    job nothing is known, and its speed goes with the geometric mean of the two.

    Parameters
    ----------
    job
        The job.
    bounds
        What accelerators can do.
    """
    usable = [name for name in bounds if not job.gpu_models or name in job.gpu_models]
    if not usable:
        return {}
    best = bounds[max(usable, key=lambda name: bounds[name].mean)]
    waits = job.memory_bound_fraction
    found = {}
    for name in usable:
        one = bounds[name]
        if waits is None:
            found[name] = one.mean / best.mean
            continue
        memory_s = waits * best.memory_bytes_per_s / one.memory_bytes_per_s
        arithmetic_s = (1 - waits) * best.peak_flop_per_s / one.peak_flop_per_s
        found[name] = 1 / (memory_s + arithmetic_s)
    top = max(found.values())
    return {
        name: found[name] / top for name in sorted(found, key=lambda name: (-found[name], name))
    }


def fastest_first(jobs: Sequence[Job], bounds: Mapping[str, Roofline]) -> tuple[Job, ...]:
    """Return jobs that try faster accelerators first, of those that they may run on."""
    return tuple(
        replace(job, gpu_models=tuple(speeds_on(job, bounds)) or job.gpu_models)
        if job.num_gpus_ratio
        else job
        for job in jobs
    )


class _Rates:
    """Speeds of the jobs of one run; what was worked out for a shape is kept."""

    def __init__(
        self, speeds: Speeds, cluster: Cluster, places: Places, jobs: Sequence[Job]
    ) -> None:
        self._speeds = speeds
        self._groups = cluster.groups
        self._leaf = places.leaf.tolist()
        self._pod = places.pod.tolist()
        self._domain = places.domain.tolist()
        self._group = places.group.tolist()
        self._jobs = jobs
        self._kept: dict[tuple[str, int, int, bool], float] = {}
        models = {group.gpu_model for group in cluster.groups}
        self._bounds = {name: one for name, one in speeds.rooflines.items() if name in models}
        self._on_models: dict[tuple[tuple[str, ...], float | None], dict[str, float]] = {}

    def rate(self, index: int, placed: Placed) -> float:
        """Return the speed of a job on its nodes, 1 where it stands best."""
        job = self._jobs[index]
        speed = self._of_model(job, placed) if self._bounds else 1.0
        gang = self._speeds.gangs.get(job.user)
        if gang is not None:
            return speed * self._of_gang(gang, job, placed)
        penalty = self._speeds.spread_penalty_fraction
        if penalty and job.num_gpus_ratio > 1:
            speed *= (1 - penalty) ** self._levels_too_many(job, placed)
        return speed

    def _of_model(self, job: Job, placed: Placed) -> float:
        key = (self._speeds.usable.get(job.job_id, job.gpu_models), job.memory_bound_fraction)
        speeds = self._on_models.get(key)
        if speeds is None:
            whole = replace(job, gpu_models=key[0])
            speeds = self._on_models[key] = speeds_on(whole, self._bounds)
        here = {self._groups[self._group[node]].gpu_model for node, _ in placed}
        return min(speeds.get(model, 1.0) for model in here)

    def _of_gang(self, gang: Gang, job: Job, placed: Placed) -> float:
        levels, fewest = self._levels(placed), self._fewest(placed)
        split = False
        if gang.group > 1:
            in_domain: dict[int, int] = {}
            for node, quanta in placed:
                at = self._domain[node]
                in_domain[at] = in_domain.get(at, 0) + quanta // QUANTA
            split = any(count % gang.group for count in in_domain.values())
        key = (job.user, levels, fewest, split)
        if key not in self._kept:
            self._kept[key] = gang.speed(levels, fewest, split=split)
        return self._kept[key]

    def _levels(self, placed: Placed) -> int:
        """Return the levels of switches between nodes: 0 under one leaf, 1 in a pod, else 2."""
        if len({self._leaf[node] for node, _ in placed}) == 1:
            return 0
        return 1 if len({self._pod[node] for node, _ in placed}) == 1 else 2

    def _fewest(self, placed: Placed) -> int:
        """Return the levels that as many nodes must have between them."""
        group = self._groups[self._group[placed[0][0]]]
        per_leaf = group.nodes_per_leaf or group.num_nodes
        if len(placed) <= per_leaf:
            return 0
        return 1 if len(placed) <= per_leaf * (group.leaves_per_pod or group.num_nodes) else 2

    def _levels_too_many(self, job: Job, placed: Placed) -> int:
        """Return on how many levels a job spreads over more than it must."""
        group = self._groups[self._group[placed[0][0]]]
        nodes = -(-job.quanta // (group.quanta or 1))
        per_leaf = group.nodes_per_leaf or group.num_nodes
        per_pod = per_leaf * (group.leaves_per_pod or group.num_nodes)
        leaves = len({self._leaf[node] for node, _ in placed})
        pods = len({self._pod[node] for node, _ in placed})
        too_many = (
            len(placed) > nodes,
            leaves > -(-nodes // per_leaf),
            pods > -(-nodes // per_pod),
        )
        return sum(too_many)


def _gang(one: Strategy, design: Design, catalog: Catalog) -> Gang:
    plane = design.spec.fabric.planes.compute
    part = catalog.accelerator(one.accelerator)
    took: dict[str, float] = {piece.name: piece.time_s for piece in one.parts}
    inner = one.tp * one.cp
    together = next((g for g in (inner, one.tp) if g <= part.scaleup_domain), 1)
    near = [name for name, ranks in _INSIDE.items() if ranks == "tp" or together == inner]
    inside = math.fsum(took.get(name, 0.0) for name in near) if together > 1 else 0.0
    messages = math.fsum(took.get(name, 0.0) for name in (*_INSIDE, *_OUTSIDE))
    per_parameter = catalog.default("plan.checkpoint_bytes_per_parameter")
    software = catalog.software[one.software]
    gradients = one.checkpoint_bytes / per_parameter * float(software.gradient_width)
    port = part.nic_bytes_per_s or plane.port_bytes_per_s
    return Gang(
        step_s=one.step_time_s,
        inside_s=inside,
        outside_s=messages - inside,
        group=together,
        replicas=one.dp,
        message_bytes=gradients / (one.tp * one.pp),
        scaleup_bytes_per_s=part.scaleup_bytes_per_s or port,
        port_bytes_per_s=port,
        oversubscription_ratio=plane.oversubscription_ratio,
        latency_s=catalog.step_factors["latency.scaleout"].value,
        hop_s=catalog.default("plan.switch_latency", Seconds),
    )
