"""Models of the catalogue and of demands as one row of columns; what is not stated is filled in."""

from collections.abc import Iterator

from clusterwright.model.market import Preset
from clusterwright.model.work import Architecture, Parallel

_HEAD = 128  # width of a head where heads are not stated
_VOCAB = 128_000  # size of a vocabulary where it is not stated; that of models since 2024
_EXPERTS = 64  # experts of a mixture whose experts are not stated, and those that a token visits
_VISITED = 8


def columns_of(model: Preset | Architecture, seq_len: float | None = None) -> dict[str, float]:
    """Return a model as one row of the columns of `Transformers`."""
    match model:
        case Preset():
            return _of_preset(model, seq_len)
        case Architecture():
            return _of_architecture(model, seq_len)


def unfit(
    parallel: Parallel, model: Preset | Architecture, num_accelerators: int | None
) -> Iterator[tuple[str, str]]:
    """Yield each rank of a stated strategy that the model or the pool cannot have, and why."""
    shape = columns_of(model)
    heads, layers, experts = int(shape["heads"]), int(shape["layers"]), int(shape["experts"])
    if heads % parallel.tp:
        yield "tp", f"{parallel.tp} does not divide the model's {heads} heads"
    if parallel.pp > layers:
        yield "pp", f"{parallel.pp} is more than the model's {layers} layers"
    if parallel.ep > 1 and (not experts or experts % parallel.ep):
        yield "ep", f"{parallel.ep} does not divide the model's {experts} experts"
    replica = parallel.tp * parallel.pp * parallel.cp
    if num_accelerators is not None and num_accelerators % replica:
        yield (
            "tp",
            f"tp × pp × cp is {replica}, which does not divide {num_accelerators:,} accelerators",
        )


def tied(*, gated: bool) -> float:
    """Return 1 where input and output share a table of the vocabulary, else 0, if nobody says.

    The GPT and MPT lines, whose MLPs have no gate, share it; the Llama line and what came after it
    does not.
    """
    return float(not gated)


def _of_preset(preset: Preset, seq_len: float | None) -> dict[str, float]:
    return {
        "layers": float(preset.layers),
        "hidden": float(preset.hidden),
        "heads": float(preset.heads),
        "kv_heads": float(preset.kv_heads),
        "head_size": float(preset.head_size),
        "ffn": float(preset.ffn),
        "gated": float(preset.gated),
        "activation_bytes": preset.activation_bytes,
        "vocab": float(preset.vocab),
        "seq_len": float(seq_len or preset.sequence_length),
        "window": float(preset.window),
        "windowed": preset.windowed_fraction,
        "causal": 1.0,
        "tied": tied(gated=preset.gated),
        "experts": float(preset.experts),
        "topk": float(preset.topk),
        "expert_ffn": float(preset.expert_ffn),
        "shared_ffn": float(preset.shared_ffn),
        "dense_layers": float(preset.dense_layers),
        "imbalance": 1.0,
        "q_rank": float(preset.query_rank),
        "kv_rank": float(preset.key_value_rank),
        "rope_size": float(preset.rope_size),
        "value_size": float(preset.value_size),
        "predicted": float(preset.predicted_layers),
    }


def _of_architecture(model: Architecture, seq_len: float | None) -> dict[str, float]:
    """Return an architecture written inline: its MLP is as wide as its parameters ask for."""
    layers, hidden = float(model.layers), float(model.hidden)
    heads = float(model.heads or max(1, round(hidden / _HEAD)))
    kv_heads = float(model.kv_heads or heads)
    vocab = float(model.vocabulary or _VOCAB)
    active = model.num_active_parameters or model.num_parameters
    # What a token passes in a block, the two embeddings left out; at least a thin MLP is left.
    attention = 2.0 * hidden**2 * (1.0 + kv_heads / heads)
    passed = max((active - 2.0 * vocab * hidden) / layers - attention, 3.0 * hidden)
    spare = (model.num_parameters - active) / layers
    mixture = spare > 0 or (model.experts or 0) > 1
    experts = float(model.experts or _EXPERTS) if mixture else 0.0
    visited = min(float(model.active_experts or _VISITED), experts - 1.0) if mixture else 0.0
    expert = max(spare / ((experts - visited) * 3.0 * hidden), 1.0) if mixture else 0.0
    shared = max(passed / (3.0 * hidden) - visited * expert, 0.0)
    return {
        "layers": layers,
        "hidden": hidden,
        "heads": heads,
        "kv_heads": kv_heads,
        "head_size": hidden / heads,
        "ffn": passed / (3.0 * hidden),
        "gated": 1.0,
        "activation_bytes": 0.0,
        "vocab": vocab,
        "seq_len": float(seq_len or model.sequence_length),
        "window": 0.0,
        "windowed": 0.0,
        "causal": 1.0,
        "tied": 0.0,
        "experts": experts,
        "topk": visited,
        "expert_ffn": expert,
        "shared_ffn": shared if mixture else 0.0,
        "dense_layers": 0.0,
        "imbalance": 1.0,
        "q_rank": 0.0,
        "kv_rank": 0.0,
        "rope_size": 0.0,
        "value_size": 0.0,
        "predicted": 0.0,
    }
