"""Every family under elastic LoRA: gradients everywhere, ranks that move, a plain adapter saved."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor
from transformers import AutoModelForImageTextToText, PreTrainedModel

from rankscope.models.inventory import PARTS
from rankscope.models.lora.elastic import ElasticLora
from rankscope.models.lora.export import export, reload_difference
from rankscope.models.lora.inventory import find_modules
from rankscope.models.vlms.hub.loading import load_hub
from rankscope.models.vlms.hub.processing import HubProcessor
from tests.helpers.tiny_vlms import TINY_FAMILIES
from tests.unit.models.vlms.hub.conftest import CPU, examples_for, settings_of

PLENTY = 10**6


def adapted(folder: Path) -> tuple[ElasticLora, HubProcessor]:
    """Adapters of rank 2 on every linear with B not zero."""
    model, processor = load_hub(settings_of(folder), CPU)
    inventory = find_modules(model, ".*", frozenset(PARTS))
    ranks = {module.name: 2 for module in inventory.modules}
    elastic = ElasticLora(model, inventory, ranks, scale=2.0, seed=0)
    torch.manual_seed(1)
    with torch.no_grad():
        for name in ranks:
            elastic.parameters_of(name)[1].normal_(std=0.1)
    return elastic, processor


def logits_of(elastic: ElasticLora, batch: dict[str, Tensor]) -> Tensor:
    with torch.no_grad():
        logits: Tensor = elastic.peft_model(**batch).logits
    return logits


def largest(grad: Tensor | None) -> float:
    return 0.0 if grad is None else float(grad.abs().max())


@pytest.mark.parametrize("family", TINY_FAMILIES)
def test_adapters_learn_everywhere_move_in_rank_and_are_saved(
    family: str, tiny_folder: Callable[[str], Path], tmp_path: Path
) -> None:
    folder = tiny_folder(family)
    elastic, processor = adapted(folder)
    batch = processor.training_batch(examples_for(family))
    elastic.peft_model(**batch).loss.backward()
    for name in elastic.ranks():
        for factor in elastic.parameters_of(name):
            assert largest(factor.grad) > 0, name

    before = logits_of(elastic, batch)
    elastic.resize(dict.fromkeys(elastic.ranks(), 4), None, budget=PLENTY)
    torch.testing.assert_close(logits_of(elastic, batch), before, atol=2e-5, rtol=1e-5)
    ranks = {name: number % 4 for number, name in enumerate(elastic.ranks())}
    elastic.resize(ranks, None, budget=PLENTY)
    assert elastic.ranks() == ranks
    elastic.check()

    prompt = processor.prompt_batch(examples_for(family))
    output = elastic.peft_model.generate(  # type: ignore[no-untyped-call]
        **prompt, max_new_tokens=2, min_new_tokens=2
    )
    assert output.shape[1] == prompt["input_ids"].shape[1] + 2

    export(elastic, tmp_path, base_model_name=str(folder))
    whole = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32)
    assert isinstance(whole, PreTrainedModel)
    difference = reload_difference(elastic.peft_model, tmp_path, fresh_base=whole, batch=batch)
    assert difference.largest < 1e-5 * max(1.0, difference.largest_logit)


@pytest.mark.parametrize("family", TINY_FAMILIES)
def test_gradients_are_the_same_with_activations_computed_anew(
    family: str, tiny_folder: Callable[[str], Path]
) -> None:
    grads = []
    for checkpointing in (False, True):
        settings = settings_of(tiny_folder(family), gradient_checkpointing=checkpointing)
        model, processor = load_hub(settings, CPU)
        inventory = find_modules(model, "q_proj|qkv|linear_1|linear|proj", frozenset(PARTS))
        ranks = {module.name: 2 for module in inventory.modules}
        elastic = ElasticLora(model, inventory, ranks, scale=2.0, seed=0)
        elastic.peft_model.train()
        batch = processor.training_batch(examples_for(family))
        elastic.peft_model(**batch).loss.backward()
        grads.append({name: elastic.parameters_of(name)[1].grad for name in ranks})
    for name, grad in grads[0].items():
        assert largest(grad) > 0, name
        torch.testing.assert_close(grads[1][name], grad, msg=name)
