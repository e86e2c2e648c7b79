"""What work a demand holds: campaigns, streams, bursts, flows, seats and services."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from clusterwright import documents
from clusterwright.model.bounds import above_zero
from clusterwright.units import BytesPerSecond, Count, Fraction, PerDay, PerSecond, Seconds

Precision = Literal["bf16", "fp16", "fp8", "fp4", "tf32", "fp32"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """A transformer given by its shape, for a model that no preset describes."""

    num_parameters: Count
    """Parameters in all; at least 1 million."""
    num_active_parameters: Count | None = None
    """Parameters that one token passes through; absent for a dense model: all."""
    layers: int
    """Transformer blocks, at least 1."""
    hidden: int
    """Width of the residual stream, at least 1."""
    sequence_length: int = 4096
    """Tokens in one training sequence, at least 1."""
    heads: int | None = None
    """Query heads, at least 1; absent, heads 128 wide."""
    kv_heads: int | None = None
    """Key and value heads, at least 1 and a divisor of the heads; absent, as many as heads."""
    vocabulary: int | None = None
    """Size of the vocabulary, at least 1; absent, 128,000."""
    experts: int | None = None
    """Experts of a block, at least 2; absent, 64 where only some parameters are active."""
    active_experts: int | None = None
    """Experts that a token visits, at least 1 and fewer than there are; absent, 8."""

    def __post_init__(self) -> None:
        """Refuse a shape that no model has."""
        for name in ("layers", "hidden", "sequence_length", *_OPTIONAL):
            value = getattr(self, name)
            least = 2 if name == "experts" else 1
            if value is not None and value < least:
                msg = f"{name} is {value}; it must be at least {least}"
                raise ValueError(msg)
        if self.heads and self.kv_heads and self.heads % self.kv_heads:
            msg = f"kv_heads is {self.kv_heads}; it must divide heads, {self.heads}"
            raise ValueError(msg)
        if self.experts and self.active_experts and self.active_experts >= self.experts:
            msg = f"active_experts is {self.active_experts}; it must be below experts"
            raise ValueError(msg)
        if self.num_parameters < 1e6:
            msg = f"parameters is {self.num_parameters:g}; it must be at least 1 million"
            raise ValueError(msg)
        if self.num_active_parameters is not None and not (
            0 < self.num_active_parameters <= self.num_parameters
        ):
            msg = "active_parameters must be above zero and at most parameters"
            raise ValueError(msg)


_OPTIONAL = ("heads", "kv_heads", "vocabulary", "experts", "active_experts")


@dataclass(frozen=True, slots=True, kw_only=True)
class Parallel:
    """A parallel strategy that the demand states, shown beside the plan's own."""

    tp: int = 1
    """Tensor-parallel ranks, at least 1."""
    pp: int = 1
    """Pipeline stages, at least 1."""
    cp: int = 1
    """Context-parallel ranks, at least 1."""
    ep: int = 1
    """Expert-parallel ranks, at least 1."""
    zero_stage: Literal[0, 1, 2, 3] = 1
    """What the data-parallel ranks share out: 1 optimiser, 2 and gradients, 3 and parameters."""

    def __post_init__(self) -> None:
        """Refuse a dimension below one."""
        for name in ("tp", "pp", "cp", "ep"):
            if getattr(self, name) < 1:
                msg = f"{name} is {getattr(self, name)}; it must be at least 1"
                raise ValueError(msg)


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """A campaign: one model trained before a deadline; it sizes the training pool."""

    name: str
    """What people call the campaign."""
    model: str | Architecture
    """A preset of the catalogue (`clusterwright catalog presets`), or the architecture inline."""
    num_tokens: Count | None = None
    """Tokens to train on. Give this or `samples`."""
    num_samples: Count | None = None
    """Samples to train on, each one sequence long. Give this or `tokens`."""
    within_s: Seconds
    """Time from start to finished model, interruptions included; above zero."""
    num_accelerators: int | None = None
    """The pool, where it is a given; absent, the deadline decides."""
    every_s: Seconds | None = None
    """How often the campaign comes back; absent, it runs once and then the pool serves the next."""
    precision: Precision | None = None
    """Number format of the matrix multiplications; absent, the default of the catalogue."""
    num_global_batch: Count | None = None
    """Sequences in one optimiser step; absent, the catalogue's default batch in tokens."""
    parallel: Parallel | None = None
    """A strategy to be shown beside the plan's own; absent, the plan shows its own alone."""
    priority: int = 0
    """Higher goes first."""

    def __post_init__(self) -> None:
        """Refuse a campaign without work, without time, or with a pool of none."""
        if (self.num_tokens is None) == (self.num_samples is None):
            msg = "say how much to train on: exactly one of `tokens` and `samples`"
            raise ValueError(msg)
        for name in ("num_tokens", "num_samples", "num_global_batch", "num_accelerators"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                msg = f"{name.removeprefix('num_')} is {value:g}; it must be above zero"
                raise ValueError(msg)
        above_zero(within=self.within_s, every=self.every_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """A log-normal spread of durations, given by two points people remember."""

    median_s: Seconds
    """Half of the jobs are shorter; above zero."""
    p95_s: Seconds
    """Nineteen of twenty are shorter; at least the median."""

    def __post_init__(self) -> None:
        """Refuse a spread that runs backwards."""
        above_zero(median=self.median_s)
        if self.p95_s < self.median_s:
            msg = "p95 is below the median; swap them or mend one"
            raise ValueError(msg)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """How long people are willing to wait."""

    p95_s: Seconds
    """Nineteen of twenty jobs start within this; above zero."""

    def __post_init__(self) -> None:
        """Refuse a wait of nothing."""
        above_zero(p95=self.p95_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiments:
    """A stream of jobs of people trying things; waiting time sizes what they need."""

    name: str
    """What people call the stream."""
    jobs_per_day: PerDay
    """Jobs submitted on an average day; above zero."""
    gpus_fraction: Mapping[documents.WholeKey, Fraction]
    """Share of the jobs by GPUs each asks for; the shares sum to one."""
    duration: Spread
    """Run time of a job."""
    wait: Wait | None = None
    """Bound on waiting; absent, the pool is sized to the default utilisation."""
    priority: int = 0
    """Higher goes first."""

    def __post_init__(self) -> None:
        """Refuse shares that do not sum to one, and jobs of no GPU."""
        if self.jobs_per_day <= 0:
            msg = f"jobs_per_day is {self.jobs_per_day:g}; it must be above zero"
            raise ValueError(msg)
        if not self.gpus_fraction or any(gpus < 1 for gpus in self.gpus_fraction):
            msg = "gpus names the sizes of jobs, each at least 1, for example {1: 60 %, 8: 40 %}"
            raise ValueError(msg)
        total = sum(self.gpus_fraction.values())
        if abs(total - 1) > 1e-6:
            msg = f"the shares of gpus sum to {100 * total:g} %; they must sum to 100 %"
            raise ValueError(msg)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One independent case of a simulation batch."""

    num_cpus: int = 1
    """CPU cores it holds, at least 1."""
    num_gpus: int = 0
    """GPUs it holds; none by default."""
    duration_s: Seconds
    """How long it runs; above zero."""

    def __post_init__(self) -> None:
        """Refuse a case that holds nothing or takes no time."""
        above_zero(duration=self.duration_s)
        if self.num_cpus < 1 or self.num_gpus < 0:
            msg = "a case holds at least 1 of cpus, and gpus of 0 or more"
            raise ValueError(msg)


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulation:
    """A burst of independent cases that must be through in a given time."""

    name: str
    """What people call the batch."""
    num_cases: Count
    """Cases in one batch; above zero."""
    case: Case
    """What one case holds, and for how long."""
    within_s: Seconds
    """Time for the whole batch; above zero."""
    every_s: Seconds | None = None
    """How often a batch comes; absent, once a week is assumed by the twin and stated."""
    priority: int = 0
    """Higher goes first."""

    def __post_init__(self) -> None:
        """Refuse an empty batch."""
        if self.num_cases <= 0:
            msg = f"cases is {self.num_cases:g}; it must be above zero"
            raise ValueError(msg)
        above_zero(within=self.within_s, every=self.every_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Processing:
    """Work that keeps up with the data as it comes: ingest, mining, cleaning, labelling."""

    name: str
    """What people call the stage."""
    input_bytes_per_s: BytesPerSecond
    """What flows in on average; above zero."""
    core_bytes_per_s: BytesPerSecond
    """What one CPU core gets through; above zero."""
    kept_fraction: Fraction = 1.0
    """Share of the input that goes on to the hot tier."""
    priority: int = 0
    """Higher goes first."""

    def __post_init__(self) -> None:
        """Refuse a stage without flow."""
        if self.input_bytes_per_s <= 0 or self.core_bytes_per_s <= 0:
            msg = "input and core are rates above zero, for example `1 PB/day` and `20 MB/s`"
            raise ValueError(msg)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seats:
    """People at work: a slice of a GPU each while they are active."""

    name: str
    """What people call the group."""
    num_people: int
    """People with a seat, at least 1."""
    gpu: str
    """A MIG profile (`1g.10gb`), or `whole` for a GPU each."""
    active_fraction: Fraction | None = None
    """Share of the people active at the busiest time; absent, the catalogue's default."""
    priority: int = 0
    """Higher goes first."""

    def __post_init__(self) -> None:
        """Refuse a group of nobody."""
        if self.num_people < 1:
            msg = f"people is {self.num_people}; it must be at least 1"
            raise ValueError(msg)


@dataclass(frozen=True, slots=True, kw_only=True)
class Inference:
    """A service that answers requests; its busiest hour sizes the serving pool."""

    name: str
    """What people call the service."""
    model: str | Architecture
    """A preset of the catalogue, or the architecture inline."""
    requests_per_s: PerSecond
    """Requests in the busiest hour; above zero."""
    input_tokens: int
    """Tokens of an average request, at least 1."""
    output_tokens: int
    """Tokens of an average answer, at least 1."""
    precision: Precision | None = None
    """Number format served; absent, the one of the measured throughput used."""
    accelerator: str | None = None
    """The accelerator, where it is a given; absent, the plan chooses."""
    headroom_fraction: Fraction | None = None
    """Capacity kept free for bursts and failed servers; absent, the catalogue's default."""
    priority: int = 0
    """Higher goes first."""

    def __post_init__(self) -> None:
        """Refuse a service that nobody calls or that says nothing."""
        if self.requests_per_s <= 0:
            msg = "requests is a rate above zero, for example `40/s`"
            raise ValueError(msg)
        if self.input_tokens < 1 or self.output_tokens < 1:
            msg = "input_tokens and output_tokens are at least 1"
            raise ValueError(msg)


WORKLOADS: Mapping[str, type] = {
    "training": Training,
    "experiments": Experiments,
    "simulation": Simulation,
    "processing": Processing,
    "seats": Seats,
    "inference": Inference,
}

Workload = Annotated[
    Training | Experiments | Simulation | Processing | Seats | Inference,
    documents.TaggedByKey(WORKLOADS),
]
