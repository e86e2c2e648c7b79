"""Models that are no decoder transformers, as lists of operators: backbones, encoders, perception.

What an operator costs is not said here; `compute.operators` derives it from the shape.
"""

from dataclasses import dataclass
from typing import Literal

from clusterwright.model.parts import Provenance

OperatorKind = Literal[
    "conv2d", "sparse_conv", "linear", "attention", "norm", "elementwise", "pool", "gather"
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoder:
    """A model given as a list of operators."""

    name: str
    """Name in the catalogue."""
    title: str
    """Name that people use, with the size of the input."""
    family: Literal["convolutional", "transformer", "point cloud", "fusion"]
    """What most of it is."""
    sample: str
    """What one sample is, such as `image`."""
    provenance: Provenance
    """Where the shapes come from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderOperator:
    """One operator of an encoder, by its shape for one sample."""

    name: str
    """Key in the catalogue: the encoder and what the operator is there."""
    encoder: str
    """Encoder that it belongs to."""
    kind: OperatorKind
    """What it does; `gather` stands for scatter and BEV pooling too."""
    repeats: int = 1
    """How often it occurs in this shape."""
    images: int = 1
    """Grids or sequences of one sample that it runs on: cameras, windows."""
    in_channels: int = 0
    """Width of the input; may be left out where it is that of the output."""
    out_channels: int
    """Width of the output."""
    kernel: int = 1
    """Edge of the kernel; of a sparse convolution in three dimensions."""
    stride: int = 1
    """Step of the kernel."""
    groups: int = 1
    """Groups of channels that do not mix."""
    height: int = 1
    """Rows of the output grid."""
    width: int = 1
    """Columns of the output grid."""
    tokens: int = 0
    """Positions where they are no grid: tokens, points, active sites; what a gather reads."""
    keys: int = 0
    """Positions that attention looks at; 0 for its own tokens."""
    heads: int = 1
    """Heads of attention."""
    neighbours: int = 1
    """Active inputs of an active site of a sparse convolution, on average."""
    reads: int = 1
    """Tensors of its shape that a norm or elementwise operator reads in the forward pass."""
    bias: bool = False
    """Whether it adds learned values: one a channel, or one an element where elementwise."""
    provenance: Provenance
    """Where the shape comes from."""

    def __post_init__(self) -> None:
        """Refuse shapes that no operator has."""
        faults = [
            name
            for name in (
                *("repeats", "images", "out_channels", "kernel", "stride", "groups", "height"),
                *("width", "heads", "neighbours", "reads"),
            )
            if getattr(self, name) < 1
        ]
        faults += [name for name in ("in_channels", "tokens", "keys") if getattr(self, name) < 0]
        if faults:
            msg = f"{', '.join(faults)} must be positive"
            raise ValueError(msg)
        if self.kind in ("conv2d", "sparse_conv", "linear") and not self.in_channels:
            msg = f"a {self.kind} needs in_channels"
            raise ValueError(msg)
        if self.kind in ("sparse_conv", "linear", "attention") and not self.tokens:
            msg = f"a {self.kind} needs tokens"
            raise ValueError(msg)
        if self.kind in ("conv2d", "pool") and self.tokens:
            msg = f"a {self.kind} runs on a grid: give height and width, not tokens"
            raise ValueError(msg)
        if self.in_channels % self.groups or self.out_channels % self.groups:
            msg = f"groups {self.groups} do not divide the channels"
            raise ValueError(msg)
        if self.kind == "attention" and self.out_channels % self.heads:
            msg = f"heads {self.heads} do not divide out_channels {self.out_channels}"
            raise ValueError(msg)
