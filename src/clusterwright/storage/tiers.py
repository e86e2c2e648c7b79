"""Lake, hot, block and local tier, each sized by the demand that needs most of it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields

from clusterwright.errors import UsageError
from clusterwright.model.design import Derivation
from clusterwright.model.parts import StorageSystem
from clusterwright.model.storage import CheckpointPlan, Storage, Tier, TierName
from clusterwright.storage.schemes import Scheme, replicas
from clusterwright.units import Bytes, BytesPerSecond, Fraction, Seconds
from clusterwright.units import format as show

_LEAST_APPLIANCES = 2  # a single appliance takes the tier down when it is serviced
_ROUNDING = 1e-9  # of a server; what float arithmetic may be off, so that 12.000…01 stays 12
_CHECKPOINT_TIERS: tuple[TierName, ...] = ("hot", "lake", "block")


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageNeeds:
    """What the work asks of storage; 0 means that nothing is asked."""

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
    """Copies of each block, at least 1."""
    local_bytes: Bytes
    """NVMe in all servers of the pools."""
    num_local_servers: int
    """Servers that hold it."""
    checkpoint_bytes: Bytes
    """Largest full checkpoint; 0 when nothing trains."""

    def __post_init__(self) -> None:
        """Refuse what cannot be asked: less than nothing, or more than everything."""
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, float | int) and not 0 <= value < math.inf:
                msg = f"{field.name} is {value:g}; it must be 0 or more, and finite"
                raise UsageError(msg)


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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ask:
    """What is asked of one tier."""

    name: TierName
    system: StorageSystem
    scheme: Scheme
    stored_bytes: float
    read_bytes_per_s: float = 0.0
    write_bytes_per_s: float = 0.0

    @property
    def overhead(self) -> float:
        """Raw bytes for one stored byte; usable capacity has the system's own code in it."""
        return 1.0 if self.system.usable else self.scheme.overhead_ratio

    @property
    def each_bytes(self) -> float:
        """Stored bytes that one server takes."""
        return self.system.raw_bytes * self.system.fill_fraction / self.overhead


def size(needs: StorageNeeds, systems: Systems) -> tuple[Storage, tuple[Derivation, ...]]:
    """Return the storage of a design and how its figures came about.

    The servers of a tier are the most that capacity, read, write or the failure domains of its
    code need. A tier that stores nothing is left out; only the hot tier may be asked for its rates
    alone.

    Raises
    ------
    UsageError
        If the hot tier is to stand on a system that states raw capacity and no code.
    """
    asked = [
        _Ask(
            name="lake",
            system=systems.lake,
            scheme=needs.scheme,
            stored_bytes=needs.lake_bytes,
            read_bytes_per_s=needs.lake_read_bytes_per_s,
            write_bytes_per_s=needs.lake_write_bytes_per_s,
        ),
        _Ask(
            name="hot",
            system=systems.hot,
            scheme=replicas(1),
            stored_bytes=needs.hot_bytes,
            read_bytes_per_s=needs.hot_read_bytes_per_s,
            write_bytes_per_s=needs.hot_write_bytes_per_s,
        ),
        _Ask(
            name="block",
            system=systems.block,
            scheme=replicas(max(1, needs.block_replicas)),
            stored_bytes=needs.block_bytes,
        ),
    ]
    tiers: list[Tier] = []
    derivations: list[Derivation] = []
    for ask in asked:
        rates_asked = ask.name == "hot" and (ask.read_bytes_per_s or ask.write_bytes_per_s)
        if not (ask.stored_bytes or rates_asked):
            continue
        if ask.name == "hot":
            _refuse_raw(ask.system)
        servers = _servers_by_demand(ask)
        tier = _tier(ask, servers, systems)
        tiers.append(tier)
        derivations.extend(_derivations(tier, servers))
    if needs.local_bytes > 0:
        tiers.append(_local(needs))
    checkpoint = _checkpoint(needs, tiers)
    if checkpoint is not None:
        derivations.append(_checkpoint_derivation(checkpoint))
    return Storage(tiers=tuple(tiers), checkpoint=checkpoint), tuple(derivations)


def _refuse_raw(system: StorageSystem) -> None:
    if system.usable:
        return
    msg = (
        f"storage system {system.name!r} states raw capacity, and the hot tier adds no code of its "
        "own; name an appliance that states usable capacity (usable: yes) as plan.hot_system"
    )
    raise UsageError(msg)


def _servers_by_demand(ask: _Ask) -> Mapping[str, int]:
    """Return the servers that each demand takes on its own; the first of equal ones decides."""
    system = ask.system
    return {
        "capacity": _whole(ask.stored_bytes / ask.each_bytes),
        "read": _whole(ask.read_bytes_per_s / system.read_bytes_per_s),
        # Parity is written too: the drives take (k + m) / k of what comes in.
        "write": _whole(ask.write_bytes_per_s * ask.overhead / system.write_bytes_per_s),
        "failure domains": _LEAST_APPLIANCES if system.usable else ask.scheme.num_domains,
    }


def _whole(servers: float) -> int:
    return math.ceil(servers - _ROUNDING)


def _tier(ask: _Ask, servers: Mapping[str, int], systems: Systems) -> Tier:
    system = ask.system
    decisive = max(servers, key=lambda demand: servers[demand])
    count = servers[decisive]
    by_power = int(systems.rack_power_w / system.max_power_w + _ROUNDING)
    per_rack = max(1, min(systems.rack_units // system.rack_units, by_power))
    return Tier(
        name=ask.name,
        system=system.name,
        scheme="in the appliance" if system.usable else str(ask.scheme),
        overhead_ratio=ask.overhead,
        stored_bytes=ask.stored_bytes,
        usable_bytes=count * ask.each_bytes,
        raw_bytes=count * system.raw_bytes,
        fill_ratio=system.fill_fraction,
        read_bytes_per_s=count * system.read_bytes_per_s,
        write_bytes_per_s=count * system.write_bytes_per_s / ask.overhead,
        demanded_read_bytes_per_s=ask.read_bytes_per_s,
        demanded_write_bytes_per_s=ask.write_bytes_per_s,
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
    """Return how checkpoints are written: to the fastest kind of tier that survives a server."""
    present = {tier.name: tier for tier in tiers}
    taking = next((present[name] for name in _CHECKPOINT_TIERS if name in present), None)
    if not needs.checkpoint_bytes or taking is None:
        return None
    return CheckpointPlan(
        checkpoint_bytes=needs.checkpoint_bytes,
        tier=taking.name,
        write_time_s=needs.checkpoint_bytes / taking.write_bytes_per_s,
    )


def _derivations(tier: Tier, servers: Mapping[str, int]) -> tuple[Derivation, ...]:
    path = f"spec.storage.tiers[{tier.name}]"
    fill = show(tier.fill_ratio, Fraction)
    by_demand = ", ".join(f"{demand} {count:,}" for demand, count in servers.items() if count)
    return (
        Derivation(
            path=f"{path}.num_servers",
            formula=(
                f"{show(tier.stored_bytes, Bytes)} stored × {tier.overhead_ratio:g} / {fill} fill, "
                f"read {show(tier.demanded_read_bytes_per_s, BytesPerSecond)}, write "
                f"{show(tier.demanded_write_bytes_per_s, BytesPerSecond)}; servers by demand: "
                f"{by_demand}; decided by {tier.sized_by}, {tier.num_servers:,} × {tier.system}"
            ),
            source="catalogue: storage_systems, defaults",
        ),
        Derivation(
            path=f"{path}.usable_bytes",
            formula=(
                f"{show(tier.raw_bytes, Bytes)} of {tier.num_servers:,} × {tier.system} × {fill} "
                f"fill / {tier.overhead_ratio:g} ({tier.scheme})"
            ),
            source="catalogue: storage_systems",
        ),
    )


def _checkpoint_derivation(plan: CheckpointPlan) -> Derivation:
    rate = plan.checkpoint_bytes / plan.write_time_s
    return Derivation(
        path="spec.storage.checkpoint.write_time_s",
        formula=(
            f"{show(plan.checkpoint_bytes, Bytes)} / {show(rate, BytesPerSecond)} that the "
            f"{plan.tier} tier takes = {show(plan.write_time_s, Seconds)}"
        ),
        source="catalogue: storage_systems",
    )
