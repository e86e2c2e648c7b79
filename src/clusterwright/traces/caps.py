"""A power cap over time, from a table: `start_s,cap_w`, one row for each change."""

from clusterwright.errors import Fault, InvalidInput
from clusterwright.traces.tidy import number_of, rows_of

_NEEDED = ("start_s", "cap_w")


def read_cap(content: bytes, *, file: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return when each step of a cap begins, and the watts from then on.

    Raises
    ------
    InvalidInput
        With every row that is no time or no power, and every one out of order.
    """
    times: list[float] = []
    watts: list[float] = []
    faults: list[Fault] = []

    def fault(line: int, path: str, message: str, remedy: str) -> None:
        faults.append(Fault(file=file, line=line, path=path, message=message, remedy=remedy))

    for line, row in rows_of(content, file, _NEEDED):
        time_s, cap_w = (number_of(row[name]) for name in _NEEDED)
        if time_s is None or time_s < 0:
            fault(line, "start_s", f"{row['start_s']!r} is no time", "write seconds from the start")
        elif not times and time_s:
            fault(line, "start_s", f"the first step is at {time_s:g} s", "begin at 0")
        elif times and time_s <= times[-1]:
            fault(line, "start_s", f"{time_s:g} s is not after {times[-1]:g} s", "sort the rows")
        if cap_w is None or cap_w <= 0:
            fault(line, "cap_w", f"{row['cap_w']!r} is no power", "write watts, above zero")
        times.append(time_s or 0.0)
        watts.append(cap_w or 0.0)
    if not times:
        fault(1, "start_s", "has no rows", "give at least one, at 0 s")
    if faults:
        raise InvalidInput(faults)
    return tuple(times), tuple(watts)
