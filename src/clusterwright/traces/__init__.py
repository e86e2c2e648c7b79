"""Other people's logs as our jobs; every row that cannot be used is reported and counted."""

from clusterwright.traces.caps import read_cap
from clusterwright.traces.energy import read_series
from clusterwright.traces.formats import FORMATS, detect, read_trace
from clusterwright.traces.quotas import read_quotas
from clusterwright.traces.reservations import read_reservations
from clusterwright.traces.tidy import read_estimates, read_nodes, read_queues
from clusterwright.traces.tidy import write as write_tidy
from clusterwright.traces.trace import Cause, Trace

__all__ = [
    "FORMATS",
    "Cause",
    "Trace",
    "detect",
    "read_cap",
    "read_estimates",
    "read_nodes",
    "read_queues",
    "read_quotas",
    "read_reservations",
    "read_series",
    "read_trace",
    "write_tidy",
]
