"""Lake, hot, block and local tier, each sized by the demand that needs most of it."""

import math
from dataclasses import dataclass

from clusterwright.model.design import Derivation
from clusterwright.model.parts import StorageSystem
from clusterwright.model.storage import CheckpointPlan, Storage, Tier, TierName
from clusterwright.storage.schemes import Scheme, replicas
from clusterwright.units import Bytes, BytesPerSecond, Fraction, format as show


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageNeeds:
    """What the work asks of storage."""

    lake_bytes: Bytes
    """Data that the lake holds when it is full."""
    lake_read_bytes_per_s: BytesPerSecond
    """What is read from the lake: processing and prefetch."""
    lake_write_bytes_per_s: BytesPerSecond
    """What is written into it: ingest."""
    scheme: Scheme
    """Erasure code of the lake."""
    hot_bytes: Bytes
    """Data that the hot tier holds."""
    hot_read_bytes_per_s: BytesPerSecond
    """What accelerators read from it."""
    hot_write_bytes_per_s: BytesPerSecond
    """What checkpoints and prefetch write into it."""
    block_bytes: Bytes
    """Block storage for databases and boot volumes."""
    block_replicas: int
    """Copies of each block."""
    local_bytes: Bytes
    """NVMe in all servers of the pools."""
    num_local_servers: int
    """Servers that hold it."""
    checkpoint_bytes: Bytes
    """Largest full checkpoint; 0 when nothing trains."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Systems:
    """The systems that the tiers are built from."""

    lake: StorageSystem
    """Storage server of the lake."""
    hot: StorageSystem
    """Appliance of the hot tier."""
    block: StorageSystem
    """Storage server of the block tier."""
    rack_units: int
    """Usable units of a rack."""
    rack_power_w: float
    """What a rack can be fed and cooled."""


def size(needs: StorageNeeds, systems: Systems) -> tuple[Storage, tuple[Derivation, ...]]:
    """Return the storage of a design and how its figures came about."""
    tiers: list[Tier] = []
    if needs.lake_bytes > 0:
        tiers.append(
            _tier(
                "lake",
                systems.lake,
                needs.scheme,
                needs.lake_bytes,
                needs.lake_read_bytes_per_s,
                needs.lake_write_bytes_per_s,
                systems,
            )
        )
    if needs.hot_bytes > 0 or needs.hot_read_bytes_per_s > 0:
        tiers.append(
            _tier(
                "hot",
                systems.hot,
                None,
                needs.hot_bytes,
                needs.hot_read_bytes_per_s,
                needs.hot_write_bytes_per_s,
                systems,
            )
        )
    if needs.block_bytes > 0:
        copies = replicas(needs.block_replicas)
        tiers.append(_tier("block", systems.block, copies, needs.block_bytes, 0.0, 0.0, systems))
    if needs.local_bytes > 0:
        tiers.append(_local(needs))
    storage = Storage(tiers=tuple(tiers), checkpoint=_checkpoint(needs, tiers))
    return storage, tuple(_derivation(tier) for tier in tiers)


def _tier(
    name: TierName,
    system: StorageSystem,
    scheme: Scheme | None,
    stored: float,
    read: float,
    write: float,
    systems: Systems,
) -> Tier:
    """Size one tier; without a scheme the system states usable capacity and protects it itself."""
    overhead = 1.0 if scheme is None else scheme.overhead_ratio
    each = system.raw_bytes * system.fill_fraction / overhead
    by_demand = {
        "capacity": math.ceil(stored / each - 1e-9),
        "read": math.ceil(read / system.read_bytes_per_s - 1e-9),
        # Parity is written too: the drives take (k + m) / k of what comes in.
        "write": math.ceil(write * overhead / system.write_bytes_per_s - 1e-9),
        "failure domains": 2 if scheme is None else scheme.num_domains,
    }
    decisive = max(by_demand, key=lambda key: by_demand[key])
    count = by_demand[decisive]
    per_rack = max(
        1,
        min(
            systems.rack_units // system.rack_units,
            int(systems.rack_power_w // system.max_power_w),
        ),
    )
    return Tier(
        name=name,
        system=system.name,
        scheme="in the appliance" if scheme is None else str(scheme),
        overhead_ratio=overhead,
        stored_bytes=stored,
        usable_bytes=count * each,
        raw_bytes=count * system.raw_bytes,
        fill_ratio=system.fill_fraction,
        read_bytes_per_s=count * system.read_bytes_per_s,
        write_bytes_per_s=count * system.write_bytes_per_s / overhead,
        demanded_read_bytes_per_s=read,
        demanded_write_bytes_per_s=write,
        num_servers=count,
        num_drives=count * system.num_drives,
        num_racks=math.ceil(count / per_rack),
        power_w=count * system.max_power_w,
        capex_usd=count * (system.price_low_usd + system.price_high_usd) / 2,
        sized_by=decisive,
    )


def _local(needs: StorageNeeds) -> Tier:
    return Tier(
        name="local",
        system="NVMe in the servers",
        scheme="none, it is a cache",
        overhead_ratio=1.0,
        stored_bytes=0.0,
        usable_bytes=needs.local_bytes,
        raw_bytes=needs.local_bytes,
        fill_ratio=1.0,
        read_bytes_per_s=0.0,
        write_bytes_per_s=0.0,
        demanded_read_bytes_per_s=0.0,
        demanded_write_bytes_per_s=0.0,
        num_servers=needs.num_local_servers,
        num_drives=0,
        num_racks=0,
        power_w=0.0,
        capex_usd=0.0,
        sized_by="what the servers have",
    )


def _checkpoint(needs: StorageNeeds, tiers: list[Tier]) -> CheckpointPlan | None:
    hot = next((tier for tier in tiers if tier.name == "hot"), None)
    if not needs.checkpoint_bytes or hot is None:
        return None
    return CheckpointPlan(
        checkpoint_bytes=needs.checkpoint_bytes,
        tier="hot",
        write_time_s=needs.checkpoint_bytes / hot.write_bytes_per_s,
    )


def _derivation(tier: Tier) -> Derivation:
    fill = show(tier.fill_ratio, Fraction)
    return Derivation(
        path=f"spec.storage.tiers[{tier.name}].num_servers",
        formula=(
            f"{show(tier.stored_bytes, Bytes)} stored × {tier.overhead_ratio:g} / {fill} fill, "
            f"read {show(tier.demanded_read_bytes_per_s, BytesPerSecond)}, write "
            f"{show(tier.demanded_write_bytes_per_s, BytesPerSecond)}: decided by {tier.sized_by}, "
            f"{tier.num_servers:,} × {tier.system}"
        ),
        source="catalogue: storage_systems, defaults",
    )
