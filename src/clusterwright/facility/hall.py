"""Which device stands in which rack, and where the racks stand.

Racks are grouped by what stands in them. Rows of one length stand side by side and one behind the
other until the hall is about square. The network racks take the middle rows, compute stands around
them, and what needs few or short cables fills the edge: most links meet a switch, so this keeps the
mean link short.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from clusterwright.errors import UsageError
from clusterwright.model.facility import Rack, RackGroup, RackItem, RackKind
from clusterwright.units import Metres

_IN_READING_ORDER: tuple[RackKind, ...] = ("compute", "network", "service", "storage", "management")
_FROM_THE_MIDDLE: tuple[RackKind, ...] = ("network", "compute", "service", "storage", "management")
_ROUNDING = 1e-9  # of a server; what float arithmetic may be off when a rack is filled exactly


@dataclass(frozen=True, slots=True, kw_only=True)
class Hall:
    """Where everything stands, as arrays over the racks, which are numbered group by group."""

    groups: tuple[RackGroup, ...]
    """Groups in the order in which their racks are numbered."""
    first_rack: Mapping[str, int]
    """Number of the first rack of each group."""
    place: npt.NDArray[np.int64]
    """`(num_racks,)` place of each rack, counted from 0 row by row."""
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
        rack = self.first_rack[group.name] + number
        place = int(self.place[rack])
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
            x_m=float(self.x_m[rack]),
            y_m=float(self.y_m[rack]),
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
    by_power = int(rack_power_w / server_power_w + _ROUNDING)
    return min(by_power, rack_units // server_units)


def lay_out(
    groups: Sequence[RackGroup], *, racks_per_row: int, rack_width: Metres, row_pitch: Metres
) -> Hall:
    """Return the hall with every rack in its place; the same groups always stand the same.

    Parameters
    ----------
    groups
        What is to stand; groups without devices are left out.
    racks_per_row
        Racks between two cross aisles, at least 1.
    rack_width
        Pitch of racks in a row.
    row_pitch
        Pitch of rows, hot and cold aisle counted in; cross aisles are taken as wide.

    Raises
    ------
    UsageError
        If two groups have one name, for then nobody could say which rack is meant.
    """
    present = sorted(
        (group for group in groups if group.num_devices),
        key=lambda group: _IN_READING_ORDER.index(group.kind),
    )
    first: dict[str, int] = {}
    total = 0
    for group in present:
        if group.name in first:
            msg = f"two groups of racks are called {group.name!r}; rename the pool or the tier"
            raise UsageError(msg)
        first[group.name] = total
        total += group.num_racks
    x_m, y_m = _places(total, racks_per_row, rack_width, row_pitch)
    place = _taken(present, first, _outwards(x_m, y_m, racks_per_row))
    return Hall(
        groups=tuple(present),
        first_rack=first,
        place=place,
        x_m=x_m[place],
        y_m=y_m[place],
        racks_per_row=racks_per_row,
    )


def _places(
    count: int, racks_per_row: int, rack_width: float, row_pitch: float
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return x and y of so many places, row by row in a hall that is about square."""
    span = racks_per_row * rack_width + row_pitch
    abreast = max(1, round(math.sqrt(count * row_pitch / (racks_per_row * span))))
    place = np.arange(count)
    row, position = place // racks_per_row, place % racks_per_row
    x_m = (row % abreast) * span + (position + 0.5) * rack_width
    y_m = (row // abreast + 0.5) * row_pitch
    return x_m.astype(np.float64), y_m.astype(np.float64)


def _outwards(
    x_m: npt.NDArray[np.float64], y_m: npt.NDArray[np.float64], racks_per_row: int
) -> npt.NDArray[np.int64]:
    """Return the places from the middle of the hall outwards, whole rows at a time."""
    place = np.arange(x_m.size)
    if not place.size:
        return place
    row = place // racks_per_row
    racks = np.bincount(row)
    x_mid, y_mid = x_m.mean(), y_m.mean()
    row_far = np.abs(np.bincount(row, x_m) / racks - x_mid) + np.abs(
        np.bincount(row, y_m) / racks - y_mid
    )
    far = np.abs(x_m - x_mid) + np.abs(y_m - y_mid)
    # Rounded, because two rows equally far must not change places for the last bit of a sum.
    return np.lexsort((place, np.round(far, 6), np.round(row_far, 6)[row]))


def _taken(
    groups: Sequence[RackGroup], first: Mapping[str, int], outwards: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """Return the place of each rack: kinds from the middle outwards, numbered along the rows."""
    place = np.empty_like(outwards)
    used = 0
    for kind in _FROM_THE_MIDDLE:
        alike = [group for group in groups if group.kind == kind]
        count = sum(group.num_racks for group in alike)
        if count:
            start = first[alike[0].name]  # groups of one kind are numbered one after the other
            place[start : start + count] = np.sort(outwards[used : used + count])
            used += count
    return place
