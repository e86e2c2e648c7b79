"""From a demand to a design: rooms joined to a fixed point, candidates weighed, reasons kept."""

from clusterwright.plan.again import cables
from clusterwright.plan.planner import plan
from clusterwright.plan.terms import Terms, resolve

__all__ = ["Terms", "cables", "plan", "resolve"]
