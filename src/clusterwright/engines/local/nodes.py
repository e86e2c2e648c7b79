"""Nodes of the local engine: this machine as it is, or several emulated on it."""

import contextlib
import importlib
import logging
import os
import re
import socket
from dataclasses import dataclass
from typing import Any

from clusterwright.errors import Fault, InvalidInput
from clusterwright.model.jobspec import MIG_PROFILE, NAME
from clusterwright.units import Bytes

_log = logging.getLogger(__name__)
_PROFILE = re.compile(MIG_PROFILE.pattern + "$")  # at the end of what the library calls a slice


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalNode:
    """One node of the local engine."""

    name: str
    """Its name."""
    num_gpus: int = 0
    """Accelerators, or slices of them."""
    gpu_model: str = ""
    """Accelerator; empty when there is none or it is unknown."""
    mig_profile: str = ""
    """MIG profile that these are slices of; empty for whole accelerators."""
    devices: tuple[str, ...] = ()
    """What CUDA_VISIBLE_DEVICES calls each accelerator: UUIDs of GPUs or MIG slices; empty for
    their indices."""
    num_cpus: int = 1
    """Cores."""
    memory_bytes: Bytes = 0.0
    """Host memory; 0 when unknown."""
    emulated: bool = False
    """True when it stands for hardware that is not there."""

    def __post_init__(self) -> None:
        """Check what one node can know of itself.

        Raises
        ------
        InvalidInput
            With every fault at once.
        """
        checks = (
            (NAME.fullmatch(self.name) is None, "name", f"{self.name!r} is no name of a node"),
            (self.num_cpus < 1, "num_cpus", f"{self.num_cpus} is too few"),
            (self.num_gpus < 0, "num_gpus", f"{self.num_gpus} is too few"),
            (
                len(self.devices) not in {0, self.num_gpus},
                "devices",
                f"names {len(self.devices)} of {self.num_gpus} accelerators",
            ),
        )
        faults = [Fault(path=path, message=message) for wrong, path, message in checks if wrong]
        if faults:
            raise InvalidInput(faults)


def this_machine() -> LocalNode:
    """Return this machine as one node, with the accelerators that NVIDIA's library finds."""
    devices, model, profile = _devices()
    name = re.sub(r"[^a-z0-9-]+", "-", socket.gethostname().partition(".")[0].lower()).strip("-")
    return LocalNode(
        name=name[:63] or "localhost",
        num_gpus=len(devices),
        gpu_model=model,
        mig_profile=profile,
        devices=tuple(devices),
        num_cpus=len(os.sched_getaffinity(0)),
        memory_bytes=_memory_bytes(),
    )


def emulated(
    num_nodes: int,
    *,
    gpus_per_node: int = 0,
    gpu_model: str = "",
    cpus_per_node: int | None = None,
    prefix: str = "node",
) -> tuple[LocalNode, ...]:
    """Return nodes emulated on this machine: for development, demonstrations and tests.

    Parameters
    ----------
    num_nodes
        How many.
    gpus_per_node
        Accelerators that each claims to have.
    gpu_model
        What they claim to be.
    cpus_per_node
        Cores that each claims to have; absent, those of this machine shared out, at least one for
        each accelerator.
    prefix
        Beginning of their names; a number follows.
    """
    own = len(os.sched_getaffinity(0))
    cpus = cpus_per_node or max(1, own // num_nodes, gpus_per_node)
    width = max(2, len(str(num_nodes)))
    return tuple(
        LocalNode(
            name=f"{prefix}-{number:0{width}}",
            num_gpus=gpus_per_node,
            gpu_model=gpu_model,
            num_cpus=cpus,
            memory_bytes=_memory_bytes() / num_nodes,
            emulated=True,
        )
        for number in range(1, num_nodes + 1)
    )


def _memory_bytes() -> float:
    return float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))


def _devices() -> tuple[list[str], str, str]:
    """Return the UUIDs of what jobs can be given, the model, and the MIG profile of slices.

    There is nothing without NVIDIA's library. A device in MIG mode counts by its slices, since it
    runs nothing as a whole. One node offers accelerators of one kind: where they are cut in several
    ways, those of which there are most.
    """
    pynvml: Any = importlib.import_module("pynvml")  # it has no types
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return [], "", ""
    by_profile: dict[str, list[str]] = {}
    model = ""
    try:
        for index in range(pynvml.nvmlDeviceGetCount()):
            handle = pynvml.nvmlDeviceGetHandleByIndex(index)
            model = model or _text(pynvml.nvmlDeviceGetName(handle))
            whole = [("", _text(pynvml.nvmlDeviceGetUUID(handle)))]
            for profile, uuid in _slices(pynvml, handle) or whole:
                by_profile.setdefault(profile, []).append(uuid)
    finally:
        pynvml.nvmlShutdown()
    if not by_profile:
        return [], "", ""
    profile = max(by_profile, key=lambda one: (len(by_profile[one]), one))
    for other in by_profile.keys() - {profile}:
        what = f"slices {other}" if other else "whole accelerators"
        _log.warning("%d %s are not used: others are of another kind", len(by_profile[other]), what)
    return by_profile[profile], model, profile


def _slices(nvml: Any, handle: Any) -> list[tuple[str, str]]:
    """Return profile and UUID of a device's MIG slices; the library's types are its own."""
    found = []
    with contextlib.suppress(nvml.NVMLError):  # not every device knows of MIG
        for index in range(nvml.nvmlDeviceGetMaxMigDeviceCount(handle)):
            with contextlib.suppress(nvml.NVMLError):
                part = nvml.nvmlDeviceGetMigDeviceHandleByIndex(handle, index)
                name = _PROFILE.search(_text(nvml.nvmlDeviceGetName(part)))
                found.append((name.group() if name else "", _text(nvml.nvmlDeviceGetUUID(part))))
    return found


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
