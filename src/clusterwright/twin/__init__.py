"""The digital twin: a centre in time, scheduled by the very code that runs the real one."""

from clusterwright.twin.bills import Power
from clusterwright.twin.centre import cluster_of, jobs_of, power_of, staging_of
from clusterwright.twin.failures import Cause, Failures, Lemons, failures_of
from clusterwright.twin.kernel import Outcome, Setting, describe_policies, run
from clusterwright.twin.speed import Speeds, fastest_first, of_design, relative_speeds
from clusterwright.twin.staging import Staging
from clusterwright.twin.summary import summarise

__all__ = [
    "Cause",
    "Failures",
    "Lemons",
    "Outcome",
    "Power",
    "Setting",
    "Speeds",
    "Staging",
    "cluster_of",
    "describe_policies",
    "failures_of",
    "fastest_first",
    "jobs_of",
    "of_design",
    "power_of",
    "relative_speeds",
    "run",
    "staging_of",
    "summarise",
]
