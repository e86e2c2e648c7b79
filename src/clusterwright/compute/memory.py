"""Memory that a training strategy needs on its fullest accelerator.

Legend: N parameters, t, p, d, c ranks of tensor, pipeline, data and context parallelism, L layers,
h hidden, s sequence length, b sequences of a micro-batch.

    states      = N / (t p) · (2 weights + 2 gradients + 12 optimiser), each divided by the
                  data-parallel ranks from the ZeRO stage on that shares it out
    activations = 34 · s b h · L / (t c)   on the first stage: p micro-batches of L/p layers

Sources: Rajbhandari et al., "ZeRO", 2020, section 3 (mixed-precision Adam); Korthikanti et al.,
"Reducing Activation Recomputation", 2022, equation 4 (sequence parallel, selective recomputation).
"""

from clusterwright.compute.work import Shape

WEIGHT_BYTES = 2.0
GRADIENT_BYTES = 2.0
OPTIMISER_BYTES = 12.0
ACTIVATION_BYTES = 34.0


def memory_bytes(
    shape: Shape,
    *,
    tp: int,
    pp: int,
    dp: int,
    cp: int = 1,
    ep: int = 1,
    zero_stage: int = 1,
    micro_batch: int = 1,
) -> float:
    """Return bytes on the fullest accelerator, buffers and fragmentation not counted."""
    # Experts of a mixture are spread over the expert-parallel ranks; the rest of the model is not.
    spread = shape.num_active_parameters + (
        shape.num_parameters - shape.num_active_parameters
    ) / max(ep, 1)
    mine = spread / (tp * pp)
    replicas = dp * cp
    weights = WEIGHT_BYTES * mine / (replicas if zero_stage >= 3 else 1)
    gradients = GRADIENT_BYTES * mine / (replicas if zero_stage >= 2 else 1)
    optimiser = OPTIMISER_BYTES * mine / (replicas if zero_stage >= 1 else 1)
    tokens = shape.sequence_length * micro_batch
    activations = ACTIVATION_BYTES * tokens * shape.hidden * shape.layers / (tp * cp)
    return weights + gradients + optimiser + activations
