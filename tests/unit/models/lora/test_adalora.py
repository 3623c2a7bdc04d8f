"""peft's AdaLoRA in our loop: masks, what is told of them, checkpoints and export."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from torch import Tensor
from transformers import LlamaForCausalLM

from rankscope.models.lora.adalora import AdaLoraTuning
from rankscope.models.lora.inventory import find_modules
from rankscope.models.schedulers.adalora import AdaLora

STEPS = 10
MakeLlama = Callable[[], LlamaForCausalLM]
SETTINGS = AdaLora(warmup_fraction=0.2, final_fraction=0.3, interval_fraction=0.2)
"""Of 10 steps: masking after step 2, every 2nd step, at the target from step 7 on."""


def tuning_of(make_llama: MakeLlama) -> AdaLoraTuning:
    """14 modules, 992 parameters per rank, 2.9 of them: start rank ceil(1.5 * 2) = 3, target 2."""
    model = make_llama().requires_grad_(requires_grad=False)
    inventory = find_modules(model, ".*_proj", frozenset({"language"}))
    return AdaLoraTuning(model, inventory, SETTINGS, budget=2876, steps=STEPS, scale=2.0)


def held_tuning_of(make_llama: MakeLlama, budget: int) -> AdaLoraTuning:
    model = make_llama().requires_grad_(requires_grad=False)
    inventory = find_modules(model, ".*_proj", frozenset({"language"}))
    settings = SETTINGS.model_copy(update={"live_budget": "held"})
    return AdaLoraTuning(model, inventory, settings, budget=budget, steps=STEPS, scale=2.0)


class Loop:
    """Steps of AdamW on one batch."""

    def __init__(self, tuning: AdaLoraTuning, batch: dict[str, Tensor]) -> None:
        self.tuning = tuning
        self.batch = batch
        trained = [p for p in tuning.model.parameters() if p.requires_grad]
        self.optimizer = torch.optim.AdamW(trained, lr=0.05)

    def steps(self, first: int, last: int) -> None:
        for step in range(first, last):
            self.tuning.model(**self.batch).loss.backward()
            self.optimizer.step()
            self.tuning.after_step(step)
            self.optimizer.zero_grad()


def logits(model: torch.nn.Module, batch: dict[str, Tensor]) -> Tensor:
    with torch.no_grad():
        result: Tensor = model.eval()(**batch).logits
    return result


def test_the_trained_parameters_are_named_as_in_the_model(make_llama: MakeLlama) -> None:
    tuning = tuning_of(make_llama)
    trained = {name for name, p in tuning.model.named_parameters() if p.requires_grad}
    modules = tuning.modules_of_parameters()
    assert trained == set(modules)
    assert all(f".{module}." in name for name, module in modules.items())
    assert set(modules.values()) == set(tuning.ranks())


def test_masked_triplets_still_count_as_live(
    make_llama: MakeLlama, token_batch: dict[str, Tensor]
) -> None:
    """Per layer 4 of 32 + 32, 3 of 32 + 48: 496 per rank, 992 in two layers.

    Start rank 3: 2976, and an E of 3 on 14 modules: 42; 3018 before and after masking.
    """
    tuning = tuning_of(make_llama)
    assert tuning.live_params() == 3018
    assert set(tuning.ranks().values()) == {3}
    Loop(tuning, token_batch).steps(0, STEPS)
    assert tuning.live_params() == 3018


def test_masking_falls_to_the_target_and_the_ranks_tell_what_is_kept(
    make_llama: MakeLlama, token_batch: dict[str, Tensor]
) -> None:
    """42 triplets at first, 2 * 14 = 28 at last.

    Between, peft's cube: at step 4, (1 - 2 / 5) ** 3 * 14 + 28 = 31.02, so 31 are kept.
    """
    tuning = tuning_of(make_llama)
    loop = Loop(tuning, token_batch)
    kept = []
    for step in range(STEPS):
        loop.steps(step, step + 1)
        kept.append(sum(tuning.ranks().values()))
    assert kept[:4] == [42, 42, 42, 42]
    assert kept[4] == 31
    assert kept[7:] == [28, 28, 28]
    for name, rank in tuning.ranks().items():
        e_R1 = tuning.model.get_parameter(f"base_model.model.{name}.lora_E.default")
        assert int(e_R1.count_nonzero()) == rank


@pytest.mark.parametrize("stop_after", [2, 5, 9])
def test_state_comes_back_bitwise_with_masks_and_importances(
    make_llama: MakeLlama, token_batch: dict[str, Tensor], stop_after: int
) -> None:
    """Before, while and after ranks fall; both then go on alike, plain SGD having no state."""
    first, second = tuning_of(make_llama), tuning_of(make_llama)
    Loop(first, token_batch).steps(0, stop_after)
    saved = {name: tensor.detach().clone() for name, tensor in first.state().items()}
    second.load(first.ranks(), saved)
    restored = second.state()
    assert restored.keys() == saved.keys()
    assert all(torch.equal(restored[name], tensor) for name, tensor in saved.items())
    assert second.ranks() == first.ranks()
    for tuning in (first, second):
        Loop(tuning, token_batch).steps(stop_after, STEPS)
    ended = second.state()
    assert all(torch.equal(ended[name], tensor) for name, tensor in first.state().items())
    assert second.ranks() == first.ranks()


@pytest.mark.parametrize("num_steps", [3, 6, STEPS])
def test_an_export_computes_what_the_model_computes(
    make_llama: MakeLlama, token_batch: dict[str, Tensor], tmp_path: Path, num_steps: int
) -> None:
    """Before masking, between two maskings when masked triplets act again, and at the end."""
    tuning = tuning_of(make_llama)
    Loop(tuning, token_batch).steps(0, num_steps)
    tuning.export(tmp_path, base_model_name="tiny")
    loaded = PeftModel.from_pretrained(make_llama(), str(tmp_path))
    expected = logits(tuning.model, token_batch)
    assert not torch.allclose(expected, logits(make_llama(), token_batch), atol=1e-2)
    assert float((logits(loaded, token_batch) - expected).abs().max()) <= 1e-5


@pytest.mark.parametrize("budget", [992, 2 * 992, 5 * 992])
def test_held_to_the_budget_it_never_exceeds_it_and_still_prunes(
    make_llama: MakeLlama, token_batch: dict[str, Tensor], tmp_path: Path, budget: int
) -> None:
    """Rank 1 of 992 does not pay for 14 more of E: one q_proj (65 with E) goes; 13 / 1.5 = 8 stay.

    Twice that pays for rank 1 only, 14 / 1.5 = 9; five times for rank 4, 56 / 1.5 = 37.
    """
    tuning = held_tuning_of(make_llama, budget)
    kept = {992: (13, 8), 2 * 992: (14, 9), 5 * 992: (56, 37)}[budget]
    assert sum(tuning.ranks().values()) == kept[0]
    assert tuning.ranks().keys() == tuning_of(make_llama).ranks().keys()
    loop = Loop(tuning, token_batch)
    for step in range(STEPS):
        loop.steps(step, step + 1)
        assert tuning.live_params() <= budget
    assert sum(tuning.ranks().values()) == kept[1]
    tuning.export(tmp_path, base_model_name="tiny")
    loaded = PeftModel.from_pretrained(make_llama(), str(tmp_path))
    difference = logits(loaded, token_batch) - logits(tuning.model, token_batch)
    assert float(difference.abs().max()) <= 1e-5


def test_it_tells_which_modules_are_left_out(make_llama: MakeLlama) -> None:
    done = held_tuning_of(make_llama, 992).prepare(lambda _: ())
    assert done is not None
    assert (done.cost_items, done.text) == (
        0,
        "AdaLoRA holds A, B and E within the budget: start rank 1 on 13 modules, 1 left out "
        "(model.layers.1.self_attn.q_proj)",
    )
    assert held_tuning_of(make_llama, 2 * 992).prepare(lambda _: ()) is None


def test_an_untrained_adapter_is_no_adapter(make_llama: MakeLlama, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="rank 0 everywhere; use the base model"):
        tuning_of(make_llama).export(tmp_path / "out", base_model_name="tiny")
