"""How a centre uses its Slurm: where things lie, and which words of ours are which there."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from clusterwright.units import Seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the engine must be told."""

    root: Path
    """Directory for attempts and their logs, under one path on the server and on every node."""
    delegate: bool = False
    """True when Slurm places, and queues again after its own preemptions; else we name nodes."""
    partitions: Mapping[str, str] = field(default_factory=dict)
    """Queue of ours to partition; one that is absent goes to the partition of its own name, and
    where there is none to the cluster's default."""
    accounts: Mapping[str, str] = field(default_factory=dict)
    """Project of ours to account; one that is absent goes without."""
    qos: Mapping[str, str] = field(default_factory=dict)
    """Queue of ours to quality of service; one that is absent goes without."""
    gpu_models: Mapping[str, str] = field(default_factory=dict)
    """Type of accelerator in gres.conf to the model as our jobs name it, as h100 to
    H100-SXM5-80GB; one that is absent is called as in gres.conf."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Variables by which Slurm's commands find the cluster, such as SLURM_CONF, where the server
    has not got them from its own environment."""
    command_timeout_s: Seconds = 10.0
    """Longest time that a command of Slurm's may take."""
    poll_s: Seconds = 2.0
    """Time after which something may have changed that only Slurm can tell."""
    settle_s: Seconds = 10.0
    """Time that a lost node must have answered again before what Slurm kills on its return is
    taken as gone."""
