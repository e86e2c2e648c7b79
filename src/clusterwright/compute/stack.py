"""From parts of the catalogue and calibrated factors to the columns of the step model.

A setting says once, for a list of cases, which factor each of their numbers takes. Applying values
to it is cheap, so that a calibration may do so thousands of times.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from clusterwright.compute.columns import Array, Machines, Stacks
from clusterwright.errors import UnknownName
from clusterwright.model.market import Software, StepFactor
from clusterwright.model.parts import Accelerator

_BITS = {"fp32": 32, "tf32": 32, "bf16": 16, "fp16": 16, "fp8": 8, "mxfp8": 8, "fp4": 4, "nvfp4": 4}
_PEAKS = {"mxfp8": "fp8", "nvfp4": "fp4"}
_NEW_HOST = 2024.0  # launches got cheaper with CUDA graphs and compiled PyTorch
_TREND_FROM = 2026.0  # year at which the trend of mixtures is one
_RIPE = 20.0  # years after which nothing is left of a generation's first software
MANY_EXPERTS = 32
"""Experts from which on recipes leave an expert whole instead of splitting it."""
_VECTOR = 16.0  # 16-bit tensor peak over the 32-bit one where that is not known; that of A100
_UNITS = 128  # compute units where none are known: what makes tiles of 128 by 128 fill one wave


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One accelerator with one software in one number format."""

    accelerator: Accelerator
    """The accelerator."""
    software: Software
    """The training software."""
    precision: str
    """Number format of the linear layers: fp32, tf32, bf16, fp16, fp8, mxfp8, fp4, nvfp4."""
    num_experts: int = 0
    """Routed experts of a block; 0 or 1 for a dense model."""
    scaleup_bytes_per_s: float | None = None
    """Scale-up bandwidth per direction where the accelerator's own is not meant."""
    scaleout_bytes_per_s: float | None = None
    """Network bandwidth of one accelerator where the part's own is not meant."""
    slowdown_ratio: float = 1.0
    """Time of the kernels relative to a machine in order."""

    @property
    def mixture(self) -> bool:
        """Whether the model is a mixture of experts."""
        return self.num_experts > 1

    @property
    def many_experts(self) -> bool:
        """Whether its experts are many and narrow, so that recipes leave each whole."""
        return self.num_experts >= MANY_EXPERTS


@dataclass(frozen=True, slots=True)
class Setting:
    """Cases with the factors that their numbers take."""

    fixed: Mapping[str, Array]
    """Numbers of the parts, each of shape (n,)."""
    roles: Mapping[str, npt.NDArray[np.intp]]
    """Position of the factor for a role, shape (n,); the last position stands for one."""
    names: tuple[str, ...] = field(default=())
    """Names of the factors by position."""

    def take(self, rows: npt.NDArray[np.intp]) -> "Setting":
        """Return the chosen cases."""
        return Setting(
            {name: array[rows] for name, array in self.fixed.items()},
            {name: array[rows] for name, array in self.roles.items()},
            self.names,
        )


def peak_flop_per_s(accelerator: Accelerator, precision: str) -> float:
    """Return the dense peak in a number format.

    Raises
    ------
    UnknownName
        If the accelerator does not have it.
    """
    peaks = accelerator.peak_flop_per_s
    name = _PEAKS.get(precision, precision)
    if name in ("bf16", "fp16") and name not in peaks:
        name = "fp16" if name == "bf16" else "bf16"
    if name not in peaks:
        raise UnknownName.of(f"number format of {accelerator.name}", precision, peaks)
    return peaks[name]


def setting(cases: Sequence[Case], factors: Mapping[str, StepFactor]) -> Setting:
    """Return where the numbers of cases come from.

    Parameters
    ----------
    cases
        The n cases.
    factors
        The factors by name.

    Raises
    ------
    UnknownName
        If an accelerator does not have a case's number format.
    """
    names = tuple(factors)
    place = {name: position for position, name in enumerate(names)}
    none = len(names)
    fixed: dict[str, list[float]] = {}
    roles: dict[str, list[int]] = {}
    for case in cases:
        for name, number in _numbers(case).items():
            fixed.setdefault(name, []).append(number)
        for role, wanted in _wanted(case).items():
            found = next((place[name] for name in wanted if name in place), none)
            roles.setdefault(role, []).append(found)
    return Setting(
        {name: np.asarray(values, dtype=float) for name, values in fixed.items()},
        {name: np.asarray(values, dtype=np.intp) for name, values in roles.items()},
        names,
    )


def apply(given: Setting, values: Array) -> tuple[Machines, Stacks]:
    """Return the columns of a setting under values of the factors.

    Parameters
    ----------
    given
        A setting of n cases.
    values
        Value of each factor, shape (num_factors,), in the order of the setting's names; with more
        dimensions before it, (k, num_factors), the columns are of shape (k, n).
    """
    padded = np.concatenate([values, np.ones((*values.shape[:-1], 1))], axis=-1)
    fixed = given.fixed
    role = {name: padded[..., position] for name, position in given.roles.items()}
    reference = np.where(role["power.reference"] == 1.0, fixed["power"], role["power.reference"])
    power = (fixed["power"] / reference) ** role["power.exponent"]
    measured = np.where(fixed["measured"] > 0, fixed["measured"], role["gemm.measured"])
    gemm16 = np.minimum(measured * role["gemm.16"] * role["gemm.16.own"] * power, 0.97)
    gemm = measured * role["gemm"] * role["gemm.own"] * role["gemm.mx"] * power
    machines = Machines(
        gemm_flop_per_s=fixed["peak"],
        peak16_flop_per_s=fixed["peak16"],
        peak32_flop_per_s=fixed["peak32"],
        gemm_fraction=np.minimum(gemm, 0.97),
        gemm16_fraction=gemm16,
        operand_bytes=fixed["operand"],
        compute_units=fixed["units"],
        memory_bytes_per_s=fixed["memory_speed"],
        memory_bytes=fixed["memory"],
        scaleup_bytes_per_s=fixed["scaleup"],
        scaleup_domain=fixed["domain"],
        scaleout_bytes_per_s=fixed["scaleout"],
        scaleup_latency_s=role["latency.scaleup"],
        scaleout_latency_s=role["latency.scaleout"],
    )
    overlaps = fixed["overlaps"] > 0
    early = 1.0 + role["early"] * np.exp(-fixed["ripened"] / role["early.lasts"])
    stacks = Stacks(
        fused_attention=fixed["fused"],
        attention_fraction=np.minimum(role["attention"], 0.95) * power,
        ring_attention=np.minimum(role["ring"], 1.0),
        score_traffic=role["scores.traffic"],
        traffic=role["traffic"],
        kernel_s=role["kernel"],
        host_s=role["host"] * np.where(fixed["mixture"] > 0, role["host.mixture"], 1.0),
        accumulate_bytes=role["accumulate"],
        logit_bytes=fixed["logit"],
        selective=np.where(fixed["repeats"] > 0, role["selective.products"], 0.0),
        step_s=role["step.constant"],
        slowdown=fixed["slowdown"]
        * role["software"]
        * early
        * role["trend.mixture"] ** -fixed["trend"],
        variation=role["variation"],
        scaleup_fraction=np.minimum(role["link.scaleup"], 1.0),
        scaleout_fraction=np.minimum(role["link.scaleout"], 1.0),
        tp_hidden=np.where(overlaps, np.minimum(role["hidden.tp"], 0.95), 0.0),
        dp_hidden=np.minimum(role["hidden.dp"], 0.95),
        routed=role["routed"] * role["routed.plain"],
        fsdp_hidden=np.minimum(role["hidden.fsdp"], 1.0),
        reduction=fixed["reduction"],
        gathering=fixed["gathering"],
        copied_bytes=fixed["copied"],
        contention=np.minimum(role["contention"], 1.0),
        pp_hidden=np.where(overlaps, 1.0 - np.minimum(role["visible.pp"], 1.0), 0.0),
        pp_whole=fixed["whole"],
        ep_hidden=np.where(fixed["plain"] > 0, 0.0, np.minimum(role["hidden.ep"], 0.95)),
        ep_copies=fixed["plain"],
        cp_hidden=np.minimum(role["hidden.cp"], 1.0),
        context_bytes=role["memory.context"],
        state_bytes=fixed["states"],
        bucket_bytes=fixed["bucket"],
        fragmentation=role["memory.fragmentation"],
    )
    return machines, stacks


def bits_of(precision: str) -> int:
    """Return the bits of a number format.

    Raises
    ------
    UnknownName
        If it is none that we know.
    """
    if precision not in _BITS:
        raise UnknownName.of("number format", precision, _BITS)
    return _BITS[precision]


def regimes_of(case: Case) -> tuple[str, ...]:
    """Return the names of the regimes that a case belongs to, the narrowest first."""
    kind = case.accelerator.architecture.partition("-")[0]
    bits = min(bits_of(case.precision), 16)
    shape = "mixture" if case.mixture else "dense"
    family = case.software.family
    return (
        f"{family} {kind} {bits} {shape}",
        f"{family} {kind} * {shape}",
        f"{family} * * {shape}",
        f"* * * {shape}",
        "*",
    )


def released(software: Software) -> float:
    """Return the year of a software's release as a number."""
    year, _, month = software.released.partition("-")
    return float(year) + float(month or 1) / 12.0


def _numbers(case: Case) -> dict[str, float]:
    part, software = case.accelerator, case.software
    peak16 = peak_flop_per_s(part, "bf16")
    measured = (part.measured_bf16_flop_per_s or 0.0) / peak16
    scaleup = case.scaleup_bytes_per_s or part.scaleup_bytes_per_s or part.nic_bytes_per_s
    scaleout = case.scaleout_bytes_per_s or part.nic_bytes_per_s or part.scaleup_bytes_per_s
    core = software.family == "core"
    ripened = released(software) - case.accelerator.architecture_year - 0.5
    return {
        "peak": peak_flop_per_s(part, case.precision),
        "peak16": peak16,
        "peak32": part.peak_flop_per_s.get("fp32", peak16 / _VECTOR),
        "measured": measured,
        "power": part.tdp_w / peak16,
        "operand": bits_of(case.precision) / 8.0,
        "units": float(part.num_compute_units or _UNITS),
        "memory": part.memory_bytes,
        "memory_speed": part.memory_speed_bytes_per_s,
        "scaleup": scaleup or part.memory_speed_bytes_per_s,
        "scaleout": scaleout or part.memory_speed_bytes_per_s,
        "domain": float(part.scaleup_domain),
        "mixture": float(case.mixture),
        "fused": float(software.attention != "scores"),
        "repeats": float(software.repeats_products),
        "logit": float(software.logit_width),
        "whole": software.whole_messages_fraction,
        "overlaps": float(software.overlaps),
        "reduction": software.reduction_ratio,
        "gathering": software.gathering_ratio,
        "copied": float(software.copied_width),
        "slowdown": case.slowdown_ratio,
        "plain": float(software.experts == "plain"),
        "states": float(software.state_width),
        "bucket": software.bucket_bytes,
        "trend": float(np.clip(released(software) - _TREND_FROM, -1.5, 1.0)) if core else 0.0,
        "ripened": _RIPE if software.tuned else float(np.clip(ripened, 0.0, _RIPE)),
    }


def _wanted(case: Case) -> dict[str, tuple[str, ...]]:
    """Return the factor of each role; the first that there is counts."""
    part, software = case.accelerator, case.software
    kind = part.architecture.partition("-")[0]
    bits = min(bits_of(case.precision), 16)
    host = "new" if released(software) >= _NEW_HOST else "old"
    attention: str = software.attention
    if attention in ("fused", "scores"):
        attention = part.architecture
    return {
        "power.reference": (f"power.{kind}",),
        "power.exponent": ("power.exponent",),
        "gemm.measured": ("gemm.measured",),
        "gemm.16": ("gemm.16",),
        "gemm.16.own": (f"gemm.16.{kind}",),
        "gemm": (f"gemm.{bits}",),
        "gemm.own": (f"gemm.{bits}.{kind}",),
        "gemm.mx": ("gemm.mx",) if case.precision == "mxfp8" else (),
        "attention": (
            f"attention.{attention}.{kind}",
            f"attention.{attention}",
            "attention.other",
        ),
        "scores.traffic": ("scores.traffic",),
        "traffic": (f"traffic.{software.traffic}",),
        "kernel": ("kernel.awaited",) if software.launches == "awaited" else (f"kernel.{host}",),
        "host": (f"host.{host}",),
        "host.mixture": ("host.mixture",),
        "accumulate": (f"accumulate.{software.accumulate}",),
        "selective.products": ("selective.products",),
        "step.constant": ("step.constant",),
        "software": (f"software.{software.name}",),
        "early": ("early",),
        "early.lasts": ("early.lasts",),
        "trend.mixture": ("trend.mixture",) if case.many_experts else (),
        "variation": ("variation",),
        "link.scaleup": ("link.scaleup",),
        "link.scaleout": ("link.scaleout",),
        "latency.scaleup": ("latency.scaleup",),
        "latency.scaleout": ("latency.scaleout",),
        "hidden.tp": ("hidden.tp",),
        "hidden.dp": ("hidden.dp",) if software.overlaps else ("hidden.dp.old",),
        "hidden.fsdp": ("hidden.fsdp",),
        "hidden.ep": ("hidden.ep.overlapped" if software.experts == "overlapped" else "hidden.ep",),
        "hidden.cp": ("hidden.cp",),
        "visible.pp": ("visible.pp",),
        "contention": ("contention.fsdp",) if software.family == "fsdp" else ("contention.core",),
        "routed": ("routed",),
        "routed.plain": ("routed.plain",) if software.experts == "plain" else (),
        "ring": ("attention.ring",) if software.attention == "sdpa" else (),
        "memory.context": ("memory.context",),
        "memory.fragmentation": ("memory.fragmentation",),
    }
