"""What must be done, where, and under which limits: the demand that people write as `centre.yaml`.

Only nouns belong here. Everything but the workloads is optional; what is left out is `None` here
and becomes a stated assumption of the plan, taken from the catalogue's defaults with its source.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from clusterwright import documents
from clusterwright.model.bounds import above_zero
from clusterwright.units import (
    Bytes,
    BytesPerSecond,
    Count,
    Fraction,
    GramsPerJoule,
    GramsPerYear,
    PerDay,
    PerSecond,
    Ratio,
    Seconds,
    Usd,
    UsdPerJoule,
    UsdPerYear,
    Watts,
)

Precision = Literal["bf16", "fp16", "fp8", "fp4", "tf32", "fp32"]
Goal = Literal["cost", "time", "carbon"]
PowerPrice = UsdPerJoule | Literal["hourly"]


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

    def __post_init__(self) -> None:
        """Refuse a shape that no model has."""
        for name in ("layers", "hidden", "sequence_length"):
            if getattr(self, name) < 1:
                msg = f"{name} is {getattr(self, name)}; it must be at least 1"
                raise ValueError(msg)
        if self.num_parameters < 1e6:
            msg = f"parameters is {self.num_parameters:g}; it must be at least 1 million"
            raise ValueError(msg)
        if self.num_active_parameters is not None and not (
            0 < self.num_active_parameters <= self.num_parameters
        ):
            msg = "active_parameters must be above zero and at most parameters"
            raise ValueError(msg)


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Hot:
    """The hot tier as asked for."""

    capacity_bytes: Bytes | None = None
    """Usable capacity; absent, sized from the training sets."""
    read_bytes_per_s: BytesPerSecond | None = None
    """Aggregate read; absent, the catalogue's rate per accelerator."""
    write_bytes_per_s: BytesPerSecond | None = None
    """Aggregate write; absent, what checkpoints need, at least half of the read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Data:
    """What flows in, how long it stays, and what must be close to the accelerators."""

    ingest_bytes_per_s: BytesPerSecond | None = None
    """Average inflow into the lake; absent, none."""
    retain_s: Seconds | None = None
    """How long raw data stays; absent, the catalogue's default."""
    existing_bytes: Bytes | None = None
    """What is there on the first day; absent, none."""
    scheme: str | None = None
    """Erasure code of the lake, `data+parity` such as `8+3`; absent, the catalogue's default."""
    hot: Hot | None = None
    """The hot tier; absent, sized from the work."""
    sample_bytes: Bytes | None = None
    """One training sample as stored; absent, the catalogue's default."""
    block_bytes: Bytes | None = None
    """Block storage for databases and boot volumes; absent, the catalogue's default per server."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hall:
    """The room that stands ready."""

    num_racks: int | None = None
    """Rack positions; absent, no limit."""
    power_w: Watts | None = None
    """IT power the hall can feed; absent, no limit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Where the centre stands, and what the place costs and emits."""

    region: str | None = None
    """A region of the catalogue; absent, the catalogue's default."""
    cooling: Literal["air", "liquid"] | None = None
    """How the racks are cooled; absent, the catalogue's default."""
    rack_power_w: Watts | None = None
    """What one rack can be fed and cooled; absent, the rack type's limit."""
    power_price_usd_per_j: PowerPrice | None = None
    """A flat price, or `hourly` for the region's series; absent, the region's average."""
    carbon_g_per_j: GramsPerJoule | None = None
    """Carbon intensity of the supply; absent, the region's average."""
    pue_ratio: Ratio | None = None
    """Facility energy over IT energy; absent, the cooling method's value."""
    hall: Hall | None = None
    """The room that stands ready; absent, it is built."""

    def __post_init__(self) -> None:
        """Refuse a PUE below one."""
        if self.pue_ratio is not None and self.pue_ratio < 1:
            msg = f"pue is {self.pue_ratio:g}; a facility never draws less than its IT: at least 1"
            raise ValueError(msg)
        above_zero(rack_power=self.rack_power_w)


@dataclass(frozen=True, slots=True, kw_only=True)
class Money:
    """How the money is counted."""

    currency: str | None = None
    """Currency of the report, for example CNY; absent, USD. Amounts are written in USD."""
    per_usd_ratio: Ratio | None = None
    """Units of that currency for one US dollar; needed when the currency is not USD."""
    depreciation_s: Seconds | None = None
    """Straight-line life of the equipment; absent, the catalogue's default."""
    discount_fraction: Fraction | None = None
    """Yearly discount rate; absent, none."""

    def __post_init__(self) -> None:
        """Refuse a foreign currency without its rate."""
        if self.currency not in (None, "USD") and self.per_usd_ratio is None:
            msg = f"currency is {self.currency}: say how many make one dollar in `per_usd`"
            raise ValueError(msg)
        if self.per_usd_ratio is not None and self.per_usd_ratio <= 0:
            msg = "per_usd must be above zero"
            raise ValueError(msg)
        above_zero(depreciation=self.depreciation_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What the design may use, and what it must not pass."""

    accelerators: tuple[str, ...] | None = None
    """The only accelerators allowed; absent, all of the catalogue."""
    vendors: tuple[str, ...] | None = None
    """The only vendors allowed; absent, all."""
    excluded_vendors: tuple[str, ...] = ()
    """Vendors that must not be used."""
    fabric: Literal["infiniband", "ethernet", "any"] | None = None
    """Kind of compute fabric; absent, any."""
    capex_usd: Usd | None = None
    """Most that may be spent on building; absent, no limit."""
    opex_usd_per_year: UsdPerYear | None = None
    """Most that a year may cost; absent, no limit."""
    power_w: Watts | None = None
    """Most that the facility may draw; absent, no limit."""
    carbon_g_per_year: GramsPerYear | None = None
    """Most that a year may emit; absent, no limit."""
    availability_fraction: Fraction | None = None
    """Share of the time that the centre must be usable; absent, the catalogue's default."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """Accelerators that are given: they stand already, or their number is decided."""

    accelerator: str
    """An accelerator of the catalogue."""
    num_accelerators: int
    """How many, at least 1."""
    owned: bool = False
    """True when they stand already and cost nothing to buy."""

    def __post_init__(self) -> None:
        """Refuse a fleet of none."""
        if self.num_accelerators < 1:
            msg = f"accelerators is {self.num_accelerators}; it must be at least 1"
            raise ValueError(msg)


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """An objective made of several."""

    cost_ratio: Ratio = 0.0
    """Weight of total cost of ownership, 0 or more."""
    time_ratio: Ratio = 0.0
    """Weight of the time to finish, 0 or more."""
    carbon_ratio: Ratio = 0.0
    """Weight of the carbon emitted, 0 or more."""

    def __post_init__(self) -> None:
        """Refuse weights that weigh nothing."""
        weights = (self.cost_ratio, self.time_ratio, self.carbon_ratio)
        if min(weights) < 0 or sum(weights) <= 0:
            msg = "weights are 0 or more, and at least one is above zero"
            raise ValueError(msg)


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A figure of somebody's document, to be held against the design."""

    what: str
    """Which figure."""
    says: str
    """What the document says."""
    path: str | None = None
    """Where the design has the same figure, such as `spec.facility.num_racks`; absent, nowhere."""
    published: str | None = None
    """What vendors or papers publish; absent, nothing is known."""
    source: str
    """Where the published figure, or else the claim, stands."""


@documents.kind("Demand", layout="flat")
@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """What a centre must do: the one file a person writes."""

    name: str
    """What people call the centre."""
    workloads: tuple[Workload, ...]
    """The work, at least one piece."""
    data: Data = Data()
    """What flows in and what must be close."""
    site: Site = Site()
    """Where the centre stands."""
    money: Money = Money()
    """How the money is counted."""
    limits: Limits = Limits()
    """What the design may use and must not pass."""
    fleet: tuple[Fleet, ...] = ()
    """Accelerators that are given; empty, the plan decides."""
    platform: Literal["kubernetes", "slurm", "both"] | None = None
    """What runs the jobs; absent, the catalogue's default."""
    objective: Goal | Weights = "cost"
    """What the plan makes small among the designs that meet the demand."""
    claims: tuple[Claim, ...] = ()
    """Figures of a source document or an offer, which the report holds against the design."""

    def __post_init__(self) -> None:
        """Refuse an empty demand and names used twice."""
        if not self.workloads:
            msg = "workloads is empty; name at least one, for example `- training: my-model`"
            raise ValueError(msg)
        names = [workload.name for workload in self.workloads]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            msg = f"workload names are used twice: {', '.join(twice)}; each name stands once"
            raise ValueError(msg)
