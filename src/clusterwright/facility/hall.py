"""Which device stands in which rack, and where the racks stand.

Racks are grouped by what stands in them; groups follow each other row by row, compute first with
the network racks in the middle of it, so that the longest cables are short.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from clusterwright.model.facility import Rack, RackGroup, RackItem
from clusterwright.units import Metres


@dataclass(frozen=True, slots=True, kw_only=True)
class Hall:
    """Where everything stands, as arrays: `x` and `y` of rack r of the hall."""

    groups: tuple[RackGroup, ...]
    """Groups in the order in which they stand."""
    first_rack: Mapping[str, int]
    """Number of the first rack of each group."""
    x_m: npt.NDArray[np.float64]
    """`(num_racks,)` metres from the left wall."""
    y_m: npt.NDArray[np.float64]
    """`(num_racks,)` metres from the front wall."""
    racks_per_row: int
    """Racks of a row."""

    @property
    def num_racks(self) -> int:
        """Racks in the hall."""
        return int(self.x_m.size)

    def rack_of(self, group: RackGroup, device: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return the rack of each device of a group, devices counted from 0."""
        return self.first_rack[group.name] + device // group.num_per_rack

    def racks(self) -> Iterator[Rack]:
        """Yield every rack with what stands in it."""
        for group in self.groups:
            for number in range(group.num_racks):
                yield self._rack(group, number)

    def _rack(self, group: RackGroup, number: int) -> Rack:
        place = self.first_rack[group.name] + number
        first = number * group.num_per_rack
        count = min(group.num_per_rack, group.num_devices - first)
        items = tuple(
            RackItem(
                device=f"{group.device}-{first + i + 1:03d}",
                part=group.part,
                lowest_unit=1 + i * group.num_units,
                num_units=group.num_units,
                power_w=group.device_power_w,
            )
            for i in range(count)
        )
        return Rack(
            name=f"{group.name}-rack-{number + 1:03d}",
            kind=group.kind,
            row=place // self.racks_per_row + 1,
            position=place % self.racks_per_row + 1,
            x_m=float(self.x_m[place]),
            y_m=float(self.y_m[place]),
            items=items,
            power_w=count * group.device_power_w,
            limit_w=group.limit_w,
        )


def servers_per_rack(
    server_power_w: float, server_units: int, *, rack_power_w: float, rack_units: int
) -> int:
    """Return how many servers a rack holds by power and by height; 0 when not even one.

    Examples
    --------
    >>> servers_per_rack(10_200, 8, rack_power_w=45_000, rack_units=48)
    4
    """
    return min(int(rack_power_w // server_power_w), rack_units // server_units)


def lay_out(
    groups: Sequence[RackGroup], *, racks_per_row: int, rack_width: Metres, row_pitch: Metres
) -> Hall:
    """Return the hall with every rack in its place."""
    present = [group for group in groups if group.num_devices]
    first: dict[str, int] = {}
    total = 0
    for group in _in_order(present):
        first[group.name] = total
        total += group.num_racks
    place = np.arange(total)
    return Hall(
        groups=tuple(_in_order(present)),
        first_rack=first,
        x_m=(place % racks_per_row + 0.5) * rack_width,
        y_m=(place // racks_per_row + 0.5) * row_pitch,
        racks_per_row=racks_per_row,
    )


def _in_order(groups: Sequence[RackGroup]) -> list[RackGroup]:
    order = {"compute": 0, "network": 1, "service": 2, "storage": 3, "management": 4}
    return sorted(groups, key=lambda group: order.get(group.kind, len(order)))
