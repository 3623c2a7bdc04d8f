"""Write the adapters as a plain PEFT adapter and prove that it loads to the same function."""

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple, TypeVar

import torch
from peft import LoraConfig, PeftModel
from safetensors.torch import save_file
from torch import Tensor, nn

from rankscope.models.lora.elastic import ElasticLora
from rankscope.models.lora.naming import alpha_pattern, exact_targets, rank_pattern

_Number = TypeVar("_Number", int, float)


def export(elastic: ElasticLora, directory: Path, *, base_model_name: str) -> None:
    """Write the adapters as they are now; the live model is only read.

    Args:
        elastic: The adapters.
        directory: Where to write; made if missing.
        base_model_name: Hub id or path that the config names as its base model.

    Raises:
        ValueError: If every module has rank 0: peft has no empty adapter.
    """
    write_adapter(
        directory,
        {name: elastic.parameters_of(name) for name in elastic.ranks()},
        scales=elastic.layers.scales(),
        module_names=elastic.layers.module_names,
        base_model_name=base_model_name,
    )


def write_adapter(
    directory: Path,
    factors: Mapping[str, tuple[Tensor, Tensor]],
    *,
    scales: Mapping[str, float],
    module_names: Iterable[str],
    base_model_name: str,
    magnitudes: Mapping[str, Tensor] | None = None,
) -> None:
    """Write ``adapter_config.json`` and ``adapter_model.safetensors``.

    Modules of rank 0 are left out. The most frequent rank and alpha are the config's, the others
    are named in ``rank_pattern`` and ``alpha_pattern``: an adapter of equal ranks has no patterns.

    Args:
        directory: Where to write; made if missing.
        factors: Per module A (R x d_in) and B (d_out x R).
        scales: Per module, factor s in y = W x + s B A x.
        module_names: Full paths of every module of the base model.
        base_model_name: Hub id or path that the config names as its base model.
        magnitudes: DoRA's, per module of rank 1 or more (d_out); None for plain LoRA.

    Raises:
        ValueError: If every module has rank 0: peft has no empty adapter.

    Source: ALGORITHMS 2.1 (anchored keys), 3.4 (alpha = s r).
    """
    ranks = {name: a.shape[0] for name, (a, _) in factors.items() if a.shape[0] > 0}
    if not ranks:
        raise ValueError(
            "an exported adapter must have a module of rank 1 or more, got rank 0 everywhere; "
            "use the base model as it is"
        )
    alphas = {name: scales[name] * rank for name, rank in ranks.items()}
    rank, alpha = _most_frequent(ranks), _most_frequent(alphas)
    config = LoraConfig(
        r=rank,
        lora_alpha=alpha,  # type: ignore[arg-type]  # a float survives saving
        lora_dropout=0.0,
        target_modules=exact_targets(ranks, module_names),
        rank_pattern=rank_pattern({name: r for name, r in ranks.items() if r != rank}),
        alpha_pattern=dict(
            alpha_pattern({name: r for name, r in ranks.items() if alphas[name] != alpha}, scales)
        ),
        base_model_name_or_path=base_model_name,
        inference_mode=True,
        use_dora=magnitudes is not None,
    )
    tensors = {}
    for name in ranks:
        for factor, tensor in zip(("lora_A", "lora_B"), factors[name], strict=True):
            tensors[f"base_model.model.{name}.{factor}.weight"] = tensor.detach().cpu().contiguous()
        if magnitudes is not None:
            magnitude = magnitudes[name].detach().cpu().contiguous()
            tensors[f"base_model.model.{name}.lora_magnitude_vector"] = magnitude
    directory.mkdir(parents=True, exist_ok=True)
    config.save_pretrained(str(directory))
    save_file(tensors, directory / "adapter_model.safetensors", metadata={"format": "pt"})


def _most_frequent(by_name: Mapping[str, _Number]) -> _Number:
    """The largest of them where several are equally frequent."""
    counts = Counter(by_name.values())
    return max(counts, key=lambda number: (counts[number], number))


class LogitDifference(NamedTuple):
    """How far the logits of two models lie apart."""

    largest: float
    """Absolute difference."""
    largest_logit: float
    """Absolute value, which tells what rounding may do."""


def reload_difference(
    live: nn.Module, directory: Path, *, fresh_base: nn.Module, batch: Mapping[str, Tensor]
) -> LogitDifference:
    """Load an exported adapter with peft onto a fresh base model and compare the logits.

    Args:
        live: The adapted model that was exported; left in the mode it came in.
        directory: What ``export`` wrote.
        fresh_base: The base model without adapters, with whatever else was trained beside them (a
            projector); it is wrapped in place.
        batch: Keyword arguments of one forward pass whose result has ``logits``.
    """
    device = next(live.parameters()).device
    loaded = PeftModel.from_pretrained(fresh_base, str(directory)).to(device)
    return logit_difference(live, loaded, batch)


def logit_difference(
    live: nn.Module, loaded: nn.Module, batch: Mapping[str, Tensor]
) -> LogitDifference:
    """Compare two models in evaluation mode; ``live`` is left in the mode it came in."""
    was_training = live.training
    try:
        with torch.no_grad():
            expected = live.eval()(**batch).logits
            got = loaded.eval()(**batch).logits
    finally:
        live.train(was_training)
    return LogitDifference(float((expected - got).abs().max()), float(expected.abs().max()))
