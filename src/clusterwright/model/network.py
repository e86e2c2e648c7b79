"""The three network planes of a design, to the port."""

from dataclasses import dataclass
from typing import Literal

from clusterwright.units import BytesPerSecond, Metres, Ratio, Usd, Watts

PlaneName = Literal["compute", "storage", "management"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FatTree:
    """Switches and links of a fat-tree of one plane."""

    num_endpoints: int
    """Ports of servers, manager ports not counted."""
    num_manager_ports: int
    """Leaf ports kept for fabric managers."""
    radix: int
    """Ports of one switch."""
    levels: int
    """Switch levels: 1, 2 or 3; 0 when there is nothing to connect."""
    num_leaf: int
    """Leaf switches."""
    num_spine: int
    """Spine switches."""
    num_core: int
    """Core switches."""
    num_down_ports: int
    """Ports of a leaf that face endpoints."""
    num_up_ports: int
    """Ports of a leaf that face spines."""
    num_node_leaf_links: int
    """Links between endpoints or managers and leaves."""
    num_leaf_spine_links: int
    """Links between leaves and spines."""
    num_spine_core_links: int
    """Links between spines and cores."""

    @property
    def oversubscription_ratio(self) -> float:
        """Down-ports over up-ports of a leaf."""
        return self.num_down_ports / self.num_up_ports if self.num_up_ports else 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """Devices of one kind that hang on a plane."""

    name: str
    """Prefix of their names, such as `training`."""
    num_devices: int
    """How many devices."""
    num_ports: int
    """Ports of each on this plane."""
    port_bytes_per_s: BytesPerSecond
    """Speed of one port."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkCount:
    """Links of one part on one plane."""

    part: str
    """Cable or optic of the catalogue."""
    num_links: int
    """How many links."""
    num_optics: int
    """Optics at their ends."""
    total_length_m: Metres
    """Length of all of them."""
    cost_usd: Usd
    """What they cost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plane:
    """One network plane."""

    topology: str
    """What it is, in words: two-level fat-tree, rail-optimised."""
    switch: str
    """Leaf switch of the catalogue; empty when nothing hangs on it."""
    radix: int
    """Ports of one switch as used on this plane, after splitting."""
    levels: int
    """Switch levels."""
    num_endpoints: int
    """Switch ports that devices take."""
    num_manager_ports: int
    """Leaf ports kept for fabric managers."""
    num_leaf: int
    """Leaf switches."""
    num_spine: int
    """Spine switches; aggregation switches on the management plane."""
    num_core: int
    """Core switches."""
    num_node_leaf_cables: int
    """Cables between devices and leaves."""
    num_leaf_spine_cables: int
    """Cables between leaves and spines."""
    num_spine_core_cables: int
    """Cables between spines and cores."""
    num_rails: int
    """Leaves that one server spreads over; 0 where rails mean nothing."""
    oversubscription_ratio: Ratio
    """Endpoint bandwidth over uplink bandwidth of a leaf."""
    port_bytes_per_s: BytesPerSecond
    """Speed of a port, per direction."""
    bisection_bytes_per_s: BytesPerSecond
    """Bandwidth between two halves of the endpoints, per direction."""
    power_w: Watts
    """What switches and optics draw at most."""
    num_rack_units: int
    """Rack units of its switches."""
    attachments: tuple[Attachment, ...]
    """What hangs on it."""
    links: tuple[LinkCount, ...]
    """Links by part; empty until the hall is laid out."""

    @property
    def num_switches(self) -> int:
        """Switches of all levels."""
        return self.num_leaf + self.num_spine + self.num_core


@dataclass(frozen=True, slots=True, kw_only=True)
class Planes:
    """The three planes."""

    compute: Plane
    """InfiniBand or Ethernet between the accelerators."""
    storage: Plane
    """Ethernet for storage and business traffic."""
    management: Plane
    """Out-of-band."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fabric:
    """The network part of a design."""

    kind: Literal["infiniband", "ethernet"]
    """Kind of the compute plane."""
    planes: Planes
    """The three planes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cable:
    """One cable with both its ends."""

    cable_id: str
    """Number on its label."""
    plane: PlaneName
    """Plane that it belongs to."""
    from_device: str
    """Device at the lower end."""
    from_port: str
    """Port there."""
    to_device: str
    """Device at the upper end."""
    to_port: str
    """Port there."""
    part: str
    """Cable or optic of the catalogue."""
    length_m: Metres
    """Length to order."""
