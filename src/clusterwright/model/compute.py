"""What computes in a design: the pools of servers and the strategy of each workload."""

from dataclasses import dataclass
from typing import Literal

from clusterwright.units import (
    AcceleratorHours,
    Bytes,
    BytesPerSecond,
    Flop,
    FlopPerSecond,
    Fraction,
    PerSecond,
    Seconds,
    TokensPerSecond,
    Watts,
)

PoolRole = Literal["training", "development", "serving", "processing"]
StepCause = Literal[
    "matrix products",
    "attention",
    "memory traffic",
    "recomputation",
    "launches",
    "tensor-parallel messages",
    "context-parallel messages",
    "expert messages",
    "stage messages",
    "gradient messages",
    "pipeline bubble",
    "optimiser",
    "hidden messages",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """Servers of one kind that serve the same workloads."""

    name: str
    """Name of the pool, which is also the name of its queue."""
    role: PoolRole
    """Training pools stand on the compute plane; the others use the storage and business plane."""
    accelerator: str
    """Accelerator of the catalogue; empty for servers without one."""
    server: str
    """Server of the catalogue, or the name of the generic one composed for the accelerator."""
    num_servers: int
    """Servers, spares included."""
    num_accelerators: int
    """Accelerators in all servers of the pool."""
    num_spare_servers: int = 0
    """Servers of `num_servers` that are kept to replace failed ones."""
    num_cpus: int = 0
    """CPU cores in all servers of the pool."""
    server_power_w: Watts
    """What one server draws at most, by nameplate."""
    power_w: Watts
    """What all servers of the pool draw at most, by nameplate."""
    num_racks: int
    """Racks of the pool."""
    servers_per_rack: int
    """Servers in a full rack."""
    workloads: tuple[str, ...]
    """Names of the workloads that it serves."""
    demanded_fraction: Fraction
    """Share of its accelerator time (core time where it has none) that the demand takes."""
    mig_profile: str | None = None
    """MIG profile that its accelerators are cut into; absent, whole accelerators."""
    owned: bool = False
    """True when the servers stand already and cost nothing to buy."""
    estimated: bool = False
    """True when the server is composed or a figure of it is an estimate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepPart:
    """Where some of an optimiser step's time goes."""

    name: StepCause
    """What takes it."""
    time_s: Seconds
    """Time of it in one step, of the mean accelerator."""
    exposed: bool
    """True when the step is that much longer for it; false for messages that run beside work."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Strategy:
    """How one workload is spread over accelerators, and how fast that is."""

    workload: str
    """Name of the workload."""
    pool: str
    """Name of the pool that it runs on."""
    chosen: bool
    """True for the strategy that the design counts on; the others are shown for comparison."""
    stated: bool = False
    """True when the demand states the strategy."""
    accelerator: str
    """Accelerator of the catalogue."""
    tp: int
    """Tensor-parallel ranks."""
    pp: int
    """Pipeline stages."""
    dp: int
    """Data-parallel ranks."""
    cp: int = 1
    """Context-parallel ranks."""
    ep: int = 1
    """Expert-parallel ranks."""
    zero_stage: int
    """What the data-parallel ranks share out: 0 nothing, 1 optimiser, 2 gradients, 3 parameters."""
    micro_batch: int
    """Sequences in one micro-batch."""
    chunks: int = 1
    """Chunks of layers on one pipeline stage (virtual stages); 1 for none."""
    recomputed_fraction: Fraction = 0.0
    """Share of the blocks whose forward pass is computed again to save memory."""
    num_global_batch: int
    """Sequences in one optimiser step."""
    precision: str
    """Number format of the matrix multiplications."""
    software: str = ""
    """Training software of the catalogue that the step time is predicted for."""
    num_accelerators: int
    """Accelerators: tp × pp × dp × cp."""
    model_flop: Flop
    """Model FLOPs of the whole campaign, recomputation not counted."""
    peak_flop_per_s: FlopPerSecond
    """Peak of one accelerator in that precision, dense."""
    step_time_s: Seconds
    """Time of one optimiser step."""
    parts: tuple[StepPart, ...] = ()
    """Where that time goes: the exposed parts sum to it; parts without any time are left out.
    Empty when the step time was not predicted part by part."""
    error_bar_fraction: Fraction = 0.0
    """What two of three published runs of this regime stayed within of the predicted step time."""
    estimated: bool = False
    """True when no published run of this regime was there to check the step model with."""
    mfu_fraction: Fraction
    """Model FLOPs utilisation."""
    tokens_per_s: TokensPerSecond
    """Tokens trained or generated per second by all accelerators, interruptions not counted."""
    memory_bytes: Bytes
    """Memory that the fullest accelerator needs."""
    fits: bool
    """True when that is within the accelerator's memory."""
    duration_s: Seconds
    """Wall time of the campaign, interruptions and checkpoints included."""
    accelerator_hours: AcceleratorHours
    """Accelerators × wall time."""
    checkpoint_bytes: Bytes
    """Size of one full checkpoint."""
    reason: str
    """Why this strategy, in a sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServingPlan:
    """What one inference service needs."""

    workload: str
    """Name of the service."""
    pool: str
    """Pool that it runs on."""
    accelerator: str
    """Accelerator of the catalogue."""
    num_accelerators: int
    """Accelerators, headroom included."""
    requests_per_s: PerSecond
    """Requests in the busiest hour."""
    demanded_tokens_per_s: TokensPerSecond
    """Output tokens in the busiest hour, prompt tokens counted at their measured worth."""
    accelerator_tokens_per_s: TokensPerSecond
    """Tokens that one accelerator delivers."""
    estimated: bool
    """True when no measurement of this model on this accelerator exists and one was scaled."""
    reason: str
    """Where the throughput comes from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DataRates:
    """What compute asks of storage while it works."""

    read_bytes_per_s: BytesPerSecond
    """Training data read by all accelerators."""
    checkpoint_bytes: Bytes
    """Size of the largest checkpoint."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Compute:
    """The compute part of a design."""

    pools: tuple[Pool, ...]
    """Pools, the training pool first."""
    strategies: tuple[Strategy, ...]
    """Strategies by workload, the chosen one first."""
    serving: tuple[ServingPlan, ...] = ()
    """Inference services."""
