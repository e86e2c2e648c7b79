"""What the world asks for and pays: regions, rent, measured rates, models, software, defaults."""

from dataclasses import dataclass
from typing import Literal

from clusterwright.model.parts import Provenance
from clusterwright.units import (
    Bytes,
    BytesPerSecond,
    Count,
    Fraction,
    GramsPerJoule,
    InUnit,
    Ratio,
    TokensPerSecond,
    UsdPerAcceleratorHour,
    UsdPerJoule,
    UsdPerWatt,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """A place where a centre can stand."""

    name: str
    """Name in the catalogue, such as `cn-shanghai`."""
    title: str
    """Name that people use."""
    country: str
    """Country."""
    power_price_usd_per_j: UsdPerJoule
    """Average price for industry."""
    carbon_g_per_j: GramsPerJoule
    """Average carbon intensity of the grid."""
    construction_usd_per_w: UsdPerWatt
    """Building cost for a watt of IT."""
    series: str = ""
    """Hourly series of price and carbon that ships with the catalogue; empty for none."""
    provenance: Provenance
    """Where the figures come from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudOffer:
    """What renting an accelerator costs."""

    name: str
    """Name in the catalogue."""
    accelerator: str
    """Accelerator of the catalogue."""
    provider: str
    """Who offers it."""
    year: int
    """Year of the price."""
    usd_per_accelerator_hour: UsdPerAcceleratorHour
    """Price."""
    provenance: Provenance
    """Where the figures come from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InferenceThroughput:
    """Tokens that an accelerator generates in an audited benchmark."""

    name: str
    """Key in the catalogue."""
    accelerator: str
    """Accelerator of the catalogue."""
    model: str
    """Preset of the catalogue."""
    scenario: Literal["Offline", "Server", "Interactive"]
    """Scenario of the benchmark."""
    output_tokens_per_s: TokensPerSecond
    """Output tokens per second and accelerator."""
    provenance: Provenance
    """Where the figures come from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """A model by its shape."""

    name: str
    """Name in the catalogue."""
    family: str
    """Family of models."""
    num_parameters: Count
    """Parameters in all."""
    num_active_parameters: Count
    """Parameters that one token passes through."""
    layers: int
    """Transformer blocks."""
    hidden: int
    """Width of the residual stream."""
    sequence_length: int
    """Tokens of a training sequence."""
    heads: int
    """Query heads."""
    kv_heads: int
    """Key and value heads."""
    head_size: int
    """Width of a head; of latent attention, of its part without position."""
    ffn: int
    """Width of a dense block's MLP."""
    gated: bool
    """Whether the MLP has a gate."""
    vocab: int
    """Size of the vocabulary."""
    window: int = 0
    """Tokens that a windowed block looks back; 0 for none."""
    windowed_fraction: Fraction = 0.0
    """Share of the blocks that are windowed."""
    activation_bytes: Bytes = 0.0
    """Bytes a unit of MLP width of an activation of several kernels; 0 for a fused one."""
    experts: int = 0
    """Routed experts of a mixture block; 0 for a dense model."""
    topk: int = 0
    """Experts that a token visits."""
    expert_ffn: int = 0
    """Width of one expert."""
    shared_ffn: int = 0
    """Width of the experts that every token visits, in all."""
    dense_layers: int = 0
    """Blocks of a mixture model that are dense."""
    query_rank: int = 0
    """Width of the latent query of multi-head latent attention; 0 for other attention."""
    key_value_rank: int = 0
    """Width of its latent key and value."""
    rope_size: int = 0
    """Width of its part of a head with position."""
    value_size: int = 0
    """Width of its value heads."""
    predicted_layers: int = 0
    """Further blocks that predict the token after the next."""
    provenance: Provenance
    """Where the figures come from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Software:
    """Training software of one generation: what it overlaps, fuses and takes as default."""

    name: str
    """Name in the catalogue."""
    title: str
    """Name that people use."""
    released: str
    """When, as year and month: `2025-04`."""
    family: Literal["megatron", "fsdp", "core"]
    """Class that it shares a factor with: first Megatron line, fully sharded, Megatron Core."""
    words: str
    """What a row's software, source or notes say when it was this one; `|` between alternatives."""
    attention: Literal["scores", "flash1", "sdpa", "fused"]
    """Attention kernels: scores in memory, first fused ones, PyTorch's, the vendor's."""
    traffic: Literal["old", "new", "eager"]
    """How norms, activations and casts are fused."""
    accumulate: Literal["half", "fused", "unfused"]
    """How gradients of micro-batches are summed: in 16 bits, within the product, after it."""
    launches: Literal["ahead", "awaited"]
    """Whether the host launches kernels ahead of the accelerator or awaits each one."""
    overlaps: bool
    """Whether communication runs beside other work."""
    tuned: bool
    """Whether it was tuned by hand for the run, as benchmark submissions are."""
    experts: Literal["plain", "fused", "overlapped"]
    """Dispatcher of routed tokens: several kernels, fused, or beside other micro-batches."""
    whole_messages_fraction: Fraction
    """Share of the messages between stages that every tensor-parallel rank sends whole."""
    repeats_products: bool
    """Whether selective recomputation repeats products too."""
    recompute: Literal["none", "selective", "full"]
    """Recomputation where nothing is said."""
    sequence_parallel: bool
    """Sequence parallelism where nothing is said."""
    zero_stage: int
    """What data-parallel ranks share out where nothing is said."""
    gradient_width: int
    """Bytes in which a gradient is kept and reduced."""
    state_width: int
    """Bytes a parameter of optimiser states, 32-bit weights and copies for the update included."""
    reduction_ratio: Ratio
    """Bytes that sharded states move to sum gradients: 1 scattered, 2 where all ranks get all."""
    gathering_ratio: Ratio
    """Time to gather what sharded states update, relative to one message of that size."""
    bucket_bytes: Bytes
    """Memory of the buckets through which sharded states are reduced and gathered."""
    copied_width: int
    """Bytes through memory, for each micro-batch, to lay out one shared parameter as it is gathered
    and its gradient as it is reduced."""
    logit_width: int
    """Bytes a logit that output and loss hold at their fullest; fewer where they are one kernel."""
    sequence_length: int
    """Tokens of a sequence where nothing is said."""
    provenance: Provenance
    """Where the figures come from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingSystem:
    """A machine that published runs used, for what their rows leave open."""

    name: str
    """Name in the catalogue."""
    title: str
    """Name that people use."""
    words: str
    """What a row's source or notes say when it was this one; `|` between alternatives."""
    nic_bytes_per_s: BytesPerSecond
    """Network bandwidth of one accelerator, per direction."""
    slowdown_ratio: Ratio
    """Time of a step relative to a machine in order, where its owner states that it was not."""
    provenance: Provenance
    """Where the figures come from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepFactor:
    """One calibrated number of the step-time model."""

    name: str
    """Name, such as `gemm.8`."""
    unit: str
    """Unit of value and prior; empty for a plain number."""
    value: InUnit
    """What it is taken as."""
    prior: InUnit
    """What physics or a document says before any run is looked at; above zero."""
    spread_fraction: Fraction
    """How far the value may reasonably be from that, as a natural logarithm; 0 keeps it fixed."""
    meaning: str
    """What it scales."""
    provenance: Provenance
    """Where the figures come from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepError:
    """How wrong the step-time model was in one regime, on families it had not seen."""

    name: str
    """Regime: software family, architecture, bits, dense or mixture; `*` for any."""
    num_rows: int
    """Measured rows behind it."""
    num_families: int
    """Families of rows behind it."""
    median_fraction: Fraction
    """Median of the absolute errors."""
    bar_fraction: Fraction
    """What two of three rows stay within, drawn up to that of wider regimes for few families."""
    num_least: int
    """Fewest accelerators of a run behind it."""
    num_most: int
    """Most accelerators of a run behind it."""
    num_parameters_smallest: Count
    """Parameters of the smallest model behind it."""
    num_parameters_largest: Count
    """Parameters of the largest model behind it."""
    drift_fraction: Fraction
    """How far the error moves with each doubling of accelerators or parameters."""
    provenance: Provenance
    """Where the figures come from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Default:
    """A value that the plan takes where the demand leaves it open, or a rule of thumb of ours."""

    name: str
    """Path in the demand, or `plan.` and a name for what the demand does not say."""
    value: str
    """The value as people write it."""
    reason: str
    """Why this value."""
    provenance: Provenance
    """Where it comes from."""
