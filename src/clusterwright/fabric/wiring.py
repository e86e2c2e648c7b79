"""Which port goes to which: the wiring of a plane as arrays, so that 100,000 endpoints are quick.

Endpoints are numbered device by device in the order of the attachments. On a rail-optimised plane
port r of the servers of one group goes to leaf r of that group; servers that fill no whole group
are wired one after the other. Uplinks are spread so that every pair has equally many.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from clusterwright.fabric.planes import access_switches_of_a_group, switch_ports
from clusterwright.model.network import Plane

Indices = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wiring:
    """The links of a plane; all arrays of one level have one length."""

    node_device: Indices
    """`(num_node_links,)` device of each node link, counted over all attachments."""
    node_port: Indices
    """`(num_node_links,)` port of that device, from 0."""
    node_leaf: Indices
    """`(num_node_links,)` leaf that it goes to."""
    node_leaf_port: Indices
    """`(num_node_links,)` port of that leaf, from 0."""
    node_leg: Indices
    """`(num_node_links,)` leg of a splitter on that port; 0 where the port is not split."""
    up_leaf: Indices
    """`(num_leaf_spine,)` leaf of each uplink."""
    up_leaf_port: Indices
    """`(num_leaf_spine,)` its port there."""
    up_spine: Indices
    """`(num_leaf_spine,)` spine that it goes to."""
    up_spine_port: Indices
    """`(num_leaf_spine,)` its port there."""
    core_spine: Indices
    """`(num_spine_core,)` spine of each link to a core."""
    core_spine_port: Indices
    """`(num_spine_core,)` its port there."""
    core_core: Indices
    """`(num_spine_core,)` core that it goes to."""
    core_core_port: Indices
    """`(num_spine_core,)` its port there."""


def wiring(plane: Plane) -> Wiring:
    """Return the wiring of a plane."""
    device, port, slot, leg = _slots(plane)
    if plane.levels == 0:
        return _assemble(device, port, slot, slot, leg, _nothing(), _nothing())
    down = _down_ports(plane)
    if plane.num_rails > 1 and len(plane.attachments) == 1:
        leaf, leaf_port = _rails(device, port, plane.num_rails, down, plane.num_leaf)
    else:
        leaf, leaf_port = slot // down, slot % down
    return _assemble(device, port, leaf, leaf_port, leg, _uplinks(plane, down), _core_links(plane))


def _down_ports(plane: Plane) -> int:
    if plane.num_leaf_spine_cables and plane.num_spine:
        return plane.radix - plane.num_leaf_spine_cables // plane.num_leaf
    return plane.radix


def _slots(plane: Plane) -> tuple[Indices, Indices, Indices, Indices]:
    """Return device, port, switch-port slot and splitter leg of every node link."""
    parts: list[tuple[Indices, Indices, Indices, Indices]] = []
    first_device = first_slot = 0
    for one in plane.attachments:
        links = np.arange(one.num_devices * one.num_ports, dtype=np.int64)
        share = max(1, int(plane.port_bytes_per_s // one.port_bytes_per_s))
        parts.append(
            (
                first_device + links // one.num_ports,
                links % one.num_ports,
                first_slot + links // share,
                links % share,
            )
        )
        first_device += one.num_devices
        first_slot += switch_ports(one, plane.port_bytes_per_s)
    if not parts:
        return (_empty(), _empty(), _empty(), _empty())
    device, port, slot, leg = (np.concatenate(column) for column in zip(*parts, strict=True))
    return device, port, slot, leg


def _rails(
    device: Indices, port: Indices, rails: int, down: int, num_leaf: int
) -> tuple[Indices, Indices]:
    """Return leaf and port: by rail in whole groups of servers, one after the other in the last.

    A group of `down` servers fills `rails` leaves. Servers beyond the last whole group fill the
    leaves that are left in order, for they are too few for a leaf a rail.
    """
    groups = num_leaf // rails
    group, place = device // down, device % down
    rest = (device - groups * down) * rails + port
    beyond = group >= groups
    leaf = np.where(beyond, groups * rails + rest // down, group * rails + port)
    return leaf, np.where(beyond, rest % down, place)


def _uplinks(plane: Plane, down: int) -> tuple[Indices, Indices, Indices, Indices]:
    if not plane.num_leaf_spine_cables:
        return _nothing()
    up = plane.num_leaf_spine_cables // plane.num_leaf
    links = np.arange(plane.num_leaf_spine_cables, dtype=np.int64)
    leaf, place = links // up, links % up
    if plane.levels == 2:
        each = up // plane.num_spine  # links of every pair; spines divide the uplinks of a leaf
        return leaf, down + place, place // each, leaf * each + place % each
    if _is_access_tree(plane, up):
        group = access_switches_of_a_group(plane.radix, up)
        spine = 2 * (leaf // group) + place % 2
        return leaf, down + place, spine, _running(spine)
    pod = leaf // (plane.radix // 2)  # so many leaves under so many spines as a leaf has uplinks
    first = pod * up
    width = np.minimum(up, plane.num_spine - first)
    spine = first + (place + leaf) % width
    return leaf, down + place, spine, _running(spine)


def _core_links(plane: Plane) -> tuple[Indices, Indices, Indices, Indices]:
    if not plane.num_spine_core_cables:
        return _nothing()
    links = np.arange(plane.num_spine_core_cables, dtype=np.int64)
    up = plane.num_spine_core_cables // plane.num_spine
    if _is_access_tree(plane, up):
        spine, place = links // up, links % up
        core = 2 * (spine // (plane.radix // max(1, up // 2))) + place % 2
        return spine, plane.radix - up + place, core, _running(core)
    half = plane.radix // 2
    spine = np.minimum(links // half, plane.num_spine - 1)
    core = links % plane.num_core
    return spine, half + links % half, core, _running(core)


def _is_access_tree(plane: Plane, up: int) -> bool:
    """Return whether few uplinks leave each switch for a pair above it, as out of band."""
    return plane.num_rails == 0 and 2 * up < plane.radix


def _running(keys: Indices) -> Indices:
    """Return for each element how many equal ones stand before it."""
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    lengths = np.diff(np.r_[starts, ordered.size])
    place = np.arange(ordered.size) - np.repeat(starts, lengths)
    result = np.empty_like(place)
    result[order] = place
    return result


def _assemble(
    device: Indices,
    port: Indices,
    leaf: Indices,
    leaf_port: Indices,
    leg: Indices,
    up: tuple[Indices, Indices, Indices, Indices],
    core: tuple[Indices, Indices, Indices, Indices],
) -> Wiring:
    return Wiring(
        node_device=device,
        node_port=port,
        node_leaf=leaf,
        node_leaf_port=leaf_port,
        node_leg=leg,
        up_leaf=up[0],
        up_leaf_port=up[1],
        up_spine=up[2],
        up_spine_port=up[3],
        core_spine=core[0],
        core_spine_port=core[1],
        core_core=core[2],
        core_core_port=core[3],
    )


def _empty() -> Indices:
    return np.zeros(0, dtype=np.int64)


def _nothing() -> tuple[Indices, Indices, Indices, Indices]:
    return _empty(), _empty(), _empty(), _empty()
