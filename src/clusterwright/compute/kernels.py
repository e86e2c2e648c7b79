"""How long single operations take on one accelerator: matrix multiplication, attention, the rest.

All functions broadcast over arrays of shape (n,) and return seconds.
"""

import numpy as np

from clusterwright.compute.columns import Array, Machines, Stacks

_TILES = (
    # rows, columns, speed relative to the fastest. Shapes of the common kernels of BLAS libraries;
    # a small tile reads its operands more often for the same work.
    (256.0, 128.0, 1.0),
    (128.0, 256.0, 1.0),
    (128.0, 128.0, 0.92),
    (128.0, 64.0, 0.75),
    (64.0, 64.0, 0.55),
)
_QUANTISED = 0.55
"""Share of the loss of a last, unfilled wave that remains with kernels that split its work."""
_RAMP = 160.0
"""Depth of a multiplication whose filling and draining of the pipeline costs as much as itself."""
_ALIGNED_BYTES = 16.0
"""Rows whose length is a multiple of this are loaded in one instruction by tensor cores."""
_MISALIGNED = 0.35
"""Speed of fused attention over rows of another length, relative to an aligned one."""
_BATCHED = 0.6
"""Speed of many small products in one launch (scores of all heads), relative to a large one."""
_BLOCK = 64.0
"""Elements of a head that a kernel works on at once."""


def gemm_s(
    m: Array,
    n: Array,
    k: Array,
    machine: Machines,
    *,
    narrow: bool = True,
    groups: Array | float = 1.0,
) -> Array:
    """Return the time of `groups` products of (m, k) and (k, n).

    Tiles of the result are handed to the compute units in waves; the last wave is seldom full
    (tile and wave quantisation: NVIDIA, "Matrix Multiplication Background", 2023). The best of a
    few tile shapes counts, and never less than reading and writing the operands.

    Parameters
    ----------
    m, n, k
        Rows, columns and depth.
    machine
        The accelerator.
    narrow
        True for the linear layers' own format, False for 16 bits.
    groups
        Equal multiplications in one launch (experts).
    """
    peak = machine.gemm_flop_per_s * machine.gemm_fraction
    size = machine.operand_bytes
    if not narrow:
        peak = machine.peak16_flop_per_s * machine.gemm16_fraction
        size = np.asarray(2.0)
    flop = 2.0 * m * n * k * groups
    units = machine.compute_units
    best = np.asarray(np.inf)
    for rows, columns, speed in _TILES:
        tiles = np.ceil(m / rows) * np.ceil(n / columns) * groups
        # Two tiles share a unit, so half a wave is the step by which time grows.
        waves = np.ceil(2.0 * tiles / units) / 2.0
        work = waves * units * (2.0 * rows * columns) * k / speed
        best = np.minimum(best, work)
    ramp = 1.0 + _RAMP / np.maximum(k, 1.0)
    compute = (flop + _QUANTISED * np.maximum(best - flop, 0.0)) * ramp / peak
    memory = ((m * k + k * n) * size + 2.0 * m * n) * groups / machine.memory_bytes_per_s
    return np.asarray(np.maximum(compute, memory))


def head_speed(head_size: Array) -> Array:
    """Return how fast attention is for a width of heads, relative to 128 wide ones, 0–1.

    A head that is no multiple of 64 elements is padded; narrow ones have little work for a score.
    """
    padded = np.ceil(head_size / _BLOCK) * _BLOCK
    return np.asarray(
        (0.5 + 0.5 * head_size / padded) * np.minimum(1.0, (0.35 + 0.65 * head_size / 128.0))
    )


def aligned(head_size: Array) -> Array:
    """Return whether 16-bit rows of that many elements suit the loads of tensor cores."""
    return np.asarray(np.mod(head_size * 2.0, _ALIGNED_BYTES) == 0)


def attention_s(
    flop: Array,
    scores: Array,
    head_size: Array,
    span: Array,
    machine: Machines,
    stack: Stacks,
    *,
    backward: bool,
) -> Array:
    """Return the time of scores, softmax and their product with the values.

    Parameters
    ----------
    flop
        Forward FLOPs that are not masked away.
    scores
        Scores computed, masked ones included where the kernel computes them.
    head_size
        Width of a head.
    span
        Tokens that a token looks back on.
    machine, stack
        Where it runs, and with which software.
    backward
        True for the backward pass: 2.5 times the FLOPs when scores are computed again, else twice.
    """
    loads = aligned(head_size)
    speed = head_speed(head_size) * np.where(loads, 1.0, _MISALIGNED) * span / (span + 256.0)
    fused = flop * (2.5 if backward else 1.0)
    fused = fused / (
        machine.peak16_flop_per_s * stack.attention_fraction * speed * (0.85 if backward else 1.0)
    )
    plain = flop * (2.0 if backward else 1.0)
    # Products of rows that tensor cores cannot load run without them, at the speed of 32 bits.
    peak = np.where(
        loads, machine.peak16_flop_per_s * head_speed(head_size), machine.peak32_flop_per_s
    )
    plain = plain / (peak * machine.gemm16_fraction * _BATCHED)
    moved = scores * stack.score_traffic * (1.5 if backward else 1.0)
    plain = plain + moved / machine.memory_bytes_per_s
    return np.asarray(np.where(stack.fused_attention > 0, fused, plain))


def stream_s(moved_bytes: Array, machine: Machines, stack: Stacks) -> Array:
    """Return the time of work that only reads and writes memory, at the stack's traffic."""
    return np.asarray(moved_bytes * stack.traffic / machine.memory_bytes_per_s)
