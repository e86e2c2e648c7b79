"""The digital twin: a centre in time, scheduled by the very code that runs the real one."""

from clusterwright.twin.bills import Power
from clusterwright.twin.centre import cluster_of, jobs_of, power_of, staging_of
from clusterwright.twin.deferral import Deferral
from clusterwright.twin.failures import Cause, Failures, Lemons, failures_of
from clusterwright.twin.forecast import (
    Expected,
    JobStart,
    Luck,
    StartForecast,
    forecast,
    futures,
    knows_run_times,
)
from clusterwright.twin.hourly import series
from clusterwright.twin.kernel import Outcome, Setting, describe_policies, run
from clusterwright.twin.recording import Recording, record
from clusterwright.twin.recording import read as read_recording
from clusterwright.twin.recording import to_bytes as recording_bytes
from clusterwright.twin.speed import (
    Roofline,
    Speeds,
    fastest_first,
    of_design,
    rooflines,
    speeds_on,
)
from clusterwright.twin.staging import Staging
from clusterwright.twin.summary import summarise

__all__ = [
    "Cause",
    "Deferral",
    "Expected",
    "Failures",
    "JobStart",
    "Lemons",
    "Luck",
    "Outcome",
    "Power",
    "Recording",
    "Roofline",
    "Setting",
    "Speeds",
    "Staging",
    "StartForecast",
    "cluster_of",
    "describe_policies",
    "failures_of",
    "fastest_first",
    "forecast",
    "futures",
    "jobs_of",
    "knows_run_times",
    "of_design",
    "power_of",
    "read_recording",
    "record",
    "recording_bytes",
    "rooflines",
    "run",
    "series",
    "speeds_on",
    "staging_of",
    "summarise",
]
