"""Lengths and parts of all cables, and the cable list itself: from wiring and hall, as arrays.

A cable runs along the row and across rows in straight trays (Manhattan distance) plus slack; the
part is the cheapest one of the port's speed that reaches, short copper first.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from clusterwright import fabric
from clusterwright.catalog import Catalog
from clusterwright.facility import Hall
from clusterwright.model.network import Cable, Fabric, LinkCount, Plane, PlaneName, Planes
from clusterwright.model.parts import Link
from clusterwright.units import Metres

Numbers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
_PLANES: tuple[PlaneName, ...] = ("compute", "storage", "management")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    """All cables of one level of a plane."""

    from_names: Sequence[str]
    from_index: Numbers
    from_port: Numbers
    to_names: Sequence[str]
    to_index: Numbers
    to_port: Numbers
    to_leg: Numbers | None
    length_m: Floats
    speed: Floats


def with_links(planes: Fabric, hall: Hall, catalog: Catalog) -> Fabric:
    """Return the fabric with its links counted by part, their power added to the planes'."""
    done: dict[str, Plane] = {}
    for name in _PLANES:
        plane: Plane = getattr(planes.planes, name)
        lengths = [
            (run.length_m, run.speed) for run in _runs(name, plane, hall, catalog, names=False)
        ]
        links, power = _counted(lengths, catalog)
        done[name] = replace(plane, links=links, power_w=plane.power_w + power)
    return replace(planes, planes=Planes(**done))


def cable_list(planes: Fabric, hall: Hall, catalog: Catalog) -> Iterator[Cable]:
    """Yield every cable of every plane, with a label of its own."""
    for name in _PLANES:
        plane: Plane = getattr(planes.planes, name)
        number = 0
        for run in _runs(name, plane, hall, catalog, names=True):
            parts = [link.name for link in _ladder(catalog)]
            chosen = _chosen(run.length_m, run.speed, catalog)
            for i in range(run.length_m.size):
                number += 1
                leg = (
                    f"/{run.to_leg[i] + 1}" if run.to_leg is not None and run.to_leg[i] >= 0 else ""
                )
                yield Cable(
                    cable_id=f"{name[0].upper()}{number:06d}",
                    plane=name,
                    from_device=run.from_names[run.from_index[i]],
                    from_port=str(run.from_port[i] + 1),
                    to_device=run.to_names[run.to_index[i]],
                    to_port=f"{run.to_port[i] + 1}{leg}",
                    part=parts[chosen[i]],
                    length_m=round(float(run.length_m[i]), 1),
                )


def _runs(
    name: PlaneName, plane: Plane, hall: Hall, catalog: Catalog, *, names: bool
) -> Iterator[_Run]:
    if not plane.levels:
        return
    wires = fabric.wiring(plane)
    slack = catalog.default("plan.cable_slack", Metres)
    racks, labels, speeds = _devices(plane, hall, names=names)
    group = next(one for one in hall.groups if one.name == f"{name}-network")
    switch_rack = hall.rack_of(group, np.arange(plane.num_switches))
    switches = [*_switch_names(name, plane)] if names else []
    leaf, spine = 0, plane.num_leaf
    core = plane.num_leaf + plane.num_spine
    split = bool((wires.node_leg > 0).any())
    yield _Run(
        from_names=labels,
        from_index=wires.node_device,
        from_port=wires.node_port,
        to_names=switches,
        to_index=leaf + wires.node_leaf,
        to_port=wires.node_leaf_port,
        to_leg=_legs(wires.node_leg, speeds[wires.node_device], plane) if split else None,
        length_m=_distance(racks[wires.node_device], switch_rack[wires.node_leaf], hall) + slack,
        speed=speeds[wires.node_device],
    )
    for low, low_at, low_port, high, high_at, high_port in (
        (wires.up_leaf, leaf, wires.up_leaf_port, wires.up_spine, spine, wires.up_spine_port),
        (
            wires.core_spine,
            spine,
            wires.core_spine_port,
            wires.core_core,
            core,
            wires.core_core_port,
        ),
    ):
        if low.size:
            yield _Run(
                from_names=switches,
                from_index=low_at + low,
                from_port=low_port,
                to_names=switches,
                to_index=high_at + high,
                to_port=high_port,
                to_leg=None,
                length_m=_distance(switch_rack[low_at + low], switch_rack[high_at + high], hall)
                + slack,
                speed=np.full(low.size, plane.port_bytes_per_s),
            )


def _legs(legs: Numbers, speeds: Floats, plane: Plane) -> Numbers:
    """Return the leg of a splitter, -1 where the device takes the whole port."""
    return np.where(speeds < plane.port_bytes_per_s, legs, -1)


def _devices(plane: Plane, hall: Hall, *, names: bool) -> tuple[Numbers, list[str], Floats]:
    """Return rack, label and port speed of every device that hangs on a plane."""
    by_device = {group.device: group for group in hall.groups}
    racks, labels, speeds = [], [], []
    for one in plane.attachments:
        count = np.arange(one.num_devices)
        if one.name in by_device:
            group = by_device[one.name]
            trays = max(1, one.num_devices // group.num_devices)
            racks.append(hall.rack_of(group, count // trays))
        else:
            racks.append(_spread(one.name, one.num_devices, hall))
        if names:
            labels += [f"{one.name}-{i + 1:03d}" for i in range(one.num_devices)]
        speeds.append(np.full(one.num_devices, one.port_bytes_per_s))
    return np.concatenate(racks), labels, np.concatenate(speeds)


def _spread(name: str, count: int, hall: Hall) -> Numbers:
    """Return racks for devices without racks of their own: switches, power units."""
    if name == "switch":
        places = np.concatenate(
            [
                hall.rack_of(group, np.arange(group.num_devices))
                for group in hall.groups
                if group.name in {"compute-network", "storage-network"}
            ]
            or [np.zeros(1, dtype=np.int64)]
        )
        return places[np.arange(count) % places.size]
    return np.arange(count) * hall.num_racks // max(count, 1)


def _switch_names(name: str, plane: Plane) -> Iterator[str]:
    upper = "aggregation" if name == "management" else "spine"
    for role, count in (
        ("leaf", plane.num_leaf),
        (upper, plane.num_spine),
        ("core", plane.num_core),
    ):
        yield from (f"{name}-{role}-{i + 1:03d}" for i in range(count))


def _distance(one: Numbers, other: Numbers, hall: Hall) -> Floats:
    return np.abs(hall.x_m[one] - hall.x_m[other]) + np.abs(hall.y_m[one] - hall.y_m[other])


def _ladder(catalog: Catalog) -> list[Link]:
    order = {"copper": 0, "multimode": 1, "single-mode": 2}
    return sorted(
        catalog.links.values(),
        key=lambda one: (one.port_bytes_per_s, order[one.medium], one.reach_m, one.name),
    )


def _chosen(length: Floats, speed: Floats, catalog: Catalog) -> Numbers:
    """Return the index in the ladder of the part for each link; where none fits, the longest."""
    ladder = _ladder(catalog)
    result = np.full(length.size, -1, dtype=np.int64)
    for index, link in enumerate(ladder):
        fits = (result < 0) & (link.port_bytes_per_s == speed) & (length <= link.reach_m)
        result[fits] = index
    for value in np.unique(speed[result < 0]):
        usable = [i for i, link in enumerate(ladder) if link.port_bytes_per_s >= value]
        result[(result < 0) & (speed == value)] = max(usable, key=lambda i: ladder[i].reach_m)
    return result


def _counted(
    lengths: Sequence[tuple[Floats, Floats]], catalog: Catalog
) -> tuple[tuple[LinkCount, ...], float]:
    ladder = _ladder(catalog)
    count: Mapping[int, list[float]] = {i: [0, 0.0] for i in range(len(ladder))}
    for length, speed in lengths:
        chosen = _chosen(length, speed, catalog)
        for index in np.unique(chosen):
            mine = chosen == index
            count[int(index)][0] += int(mine.sum())
            count[int(index)][1] += float(length[mine].sum())
    links, power = [], 0.0
    for index, (number, total) in count.items():
        if number:
            link = ladder[index]
            power += 2 * number * link.end_power_w
            links.append(
                LinkCount(
                    part=link.name,
                    num_links=int(number),
                    num_optics=int(number) * link.num_optics,
                    total_length_m=total,
                    cost_usd=number * (link.price_low_usd + link.price_high_usd) / 2,
                )
            )
    return tuple(links), power
