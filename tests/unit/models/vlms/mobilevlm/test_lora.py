"""MobileVLM under elastic LoRA."""

from typing import Any

import torch

from rankscope.models.inventory import Part
from rankscope.models.lora.elastic import ElasticLora
from rankscope.models.lora.inventory import find_modules
from tests.unit.models.vlms.mobilevlm.tiny import tiny_batch, tiny_model

PLENTY = 10**6
EVERYWHERE: frozenset[Part] = frozenset({"language", "projector", "vision"})
TARGETS = r"(q|k|v|o|gate|up|down|out)_proj|fc[12]|linear_[12]"


def trained() -> tuple[ElasticLora, torch.optim.Optimizer]:
    """Rank 2 on every linear, three steps in."""
    model = tiny_model("ldpnet")
    model.requires_grad_(False)
    inventory = find_modules(model, TARGETS, EVERYWHERE)
    ranks = {module.name: 2 for module in inventory.modules}
    elastic = ElasticLora(model, inventory, ranks, scale=2.0, seed=0)
    optimizer = torch.optim.AdamW(
        [parameter for name in ranks for parameter in elastic.parameters_of(name)], lr=0.01
    )
    for _ in range(3):
        optimizer.zero_grad()
        elastic.peft_model(**tiny_batch()).loss.backward()
        optimizer.step()
    return elastic, optimizer


def test_every_adapter_learns_wherever_it_sits() -> None:
    """7 linears in each of 4 layers, 6 in the one vision layer that is used, 2 in the projector."""
    elastic, _ = trained()
    assert len(elastic.ranks()) == 7 * 4 + 6 + 2
    for name in elastic.ranks():
        assert elastic.parameters_of(name)[1].detach().abs().max() > 0, name


def test_growth_keeps_the_logits_and_training_goes_on_at_other_ranks() -> None:
    elastic, optimizer = trained()
    names = list(elastic.ranks())
    with torch.no_grad():
        before = elastic.peft_model(**tiny_batch()).logits
        elastic.resize(dict.fromkeys(names, 4), optimizer, budget=PLENTY)
        after = elastic.peft_model(**tiny_batch()).logits
    torch.testing.assert_close(after, before, atol=1e-5, rtol=0)
    loss = elastic.peft_model(**tiny_batch()).loss
    ranks = {name: number % 4 for number, name in enumerate(names)}
    elastic.resize(ranks, optimizer, budget=PLENTY)
    elastic.check()
    for _ in range(3):
        optimizer.zero_grad()
        elastic.peft_model(**tiny_batch()).loss.backward()
        optimizer.step()
    assert elastic.ranks() == ranks
    assert float(elastic.peft_model(**tiny_batch()).loss.detach()) < float(loss.detach())


def test_the_projectors_own_weights_are_known_by_their_name() -> None:
    elastic, _ = trained()
    names = [name for name, _ in elastic.peft_model.named_parameters() if "projector." in name]
    own = [name for name in names if ".lora_" not in name]
    assert len(own) == len(list(tiny_model("ldpnet").projector.parameters()))


def test_generation_goes_through_peft() -> None:
    elastic, _ = trained()
    prompt = {key: value[:1, :6] for key, value in tiny_batch().items() if key != "labels"}
    prompt["pixel_values"] = tiny_batch()["pixel_values"][:1]
    model: Any = elastic.peft_model
    output = model.generate(**prompt, max_new_tokens=2, min_new_tokens=2)
    assert output.shape == (1, 8)
