"""EVA's start for elastic adapters (training side of ``schedulers.eva``), with peft's own parts.

peft's ``get_eva_state_dict`` would do it all, but keeps the explained variances to itself, and its
total counts ranks. So its hooks are driven here.

Shapes: K directions of a module, I inputs, P positions that count, of B items and T tokens.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial

import torch
from peft.tuners.lora.eva import SVDHook, prepare_layer_inputs_fn_language_modeling
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle
from typing_extensions import override

from rankscope.models.lora.elastic import ElasticLora
from rankscope.models.lora.tuning import ElasticTuning
from rankscope.models.schedulers.contract import ModuleState
from rankscope.models.schedulers.eva import Eva
from rankscope.models.tuning import Batches, Preparation
from rankscope.models.vlms.labels import NOT_SCORED

"""Label of tokens that are no part of an answer (PyTorch's ``ignore_index``)."""


class EvaTuning(ElasticTuning):
    """Elastic adapters that set out along the main directions of their modules' inputs.

    Args:
        elastic: At any ranks, B zero.
        settings: How many directions, and what of them.
        modules: With their bounds.
        budget: Adapter parameters.
    """

    def __init__(
        self, elastic: ElasticLora, settings: Eva, modules: Sequence[ModuleState], *, budget: int
    ) -> None:
        super().__init__(elastic)
        self._settings = settings
        self._modules = modules
        self._budget = budget

    @override
    def prepare(self, batches: Batches) -> Preparation:
        """Find the directions, share the ranks out and start every A on them.

        Raises:
            ValueError: If a batch has too few answer tokens to find the directions in.
        """
        model = self.elastic.peft_model
        was_training = model.training
        model.eval()
        try:
            with torch.no_grad():
                hooks, num_items = self._decompose(batches)
        finally:
            model.train(was_training)
        explained: dict[str, list[float]] = {module.name: [] for module in self._modules} | {
            name: hook.svd.explained_variance_ratio_.nan_to_num().tolist()
            for name, hook in hooks.items()
        }
        ranks = self._settings.ranks(self._modules, explained, self._budget)
        self.elastic.resize(ranks, None, budget=self._budget)
        with torch.no_grad():
            for name, hook in hooks.items():
                a_KI, _ = self.elastic.parameters_of(name)
                a_KI.copy_(hook.svd.components_[: ranks[name]])
        turning = sum(not _is_settled(hook) for hook in hooks.values())
        return Preparation(
            f"EVA: ranks {min(ranks.values())} to {max(ranks.values())} by explained variance of "
            f"{num_items:,} training items; directions of {turning} of {len(hooks)} modules had "
            "not settled",
            cost_items=num_items,
        )

    def _decompose(self, batches: Batches) -> tuple[dict[str, SVDHook], int]:
        """Every module's hook after its last batch, and how many items went by.

        Modules that read the same tensor share a hook, as in peft.
        """
        most = self._settings.most_components(self._modules, self._budget)
        first = next(iter(batches(1)))
        same = self._readers_of_one_input(first)
        num_items = len(first["labels"])
        hooks: dict[str, SVDHook] = {}
        watched: dict[SVDHook, RemovableHandle] = {}
        for modules in same:
            num_directions = max(most[module.name] for module in modules)
            hook = self._hook(modules[0], num_directions)
            hooks |= dict.fromkeys((module.name for module in modules), hook)
            linear = self.elastic.base_linear(modules[0].name)
            watched[hook] = linear.register_forward_hook(hook)
        try:
            for batch in batches(self._settings.num_batches):
                _look_at_answers(batch, watched, max(most.values()))
                self.elastic.peft_model(**batch)
                num_items += len(batch["labels"])
                for hook in [hook for hook in watched if _is_settled(hook)]:
                    watched.pop(hook).remove()
                if not watched:
                    break
        finally:
            for handle in watched.values():
                handle.remove()
        return hooks, num_items

    def _readers_of_one_input(self, batch: Mapping[str, Tensor]) -> list[list[ModuleState]]:
        """Modules grouped by the tensor that they read; takes one forward pass.

        Modules that the model does not call are in no group.
        """
        inputs: dict[str, Tensor] = {}  # kept alive, so that no two have one id
        with ExitStack() as handles:
            for module in self._modules:
                keep = partial(_keep_input, inputs, module.name)
                linear = self.elastic.base_linear(module.name)
                handles.enter_context(linear.register_forward_hook(keep))
            self.elastic.peft_model(**batch)
        groups: dict[int, list[ModuleState]] = {}
        for module in self._modules:
            if module.name in inputs:
                groups.setdefault(id(inputs[module.name]), []).append(module)
        return list(groups.values())

    def _hook(self, module: ModuleState, num_directions: int) -> SVDHook:
        # Outside the language model every position is a part of the picture.
        is_language = module.part == "language"
        return SVDHook(
            name=module.name,
            n_components=num_directions,
            sim_thresh=self._settings.tau,
            prepare_layer_inputs_fn=(
                prepare_layer_inputs_fn_language_modeling if is_language else None
            ),
        )


def _keep_input(
    inputs: dict[str, Tensor], name: str, _: nn.Module, args: tuple[Tensor, ...], __: Tensor
) -> None:
    inputs[name] = args[0]


def _look_at_answers(
    batch: Mapping[str, Tensor], hooks: Iterable[SVDHook], most_directions: int
) -> None:
    """Tell the hooks which positions count."""
    positions_P2 = (batch["labels"] != NOT_SCORED).nonzero()
    if len(positions_P2) < 2 * most_directions:
        raise ValueError(
            f"EVA needs a batch of at least {2 * most_directions} answer tokens, twice its largest "
            f"rank, got {len(positions_P2)}; raise training.batch_size or lower scheduler.rho"
        )
    for hook in hooks:
        vars(hook)["model_input"] = positions_P2


def _is_settled(hook: SVDHook) -> bool:
    return bool(hook.converged.all())
