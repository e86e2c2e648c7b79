"""Memory of the fullest rank of a layout, taken apart.

The first pipeline stage holds the most activations, since it waits longest for its gradients; the
last one holds the logits. The fuller of the two counts.

Sources: Rajbhandari et al., "ZeRO", 2020, section 3 (states of mixed-precision Adam); Korthikanti
et al., "Reducing Activation Recomputation", 2022, sections 4.1 to 4.3 (activations of a block);
Narayanan et al., 2021, section 2.2 (what an interleaved schedule keeps).
"""

from dataclasses import dataclass

import numpy as np

from clusterwright.compute import counts
from clusterwright.compute.blocks import query_width, tokens_of
from clusterwright.compute.columns import Array, Layouts, Stacks, Transformers
from clusterwright.compute.steptime import stage_layers

_WEIGHT_BYTES = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Footprint:
    """Bytes on the fullest rank by what they hold."""

    weights_bytes: Array
    """Parameters in 16 bits, those gathered for the moment included."""
    gradients_bytes: Array
    """Gradients."""
    optimiser_bytes: Array
    """Optimiser states and 32-bit weights."""
    activations_bytes: Array
    """What the forward pass keeps for the backward pass, and the logits."""
    overhead_bytes: Array
    """Context, communication buffers and fragmentation."""

    @property
    def total_bytes(self) -> Array:
        """All of it."""
        return np.asarray(
            self.weights_bytes
            + self.gradients_bytes
            + self.optimiser_bytes
            + self.activations_bytes
            + self.overhead_bytes
        )


def footprint(model: Transformers, stack: Stacks, layout: Layouts) -> Footprint:
    """Return the memory of the fullest rank.

    Parameters
    ----------
    model, stack, layout
        Columns that broadcast to one shape (n,).
    """
    inner, last = stage_layers(model, layout)
    common, spread = counts.block_parameters(model)
    block = common / layout.tp + spread / (layout.ep * layout.expert_tp)
    table = counts.vocabulary_parameters(model) / layout.tp
    first_held = inner * block + table
    last_held = last * block + table
    both = (layout.pp == 1) & (model.tied == 0)
    first_held = first_held + np.where(both, table, 0.0)
    micro = np.maximum(layout.global_batch / (layout.dp * layout.micro_batch), 1.0)
    kept = kept_bytes(model, stack, layout)
    first_kept = kept * inner * _in_flight(layout, micro, 0.0)
    last_kept = kept * last * _in_flight(layout, micro, layout.pp - 1.0)
    logits = tokens_of(model, layout) * model.vocab / layout.tp * stack.logit_bytes
    working = _working_bytes(model, stack, layout, kept)
    alone = layout.pp == 1
    first = _states(stack, layout, first_held, block) + first_kept + np.where(alone, logits, 0.0)
    final = _states(stack, layout, last_held, block) + last_kept + logits
    at_first = (first >= final) | alone
    held = np.where(at_first, first_held, last_held)
    activations = np.where(
        at_first,
        first_kept + np.where(alone, np.maximum(logits, working), working),
        last_kept + np.maximum(logits, working),
    )
    weights, grads, states = _parts(stack, layout, held, block)
    buckets = np.where(layout.zero_stage >= 1, stack.bucket_bytes, 0.0)
    used = weights + grads + states + activations + buckets
    return Footprint(
        weights_bytes=weights,
        gradients_bytes=grads,
        optimiser_bytes=states,
        activations_bytes=np.asarray(activations),
        overhead_bytes=np.asarray(stack.context_bytes + buckets + stack.fragmentation * used),
    )


def kept_bytes(model: Transformers, stack: Stacks, layout: Layouts) -> Array:
    """Return what one block keeps of one micro-batch."""
    tokens = tokens_of(model, layout)
    t = layout.tp
    split = np.where(layout.sequence_parallel > 0, t, 1.0)
    whole = _whole_bytes(model, stack, layout, tokens)
    # Selective recomputation drops the scores where they are kept at all; where the software
    # repeats products, the block's input, what attention gives and every second product stay.
    scores = _scores_bytes(model, stack, layout)
    heads = 4.0 * query_width(model) + 2.0 * model.kv_heads * model.head_size
    second = tokens * (4.0 * model.hidden / split + (heads + 2.0 * counts.mlp_width(model)) / t)
    selective = np.where(stack.selective > 0, np.minimum(second, whole), whole)
    full = 2.0 * tokens * model.hidden / split
    kept = np.where(
        layout.recompute > 1, full, np.where(layout.recompute > 0, selective, whole + scores)
    )
    share = layout.recomputed
    return np.asarray(share * kept + (1.0 - share) * (whole + scores))


def _whole_bytes(model: Transformers, stack: Stacks, layout: Layouts, tokens: Array) -> Array:
    """Return what a block keeps when nothing is computed again, scores left out."""
    t = layout.tp
    split = np.where(layout.sequence_parallel > 0, t, 1.0)
    share = counts.mixture_fraction(model)
    width = counts.mlp_width(model)
    heads = query_width(model)
    # Inputs of two norms and of the two products behind them; query, key, value and the output of
    # attention; both sides of the activation, twice with a gate; dropout masks of one byte.
    region = 8.0 * model.hidden / split + 2.0 * model.hidden * (1.0 - stack.fused_attention) / split
    inside = 2.0 * (2.0 * heads + 2.0 * model.kv_heads * model.head_size) / t
    mlp = 2.0 * width * (2.0 + model.gated) / t
    routed = share * 4.0 * model.topk * model.hidden * layout.expert_tp / t
    return np.asarray(tokens * (region + inside + mlp + routed))


def _scores_bytes(model: Transformers, stack: Stacks, layout: Layouts) -> Array:
    """Return softmax, dropout mask and its output of attention that is not fused."""
    scores = layout.micro_batch * model.heads / layout.tp * model.seq_len**2 / layout.cp
    return np.asarray(np.where(stack.fused_attention > 0, 0.0, 5.0 * scores))


def _working_bytes(model: Transformers, stack: Stacks, layout: Layouts, kept: Array) -> Array:
    """Return what the block at work needs beyond what it keeps."""
    whole = _whole_bytes(model, stack, layout, tokens_of(model, layout))
    whole = whole + _scores_bytes(model, stack, layout)
    return np.asarray(np.maximum(whole - kept, 0.0) + 0.5 * whole)


def _in_flight(layout: Layouts, micro: Array, stage: Array | float) -> Array:
    """Return micro-batches whose activations a stage holds at its fullest."""
    one_by_one = layout.pp - stage
    interleaved = one_by_one * (1.0 + (layout.pp - 1.0) / (layout.pp * layout.chunks))
    held = np.where(layout.chunks > 1, interleaved, one_by_one)
    # Zero-bubble schedules of the same memory keep as much as 1F1B; GPipe keeps every one.
    held = np.where(layout.gpipe > 0, micro, held)
    return np.asarray(np.minimum(held, micro))


def _parts(stack: Stacks, layout: Layouts, held: Array, block: Array) -> tuple[Array, Array, Array]:
    """Return weights, gradients and states of parameters held."""
    sharded = np.maximum(np.minimum(layout.shard, layout.dp * layout.cp), 1.0)
    gathered = 2.0 * block * _WEIGHT_BYTES
    weights = np.where(
        layout.zero_stage >= 3, held * _WEIGHT_BYTES / sharded + gathered, held * _WEIGHT_BYTES
    )
    grads = held * layout.grad_bytes / np.where(layout.zero_stage >= 2, sharded, 1.0)
    states = held * stack.state_bytes / np.where(layout.zero_stage >= 1, sharded, 1.0)
    return np.asarray(weights), np.asarray(grads), np.asarray(states * (1.0 - layout.offload))


def _states(stack: Stacks, layout: Layouts, held: Array, block: Array) -> Array:
    weights, grads, states = _parts(stack, layout, held, block)
    return np.asarray(weights + grads + states)
