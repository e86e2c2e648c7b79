"""What a step model is asked: model, machine and layout as columns of one length, or single values.

Every field is an array of shape (n,), or of shape () where all n points share the value, so that
one call answers for 100,000s of layouts of one model, or for hundreds of runs of as many models.
Counts are floats, since they are only multiplied and divided.
"""

from dataclasses import dataclass, fields
from typing import Self

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


class Columns:
    """Arrays that are cut and spread together."""

    __slots__ = ()

    def take(self, rows: npt.NDArray[np.intp] | slice | np.intp) -> Self:
        """Return the chosen rows; single values stay single."""
        values = {}
        for field in fields(self):  # type: ignore[arg-type]  # subclasses are dataclasses
            array = np.asarray(getattr(self, field.name))
            values[field.name] = array[rows] if array.ndim else array
        return type(self)(**values)

    def only(self) -> Self:
        """Return columns of one row as single values."""
        values = {}
        for field in fields(self):  # type: ignore[arg-type]  # subclasses are dataclasses
            values[field.name] = np.asarray(getattr(self, field.name), dtype=float).reshape(())
        return type(self)(**values)

    def upright(self) -> Self:
        """Return columns of shape (n, 1), to be crossed with (m,); single values stay single."""
        values = {}
        for field in fields(self):  # type: ignore[arg-type]  # subclasses are dataclasses
            array = np.asarray(getattr(self, field.name))
            values[field.name] = array[:, None] if array.ndim else array
        return type(self)(**values)


@dataclass(frozen=True, slots=True, kw_only=True)
class Transformers(Columns):
    """Decoder models by their shape."""

    layers: Array
    """Blocks."""
    hidden: Array
    """Width of the residual stream."""
    heads: Array
    """Query heads."""
    kv_heads: Array
    """Key and value heads: `heads` for MHA, fewer for GQA, 1 for MQA."""
    head_size: Array
    """Width of one query head; of latent attention, of its part without position."""
    ffn: Array
    """Width of a dense block's MLP."""
    gated: Array
    """1 where the MLP has a gate (SwiGLU), else 0."""
    activation_bytes: Array
    """Bytes a unit of MLP width that an activation of several kernels moves; 0 for a fused one."""
    vocab: Array
    """Size of the vocabulary."""
    seq_len: Array
    """Tokens of a sequence."""
    window: Array
    """Tokens that a windowed block looks back; 0 where none is windowed."""
    windowed: Array
    """Share of the blocks that are windowed, 0–1."""
    causal: Array
    """1 where a token sees only what is before it, 0 where it sees all."""
    tied: Array
    """1 where input and output embedding are one matrix."""
    experts: Array
    """Routed experts of a mixture block; 0 for a dense model."""
    topk: Array
    """Experts that a token visits."""
    expert_ffn: Array
    """Width of one expert."""
    shared_ffn: Array
    """Width of the experts that every token visits, in all."""
    dense_layers: Array
    """Blocks of a mixture model that are dense."""
    imbalance: Array
    """Tokens of the fullest expert-parallel rank over the average, at least 1."""
    q_rank: Array
    """Width of the latent query of multi-head latent attention; 0 without."""
    kv_rank: Array
    """Width of its latent key and value; 0 for other attention."""
    rope_size: Array
    """Width of its part of a head with position."""
    value_size: Array
    """Width of a value head of it."""
    predicted: Array
    """Further blocks that predict the token after the next; 0 for none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Machines(Columns):
    """Accelerators and the links between them."""

    gemm_flop_per_s: Array
    """Dense peak in the format of the linear layers."""
    peak16_flop_per_s: Array
    """Dense peak in 16 bits, for attention, router and vocabulary."""
    peak32_flop_per_s: Array
    """Peak in 32 bits without tensor cores, for products that those cannot load."""
    gemm_fraction: Array
    """Share of the peak that a large matrix multiplication reaches in that format, 0–1."""
    gemm16_fraction: Array
    """The same in 16 bits."""
    operand_bytes: Array
    """Bytes of one operand of the linear layers: 2, 1 or 0.5."""
    compute_units: Array
    """Units that tiles of a matrix multiplication are handed to (SM, CU)."""
    memory_bytes_per_s: Array
    """Bandwidth of its memory."""
    memory_bytes: Array
    """Size of its memory."""
    scaleup_bytes_per_s: Array
    """Bandwidth of its scale-up links, per direction."""
    scaleup_domain: Array
    """Accelerators that share them."""
    scaleout_bytes_per_s: Array
    """Bandwidth of its network port, per direction."""
    scaleup_latency_s: Array
    """Time of an empty message within the domain."""
    scaleout_latency_s: Array
    """Time of an empty message beyond it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layouts(Columns):
    """How a model is spread and scheduled."""

    tp: Array
    """Tensor-parallel ranks."""
    pp: Array
    """Pipeline stages."""
    dp: Array
    """Data-parallel ranks."""
    cp: Array
    """Context-parallel ranks."""
    ep: Array
    """Expert-parallel ranks, taken out of the data- and context-parallel ones."""
    expert_tp: Array
    """Tensor-parallel ranks within an expert."""
    chunks: Array
    """Chunks of layers on one stage (virtual stages); 1 for none."""
    micro_batch: Array
    """Sequences of one micro-batch."""
    global_batch: Array
    """Sequences of one optimiser step."""
    zero_stage: Array
    """0 nothing shared out, 1 optimiser, 2 and gradients, 3 and parameters."""
    shard: Array
    """Ranks that share them out: dp·cp, or fewer where they are copied (HSDP)."""
    recompute: Array
    """0 none, 1 attention only (selective), 2 all (full)."""
    recomputed: Array
    """Share of the blocks that recompute, 0–1."""
    sequence_parallel: Array
    """1 where norms and dropout are split over the tensor-parallel ranks."""
    zero_bubble: Array
    """1 where weight gradients fill the bubble (zero-bubble schedule)."""
    gpipe: Array
    """1 where all forward passes come before the first backward pass."""
    cp_gather: Array
    """1 where keys and values are gathered, 0 where they go round a ring."""
    offload: Array
    """Share of the optimiser state that is kept in host memory, 0–1."""
    grad_bytes: Array
    """Bytes in which a gradient is kept and reduced."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stacks(Columns):
    """What the training software makes of the machine; the numbers are calibrated."""

    fused_attention: Array
    """1 where scores stay on the chip (flash attention), 0 where they go through memory."""
    attention_fraction: Array
    """Share of the 16-bit peak that attention reaches on long sequences."""
    ring_attention: Array
    """Speed of attention that is cut into the blocks of a ring, relative to whole, 0–1."""
    score_traffic: Array
    """Bytes through memory for one score, forward, where attention is not fused."""
    traffic: Array
    """Memory traffic of norms, activations and casts, relative to the least possible."""
    kernel_s: Array
    """Time lost between two kernels."""
    host_s: Array
    """Time in which the host prepares a dense block's forward pass; no block runs faster."""
    accumulate_bytes: Array
    """Bytes through memory to add one parameter's gradient of a micro-batch to the sum."""
    logit_bytes: Array
    """Bytes a logit that output and loss hold at their fullest."""
    selective: Array
    """Share of a block's products that selective recomputation repeats."""
    step_s: Array
    """Time of a step that no layer causes: data, clipping, logging."""
    slowdown: Array
    """Time of the kernels relative to what the other factors say."""
    variation: Array
    """Standard deviation of speed between accelerators of a kind, relative to the mean."""
    scaleup_fraction: Array
    """Share of the scale-up bandwidth that collectives reach."""
    scaleout_fraction: Array
    """Share of the network port that collectives reach."""
    tp_hidden: Array
    """Share of tensor-parallel communication that runs beside other work."""
    dp_hidden: Array
    """Share of the last backward pass that gradient reduction may hide behind."""
    routed: Array
    """Memory traffic of sorting, sending and summing routed tokens, relative to the least."""
    fsdp_hidden: Array
    """Share of the compute that gathering and scattering parameters may hide behind."""
    reduction: Array
    """Bytes that sharded states move to sum gradients, relative to one scattering reduction."""
    gathering: Array
    """Time to gather what sharded states update, relative to one message of that size."""
    copied_bytes: Array
    """Bytes through memory to lay out one shared parameter and its gradient for a micro-batch."""
    contention: Array
    """Share of hidden parameter traffic by which it slows the work it hides behind."""
    pp_hidden: Array
    """Share of the messages between stages that is hidden where their chunks interleave."""
    pp_whole: Array
    """Share of the messages between stages that every tensor-parallel rank sends whole."""
    ep_hidden: Array
    """Share of the expert all-to-all that is hidden."""
    ep_copies: Array
    """1 where a token is sent once for each expert, 0 where once for each domain."""
    cp_hidden: Array
    """Share of context-parallel traffic that hides behind attention."""
    context_bytes: Array
    """Memory of the driver, its kernels and the communication buffers."""
    state_bytes: Array
    """Bytes a parameter of optimiser states, 32-bit weights included."""
    bucket_bytes: Array
    """Memory of the buckets through which sharded states are reduced and gathered."""
    fragmentation: Array
    """Memory lost between allocations, as a share of what is used."""
