"""What one transformer block of one micro-batch costs on one rank: kernels, bytes and messages.

Legend: T tokens of a micro-batch on one context-parallel rank, h hidden, q and kv widths of all
query and key heads, f width of the MLP, t tensor-parallel ranks; a block of a mixture model is the
mean of its dense and its mixture blocks. Backward times hold both the gradient of the input and of
the weights.

Source of the division of work: Korthikanti et al., "Reducing Activation Recomputation in Large
Transformer Models", 2022, sections 4 and 5; of experts: Megatron Core's mixture layer as described
in its documentation; of gathering in narrow formats: Transformer Engine, LayerNormLinear.
"""

from dataclasses import dataclass

import numpy as np

from clusterwright.compute import counts
from clusterwright.compute.columns import Array, Layouts, Machines, Stacks, Transformers
from clusterwright.compute.kernels import attention_s, gemm_s, stream_s
from clusterwright.fabric import collectives

_ACTIVATION_BYTES = 2.0
_NORM_BYTES = 28.0
"""Bytes a token and hidden unit of two norms, two residual sums and what is kept of dropout."""
_MLP_BYTES = 4.0
"""Bytes a token and unit of MLP width (a gate counts as width) to read and write the activation."""
_QKV_BYTES = 4.0
"""Bytes a token and unit of query, key and value to add bias, turn and lay them out."""
_ROUTED_BYTES = 20.0
"""Bytes a routed token and hidden unit where it comes from: sort, send, weigh, sum (in 32 bits)."""
_LAID_OUT_BYTES = 10.0
"""The same where its expert is: lay out for each expert, collect; with padding and uneven rows."""
_LOSS_BYTES = 12.0
"""Bytes a logit, each way, of a loss that is fused."""
_PLAIN_LOSS_BYTES = 26.0
"""Bytes a logit, each way, of one that is not: maximum, difference, exponential, sum, quotient."""
_PLAIN_LOGIT_BYTES = 10.0
"""Bytes a logit that a loss which is not fused holds at least: 16 and 32 bits and a gradient."""
_DENSE_KERNELS = 16.0
"""Launches of a dense block's forward pass."""
_MIXTURE_KERNELS = 30.0
"""Further launches of a mixture block's forward pass; each local expert adds four."""
_CAST_BYTES = 4.0
"""Bytes to turn one 16-bit element into a narrower format: read once, written once as it lies and
once turned for the gradient of the weights. Forward inputs are cast, backward gradients of outputs.
"""
_BACKWARD_KERNELS = 2.7
"""Launches of a backward pass over those of a forward one. Counted in the first Megatron line: a
product of the forward pass is two and a sum of the bias's gradient, a norm three, a product of
scores two, anything else one; each of twelve parameters adds its gradient. Some 43 after 16."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocks:
    """Seconds of one block and one micro-batch, forward (`_f`) and backward (`_b`)."""

    gemm_f: Array
    gemm_b: Array
    attention_f: Array
    attention_b: Array
    stream_f: Array
    stream_b: Array
    launch_f: Array
    launch_b: Array
    tp_f: Array
    tp_b: Array
    ep_f: Array
    ep_b: Array
    cp_f: Array
    cp_b: Array
    vocab_f: Array
    """The vocabulary's product and loss, once for a micro-batch on the last stage."""
    vocab_b: Array
    host_f: Array
    """Time the host needs to launch the block's forward pass."""


def tokens_of(model: Transformers, layout: Layouts) -> Array:
    """Return the tokens of one micro-batch on one rank."""
    return np.asarray(layout.micro_batch * model.seq_len / layout.cp)


def query_width(model: Transformers) -> Array:
    """Return the width of all query heads, the part with position included."""
    latent = model.heads * (model.head_size + model.rope_size)
    return np.asarray(np.where(model.kv_rank > 0, latent, model.heads * model.head_size))


def blocks(model: Transformers, machine: Machines, stack: Stacks, layout: Layouts) -> Blocks:
    """Return what one block of one micro-batch costs.

    Parameters
    ----------
    model, machine, stack, layout
        Columns that broadcast to one shape (n,).
    """
    tokens = tokens_of(model, layout)
    gemm_f, gemm_b, cast_f, cast_b = _products(model, machine, layout, tokens)
    attention_f, attention_b = _attention(model, machine, stack, layout)
    moved = _moved(model, stack, layout, tokens)
    narrow = machine.operand_bytes < 2.0
    cast_f = np.where(narrow, stream_s(cast_f, machine, stack), 0.0)
    cast_b = np.where(narrow, stream_s(cast_b, machine, stack), 0.0)
    mixture = counts.mixture_fraction(model)
    local = np.maximum(model.experts / layout.ep, 1.0)
    kernels = _DENSE_KERNELS + mixture * (_MIXTURE_KERNELS + 4.0 * local)
    launch_f = kernels * stack.kernel_s
    common, spread = counts.block_parameters(model)
    held = common / layout.tp + spread / (layout.ep * layout.expert_tp)
    added = held * stack.accumulate_bytes / machine.memory_bytes_per_s
    tp_f = _tensor_messages(model, machine, stack, layout, tokens)
    ep_f = _expert_messages(model, machine, stack, layout, tokens)
    cp_f = _context_messages(model, machine, stack, layout, tokens)
    vocab_f, vocab_b = _vocabulary(model, machine, stack, layout, tokens)
    slow = stack.slowdown * slowest_of(layout, stack.variation)
    return Blocks(
        gemm_f=gemm_f * slow,
        gemm_b=gemm_b * slow,
        attention_f=attention_f * slow,
        attention_b=attention_b * slow,
        stream_f=(stream_s(moved, machine, stack) + cast_f) * slow,
        stream_b=(1.6 * stream_s(moved, machine, stack) + cast_b) * slow + added,
        launch_f=launch_f,
        launch_b=_BACKWARD_KERNELS * launch_f,
        tp_f=tp_f,
        tp_b=tp_f,
        ep_f=ep_f,
        ep_b=ep_f,
        cp_f=cp_f,
        cp_b=2.0 * cp_f,
        vocab_f=vocab_f * slow,
        vocab_b=vocab_b * slow,
        host_f=stack.host_s * (1.0 + mixture),
    )


def slowest_of(layout: Layouts, variation: Array) -> Array:
    """Return the time of the slowest rank relative to the mean: a step waits for it.

    The largest of n normal values lies about sqrt(2 ln n) standard deviations above their mean.
    """
    ranks = layout.tp * layout.cp * layout.pp * layout.dp
    return np.asarray(1.0 + variation * np.sqrt(2.0 * np.log(np.maximum(ranks, 1.0))))


def _products(
    model: Transformers, machine: Machines, layout: Layouts, tokens: Array
) -> tuple[Array, Array, Array, Array]:
    """Return time of the block's products and bytes cast for them, both forward and backward."""
    t, h = layout.tp, model.hidden
    forward, backward = np.asarray(0.0), np.asarray(0.0)
    inputs, gradients = np.asarray(0.0), np.asarray(0.0)

    def add(
        n: Array,
        k: Array,
        *,
        m: Array = tokens,
        groups: Array | float = 1.0,
        share: Array | float = 1,
    ) -> None:
        nonlocal forward, backward, inputs, gradients
        once = gemm_s(m, n, k, machine, groups=groups)
        twice = gemm_s(m, k, n, machine, groups=groups) + gemm_s(n, k, m, machine, groups=groups)
        forward = forward + share * once
        backward = backward + share * twice
        inputs = inputs + share * _CAST_BYTES * m * k * groups
        gradients = gradients + share * _CAST_BYTES * m * n * groups

    latent = model.kv_rank > 0
    if np.any(latent):
        heads = model.heads / t
        share = np.where(latent, 1.0, 0.0)
        add(np.maximum(model.q_rank, 1.0), h, share=share)
        add(heads * (model.head_size + model.rope_size), np.maximum(model.q_rank, 1.0), share=share)
        add(model.kv_rank + model.rope_size, h, share=share)
        add(
            heads * (model.head_size + model.value_size),
            np.maximum(model.kv_rank, 1.0),
            share=share,
        )
        add(h, heads * np.maximum(model.value_size, 1.0), share=share)
    if not np.all(latent):
        share = np.where(latent, 0.0, 1.0)
        width = model.heads * model.head_size
        add((width + 2.0 * model.kv_heads * model.head_size) / t, h, share=share)
        add(h, width / t, share=share)
    mixture = counts.mixture_fraction(model)
    if np.any(mixture < 1):
        add(model.ffn * (1.0 + model.gated) / t, h, share=1 - mixture)
        add(h, model.ffn / t, share=1 - mixture)
    if np.any(mixture > 0):
        experts = np.maximum(model.experts, 1.0)
        local = np.maximum(experts / layout.ep, 1.0)
        mine = tokens * layout.expert_tp / t * np.maximum(model.topk, 1.0) * model.imbalance
        wide = np.maximum(model.expert_ffn, 1.0) / layout.expert_tp
        rows = mine / local
        add(wide * (1.0 + model.gated), h, m=rows, groups=local, share=mixture)
        add(h, wide, m=rows, groups=local, share=mixture)
        shared = np.maximum(model.shared_ffn, 1.0) / t
        some = mixture * (model.shared_ffn > 0)
        add(shared * (1.0 + model.gated), h, share=some)
        add(h, shared, share=some)
    return forward, backward, inputs, gradients


def _attention(
    model: Transformers, machine: Machines, stack: Stacks, layout: Layouts
) -> tuple[Array, Array]:
    """Return forward and backward time of scores, softmax and values."""
    heads = model.heads / layout.tp
    mine = model.seq_len / layout.cp
    inside = np.where(model.kv_rank > 0, model.head_size + model.rope_size, model.head_size)
    out = np.where(model.kv_rank > 0, model.value_size, model.head_size)
    fused = stack.fused_attention > 0

    def both(span: Array) -> tuple[Array, Array]:
        seen = np.where(model.causal > 0, _seen(span, model.seq_len), span)
        counted = np.where(fused, seen, model.seq_len)
        scores = layout.micro_batch * heads * mine * counted
        flop = 2.0 * scores * (inside + out)
        one = attention_s(flop, scores, inside, counted, machine, stack, backward=False)
        two = attention_s(flop, scores, inside, counted, machine, stack, backward=True)
        cut = np.where((layout.cp > 1) & (layout.cp_gather == 0), stack.ring_attention, 1.0)
        return one / cut, two / cut

    full = both(np.asarray(model.seq_len, dtype=float))
    if not np.any(model.windowed > 0):
        return full
    short = both(np.minimum(np.where(model.window > 0, model.window, np.inf), model.seq_len))
    share = model.windowed
    return (
        (1 - share) * full[0] + share * short[0],
        (1 - share) * full[1] + share * short[1],
    )


def _seen(span: Array, seq_len: Array) -> Array:
    """Return how many tokens an average token looks back on within a window."""
    return np.asarray(span * (1.0 - span / (2.0 * seq_len)))


def _moved(model: Transformers, stack: Stacks, layout: Layouts, tokens: Array) -> Array:
    """Return bytes that a forward pass reads and writes outside products and attention."""
    t = layout.tp
    split = np.where(layout.sequence_parallel > 0, t, 1.0)
    heads = query_width(model) + 2.0 * model.kv_heads * model.head_size
    mixture = counts.mixture_fraction(model)
    moved = tokens * (
        _NORM_BYTES * model.hidden / split
        + _QKV_BYTES * heads / t
        + (_MLP_BYTES + model.activation_bytes) * counts.mlp_width(model) * (1.0 + model.gated) / t
    )
    # A rank routes its own share of the tokens; the ranks of a split expert lay out all of theirs.
    passes = (_ROUTED_BYTES + _LAID_OUT_BYTES * layout.expert_tp) / t
    routed = tokens * model.topk * model.hidden * passes * stack.routed
    return np.asarray(moved + np.where(mixture > 0, mixture * routed, 0.0))


def _vocabulary(
    model: Transformers, machine: Machines, stack: Stacks, layout: Layouts, tokens: Array
) -> tuple[Array, Array]:
    """Return time of the vocabulary's product, softmax and loss."""
    n, h = model.vocab / layout.tp, model.hidden
    forward = gemm_s(tokens, n, h, machine, narrow=False)
    backward = gemm_s(tokens, h, n, machine, narrow=False)
    backward = backward + gemm_s(n, h, tokens, machine, narrow=False)
    # 16-bit logits, 32-bit logits, their softmax: read and written once each way where the loss is
    # one kernel; once for each operation where it is not.
    loss = np.where(stack.logit_bytes < _PLAIN_LOGIT_BYTES, _LOSS_BYTES, _PLAIN_LOSS_BYTES)
    loss_s = stream_s(tokens * n * loss, machine, stack)
    embed = stream_s(tokens * h * 6.0, machine, stack)
    added = n * h * stack.accumulate_bytes / machine.memory_bytes_per_s
    return forward + loss_s + embed, backward + loss_s + embed + added


def reach(
    machine: Machines, stack: Stacks, ranks: Array, stride: Array
) -> tuple[Array, Array, Array]:
    """Return bandwidth, latency and ranks in a domain of a group of equal distance.

    Ranks `stride` apart form a ring. Within the domain it runs at the scale-up links; beyond, each
    domain's share of the ring may use the network ports of all its ranks.
    """
    inside = np.clip(np.floor(machine.scaleup_domain / stride), 1.0, ranks)
    up = machine.scaleup_bytes_per_s * stack.scaleup_fraction
    out = machine.scaleout_bytes_per_s * stack.scaleout_fraction
    within = inside >= ranks
    bandwidth = np.where(within, up, np.minimum(up, inside * out))
    latency = np.where(within, machine.scaleup_latency_s, machine.scaleout_latency_s)
    return bandwidth, latency, inside


def _tensor_messages(
    model: Transformers, machine: Machines, stack: Stacks, layout: Layouts, tokens: Array
) -> Array:
    """Return time of the two reductions of a forward pass (the backward pass has two as well)."""
    bandwidth, latency, _ = reach(machine, stack, layout.tp, np.asarray(1.0))
    # With sequence parallelism a reduction is a scattering one, in 16 bits, and a gathering of what
    # the next product reads, in its own format.
    gathered = np.clip(machine.operand_bytes, 1.0, _ACTIVATION_BYTES)
    mean = (_ACTIVATION_BYTES + gathered) / 2.0
    size = tokens * model.hidden * np.where(layout.sequence_parallel > 0, mean, _ACTIVATION_BYTES)
    one = collectives.all_reduce_ring_s(layout.tp, size, bandwidth, latency)
    mixture = counts.mixture_fraction(model)
    # Where experts are not split over the tensor-parallel ranks, a mixture block gathers once less;
    # where they are, its ranks gather each token once for every expert that it visits.
    whole = layout.expert_tp < layout.tp
    routed = collectives.all_reduce_ring_s(layout.tp, size * model.topk, bandwidth, latency)
    mlp = (1.0 - mixture) * one + mixture * np.where(whole, 0.0, routed)
    return np.asarray(np.where(layout.tp > 1, one + mlp, 0.0))


def _expert_messages(
    model: Transformers, machine: Machines, stack: Stacks, layout: Layouts, tokens: Array
) -> Array:
    """Return time of sending tokens to their experts and back, forward."""
    mixture = counts.mixture_fraction(model)
    if not np.any(mixture > 0):
        return np.asarray(0.0)
    _, latency, inside = reach(machine, stack, layout.ep, layout.expert_tp)
    mine = tokens / layout.tp * model.topk * model.imbalance
    size = mine * model.hidden * _ACTIVATION_BYTES
    near = size * (inside - 1) / layout.ep
    far = size * (layout.ep - inside) / layout.ep
    # A token for several experts of one other domain crosses the network once and is copied there.
    domains = np.maximum(layout.ep / inside, 1.0)
    visits = np.maximum(model.topk, 1.0)
    once = domains * (1.0 - (1.0 - 1.0 / domains) ** visits) / visits
    send = near / (machine.scaleup_bytes_per_s * stack.scaleup_fraction)
    once = np.where(stack.ep_copies > 0, 1.0, once)
    send = send + far * once / (machine.scaleout_bytes_per_s * stack.scaleout_fraction)
    send = send + latency * np.log2(np.maximum(layout.ep, 1.0))
    return np.asarray(np.where(layout.ep > 1, 2.0 * mixture * send, 0.0))


def _context_messages(
    model: Transformers, machine: Machines, stack: Stacks, layout: Layouts, tokens: Array
) -> Array:
    """Return time of passing keys and values round the context-parallel ranks, forward."""
    bandwidth, latency, _ = reach(machine, stack, layout.cp, layout.tp)
    width = np.where(
        model.kv_rank > 0,
        model.heads * (model.head_size + model.rope_size + model.value_size),
        2.0 * model.kv_heads * model.head_size,
    )
    size = tokens * layout.cp * width / layout.tp * _ACTIVATION_BYTES
    ring = collectives.all_gather_s(layout.cp, size, bandwidth, latency)
    return np.asarray(np.where(layout.cp > 1, ring, 0.0))
