"""Parameters and FLOPs of a decoder model, by formula."""

import numpy as np

from clusterwright.compute.columns import Array, Transformers


def attention_parameters(model: Transformers) -> Array:
    """Return the parameters of one block's attention."""
    width = model.heads * model.head_size
    plain = model.hidden * (2.0 * width + 2.0 * model.kv_heads * model.head_size)
    query = model.heads * (model.head_size + model.rope_size)
    latent = (
        model.hidden * (model.q_rank + model.kv_rank + model.rope_size)
        + model.q_rank * query
        + model.kv_rank * model.heads * (model.head_size + model.value_size)
        + model.hidden * model.heads * model.value_size
    )
    return np.asarray(np.where(model.kv_rank > 0, latent, plain))


def dense_parameters(model: Transformers) -> Array:
    """Return the parameters of a dense block's MLP."""
    return np.asarray(model.hidden * model.ffn * (2.0 + model.gated))


def expert_parameters(model: Transformers) -> Array:
    """Return the parameters of one expert."""
    return np.asarray(model.hidden * model.expert_ffn * (2.0 + model.gated))


def shared_parameters(model: Transformers) -> Array:
    """Return the parameters of a mixture block that every token passes: shared experts, router."""
    shared = model.hidden * model.shared_ffn * (2.0 + model.gated)
    return np.asarray(shared + model.hidden * model.experts)


def vocabulary_parameters(model: Transformers) -> Array:
    """Return the parameters of one embedding."""
    return np.asarray(model.vocab * model.hidden)


def mixture_layers(model: Transformers) -> Array:
    """Return the blocks that are mixtures of experts."""
    return np.asarray(np.where(model.experts > 0, model.layers - model.dense_layers, 0.0))


def mixture_fraction(model: Transformers) -> Array:
    """Return the share of blocks that are mixtures of experts, 0–1."""
    return np.asarray(mixture_layers(model) / model.layers)


def mlp_width(model: Transformers) -> Array:
    """Return the units of MLP that a token passes in the mean block."""
    share = mixture_fraction(model)
    routed = model.topk * model.expert_ffn + model.shared_ffn
    return np.asarray((1 - share) * model.ffn + share * routed)


def block_parameters(model: Transformers) -> tuple[Array, Array]:
    """Return parameters of the mean block that every rank needs, and those spread over experts."""
    share = mixture_fraction(model)
    common = (
        attention_parameters(model)
        + (1 - share) * dense_parameters(model)
        + share * shared_parameters(model)
    )
    return np.asarray(common), np.asarray(share * model.experts * expert_parameters(model))


def parameters(model: Transformers) -> Array:
    """Return all parameters, both embeddings counted unless they are one."""
    common, spread = block_parameters(model)
    tables = np.where(model.tied > 0, 1.0, 2.0) * vocabulary_parameters(model)
    return np.asarray(model.layers * (common + spread) + tables)


def model_flop_per_token(model: Transformers) -> Array:
    """Return FLOPs of one token, forward and backward, attention in full, recomputation left out.

    The convention of most published MFU figures (Chowdhery et al., "PaLM", 2022, appendix B):
    six for every parameter that a token passes through and is multiplied with, and 12·L·(width of
    all heads)·s for attention, whether masked or not.
    """
    share = mixture_fraction(model)
    active = (
        attention_parameters(model)
        + (1 - share) * dense_parameters(model)
        + share * (shared_parameters(model) + model.topk * expert_parameters(model))
    )
    inside = np.where(
        model.kv_rank > 0,
        model.heads * (model.head_size + model.rope_size + model.value_size) / 2.0,
        model.heads * model.head_size,
    )
    span = model.seq_len + model.windowed * (
        np.minimum(np.where(model.window > 0, model.window, np.inf), model.seq_len) - model.seq_len
    )
    blocks = model.layers + model.predicted
    head = (1.0 + model.predicted) * vocabulary_parameters(model)
    return np.asarray(6.0 * (blocks * active + head) + 12.0 * blocks * inside * span)
