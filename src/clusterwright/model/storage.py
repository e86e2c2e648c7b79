"""The storage tiers of a design: lake, hot, block and node-local."""

from dataclasses import dataclass
from typing import Literal

from clusterwright.units import Bytes, BytesPerSecond, Ratio, Seconds, Usd, Watts

TierName = Literal["lake", "hot", "block", "local"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tier:
    """One storage tier."""

    name: TierName
    """Which tier."""
    system: str
    """Storage system of the catalogue."""
    scheme: str
    """How it survives losses: `ec 8+3`, `replica 3`, `raid`, or `none` for a cache."""
    overhead_ratio: Ratio
    """Raw bytes for one stored byte, at least 1."""
    stored_bytes: Bytes
    """What the demand puts there."""
    usable_bytes: Bytes
    """What may be stored once the systems are bought, fill limit and code counted."""
    raw_bytes: Bytes
    """Bytes of all drives."""
    fill_ratio: Ratio
    """Share of the raw space that may be filled."""
    read_bytes_per_s: BytesPerSecond
    """Aggregate read that the tier delivers."""
    write_bytes_per_s: BytesPerSecond
    """Aggregate write that the tier takes."""
    demanded_read_bytes_per_s: BytesPerSecond
    """Aggregate read that the demand asks."""
    demanded_write_bytes_per_s: BytesPerSecond
    """Aggregate write that the demand asks."""
    num_servers: int
    """Servers or appliances; those of the compute pools for the local tier."""
    num_drives: int
    """Drives in all servers; 0 where the appliance does not state it."""
    num_racks: int
    """Racks of the tier; 0 for the local tier, which stands in the compute racks."""
    power_w: Watts
    """What its servers draw at most; 0 for the local tier."""
    capex_usd: Usd
    """What its servers cost; 0 for the local tier."""
    sized_by: str
    """Which demand decided the number of servers: capacity, read, write or failure domains."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointPlan:
    """How checkpoints are written."""

    checkpoint_bytes: Bytes
    """Size of the largest full checkpoint."""
    tier: TierName
    """Tier that takes it."""
    write_time_s: Seconds
    """Time to write it at the tier's rate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Storage:
    """The storage part of a design."""

    tiers: tuple[Tier, ...]
    """Tiers along the data's way."""
    checkpoint: CheckpointPlan | None = None
    """How checkpoints are written; absent when nothing trains."""
