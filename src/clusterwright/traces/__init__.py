"""Other people's logs as our jobs; every row that cannot be used is reported and counted."""

from clusterwright.traces.energy import read_series
from clusterwright.traces.tidy import Trace, read_estimates, read_nodes, read_queues, read_trace

__all__ = ["Trace", "read_estimates", "read_nodes", "read_queues", "read_series", "read_trace"]
