"""Bytes of activations that a training step keeps for its backward pass, as a formula.

The formula follows Korthikanti et al. 2022, arXiv 2205.05198, section 4 (activations per layer as a
sum over its operators), with what differs here: frozen weights keep no input for a weight gradient,
adapters do; attention is computed in blocks (``scaled_dot_product_attention``), which keeps no
scores; RMSNorm keeps its input in float32; there is no dropout.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from rankscope.models.cost.formats import FLOAT32_BYTES, Formats
from rankscope.models.cost.places import Site, layers_of, query_width_of, site_of, width_of
from rankscope.models.cost.sizes import ModelSizes
from rankscope.models.inventory import AdaptableModule, Part

Attention = Literal["sdpa", "eager"]

_COPIES_OF_LOGITS = 2
"""Float32 gradients beside the kept log-probabilities while the loss goes backward."""


@dataclass(frozen=True)
class Trained:
    """What of a model gets gradients.

    Args:
        ranks: Of every adapted module, by its name.
        full_modules: Names of modules whose own weights are trained.
        full_parts: Parts of which every weight is trained.
    """

    ranks: Mapping[str, int]
    full_modules: frozenset[str] = frozenset()
    full_parts: frozenset[Part] = frozenset()

    def has_weight_gradient(self, module: AdaptableModule) -> bool:
        """Whether a module's own weight is trained."""
        return module.name in self.full_modules or module.part in self.full_parts

    def reaches(self, modules: Iterable[AdaptableModule], part: Part) -> bool:
        """Whether anything in a part is trained."""
        own = (m for m in modules if m.part == part)
        return part in self.full_parts or any(
            self.ranks.get(m.name, 0) or m.name in self.full_modules for m in own
        )


@dataclass(frozen=True)
class Batch:
    """One forward pass.

    Args:
        rows: Items.
        tokens: Positions of the longest row, its pictures' tokens included; all are padded to it.
        pictures: In the whole batch.
    """

    rows: int
    tokens: int
    pictures: float


@dataclass(frozen=True)
class Activations:
    """Bytes.

    Args:
        kept: Of tensors that backward needs, the whole model over.
        recomputed: Of one layer's, made again in backward with gradient checkpointing, else 0.
        loss: Beside the kept log-probabilities, at the moment when the loss goes backward.
    """

    kept: int
    recomputed: int
    loss: int

    @property
    def peak(self) -> int:
        """The most at once: the loss's own are gone when a layer is made again."""
        return self.kept + max(self.recomputed, self.loss)


def activations(
    modules: Iterable[AdaptableModule],
    sizes: ModelSizes,
    trained: Trained,
    formats: Formats,
    batch: Batch,
    *,
    checkpointing: bool,
    attention: Attention = "sdpa",
) -> Activations:
    """What one forward pass of a batch keeps.

    Args:
        modules: Every linear of the model outside head and embeddings.
        sizes: What else its cost depends on.
        trained: What gets gradients; parts below the lowest trained one keep nothing.
        formats: Bytes per number.
        batch: How much goes through.
        checkpointing: Whether layers keep their input alone and are made again in backward (Chen et
            al. 2016, arXiv 1604.06174).
        attention: Eager attention keeps its probabilities, twice: in float32 and cast.
    """
    modules = list(modules)
    positions: dict[Part, float] = {"language": batch.rows * batch.tokens}
    patches = sizes.picture.patches if sizes.picture else 0
    positions["vision"] = positions["projector"] = batch.pictures * patches
    reach = _parts_reached(modules, trained)
    kept, largest = 0.0, 0.0
    for part in reach:
        layers = [
            positions[part] * _layer_bytes(layer, trained, formats)
            for layer in layers_of(modules, part)
        ]
        if attention == "eager" and part == "language":
            scores = positions[part] * batch.tokens * sizes.num_heads
            layers = [n + scores * (FLOAT32_BYTES + formats.op_bytes) for n in layers]
        if checkpointing and part != "projector":
            kept += positions[part] * _boundaries(modules, part, formats)
            largest = max(largest, *layers)
        else:
            kept += sum(layers)
    if checkpointing and sizes.checkpoints_tower and "vision" not in reach:
        kept += positions["vision"] * _boundaries(modules, "vision", formats)
    if attention == "sdpa":
        kept += formats.op_bytes * batch.rows * batch.tokens**2  # the mask, once for all layers
    width = next((width_of(layer) for layer in layers_of(modules, "language")), 0)
    norm_and_log_probabilities = FLOAT32_BYTES * (width + sizes.vocabulary)
    kept += positions["language"] * norm_and_log_probabilities
    logits = positions["language"] * sizes.vocabulary
    return Activations(
        kept=round(kept),
        recomputed=round(largest),
        loss=round(logits * (_COPIES_OF_LOGITS * FLOAT32_BYTES + formats.op_bytes)),
    )


def forward_bytes(sizes: ModelSizes, *, rows: int, tokens: int) -> int:
    """Bytes of the logits and their loss in a forward pass without gradients.

    Layers keep nothing then. The logits are held three times in float32: as they are, as
    log-probabilities and in another order; measured at 12.1 bytes each, from half precision 12.2.
    """
    return rows * tokens * sizes.vocabulary * 3 * FLOAT32_BYTES


def cache_bytes(
    modules: Iterable[AdaptableModule], formats: Formats, *, rows: int, tokens: int
) -> int:
    """Bytes of keys and values of all layers while answers are generated."""
    per_token = sum(
        m.d_out for m in modules if m.part == "language" and m.type in ("k_proj", "v_proj")
    )
    return rows * tokens * per_token * formats.op_bytes


def _parts_reached(modules: list[AdaptableModule], trained: Trained) -> list[Part]:
    """Parts that gradients pass: from the lowest trained one to the head."""
    order: tuple[Part, ...] = ("vision", "projector", "language")
    lowest = next((p for p in order if trained.reaches(modules, p)), "language")
    return list(order[order.index(lowest) :])


def _boundaries(modules: list[AdaptableModule], part: Part, formats: Formats) -> int:
    """Bytes per position of the inputs of a part's layers."""
    return sum(formats.stream_bytes * width_of(layer) for layer in layers_of(modules, part))


def _layer_bytes(layer: list[AdaptableModule], trained: Trained, formats: Formats) -> float:
    """Bytes per position that the operators of one layer keep.

    Attention: queries, keys and values (those repeated to the queries' width), output, 4 x width,
    and a number per head, left out. MLP: with a gate the gate's output before and after its
    function and the other branch; else the input of its function. Two norms: their inputs.
    """
    operators = 4 * formats.op_bytes * query_width_of(layer)
    has_gate = any(site_of(m) == "gate" for m in layer)
    for module in layer:
        match site_of(module):
            case "gate":
                operators += 2 * formats.op_bytes * module.d_out
            case "mlp_in":
                operators += (1 if has_gate else 2) * formats.op_bytes * module.d_out
            case "other":
                operators += formats.op_bytes * module.d_out
            case _:
                pass
    norm_bytes = FLOAT32_BYTES if layer[0].part == "language" else formats.stream_bytes
    norms = 2 * norm_bytes * width_of(layer)
    return operators + norms + _inputs_bytes(layer, trained, formats)


def _inputs_bytes(layer: list[AdaptableModule], trained: Trained, formats: Formats) -> int:
    """Bytes per position of what weight gradients are made from: inputs, and A x of adapters."""
    total = 0
    seen: set[Site | str] = set()
    for module in layer:
        rank = trained.ranks.get(module.name, 0)
        if rank:
            total += formats.adapter_input_bytes * rank
        if not rank and not trained.has_weight_gradient(module):
            continue
        site = site_of(module)
        # gate and up read the same input; what attention puts out is counted with it already
        read = {"gate": "mlp_in", "other": module.name}.get(site, site)
        is_shared = formats.shares_inputs or not rank
        if is_shared and (read in seen or site == "attention_out"):
            continue
        seen.add(read)
        total += (formats.adapter_input_bytes if rank else formats.op_bytes) * module.d_in
    return total
