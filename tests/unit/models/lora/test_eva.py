"""EVA's start against peft's own, and what it does to ranks and budget."""

from collections.abc import Callable, Iterator

import pytest
import torch
from peft import EvaConfig, LoraConfig, get_peft_model
from peft.tuners.lora.eva import get_eva_state_dict
from torch import Tensor
from transformers import LlamaForCausalLM

from rankscope.models.lora.elastic import ElasticLora
from rankscope.models.lora.eva import EvaTuning
from rankscope.models.lora.inventory import find_modules
from rankscope.models.schedulers.contract import ModuleState
from rankscope.models.schedulers.eva import Eva

MakeLlama = Callable[[], LlamaForCausalLM]
ATTENTION = "q_proj|k_proj|v_proj|o_proj"
BUDGET = 8 * 64
"""Rank 1 on the eight attention projections of 32 + 32 parameters."""


def batches(num_batches: int) -> Iterator[dict[str, Tensor]]:
    """Eight items of six tokens, the last four of which are the answer."""
    generator = torch.Generator().manual_seed(3)
    for _ in range(num_batches):
        ids = torch.randint(0, 64, (8, 6), generator=generator)
        labels = ids.clone()
        labels[:, :2] = -100
        yield {"input_ids": ids, "labels": labels, "attention_mask": torch.ones_like(ids)}


def tuning_of(make_llama: MakeLlama, settings: Eva, *, targets: str = ATTENTION) -> EvaTuning:
    model = make_llama()
    inventory = find_modules(model, targets, frozenset({"language"}))
    ranks = {module.name: 1 for module in inventory.modules}
    elastic = ElasticLora(model, inventory, ranks, scale=2.0, seed=0)
    states = [
        ModuleState(**module.model_dump(), rank=1, min_rank=0, max_rank=16, pinned=False)
        for module in inventory.modules
    ]
    return EvaTuning(elastic, settings, states, budget=inventory.params_per_rank)


def pefts_own(make_llama: MakeLlama, settings: Eva) -> dict[str, Tensor]:
    """Directions per module, as many as its rank."""
    config = LoraConfig(
        r=1,
        target_modules=f".*({ATTENTION})",
        init_lora_weights="eva",
        eva_config=EvaConfig(rho=settings.rho, tau=settings.tau),
    )
    model = get_peft_model(make_llama(), config)
    loader = list(batches(settings.num_batches))
    found = get_eva_state_dict(model, loader, show_progress_bar=False)
    return {name.removeprefix("base_model.model."): u for name, u in found.items()}


@pytest.mark.filterwarnings("ignore:lora with eva initialization:UserWarning")
@pytest.mark.parametrize("rho", [1.0, 2.0])
def test_ranks_and_directions_are_pefts_where_every_rank_costs_the_same(
    make_llama: MakeLlama, rho: float
) -> None:
    """So lax a tau that both stop after the same batches, whatever ranks peft has in mind."""
    settings = Eva(rho=rho, tau=0.01, num_batches=64)
    tuning, expected = tuning_of(make_llama, settings), pefts_own(make_llama, settings)
    tuning.prepare(batches)
    ranks = tuning.ranks()
    assert sum(ranks.values()) == 8
    assert (rho == 1.0) == (set(ranks.values()) == {1})
    for layer in range(2):
        path = f"model.layers.{layer}.self_attn."
        for group in (["q_proj", "k_proj", "v_proj"], ["o_proj"]):
            # peft leaves it open which of those that read one input come first
            ours = sorted(ranks[path + kind] for kind in group)
            assert ours == sorted(len(expected[path + kind]) for kind in group)
    for name, rank in ranks.items():
        a_KI = tuning.elastic.parameters_of(name)[0].detach()
        shared = min(rank, len(expected[name]))
        assert torch.allclose(a_KI[:shared], expected[name][:shared].float(), atol=1e-6)


def test_the_budget_is_kept_in_parameters_and_the_function_is_the_base_models(
    make_llama: MakeLlama, token_batch: dict[str, Tensor]
) -> None:
    tuning = tuning_of(make_llama, Eva(), targets=".*_proj")
    done = tuning.prepare(batches)
    assert tuning.live_params() <= 992
    assert len(set(tuning.ranks().values())) > 1
    base = make_llama()
    with torch.no_grad():
        assert torch.equal(tuning.model(**token_batch).logits, base(**token_batch).logits)
    assert done.cost_items % 8 == 0
    assert done.text.startswith("EVA: ranks 0 to 2 by explained variance of ")


def test_it_stops_at_the_last_batch_and_says_what_has_not_settled(make_llama: MakeLlama) -> None:
    """One batch tells who reads what, two more are decomposed; a cosine of 1 is never reached."""
    done = tuning_of(make_llama, Eva(tau=1.0, num_batches=2)).prepare(batches)
    assert done.cost_items == 24
    assert done.text.endswith("directions of 8 of 8 modules had not settled")


def test_no_hook_is_left_and_the_mode_stays(make_llama: MakeLlama) -> None:
    tuning = tuning_of(make_llama, Eva(num_batches=2))
    tuning.model.train()
    tuning.prepare(batches)
    assert tuning.model.training
    assert not any(module._forward_hooks for module in tuning.model.modules())


def test_too_few_answer_tokens_are_refused_with_a_remedy(make_llama: MakeLlama) -> None:
    def short(num_batches: int) -> Iterator[dict[str, Tensor]]:
        for batch in batches(num_batches):
            yield {key: value[:1, :3] for key, value in batch.items()}

    with pytest.raises(ValueError, match=r"at least 4 answer tokens, .* got 1; raise training"):
        tuning_of(make_llama, Eva()).prepare(short)


def test_equal_seeds_and_data_start_equal(make_llama: MakeLlama) -> None:
    one, other = (tuning_of(make_llama, Eva(num_batches=4)) for _ in range(2))
    one.prepare(batches)
    torch.manual_seed(99)
    other.prepare(batches)
    assert one.ranks() == other.ranks()
    assert all(torch.equal(other.state()[name], tensor) for name, tensor in one.state().items())
