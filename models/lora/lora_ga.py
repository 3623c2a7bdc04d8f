"""LoRA-GA's start for elastic adapters (training side of ``schedulers.lora_ga``), peft's own.

Shapes: R rank of a module, O outputs, I inputs.
"""

import warnings
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from peft import LoraConfig
from peft.tuners.lora.config import LoraGAConfig
from peft.tuners.lora.loraga import preprocess_loraga
from torch import Tensor
from typing_extensions import override

from rankscope.models.lora.elastic import ElasticLora
from rankscope.models.lora.export import write_adapter
from rankscope.models.lora.tuning import ElasticTuning
from rankscope.models.schedulers.lora_ga import LoraGa
from rankscope.models.tuning import Batches, Preparation

_START = "start/"
_GRADIENT = "_peft_loraga_grad"
"""Where peft leaves a linear's mean gradient."""


class LoraGaTuning(ElasticTuning):
    """Elastic adapters that set out along the gradient, and a base that makes up for it.

    With A0 and B0 the start, the base weight becomes W - s B0 A0. Checkpoints hold A0 and B0 and
    not the weight, from which it comes out bitwise again; an export holds (A, A0) and (B, -B0),
    which does the same on top of the untouched W.

    Args:
        elastic: At the ranks to train, B zero.
        settings: peft's options.
        seed: Of the low-rank decomposition's draws.
    """

    def __init__(self, elastic: ElasticLora, settings: LoraGa, *, seed: int) -> None:
        super().__init__(elastic)
        self._settings = settings
        self._seed = seed
        self._start: dict[str, tuple[Tensor, Tensor]] = {}
        """Per module A0 (R x I) and B0 (O x R)."""

    @override
    def prepare(self, batches: Batches) -> Preparation:
        """Average the weights' gradients and start every module of rank 1 or more on its own."""
        num_items = self._collect_gradients(batches)
        # Its decomposition draws from the global generator.
        with torch.random.fork_rng():
            torch.manual_seed(self._seed)
            for name in self.elastic.ranks():
                # A module that the loss does not depend on starts as plain LoRA does.
                if hasattr(self.elastic.base_linear(name), _GRADIENT):
                    self._set_out(name)
        return Preparation(
            f"LoRA-GA: {len(self._start)} of {len(self.elastic.ranks())} modules start on the "
            f"gradient of {num_items:,} training items; the base weights make up for it",
            # A backward pass costs about two forward passes.
            cost_items=3 * num_items,
        )

    @override
    def state(self) -> dict[str, Tensor]:
        """As of any elastic adapters, and where they set out."""
        start = {
            f"{_START}{name}.{factor}": tensor
            for name, factors in self._start.items()
            for factor, tensor in zip(("lora_A", "lora_B"), factors, strict=True)
        }
        return super().state() | start

    @override
    def load(self, ranks: Mapping[str, int], tensors: Mapping[str, Tensor]) -> None:
        """Adapters as they were, and the base weights less the start.

        Raises:
            RuntimeError: If this model has set out already: its base weights are changed.
        """
        if self._start:
            raise RuntimeError(
                "a checkpoint must be loaded into a base model as it was, this one has set out; "
                "build it anew"
            )
        own = {name: value for name, value in tensors.items() if not name.startswith(_START)}
        super().load(ranks, own)
        for name in self.elastic.ranks():
            a_RI = tensors.get(f"{_START}{name}.lora_A")
            if a_RI is not None:
                self._take_out(name, a_RI, tensors[f"{_START}{name}.lora_B"])

    @override
    def export(self, folder: Path, *, base_model_name: str) -> None:
        """Write a plain PEFT adapter of twice the rank, for the base model as it is published."""
        write_adapter(
            folder,
            {name: self._difference(name) for name in self.elastic.ranks()},
            scales=self.elastic.layers.scales(),
            module_names=self.elastic.layers.module_names,
            base_model_name=base_model_name,
        )

    def _collect_gradients(self, batches: Batches) -> int:
        """Let peft leave every base weight's mean gradient at its linear; returns items seen."""
        model = self.elastic.peft_model
        num_items = 0

        def pass_by() -> None:
            nonlocal num_items
            for batch in batches(self._settings.num_batches):
                model(**batch).loss.backward()
                num_items += len(batch["labels"])

        names = [
            f"base_model.model.{name}.base_layer"
            for name, rank in self.elastic.ranks().items()
            if rank > 0
        ]
        config = LoraConfig(target_modules=names, lora_ga_config=self._config())
        with warnings.catch_warnings():
            # Pictures need no gradient, and peft only counts the calls.
            warnings.filterwarnings("ignore", ".*Full backward hook is firing.*", UserWarning)
            preprocess_loraga(model, config, pass_by)
        return num_items

    def _set_out(self, name: str) -> None:
        layers, linear = self.elastic.layers, self.elastic.base_linear(name)
        weight = linear.weight.data
        init: Callable[[str, LoraGAConfig], None] = layers.by_name[name].lora_ga_init
        init(layers.adapter, self._config())
        # peft has taken the start out in its own way, which a resumed run could not repeat bitwise.
        linear.weight.data = weight
        a_RI, b_OR = self.elastic.parameters_of(name)
        self._take_out(name, a_RI.detach().clone(), b_OR.detach().clone())

    @torch.no_grad()
    def _take_out(self, name: str, a_RI: Tensor, b_OR: Tensor) -> None:
        weight_OI = self.elastic.base_linear(name).weight
        a_RI, b_OR = (factor.to(weight_OI.device) for factor in (a_RI, b_OR))
        start_OI = self.elastic.layers.scale_of(name) * (b_OR.float() @ a_RI.float())
        weight_OI.copy_(weight_OI.float() - start_OI)
        self._start[name] = a_RI, b_OR

    def _difference(self, name: str) -> tuple[Tensor, Tensor]:
        """Factors of B A - B0 A0."""
        a_RI, b_OR = (factor.detach() for factor in self.elastic.parameters_of(name))
        if name not in self._start:
            return a_RI, b_OR
        start_a_RI, start_b_OR = self._start[name]
        return torch.cat([a_RI, start_a_RI]), torch.cat([b_OR, -start_b_OR], dim=1)

    def _config(self) -> LoraGAConfig:
        settings = self._settings
        return LoraGAConfig(settings.direction, settings.scale, settings.stable_gamma)
