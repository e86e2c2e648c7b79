"""The digital twin: a centre in time, scheduled by the very code that runs the real one."""

from clusterwright.twin.centre import cluster_of, failures_of, jobs_of, power_of
from clusterwright.twin.failures import Failures
from clusterwright.twin.hourly import series
from clusterwright.twin.kernel import Outcome, Setting, describe_policies, run
from clusterwright.twin.recording import Recording, record
from clusterwright.twin.recording import read as read_recording
from clusterwright.twin.recording import to_bytes as recording_bytes
from clusterwright.twin.summary import Power, summarise

__all__ = [
    "Failures",
    "Outcome",
    "Power",
    "Recording",
    "Setting",
    "cluster_of",
    "describe_policies",
    "failures_of",
    "jobs_of",
    "power_of",
    "read_recording",
    "record",
    "recording_bytes",
    "run",
    "series",
    "summarise",
]
