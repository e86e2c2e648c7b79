"""Time of one optimiser step, taken apart: blocks joined by schedule, reduction and update.

Legend: m micro-batches of one data-parallel rank, p stages, v chunks of layers a stage.

    step = (m - 1) · slowest stage + all stages once, p - 1 of them 1/v as long     (pipeline)
         + what gradient reduction, parameter gathering and update leave exposed

Source of the interleaved bubble: Narayanan et al., "Efficient Large-Scale Language Model Training
on GPU Clusters", 2021, section 2.2, and of messages in shares: section 4.1; of the zero-bubble
schedule: Qi et al., "Zero Bubble Pipeline Parallelism", 2023, table 1; of which messages hide:
Megatron Core, `overlap_p2p_comm`, off without interleaving; of what is repeated where products are
chosen: PyTorch's selective activation checkpointing as torchtitan uses it (decision 0024).
"""

from dataclasses import dataclass, fields

import numpy as np

from clusterwright.compute import counts
from clusterwright.compute.blocks import Blocks, reach, tokens_of
from clusterwright.compute.columns import Array, Columns, Layouts, Machines, Stacks, Transformers
from clusterwright.fabric import collectives

_UPDATE_BYTES = 30.0
"""Bytes through memory to update one parameter with Adam in mixed precision."""
_WEIGHT_BYTES = 2.0
_HOST_BYTES_PER_S = 25e9
"""What one accelerator moves to and from host memory per direction (PCIe 4.0 x16, sustained)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Steps(Columns):
    """Seconds of one optimiser step by cause; the parts sum to `step_s`."""

    gemm_s: Array
    """Matrix multiplications of the blocks and the vocabulary."""
    attention_s: Array
    """Scores, softmax and values."""
    stream_s: Array
    """Work that only reads and writes memory."""
    recompute_s: Array
    """Forward work done again for the backward pass."""
    launch_s: Array
    """Gaps between kernels and work that no layer causes."""
    tp_s: Array
    """Exposed tensor-parallel messages."""
    cp_s: Array
    """Exposed context-parallel messages."""
    ep_s: Array
    """Exposed expert all-to-all."""
    pp_s: Array
    """Exposed messages between stages."""
    bubble_s: Array
    """Stages waiting for each other."""
    dp_s: Array
    """Exposed gradient reduction and parameter gathering."""
    update_s: Array
    """Optimiser."""
    hidden_s: Array
    """Communication that runs beside other work; not part of the step."""

    @property
    def step_s(self) -> Array:
        """Time of the step."""
        total = np.asarray(0.0)
        for field in fields(self):
            if field.name != "hidden_s":
                total = total + getattr(self, field.name)
        return np.asarray(total)


def stage_layers(model: Transformers, layout: Layouts) -> tuple[Array, Array]:
    """Return blocks of the fullest inner stage and of the last one.

    Layers that do not divide evenly leave one less on the stages that hold the embedding and the
    vocabulary where that makes them divide, as the large recipes do; else the fullest stage counts.
    """
    parts = layout.pp * layout.chunks
    even = np.mod(model.layers, parts) == 0
    with_ends = np.mod(model.layers + 2.0, parts) == 0
    full = np.where(with_ends & ~even, (model.layers + 2.0), model.layers)
    inner = np.where(
        even | with_ends, full / layout.pp, np.ceil(model.layers / parts) * layout.chunks
    )
    inner = np.minimum(inner, model.layers)
    last = np.where(even, inner, np.maximum(model.layers - (layout.pp - 1.0) * inner, 0.0))
    last = np.where(with_ends & ~even, inner - 1.0, last)
    return np.asarray(inner), np.asarray(np.where(layout.pp > 1, last, model.layers))


def steps(
    model: Transformers, machine: Machines, stack: Stacks, layout: Layouts, block: Blocks
) -> Steps:
    """Return the time of one optimiser step by cause.

    Parameters
    ----------
    model, machine, stack, layout
        Columns that broadcast to one shape (n,).
    block
        Costs of a block, of the same shape.
    """
    micro = np.maximum(layout.global_batch / (layout.dp * layout.micro_batch), 1.0)
    inner, last = stage_layers(model, layout)
    again = np.where(layout.recompute > 1, layout.recomputed, 0.0)
    some = np.where((layout.recompute == 1) & (stack.fused_attention == 0), layout.recomputed, 0.0)

    # 1. One block and one micro-batch, both directions.
    gemm = block.gemm_f + block.gemm_b
    attention = block.attention_f + block.attention_b
    stream = block.stream_f + block.stream_b
    launch = block.launch_f + block.launch_b
    twice = again * (block.gemm_f + block.attention_f + block.stream_f + block.launch_f)
    twice = twice + some * block.attention_f
    # Where products are chosen one by one, all that is cheaper than a product is done again.
    chosen = np.where((layout.recompute == 1) & (stack.selective > 0), layout.recomputed, 0.0)
    twice = twice + chosen * (stack.selective * block.gemm_f + block.stream_f)
    tp_all = block.tp_f * (1.0 + again) + block.tp_b
    ep_all = block.ep_f * (1.0 + again) + block.ep_b
    cp_all = block.cp_f * (1.0 + again) + block.cp_b
    tp = tp_all * (1.0 - stack.tp_hidden)
    ep = ep_all * (1.0 - stack.ep_hidden)
    cp = np.maximum(
        cp_all - stack.cp_hidden * (attention + again * block.attention_f), 0.1 * cp_all
    )
    work = gemm + attention + stream + launch + twice
    busy_one = work + tp + ep + cp
    # The host launches kernels ahead of the accelerator; small blocks wait for it.
    host = block.host_f * (3.0 + again)
    one = np.maximum(busy_one, host)
    launch = launch + one - busy_one

    # 2. Stages: the slowest sets the pace; the vocabulary weighs on the last.
    vocab = (block.vocab_f + block.vocab_b) * (1.0 + model.predicted)
    extra = model.predicted * one
    slowest = np.maximum(inner * one, last * one + vocab + extra)
    all_once = model.layers * one + vocab + extra
    # Schedules without interleaving wait for each message; so does what fills and drains any.
    pp_send = np.where(layout.pp > 1, _stage_message_s(model, machine, stack, layout), 0.0)
    pp_steady = 2.0 * layout.chunks * pp_send * micro
    pp_all = pp_steady + 2.0 * (layout.pp - 1.0) * pp_send
    pp = pp_all - np.where(layout.chunks > 1, stack.pp_hidden, 0.0) * pp_steady
    others = np.maximum(all_once - slowest, 0.0)
    fill = others / layout.chunks
    # Weight gradients, a third of the work, fill the bubble of the zero-bubble schedule.
    fill = np.where(layout.zero_bubble > 0, fill / 3.0, fill)
    busy = all_once / layout.pp * micro
    bubble = micro * slowest + fill - busy

    # 3. Parameters: what is reduced, gathered and updated.
    dp_all, dp, update = _parameters_s(model, machine, stack, layout, inner, slowest, micro)
    share = model.layers / layout.pp * micro
    each = (model.layers + model.predicted) / layout.pp * micro
    return Steps(
        gemm_s=gemm * each + vocab * micro / layout.pp,
        attention_s=attention * each,
        stream_s=stream * each,
        recompute_s=twice * each,
        launch_s=launch * each + stack.step_s,
        tp_s=tp * each,
        cp_s=cp * each,
        ep_s=ep * each,
        pp_s=pp,
        bubble_s=bubble,
        dp_s=dp,
        update_s=update,
        hidden_s=(tp_all + ep_all + cp_all - tp - ep - cp) * share + pp_all - pp + dp_all - dp,
    )


def _stage_message_s(
    model: Transformers, machine: Machines, stack: Stacks, layout: Layouts
) -> Array:
    """Return the time to hand one micro-batch to the next stage."""
    far = layout.tp * layout.cp * layout.dp >= machine.scaleup_domain
    bandwidth = np.where(
        far,
        machine.scaleout_bytes_per_s * stack.scaleout_fraction,
        machine.scaleup_bytes_per_s * stack.scaleup_fraction,
    )
    latency = np.where(far, machine.scaleout_latency_s, machine.scaleup_latency_s)
    # Each tensor-parallel rank sends its share; the receivers gather them over the scale-up links
    # unless the sequence lies in such shares anyway.
    size = tokens_of(model, layout) * model.hidden * 2.0
    shared = 1.0 - stack.pp_whole
    sent = size * (stack.pp_whole + shared / layout.tp)
    near, near_latency, _ = reach(machine, stack, layout.tp, np.asarray(1.0))
    gathered = collectives.all_gather_s(layout.tp, size, near, near_latency)
    gathered = np.where(layout.sequence_parallel > 0, 0.0, shared * gathered)
    return np.asarray(latency + sent / bandwidth + gathered)


def _parameters_s(
    model: Transformers,
    machine: Machines,
    stack: Stacks,
    layout: Layouts,
    inner: Array,
    slowest: Array,
    micro: Array,
) -> tuple[Array, Array, Array]:
    """Return all and exposed parameter traffic, and the update."""
    common, spread = counts.block_parameters(model)
    common = common / layout.tp
    spread = spread / (layout.ep * layout.expert_tp)
    table = counts.vocabulary_parameters(model) / layout.tp
    tables = table * np.where((layout.pp == 1) & (model.tied == 0), 2.0, 1.0)
    replicas = layout.dp * layout.cp
    sharded = np.minimum(layout.shard, replicas)

    def ring(ranks: Array, stride: Array, size: Array) -> Array:
        bandwidth, latency, _ = reach(machine, stack, np.maximum(ranks, 1.0), stride)
        chain = collectives.all_gather_s(ranks, size, bandwidth, latency)
        tree = np.log2(np.maximum(ranks, 1.0)) * latency + size / bandwidth
        return np.asarray(np.where(ranks > 1, np.minimum(chain, tree), 0.0))

    expert_ranks = np.maximum(replicas * layout.tp / (layout.ep * layout.expert_tp), 1.0)
    weights = inner * ring(sharded, layout.tp, common * _WEIGHT_BYTES)
    weights = weights + ring(sharded, layout.tp, tables * _WEIGHT_BYTES)
    far = layout.ep * layout.expert_tp
    weights = weights + inner * ring(expert_ranks, far, spread * _WEIGHT_BYTES)
    grads = weights * layout.grad_bytes / _WEIGHT_BYTES
    # Software that shares out states may still reduce gradients everywhere and gather in pieces.
    some = (layout.zero_stage >= 1) & (layout.zero_stage < 3)
    grads = grads * np.where(some, stack.reduction, 1.0)
    weights = weights * np.where(some, stack.gathering, 1.0)
    # Copies of the shards are kept equal by one more reduction (HSDP).
    copies = np.maximum(replicas / sharded, 1.0)
    held = (inner * (common + spread) + tables) / sharded * layout.grad_bytes
    grads = grads + 2.0 * np.where(copies > 1, ring(copies, layout.tp * sharded, held), 0.0)
    whole = layout.zero_stage >= 3
    # Sharded parameters are gathered for each pass and gradients scattered after each; else both
    # happen once a step.
    passes = np.where(whole, micro, 1.0)
    traffic = np.where(whole, 2.0 * passes, 1.0) * weights
    traffic = traffic + np.where(layout.zero_stage >= 2, micro, 1.0) * grads
    # Messages hide behind the pace of the slowest stage, its own work or the wait for it.
    # Interleaved chunks finish one after another, while p micro-batches pass through each: all but
    # the last reduction (and the first gathering) has that long to run.
    overlap = np.minimum(1.0 + layout.pp * (1.0 - 1.0 / layout.chunks), micro)
    window = np.where(
        whole | (layout.zero_stage >= 2),
        stack.fsdp_hidden * slowest * micro,
        stack.dp_hidden * slowest * overlap,
    )
    exposed = np.maximum(traffic - window, stack.contention * traffic)
    held_parameters = inner * (common + spread) + tables
    # The first stage and the last keep one table where input and output share it: its gradients are
    # summed once the pipeline has drained.
    far = layout.tp * replicas * np.maximum(layout.pp - 1.0, 1.0)
    between, latency, _ = reach(machine, stack, np.asarray(2.0), far)
    shared = collectives.all_reduce_ring_s(
        np.asarray(2.0), table * layout.grad_bytes, between, latency
    )
    alone = np.where((layout.pp > 1) & (model.tied > 0), shared, 0.0)
    copied = np.where(whole, micro * stack.copied_bytes * held_parameters, 0.0)
    alone = alone + copied / machine.memory_bytes_per_s
    mine = held_parameters / np.where(layout.zero_stage >= 1, sharded, 1.0)
    update = mine * _UPDATE_BYTES / machine.memory_bytes_per_s
    away = layout.offload * mine * 16.0 / _HOST_BYTES_PER_S
    return np.asarray(traffic + alone), np.asarray(exposed + alone), np.asarray(update + away)
