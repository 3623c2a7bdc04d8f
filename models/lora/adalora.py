"""AdaLoRA as peft has it, driven by our loop (training side of ``schedulers.adalora``).

Shapes: R triplets of a module, O outputs, I inputs.
"""

from collections.abc import Mapping
from pathlib import Path

import torch
from peft import AdaLoraConfig, get_peft_model
from peft.tuners.adalora import AdaLoraModel
from torch import Tensor, nn

from rankscope.models.inventory import Inventory
from rankscope.models.lora.attach import ADAPTER
from rankscope.models.lora.export import write_adapter
from rankscope.models.lora.naming import exact_targets
from rankscope.models.schedulers.adalora import AdaLora
from rankscope.models.schedulers.leaving_out import told
from rankscope.models.tuning import Batches, Preparation

_RANKNUM_GUARD = 1e-5
"""peft divides by the start rank plus this."""


class AdaLoraTuning:
    """peft's AdaLoRA: triplets B diag(E) A, masked to the target rank while it trains.

    Args:
        model: Base model; its chosen linears are wrapped in place.
        inventory: The modules to adapt.
        settings: Schedule and smoothing.
        budget: Adapter parameters; whether they are held throughout, the settings say.
        steps: Optimizer steps of the run.
        scale: Factor s, the same as every other scheduler's: peft's alpha is s times the start
            rank.

    Source: Zhang et al. 2023, arXiv 2303.10512; peft ``AdaLoraModel``.
    """

    def __init__(
        self,
        model: nn.Module,
        inventory: Inventory,
        settings: AdaLora,
        *,
        budget: int,
        steps: int,
        scale: float,
    ) -> None:
        self.scale = scale
        start = settings.start(inventory.modules, budget)
        self._names = start.names
        self._start_ranks = start.ranks(inventory.modules)
        self._module_names = tuple(name for name, _ in model.named_modules())
        self._start_rank = start.rank
        schedule = settings.schedule(steps)
        config = AdaLoraConfig(
            target_r=start.target_triplets // len(start.names),
            init_r=self._start_rank,
            tinit=schedule.warmup_steps,
            tfinal=schedule.final_steps,
            deltaT=schedule.interval_steps,
            beta1=settings.beta1,
            beta2=settings.beta2,
            orth_reg_weight=settings.orthogonality_weight,
            total_step=steps,
            lora_alpha=scale * self._start_rank,  # type: ignore[arg-type]  # peft only divides it
            lora_dropout=0.0,
            target_modules=exact_targets(self._names, self._module_names),
        )
        self.model: nn.Module = get_peft_model(model, config)
        tuner = self.model.base_model
        assert isinstance(tuner, AdaLoraModel)
        # peft derives it from target_r and so knows whole ranks per module only
        tuner.rankallocator.target_bgt = start.target_triplets
        self._tuner = tuner
        self._config = config

    def prepare(self, batches: Batches) -> Preparation | None:
        """Nothing to do, but to tell which modules are left out."""
        del batches
        left_out = [name for name, rank in self._start_ranks.items() if rank == 0]
        if not left_out:
            return None
        return Preparation(
            f"AdaLoRA holds A, B and E within the budget: start rank {self._start_rank} on "
            f"{len(self._names)} modules, {len(left_out)} left out ({told(left_out)})"
        )

    def ranks(self) -> dict[str, int]:
        """Triplets not masked, per module; 0 for modules left out."""
        kept = {name: int(mask_R.sum()) for name, mask_R in self._masks().items()}
        return dict.fromkeys(self._start_ranks, 0) | kept

    def live_params(self) -> int:
        """A, B and E as they lie in memory: masked triplets still count, because they still do."""
        return sum(p.numel() for name, p in self.model.named_parameters() if ".lora_" in name)

    def modules_of_parameters(self) -> dict[str, str]:
        """Parameter's name in ``model`` -> its module."""
        return {
            f"base_model.model.{name}.{factor}.{ADAPTER}": name
            for name in self._names
            for factor in ("lora_A", "lora_B", "lora_E")
        }

    def after_step(self, step: int) -> None:
        """Update importances and mask; peft asks for it before gradients are zeroed."""
        self._tuner.update_and_allocate(step)  # type: ignore[no-untyped-call]

    def state(self) -> dict[str, Tensor]:
        """Triplets, importance averages and masks; peft's own state dict drops the latter two."""
        parameters = dict(self.model.named_parameters())
        tensors: dict[str, Tensor] = {
            name: parameters[name] for name in self.modules_of_parameters()
        }
        allocator = self._tuner.rankallocator
        tensors |= {f"importance/{name}": value for name, value in allocator.exp_avg_ipt.items()}
        tensors |= {f"uncertainty/{name}": value for name, value in allocator.exp_avg_unc.items()}
        if self._config.rank_pattern:
            tensors |= {
                f"mask/{name}": torch.tensor(mask)
                for name, mask in self._config.rank_pattern.items()
            }
        return tensors

    def load(self, ranks: Mapping[str, int], tensors: Mapping[str, Tensor]) -> None:
        """Put triplets, averages and masks back."""
        del ranks
        parameters = dict(self.model.named_parameters())
        with torch.no_grad():
            for name in self.modules_of_parameters():
                parameters[name].copy_(tensors[name])
        allocator = self._tuner.rankallocator
        importance = _under("importance/", tensors)
        allocator.exp_avg_ipt = importance
        allocator.exp_avg_unc = _under("uncertainty/", tensors)
        # peft takes a name that is in ipt as one that has averages; the values are overwritten.
        allocator.ipt = {name: torch.zeros_like(value) for name, value in importance.items()}
        masks = _under("mask/", tensors)
        self._config.rank_pattern = {name: mask.tolist() for name, mask in masks.items()} or None

    def export(self, folder: Path, *, base_model_name: str) -> None:
        """Fold E into B and write a plain LoRA of the triplets that act.

        Between two maskings the optimizer moves masked triplets again, so what acts now is told by
        E and not by the masks; from the target on both agree.

        Raises:
            ValueError: If no triplet acts.
        """
        shrink = self._start_rank / (self._start_rank + _RANKNUM_GUARD)
        tensors = {}
        for name in self._names:
            layer = self.model.get_submodule(f"base_model.model.{name}")
            a_RI, b_OR, e_R1 = (
                getattr(layer, factor)[ADAPTER].detach().cpu()
                for factor in ("lora_A", "lora_B", "lora_E")
            )
            acts_R = e_R1[:, 0] != 0
            tensors[name] = (a_RI[acts_R], (b_OR * e_R1.T * shrink)[:, acts_R])
        write_adapter(
            folder,
            tensors,
            scales=dict.fromkeys(self._names, self.scale),
            module_names=self._module_names,
            base_model_name=base_model_name,
        )

    def _masks(self) -> dict[str, Tensor]:
        """mask_R per module: True where the triplet is kept."""
        pattern = self._config.rank_pattern or {}
        everything = [True] * self._start_rank
        return {
            name: torch.tensor(pattern.get(f"{name}.lora_E.{ADAPTER}", everything))
            for name in self._names
        }


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {
        name.removeprefix(prefix): value
        for name, value in tensors.items()
        if name.startswith(prefix)
    }
