"""Comparisons and sweeps: what composes plan and twin."""

from clusterwright.study.compare import Difference, compare
from clusterwright.study.energy import EnergySetting, EnergyStudy, ZoneEnergy, study_energy

__all__ = [
    "Difference",
    "EnergySetting",
    "EnergyStudy",
    "ZoneEnergy",
    "compare",
    "study_energy",
]
