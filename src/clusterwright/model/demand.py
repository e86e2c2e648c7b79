"""What must be done, where, and under which limits: the demand that people write as `centre.yaml`.

Only nouns belong here. Everything but the workloads is optional; what is left out is `None` here
and becomes a stated assumption of the plan, taken from the catalogue's defaults with its source.
"""

from dataclasses import dataclass
from typing import Literal

from clusterwright import documents
from clusterwright.model.bounds import above_zero
from clusterwright.model.work import Workload
from clusterwright.units import (
    Bytes,
    BytesPerSecond,
    Fraction,
    GramsPerJoule,
    GramsPerYear,
    Ratio,
    Seconds,
    Usd,
    UsdPerJoule,
    UsdPerYear,
    Watts,
)

Goal = Literal["cost", "time", "carbon"]
PowerPrice = UsdPerJoule | Literal["hourly"]


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
