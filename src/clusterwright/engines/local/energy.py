"""What accelerators draw, read from NVIDIA's management library. Standard library alone.

The library counts the energy of a whole device since its driver was loaded (Volta and later), so
an attempt's energy is the difference over its devices; slices of a device have no counter.
"""

import contextlib
import ctypes
from collections.abc import Sequence
from typing import Any

LIBRARY = "libnvidia-ml.so.1"
JOULES_PER_COUNT = 0.001  # nvmlDeviceGetTotalEnergyConsumption counts millijoules


class Meter:
    """Counts the energy of some devices from its making on."""

    def __init__(self, devices: Sequence[str], library: Any = None) -> None:
        """Read the counters of devices by UUID; `library` stands in for NVIDIA's in tests."""
        self._handles: list[ctypes.c_void_p] = []
        self._library = library
        if library is None:
            try:
                self._library = ctypes.CDLL(LIBRARY)
            except OSError:
                return
        if self._library.nvmlInit_v2() != 0:
            return
        for uuid in devices:
            handle = ctypes.c_void_p()
            code = self._library.nvmlDeviceGetHandleByUUID(uuid.encode(), ctypes.byref(handle))
            if code == 0:
                self._handles.append(handle)
        if len(self._handles) < len(devices):
            self._handles = []  # a part of the devices would be taken for all of them
        self._before = self._counts()

    def energy_j(self) -> float | None:
        """Return the energy since the making; None where no counter is to be had."""
        if not self._handles:
            return None
        counts = self._counts()
        if counts is None or self._before is None:
            return None
        return max(0, sum(counts) - sum(self._before)) * JOULES_PER_COUNT

    def _counts(self) -> list[int] | None:
        found = []
        for handle in self._handles:
            count = ctypes.c_ulonglong()
            call = self._library.nvmlDeviceGetTotalEnergyConsumption
            with contextlib.suppress(AttributeError):
                if call(handle, ctypes.byref(count)) == 0:
                    found.append(count.value)
        return found if len(found) == len(self._handles) else None
