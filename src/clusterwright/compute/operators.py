"""What the operators of an encoder cost: FLOPs, bytes, parameters, time, and a training step.

Legend: (m, n, k) rows, columns and depth of the product that an operator comes down to, for one
sample and group of channels; b samples of one accelerator and step. Operators are arrays of shape
(k,); machine, software, batch and ranks broadcast against them: single values, or (r, 1) for r runs
of one encoder, for which the results of operators are (r, k) and those of steps (r, 1).

A convolution is the product m = grid, n = output channels, k = input channels × kernel area that
gathers its operand on the way (implicit GEMM: Chetlur et al., "cuDNN: Efficient Primitives for Deep
Learning", 2014, section 3). So the operand is read about once, not once for each place of the
kernel, and the memory of an operator is counted here rather than by `gemm_s`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from clusterwright.compute.blocks import reach
from clusterwright.compute.columns import Array, Columns, Machines, Stacks
from clusterwright.compute.kernels import attention_s, gemm_s, stream_s
from clusterwright.fabric import collectives
from clusterwright.model.encoder import EncoderOperator

_SPLITS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0)
"""Slices of the depth that run as products of their own where rows and columns are few."""
_PARTIAL_BYTES = 8.0
"""Bytes to write and read one 32-bit partial sum."""
_INDEX_BYTES = 8.0
"""Bytes of the index of a row that is gathered, and of where it goes."""
_GRADIENT_BYTES = 4.0
"""Bytes in which a weight's gradient is written."""
_UPDATE_BYTES = 30.0
"""Bytes through memory to update one parameter with Adam in mixed precision; momentum needs 20."""
_WEIGHT_BYTES = 2.0
_STATE_BYTES = 12.0
"""32-bit weights and Adam's two moments; momentum needs 8."""
_BLOCK_KERNELS = 16.0
"""Launches of a transformer block's forward pass, for which the host's time is known."""
_PASSES = 3.0
"""The host's work for forward and backward pass, relative to the forward one."""
_PRODUCTS = frozenset({"conv2d", "sparse_conv", "linear"})
_VECTOR_FLOP = {"norm": 8.0, "elementwise": 4.0}
"""FLOPs an element of operators that are no products, about."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operators(Columns):
    """Operators of one encoder, by what they come down to for one sample."""

    repeats: Array
    """How often each occurs."""
    product: Array
    """1 for convolutions and linear layers, else 0."""
    attention: Array
    """1 for attention, else 0."""
    m: Array
    """Rows of the product; 1 where there is none."""
    n: Array
    """Columns of one group."""
    k: Array
    """Depth of one group."""
    groups: Array
    """Groups of channels."""
    inside: Array
    """Input channels of one group."""
    reused: Array
    """Input positions for each output position, where the kernel strides: 1 or more."""
    read: Array
    """Elements that the forward pass reads, without weights."""
    read_backward: Array
    """Elements that the backward pass of an operator without product reads."""
    written: Array
    """Elements that the forward pass writes."""
    written_backward: Array
    """Elements that the backward pass writes: the gradient of the input."""
    indices: Array
    """Rows picked by index."""
    kept: Array
    """Elements that the forward pass keeps for the backward one."""
    weights: Array
    """Learned values of one occurrence."""
    macs: Array
    """Multiplications of products and attention, as papers count them."""
    vector_flop: Array
    """FLOPs of everything else."""
    scores: Array
    """Scores of attention."""
    head_size: Array
    """Width of a head."""
    span: Array
    """Positions that attention looks at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs(Columns):
    """What one occurrence of each operator costs on one accelerator, for the whole batch."""

    flop: Array
    """FLOPs of the forward pass, two a multiplication, vector work included."""
    moved_bytes: Array
    """Bytes that the forward pass moves through memory."""
    compute_f_s: Array
    """Time that arithmetic alone takes, forward."""
    memory_f_s: Array
    """Time that memory alone takes, forward."""
    compute_b_s: Array
    """Time that arithmetic alone takes, backward."""
    memory_b_s: Array
    """Time that memory alone takes, backward."""
    forward_s: Array
    """Time of the forward pass, the gap before it included."""
    backward_s: Array
    """Time of the backward pass, the gaps before it included."""
    gap_s: Array
    """Gaps between kernels in both."""

    @property
    def flop_per_byte(self) -> Array:
        """Arithmetic intensity of the forward pass."""
        return np.asarray(self.flop / self.moved_bytes)

    @property
    def compute_bound(self) -> Array:
        """1 where arithmetic takes longer than memory over both passes, else 0."""
        compute = self.compute_f_s + self.compute_b_s
        return np.asarray(np.where(compute > self.memory_f_s + self.memory_b_s, 1.0, 0.0))


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderStep(Columns):
    """One data-parallel training step; the first six parts sum to `step_s`."""

    compute_s: Array
    """Operators that arithmetic binds."""
    memory_s: Array
    """Operators that memory binds."""
    launch_s: Array
    """Gaps between kernels, the wait for the host that launches them, the constant of a step."""
    reduction_s: Array
    """Reduction of gradients that no work hides."""
    update_s: Array
    """Optimiser."""
    hidden_s: Array
    """Reduction that runs beside the backward pass; no part of the step."""
    forward_s: Array
    """Forward pass, which the parts above hold."""
    backward_s: Array
    """Backward pass, which the parts above hold."""
    weights_bytes: Array
    """Weights in 16 bits."""
    gradients_bytes: Array
    """Gradients."""
    optimiser_bytes: Array
    """32-bit weights and the state of the optimiser."""
    activations_bytes: Array
    """What the forward pass keeps."""
    overhead_bytes: Array
    """Context and fragmentation."""

    @property
    def step_s(self) -> Array:
        """Time of the step."""
        worked = self.compute_s + self.memory_s + self.launch_s
        return np.asarray(worked + self.reduction_s + self.update_s)

    @property
    def memory_bytes(self) -> Array:
        """Memory of one accelerator."""
        states = self.weights_bytes + self.gradients_bytes + self.optimiser_bytes
        return np.asarray(states + self.activations_bytes + self.overhead_bytes)


def operators(rows: Sequence[EncoderOperator]) -> Operators:
    """Return the operators of an encoder, at least one, as arrays of shape (len(rows),)."""
    found = [_lowered(row) for row in rows]
    return Operators(
        **{name: np.asarray([one[name] for one in found], dtype=float) for name in found[0]}
    )


def parameters(listed: Operators) -> Array:
    """Return the learned values of an encoder."""
    return np.asarray(np.sum(listed.repeats * listed.weights, axis=-1))


def macs_per_sample(listed: Operators) -> Array:
    """Return the multiplications of a sample's forward pass: products and attention only."""
    return np.asarray(np.sum(listed.repeats * listed.macs, axis=-1))


def costs(listed: Operators, machine: Machines, stack: Stacks, batch: Array) -> Costs:
    """Return what each operator costs.

    Parameters
    ----------
    listed
        The k operators.
    machine, stack
        Where they run, and with which software.
    batch
        Samples of one accelerator and step.
    """
    product, attention = listed.product > 0, listed.attention > 0
    width = element_bytes(machine)
    operand = np.where(product, machine.operand_bytes, width)
    index = listed.indices * _INDEX_BYTES
    # 1. Bytes. Weights do not grow with the batch.
    learned = listed.weights * np.where(product, machine.operand_bytes, width)
    given = listed.read * operand + index
    forward_bytes = batch * (given + listed.written * width) + learned
    # Both gradients of a product read that of its output; one reads weights, one the input again.
    twice = 2.0 * listed.written * operand + (listed.read + listed.written_backward) * width
    once = (listed.read_backward + listed.written_backward) * width
    gradients = learned + listed.weights * _GRADIENT_BYTES
    backward_bytes = batch * (np.where(product, twice, once) + 2.0 * index) + gradients
    # 2. Arithmetic.
    products_f, products_b = _products(listed, machine, batch)
    heads_f, heads_b, stored_f, stored_b = _attention(listed, machine, stack, batch)
    compute_f = np.where(product, products_f, np.where(attention, heads_f, 0.0))
    compute_b = np.where(product, products_b, np.where(attention, heads_b, 0.0))
    # 3. Memory: vector work at the software's traffic, operands of products at the least possible.
    stream = ~(product | attention)
    speed = machine.memory_bytes_per_s
    memory_f = np.where(stream, stream_s(forward_bytes, machine, stack), forward_bytes / speed)
    memory_b = np.where(stream, stream_s(backward_bytes, machine, stack), backward_bytes / speed)
    memory_f, memory_b = memory_f + stored_f, memory_b + stored_b
    slow = stack.slowdown
    launches = np.where(product, 2.0, 1.0)
    forward = np.maximum(compute_f, memory_f) * slow
    backward = np.maximum(compute_b, memory_b) * slow
    return Costs(
        flop=batch * (2.0 * listed.macs + listed.vector_flop),
        moved_bytes=forward_bytes + stored_f * speed,
        compute_f_s=compute_f * slow,
        memory_f_s=memory_f * slow,
        compute_b_s=compute_b * slow,
        memory_b_s=memory_b * slow,
        forward_s=forward + stack.kernel_s,
        backward_s=backward + launches * stack.kernel_s,
        gap_s=(1.0 + launches) * stack.kernel_s,
    )


def training_step(
    listed: Operators,
    cost: Costs,
    machine: Machines,
    stack: Stacks,
    batch: Array,
    ranks: Array,
    grad_bytes: Array,
) -> EncoderStep:
    """Return one step of data parallelism: both passes, reduction, update, and the memory.

    Parameters
    ----------
    listed, cost
        The k operators and what they cost at this batch.
    machine, stack
        Where they run, and with which software.
    batch
        Samples of one accelerator and step.
    ranks
        Accelerators that each hold the whole encoder.
    grad_bytes
        Bytes in which a gradient is kept and reduced.
    """

    def total(each: Array) -> Array:
        return np.asarray(np.sum(listed.repeats * each, axis=-1, keepdims=np.ndim(batch) > 0))

    forward, backward, gaps = total(cost.forward_s), total(cost.backward_s), total(cost.gap_s)
    worked = cost.forward_s + cost.backward_s - cost.gap_s
    bound = cost.compute_bound
    compute, memory = total(worked * bound), total(worked * (1.0 - bound))
    # The host launches kernels ahead of the accelerator; small batches wait for it.
    host = np.sum(listed.repeats) * stack.host_s / _BLOCK_KERNELS * _PASSES
    wait = np.maximum(host - forward - backward, 0.0)

    learned = parameters(listed)
    traffic = _all_reduce_s(ranks, learned * grad_bytes, machine, stack)
    # Two of three passes are backward ones; gradients also travel while the host is waited for.
    window = stack.dp_hidden * (forward + backward + wait) * (_PASSES - 1.0) / _PASSES
    exposed = np.maximum(traffic - window, stack.contention * traffic)
    width = element_bytes(machine)
    kept = batch * np.sum(listed.repeats * listed.kept) * width
    states = learned * (_WEIGHT_BYTES + grad_bytes + _STATE_BYTES)
    return EncoderStep(
        compute_s=compute,
        memory_s=memory,
        launch_s=gaps + wait + stack.step_s,
        reduction_s=exposed,
        update_s=learned * _UPDATE_BYTES / machine.memory_bytes_per_s,
        hidden_s=traffic - exposed,
        forward_s=forward,
        backward_s=backward,
        weights_bytes=learned * _WEIGHT_BYTES,
        gradients_bytes=learned * grad_bytes,
        optimiser_bytes=learned * _STATE_BYTES,
        activations_bytes=kept,
        overhead_bytes=stack.context_bytes + stack.fragmentation * (states + kept),
    )


def element_bytes(machine: Machines) -> Array:
    """Return the bytes of an activation: those of an operand, at least two."""
    return np.maximum(machine.operand_bytes, 2.0)


def _lowered(row: EncoderOperator) -> dict[str, float]:
    """Return one operator as numbers."""
    product = row.kind in _PRODUCTS
    grid = float(row.images * row.height * row.width)
    places = float(row.images * row.tokens) if row.tokens else grid
    taps = float(row.kernel) ** (3 if row.kind == "sparse_conv" else 2)
    in_channels = float(row.in_channels or row.out_channels)
    # A kernel smaller than its stride skips positions.
    reused = min(float(row.stride) ** 2, taps) if row.kind == "conv2d" else 1.0
    touched = float(row.neighbours) if row.kind == "sparse_conv" else taps
    written = places * row.out_channels
    read = {
        "conv2d": places * reused * in_channels,
        "sparse_conv": places * touched * in_channels,
        "attention": (places + 2.0 * (row.keys or row.tokens) * row.images) * in_channels,
        "pool": places * row.stride**2 * in_channels,
        "gather": places * in_channels,
        "norm": row.reads * written,
        "elementwise": row.reads * written,
    }.get(row.kind, places * in_channels)
    input_elements = places * in_channels if row.kind == "sparse_conv" else read
    depth = in_channels * touched / row.groups
    span = float(row.keys or row.tokens)
    scores = row.images * row.heads * row.tokens * span if row.kind == "attention" else 0.0
    head_size = row.out_channels / row.heads
    if row.kind == "gather" and row.tokens and row.height * row.width > 1:
        written = grid * row.out_channels
    read_backward, written_backward = {
        "attention": (read + 2.0 * written, read),
        "norm": (2.0 * written * min(row.reads, 2), written * max(1, row.reads - 1)),
        "elementwise": (2.0 * written, written),
    }.get(row.kind, (written, input_elements))
    return {
        "repeats": float(row.repeats),
        "product": float(product),
        "attention": float(row.kind == "attention"),
        "m": places if product else 1.0,
        "n": row.out_channels / row.groups if product else 1.0,
        "k": depth if product else 1.0,
        "groups": float(row.groups),
        "inside": in_channels / row.groups,
        "reused": reused,
        "read": read,
        "read_backward": read_backward,
        "written": written,
        "written_backward": written_backward,
        "indices": {"sparse_conv": places * touched, "gather": places}.get(row.kind, 0.0),
        "kept": _kept(row, input_elements, written),
        "weights": _weights(row, in_channels, taps, written),
        "macs": places * row.out_channels * depth if product else 2.0 * scores * head_size,
        "vector_flop": _VECTOR_FLOP.get(row.kind, 0.0) * written + scores * 5.0,
        "scores": scores,
        "head_size": head_size,
        "span": max(span, 1.0),
    }


def _kept(row: EncoderOperator, read: float, written: float) -> float:
    """Return the elements kept: the input, once, where the gradient needs it."""
    match row.kind:
        case "norm":
            return written
        case "elementwise":
            # The gradient of a sum of two tensors needs neither.
            return written if row.reads == 1 else 0.0
        case "pool" | "gather":
            return 0.0
        case _:
            return read


def _weights(row: EncoderOperator, in_channels: float, taps: float, written: float) -> float:
    """Return the learned values of an operator."""
    match row.kind:
        case "conv2d" | "sparse_conv":
            learned = in_channels * row.out_channels * taps / row.groups
            return learned + row.out_channels * row.bias
        case "linear":
            return in_channels * row.out_channels + row.out_channels * row.bias
        case "norm":
            return 2.0 * row.out_channels
        case "elementwise":
            return written * row.bias
        case _:
            return 0.0


def _products(listed: Operators, machine: Machines, batch: Array) -> tuple[Array, Array]:
    """Return the arithmetic of products, forward and backward (gradients of input and weights)."""
    endless = replace(machine, memory_bytes_per_s=np.asarray(np.inf))
    rows, n, k, groups = batch * listed.m, listed.n, listed.k, listed.groups
    forward = gemm_s(rows, n, k, endless, groups=groups)
    # The gradient of the input is a product over the input's positions; where the kernel strides,
    # each of them meets fewer places of the kernel.
    depth = n * k / (listed.inside * listed.reused)
    inputs = gemm_s(rows * listed.reused, listed.inside, depth, endless, groups=groups)
    # That of the weights has few rows and columns and a depth of all positions, which kernels cut
    # into slices and sum: the best of some numbers of slices counts.
    weights = np.asarray(np.inf)
    for slices in _SPLITS:
        once = gemm_s(n, k, rows / slices, endless, groups=groups * slices)
        partial = np.where(slices > 1, slices * n * k * groups * _PARTIAL_BYTES, 0.0)
        weights = np.minimum(weights, once + partial / machine.memory_bytes_per_s)
    return forward, np.asarray(inputs + weights)


def _attention(
    listed: Operators, machine: Machines, stack: Stacks, batch: Array
) -> tuple[Array, Array, Array, Array]:
    """Return arithmetic of attention forward and backward, and the time of stored scores."""
    scores = batch * listed.scores
    flop = 4.0 * scores * listed.head_size
    fused = stack.fused_attention > 0
    # Formats of more than 16 bits run scores at their own peak.
    wide = np.maximum(machine.peak16_flop_per_s / machine.gemm_flop_per_s, 1.0)
    stored = scores * stack.score_traffic / machine.memory_bytes_per_s
    stored = np.where(fused, 0.0, stored * element_bytes(machine) / _WEIGHT_BYTES)
    none = replace(stack, score_traffic=np.asarray(0.0))
    forward, backward = (
        wide * attention_s(flop, scores, listed.head_size, listed.span, machine, none, backward=way)
        for way in (False, True)
    )
    return forward, backward, stored, 1.5 * stored


def _all_reduce_s(ranks: Array, size: Array, machine: Machines, stack: Stacks) -> Array:
    """Return the time to reduce gradients: the better of a ring and a tree."""
    bandwidth, latency, _ = reach(machine, stack, np.maximum(ranks, 1.0), np.asarray(1.0))
    ring = collectives.all_reduce_ring_s(ranks, size, bandwidth, latency)
    tree = collectives.all_reduce_tree_s(ranks, size, bandwidth, latency)
    return np.asarray(np.where(ranks > 1, np.minimum(ring, tree), 0.0))
