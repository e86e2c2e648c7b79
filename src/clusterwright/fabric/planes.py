"""The three planes of a centre from what hangs on them: switches chosen and counted."""

import math
from collections.abc import Iterable, Sequence
from typing import Literal

from clusterwright.errors import UsageError
from clusterwright.fabric.fattree import fat_tree, most_endpoints
from clusterwright.model.network import Attachment, FatTree, Plane
from clusterwright.model.parts import Switch
from clusterwright.units import BytesPerSecond
from clusterwright.units import format as show

_LEVEL_WORDS = {0: "none", 1: "one switch", 2: "two-level fat-tree", 3: "three-level fat-tree"}


def compute_plane(
    attachments: Sequence[Attachment],
    switches: Iterable[Switch],
    kind: Literal["infiniband", "ethernet"],
    *,
    num_manager_ports: int = 0,
    oversubscription: float = 1.0,
) -> Plane:
    """Return the plane between the accelerators.

    The switch is the slowest of its kind whose ports serve the fastest NIC and that reaches all
    endpoints within three levels; ports faster than the NIC are split.

    Raises
    ------
    UsageError
        If no switch of the kind does.
    """
    attached = [one for one in attachments if one.num_devices and one.num_ports]
    if not attached:
        return empty_plane()
    speed = max(one.port_bytes_per_s for one in attached)
    endpoints = sum(one.num_devices * one.num_ports for one in attached)
    switch = _fitting(switches, kind, speed, endpoints + num_manager_ports, oversubscription)
    split = int(switch.port_bytes_per_s // speed)
    tree = fat_tree(
        endpoints,
        switch.num_ports * split,
        num_manager_ports=num_manager_ports,
        oversubscription=oversubscription,
    )
    rails = max(one.num_ports for one in attached)
    words = (
        f"{_LEVEL_WORDS[tree.levels]}, rail-optimised" if rails > 1 else _LEVEL_WORDS[tree.levels]
    )
    return _plane(words, switch, speed, tree, attached, rails=rails)


def storage_plane(
    attachments: Sequence[Attachment], switch: Switch, switches: Iterable[Switch] = ()
) -> Plane:
    """Return the Ethernet plane for storage and business traffic.

    Ports slower than the switch's share one of its ports through a splitter; devices of different
    kinds do not share. Where three levels of the switch are too few, the slowest Ethernet switch of
    `switches` takes its place that reaches all, its ports split to the same speed.

    Raises
    ------
    UsageError
        If no switch does.
    """
    attached = [one for one in attachments if one.num_devices and one.num_ports]
    if not attached:
        return empty_plane()
    speed = switch.port_bytes_per_s
    endpoints = sum(switch_ports(one, speed) for one in attached)
    if endpoints > most_endpoints(switch.num_ports):
        switch = _fitting(switches, "ethernet", speed, endpoints, 1.0)
    tree = fat_tree(endpoints, switch.num_ports * int(switch.port_bytes_per_s // speed))
    return _plane(
        _LEVEL_WORDS[tree.levels],
        switch,
        speed,
        tree,
        attached,
        num_cables=sum(one.num_devices * one.num_ports for one in attached),
    )


def management_plane(
    attachments: Sequence[Attachment], switch: Switch, *, fill: float, num_uplinks: int
) -> Plane:
    """Return the out-of-band plane: access switches filled to a share, aggregation above them.

    Two aggregation switches take the uplinks while they have the ports; beyond that access switches
    form groups of two aggregation switches each, and pairs of core switches join the groups. Every
    management port and every uplink has a place; the plane shares no switch with the others.
    """
    attached = [one for one in attachments if one.num_devices and one.num_ports]
    if not attached:
        return empty_plane()
    ports = sum(one.num_devices * one.num_ports for one in attached)
    usable = max(1, int(switch.num_ports * fill))
    leaves = math.ceil(ports / usable)
    spines, cores = _aggregation(leaves, switch.num_ports, num_uplinks)
    topology = "access switches under two aggregation switches" if spines else "one switch"
    if cores:
        topology = "access switches under pairs of aggregation and core switches"
    return Plane(
        topology=topology,
        switch=switch.name,
        radix=switch.num_ports,
        levels=3 if cores else 2 if spines else 1,
        num_endpoints=ports,
        num_manager_ports=0,
        num_leaf=leaves,
        num_spine=spines,
        num_core=cores,
        num_node_leaf_cables=ports,
        num_leaf_spine_cables=leaves * num_uplinks if spines else 0,
        num_spine_core_cables=spines * num_uplinks if cores else 0,
        num_rails=0,
        oversubscription_ratio=usable / num_uplinks if spines else 1.0,
        port_bytes_per_s=switch.port_bytes_per_s,
        bisection_bytes_per_s=leaves * num_uplinks * switch.port_bytes_per_s / 2,
        power_w=(leaves + spines + cores) * switch.max_power_w,
        num_rack_units=(leaves + spines + cores) * switch.rack_units,
        attachments=tuple(attached),
        links=(),
    )


def _aggregation(leaves: int, radix: int, num_uplinks: int) -> tuple[int, int]:
    """Return aggregation and core switches above so many access switches."""
    if leaves <= 1:
        return 0, 0
    each = max(1, num_uplinks // 2)  # links of one switch to one of the pair above it
    if leaves * each <= radix:
        return 2, 0
    groups = math.ceil(leaves / access_switches_of_a_group(radix, num_uplinks))
    return 2 * groups, 2 * math.ceil(2 * groups * each / radix)


def access_switches_of_a_group(radix: int, num_uplinks: int) -> int:
    """Return how many access switches share two aggregation switches that have uplinks too."""
    return (radix - num_uplinks) // max(1, num_uplinks // 2)


def switch_ports(attachment: Attachment, port_bytes_per_s: float) -> int:
    """Return the switch ports that devices of one kind take, several slow ones on one."""
    share = max(1, int(port_bytes_per_s // attachment.port_bytes_per_s))
    return math.ceil(attachment.num_devices * attachment.num_ports / share)


def empty_plane() -> Plane:
    """Return the plane that nothing hangs on."""
    return Plane(
        topology=_LEVEL_WORDS[0],
        switch="",
        radix=0,
        levels=0,
        num_endpoints=0,
        num_manager_ports=0,
        num_leaf=0,
        num_spine=0,
        num_core=0,
        num_node_leaf_cables=0,
        num_leaf_spine_cables=0,
        num_spine_core_cables=0,
        num_rails=0,
        oversubscription_ratio=1.0,
        port_bytes_per_s=0.0,
        bisection_bytes_per_s=0.0,
        power_w=0.0,
        num_rack_units=0,
        attachments=(),
        links=(),
    )


def _fitting(
    switches: Iterable[Switch], kind: str, speed: float, endpoints: int, oversubscription: float
) -> Switch:
    fast = sorted(
        (one for one in switches if one.kind == kind and one.port_bytes_per_s >= speed),
        key=lambda one: (one.port_bytes_per_s, one.price_low_usd),
    )
    for switch in fast:
        radix = switch.num_ports * int(switch.port_bytes_per_s // speed)
        if endpoints <= most_endpoints(radix, oversubscription=oversubscription):
            return switch
    names = ", ".join(one.name for one in fast) or "none"
    msg = (
        f"no {kind} switch connects {endpoints:,} ports of {show(speed, BytesPerSecond)} in three "
        f"levels; fast enough: {names}. Take fewer accelerators or another kind of fabric."
    )
    raise UsageError(msg)


def _plane(
    topology: str,
    switch: Switch,
    speed: float,
    tree: FatTree,
    attached: Sequence[Attachment],
    *,
    rails: int = 0,
    num_cables: int | None = None,
) -> Plane:
    switches = tree.num_leaf + tree.num_spine + tree.num_core
    return Plane(
        topology=topology,
        switch=switch.name,
        radix=tree.radix,
        levels=tree.levels,
        num_endpoints=tree.num_endpoints,
        num_manager_ports=tree.num_manager_ports,
        num_leaf=tree.num_leaf,
        num_spine=tree.num_spine,
        num_core=tree.num_core,
        num_node_leaf_cables=tree.num_node_leaf_links if num_cables is None else num_cables,
        num_leaf_spine_cables=tree.num_leaf_spine_links,
        num_spine_core_cables=tree.num_spine_core_links,
        num_rails=rails,
        oversubscription_ratio=tree.oversubscription_ratio,
        port_bytes_per_s=speed,
        bisection_bytes_per_s=min(
            tree.num_endpoints / 2, tree.num_leaf_spine_links / 2 or tree.num_endpoints / 2
        )
        * speed,
        power_w=switches * switch.max_power_w,
        num_rack_units=switches * switch.rack_units,
        attachments=tuple(attached),
        links=(),
    )
