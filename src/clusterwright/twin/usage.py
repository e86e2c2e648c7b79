"""What was in use, who waited and what was down, pool by pool, hour by hour."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from clusterwright.model.event import EventKind
from clusterwright.twin.log import EventLog
from clusterwright.twin.records import Level, Records
from clusterwright.units import SECONDS_PER_HOUR

Hours = npt.NDArray[np.float64]


class Usage:
    """Quanta in use, jobs waiting and nodes down of each pool."""

    def __init__(
        self,
        pool_of_queue: Mapping[str, str],
        pool_of_node: Sequence[str],
        queues: Sequence[str],
        records: Records,
        log: EventLog,
        end_s: float,
    ) -> None:
        """Fold a log; `queues` gives the queue of each job, shape (num_jobs,)."""
        names = tuple(dict.fromkeys(pool_of_node))
        self.queues = names
        number = {name: i for i, name in enumerate(names)}
        code = np.array([number[pool_of_queue[queue]] for queue in queues], dtype=np.int64)
        runs, waits = records.runs, records.waits
        events = log.columns()
        node_code = np.array([number[name] for name in pool_of_node], dtype=np.int64)
        change = np.zeros(len(log))
        change[events["kind"] == EventKind.NODE_FAIL] = 1.0
        change[events["kind"] == EventKind.NODE_REPAIR] = -1.0
        moved = np.flatnonzero(change)
        where = node_code[events["node"][moved]]
        self._used, self._waiting, self._down = {}, {}, {}
        for name, i in number.items():
            self._used[name] = Level.of(runs, code[runs.job] == i, end_s)
            self._waiting[name] = Level.of(waits, code[waits.job] == i, end_s)
            mine = moved[where == i]
            self._down[name] = Level(events["time_s"][mine], change[mine], end_s)

    def quanta_s(self, pool: str) -> Hours:
        """Return quanta-seconds in use of each hour."""
        return self._used[pool].per(SECONDS_PER_HOUR)

    def mean_waiting(self, pool: str) -> Hours:
        """Return the mean number of waiting jobs of each hour."""
        return self._waiting[pool].per(SECONDS_PER_HOUR) / SECONDS_PER_HOUR

    def down_node_s(self, pool: str) -> Hours:
        """Return node-seconds out of use of each hour."""
        return self._down[pool].per(SECONDS_PER_HOUR)
