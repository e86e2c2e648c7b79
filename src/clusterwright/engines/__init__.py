"""Engines carry decisions out: processes on this machine, a Slurm cluster, Kubernetes.

They share one protocol and know nothing of each other, nor of scheduling.
"""

from clusterwright.engines.protocol import (
    OURS,
    Attempt,
    AttemptSeen,
    Capabilities,
    End,
    Engine,
    Launch,
    NodeSeen,
    Observation,
    OutOfReach,
    Phase,
    Refused,
    Share,
    Stop,
)

__all__ = [
    "OURS",
    "Attempt",
    "AttemptSeen",
    "Capabilities",
    "End",
    "Engine",
    "Launch",
    "NodeSeen",
    "Observation",
    "OutOfReach",
    "Phase",
    "Refused",
    "Share",
    "Stop",
]
