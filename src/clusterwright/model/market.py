"""What the world asks for and pays: regions, rent, measured efficiency, model presets, defaults."""

from dataclasses import dataclass
from typing import Literal

from clusterwright.model.parts import Provenance
from clusterwright.units import (
    Count,
    Fraction,
    GramsPerJoule,
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
class Efficiency:
    """Model FLOPs utilisation reached in published training runs."""

    name: str
    """Accelerator and number format, such as `H100-SXM5-80GB bf16`."""
    accelerator: str
    """Accelerator of the catalogue."""
    precision: str
    """Number format."""
    low_fraction: Fraction
    """Lowest median of a family of runs."""
    mfu_fraction: Fraction
    """Median of the medians of the families."""
    high_fraction: Fraction
    """Highest median of a family of runs."""
    num_runs: int
    """Runs behind it; 0 when it is carried over from another accelerator."""
    num_families: int
    """Families of runs behind it."""
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
