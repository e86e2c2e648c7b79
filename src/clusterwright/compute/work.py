"""What a training campaign asks, independent of the hardware that will do it."""

from dataclasses import dataclass

from clusterwright.model.market import Preset
from clusterwright.model.work import Architecture, Parallel
from clusterwright.units import Count, Flop, Seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """The numbers of a model that first-order formulas need."""

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

    @property
    def token_flop(self) -> float:
        """Model FLOPs of one token, forward and backward: 6N + 12·L·h·s.

        Source: Chowdhery et al., "PaLM", 2022, appendix B (arXiv 2204.02311), the convention of
        most published MFU figures: attention counted in full, recomputation not.
        """
        attention = 12.0 * self.layers * self.hidden * self.sequence_length
        return 6.0 * self.num_active_parameters + attention


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingWork:
    """One campaign."""

    name: str
    """Name of the workload."""
    model: Preset | Architecture
    """The model."""
    num_tokens: Count
    """Tokens to train on."""
    within_s: Seconds
    """Time for it."""
    precision: str
    """Number format of the matrix multiplications."""
    num_global_batch: int
    """Sequences in one optimiser step."""
    stated: Parallel | None = None
    """A strategy that the demand states."""

    @property
    def shape(self) -> Shape:
        """The numbers of the model that first-order formulas need."""
        return shape_of(self.model)

    @property
    def num_steps(self) -> float:
        """Optimiser steps of the whole campaign."""
        return self.num_tokens / self.batch_tokens

    @property
    def model_flop(self) -> Flop:
        """Model FLOPs of the whole campaign."""
        return self.shape.token_flop * self.num_tokens

    @property
    def batch_tokens(self) -> float:
        """Tokens of one optimiser step."""
        return float(self.num_global_batch * self.shape.sequence_length)


def shape_of(model: Preset | Architecture) -> Shape:
    """Return the shape of a preset or of an architecture written inline."""
    return Shape(
        num_parameters=model.num_parameters,
        num_active_parameters=model.num_active_parameters or model.num_parameters,
        layers=model.layers,
        hidden=model.hidden,
        sequence_length=model.sequence_length,
    )
