"""What can be bought: accelerators, servers, switches, links, storage. Facts with sources."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from clusterwright.units import (
    Bytes,
    BytesPerSecond,
    FlopPerSecond,
    Fraction,
    Metres,
    Ratio,
    Seconds,
    Usd,
    Watts,
)

Certainty = Literal["vendor-spec", "measured", "published", "estimate", "recalled"]
Hits = Literal["node", "job", "leaf"]
NOT_CERTAIN = frozenset({"estimate", "recalled"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where a fact comes from."""

    name: str
    """Key by which parts name the source."""
    title: str
    """Title of the document."""
    publisher: str
    """Who published it."""
    where: str = ""
    """Page, table, identifier or address; empty when the title is enough."""
    read_on: str
    """When it was read, as year and month."""
    condition: str = ""
    """Under which condition the facts hold; empty for none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Where the figures of a part come from, and which of them are not certain."""

    source: str
    """Keys of the sources, joined by `+`."""
    certainty: Certainty
    """How sure the figures are."""
    uncertain: tuple[str, ...] = ()
    """Outward names of the fields that are recalled or estimated although the rest is not."""

    def estimated(self, field: str) -> bool:
        """Return whether a field of the part is an estimate or recalled."""
        return self.certainty in NOT_CERTAIN or field in self.uncertain


@dataclass(frozen=True, slots=True, kw_only=True)
class MigProfile:
    """One way of cutting a part off an accelerator."""

    name: str
    """Name, such as `1g.10gb`."""
    memory_bytes: Bytes
    """Memory of one instance."""
    compute_slices: int
    """Compute slices of one instance, of seven on the accelerator."""
    num_instances: int
    """Most instances on one accelerator."""
    memory_slices: int
    """Memory slices that one instance covers, from its start on."""
    starts: tuple[int, ...]
    """Memory slices that an instance may start at; no other position is legal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Accelerator:
    """One accelerator. Peaks are dense; link bandwidths are per direction."""

    name: str
    """Name in the catalogue."""
    vendor: str
    """Who makes it."""
    release_year: int
    """Year of release."""
    architecture: str
    """Generation of its compute units, such as `hopper`."""
    architecture_year: int
    """Year of release of the first part whose kernels it can run unchanged."""
    num_compute_units: int | None = None
    """Units that tiles of a matrix product are handed to (SM, CU); absent when none is known."""
    memory_bytes: Bytes
    """Size of its memory."""
    memory_speed_bytes_per_s: BytesPerSecond
    """Bandwidth of its memory."""
    peak_flop_per_s: Mapping[str, FlopPerSecond]
    """Dense peak by number format."""
    measured_bf16_flop_per_s: FlopPerSecond | None = None
    """Best measured matrix multiplication in bf16; absent when none is published."""
    scaleup_bytes_per_s: BytesPerSecond | None = None
    """Scale-up bandwidth per direction; absent when it has no such link."""
    scaleup_domain: int
    """Accelerators in one scale-up domain, at least 1."""
    nic_bytes_per_s: BytesPerSecond | None = None
    """Network bandwidth for one accelerator; absent when the source states none."""
    tdp_w: Watts
    """Thermal design power."""
    mig: tuple[MigProfile, ...] = ()
    """MIG profiles; empty when it cannot be cut."""
    price_low_usd: Usd | None = None
    """Lowest known price; absent when none is known."""
    price_high_usd: Usd | None = None
    """Highest known price; absent when none is known."""
    provenance: Provenance
    """Where the figures come from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """One server, or one rack-scale system that is bought and placed as a whole."""

    name: str
    """Name in the catalogue."""
    accelerator: str
    """Accelerator in it; empty for none."""
    num_accelerators: int
    """How many accelerators."""
    num_cpus: int
    """CPU cores."""
    memory_bytes: Bytes
    """Host memory."""
    num_compute_nics: int
    """Ports on the compute plane."""
    compute_nic_bytes_per_s: BytesPerSecond
    """Speed of one of them; 0 when there is none."""
    num_storage_nics: int
    """Ports on the storage and business plane."""
    storage_nic_bytes_per_s: BytesPerSecond
    """Speed of one of them."""
    num_management_ports: int
    """Ports on the management plane."""
    local_nvme_bytes: Bytes
    """Local NVMe."""
    max_power_w: Watts
    """What it draws at most."""
    rack_units: int
    """Rack units."""
    whole_rack: bool = False
    """True when it is a rack of its own."""
    price_low_usd: Usd
    """Low end of its price, accelerators included."""
    price_high_usd: Usd
    """High end of its price."""
    provenance: Provenance
    """Where the figures come from."""

    @property
    def price_usd(self) -> float:
        """The middle of the price range."""
        return (self.price_low_usd + self.price_high_usd) / 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Switch:
    """One switch."""

    name: str
    """Name in the catalogue."""
    kind: Literal["infiniband", "ethernet", "management"]
    """Which network it is for."""
    num_ports: int
    """Ports at full speed."""
    port_bytes_per_s: BytesPerSecond
    """Speed of a port, per direction."""
    rack_units: int
    """Rack units."""
    max_power_w: Watts
    """What it draws at most."""
    price_low_usd: Usd
    """Low end of its price."""
    price_high_usd: Usd
    """High end of its price."""
    provenance: Provenance
    """Where the figures come from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """What connects two ports: a cable, or a pair of optics with fibre."""

    name: str
    """Name in the catalogue."""
    medium: Literal["copper", "multimode", "single-mode"]
    """What carries the signal."""
    port_bytes_per_s: BytesPerSecond
    """Speed, per direction."""
    reach_m: Metres
    """Longest length."""
    end_power_w: Watts
    """What one end draws at most."""
    num_optics: int
    """Optics for one link: 2 for fibre, 0 for copper."""
    price_low_usd: Usd
    """Low end of the price of a whole link, both ends."""
    price_high_usd: Usd
    """High end of that price."""
    provenance: Provenance
    """Where the figures come from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageSystem:
    """A storage server or appliance."""

    name: str
    """Name in the catalogue."""
    tier: Literal["lake", "hot", "block"]
    """Tier that it is for."""
    system: str
    """Software or product that it runs."""
    num_drives: int
    """Drives in one; 0 when the vendor does not say."""
    drive_bytes: Bytes
    """Size of one drive; the capacity of the whole when the drives are not stated."""
    raw_bytes: Bytes
    """Raw capacity of one."""
    usable: bool
    """True when `raw_bytes` is already usable capacity, as appliances state it."""
    fill_fraction: Fraction
    """Share of the capacity that may be filled."""
    read_bytes_per_s: BytesPerSecond
    """Read rate of one."""
    write_bytes_per_s: BytesPerSecond
    """Write rate of one."""
    num_nics: int
    """Ports on the storage and business plane."""
    nic_bytes_per_s: BytesPerSecond
    """Speed of one of them."""
    max_power_w: Watts
    """What one draws at most."""
    rack_units: int
    """Rack units."""
    price_low_usd: Usd
    """Low end of its price."""
    price_high_usd: Usd
    """High end of its price."""
    provenance: Provenance
    """Where the figures come from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cooling:
    """A way of cooling racks."""

    name: str
    """Name in the catalogue."""
    pue_low_ratio: Ratio
    """Best PUE seen."""
    pue_ratio: Ratio
    """PUE to plan with."""
    pue_high_ratio: Ratio
    """Worst PUE seen."""
    max_rack_power_w: Watts
    """Densest rack that it cools."""
    provenance: Provenance
    """Where the figures come from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureRate:
    """How often one component of a training cluster stops the work."""

    name: str
    """Component."""
    num_events: int
    """Interruptions counted."""
    num_accelerators: int
    """Accelerators of the cluster watched."""
    observed_s: Seconds
    """How long it was watched."""
    provenance: Provenance
    """Where the figures come from."""

    @property
    def per_accelerator_day(self) -> float:
        """Interruptions for one accelerator in one day."""
        from clusterwright.units import SECONDS_PER_DAY

        return self.num_events / (self.num_accelerators * self.observed_s / SECONDS_PER_DAY)


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureEffect:
    """What becomes of a failure of one component, or of a share of its failures."""

    name: str
    """Name of the cause as runs report it."""
    component: str
    """Component of the failure rates."""
    share_fraction: Fraction
    """Share of that component's failures; the shares of a component sum to 1."""
    hits: Hits
    """What is lost: a server, only the job on it, or all servers under one leaf switch."""
    detect_s: Seconds
    """Time until it is noticed; work done meanwhile is lost."""
    repair_median_s: Seconds
    """Half of the repairs are shorter; 0 when nothing is to be repaired."""
    repair_p95_s: Seconds
    """Nineteen of twenty repairs are shorter; log-normal through both."""
    provenance: Provenance
    """Where the figures come from."""

    def __post_init__(self) -> None:
        """Refuse repairs that run backwards, and lost servers that come back at once."""
        if self.repair_p95_s < self.repair_median_s:
            msg = f"{self.name}: repair_p95 is below repair_median; swap them or mend one"
            raise ValueError(msg)
        if (self.hits == "job") != (self.repair_median_s == 0):
            msg = f"{self.name}: what hits a job needs no repair, what hits more needs one"
            raise ValueError(msg)
