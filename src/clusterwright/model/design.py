"""What is to be built, with the reason for every choice: the outcome of `plan`."""

from dataclasses import dataclass

from clusterwright import documents
from clusterwright.model.compute import Compute
from clusterwright.model.economics import Economics
from clusterwright.model.facility import Facility
from clusterwright.model.network import Fabric
from clusterwright.model.reliability import Reliability
from clusterwright.model.storage import Storage
from clusterwright.units import GramsPerYear, InUnit, Ratio, Seconds, Usd, Watts


@dataclass(frozen=True, slots=True, kw_only=True)
class Bottleneck:
    """One stage of the data's way: what is asked of it and what it can do."""

    stage: str
    """Name of the stage, such as `hot tier read` or `scale-out`."""
    unit: str
    """Unit of demand and capacity."""
    demand: InUnit
    """What is asked."""
    capacity: InUnit
    """What it can do."""
    headroom_fraction: InUnit
    """Share of the capacity left; below zero when the stage cannot do what is asked."""
    binds_in_order: int
    """1 for the stage that binds now, 2 for the next once that is relieved, and so on."""
    note: str = ""
    """What is behind demand and capacity."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """A candidate that lost."""

    candidate: str
    """What it was."""
    reason: str
    """Why it lost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One decision of the plan."""

    what: str
    """What was to be chosen."""
    chosen: str
    """What was."""
    reason: str
    """Why."""
    rejected: tuple[Rejected, ...] = ()
    """What lost, and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Assumption:
    """A value in force that the demand leaves open, or states."""

    path: str
    """Path in the demand, such as `site.cooling`."""
    value: str
    """The value in force, as people write it."""
    stated: bool
    """True when the demand states it."""
    reason: str
    """Why this value."""
    source: str
    """Where it comes from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Derivation:
    """How one figure of the design came about."""

    path: str
    """Path in the design, such as `spec.fabric.planes.compute.num_leaf`."""
    formula: str
    """The arithmetic, in words and numbers."""
    source: str
    """Where rule and inputs come from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alternative:
    """A complete design that was weighed and not taken, in a line."""

    name: str
    """What sets it apart."""
    accelerator: str
    """Its training accelerator."""
    fabric: str
    """Kind of its compute fabric."""
    num_accelerators: int
    """Accelerators of its training pool."""
    feasible: bool
    """True when it meets the demand."""
    duration_s: Seconds
    """Time to the trained model; 0 when nothing trains."""
    capex_usd: Usd
    """What building costs."""
    tco_usd: Usd
    """What owning costs."""
    it_power_w: Watts
    """What its IT draws at most."""
    carbon_g_per_year: GramsPerYear
    """CO2e of a year."""
    pareto: bool
    """True when no other is better in cost, time and carbon at once."""
    estimated: bool
    """True when a price or a step time in it is an estimate."""
    reason: str
    """Why it was taken, or lost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deviation:
    """A claim of the demand held against this design and against published data."""

    what: str
    """Which figure."""
    source_says: str
    """What the source document says."""
    published: str
    """What vendors or papers publish; empty when nothing is known."""
    design: str
    """The figure of this design; empty when the design has none of the kind."""
    agrees: bool
    """True when the design has the claimed figure and nothing published differs from it."""
    source: str
    """Where the published figure stands."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conflict:
    """A limit of the demand that this design breaks."""

    limit: str
    """Path of the limit in the demand."""
    asked: str
    """What the demand allows or asks, as people write it."""
    reached: str
    """What the design comes to."""
    shortfall_ratio: Ratio | None = None
    """How much is missing, as a share of what is asked; absent where no number says it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Relaxation:
    """A change of the demand that would make it feasible."""

    path: str
    """Path in the demand."""
    change: str
    """What to write there."""
    effect: str
    """What it costs or brings."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DesignSpec:
    """The parts of a design."""

    demand_digest: str
    """SHA-256 of the demand as read."""
    catalog_digest: str
    """SHA-256 of the catalogue."""
    scalable_unit: str
    """The unit that can be repeated, in words; empty when there is none."""
    compute: Compute
    """Pools and strategies."""
    fabric: Fabric
    """The three network planes."""
    storage: Storage
    """The storage tiers."""
    facility: Facility
    """Racks, power, energy, carbon."""
    economics: Economics
    """Money."""
    reliability: Reliability | None = None
    """Interruptions and goodput of the largest gang; absent when nothing trains."""
    bottlenecks: tuple[Bottleneck, ...]
    """The ledger, in the order in which stages bind."""
    choices: tuple[Choice, ...]
    """Decisions with their reasons."""
    assumptions: tuple[Assumption, ...]
    """Values in force, with their sources."""
    derivations: tuple[Derivation, ...]
    """How the main figures came about."""
    alternatives: tuple[Alternative, ...]
    """Designs that were weighed, this one included, best first."""
    deviations: tuple[Deviation, ...] = ()
    """The claims of the demand, held against this design and against published data."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DesignStatus:
    """Whether the design meets the demand."""

    feasible: bool
    """True when no limit is broken."""
    conflicts: tuple[Conflict, ...] = ()
    """Limits that are broken."""
    relaxations: tuple[Relaxation, ...] = ()
    """Changes of the demand that would mend it, the cheapest first."""


@documents.kind("Design", layout="spec")
@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """A complete design of a centre."""

    name: str
    """Name of the demand that it answers."""
    spec: DesignSpec
    """What is to be built."""
    status: DesignStatus
    """Whether it meets the demand."""
