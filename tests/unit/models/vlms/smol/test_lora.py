"""The model under elastic LoRA: ranks move, and what is saved is a plain adapter."""

from pathlib import Path

import torch

from rankscope.models.lora.elastic import ElasticLora
from rankscope.models.lora.export import export, reload_difference
from rankscope.models.lora.inventory import find_modules
from tests.unit.models.vlms.smol.tiny import examples, largest, tiny_model, tiny_processor

PLENTY = 10**6
TARGETS = r"(q|k|v|o|gate|up|down)_proj|linear"


def test_an_elastic_run_with_three_rank_events_is_saved_as_a_plain_adapter(tmp_path: Path) -> None:
    model = tiny_model()
    processor = tiny_processor(model, tmp_path)
    inventory = find_modules(model, TARGETS, frozenset({"language", "projector"}))
    assert len(inventory.modules) == 7 * 2 + 1
    names = [module.name for module in inventory.modules]
    elastic = ElasticLora(model, inventory, dict.fromkeys(names, 2), scale=2.0, seed=0)
    batch = processor.training_batch(examples())
    losses: list[float] = []
    parameters = [parameter for name in names for parameter in elastic.parameters_of(name)]
    optimizer = torch.optim.AdamW(parameters, lr=0.01)
    events = [
        {name: 1 + number % 3 for number, name in enumerate(names)},
        dict.fromkeys(names, 4),
        {name: number % 4 for number, name in enumerate(names)},
    ]
    elastic.peft_model.train()
    for ranks in events:
        for _ in range(4):
            optimizer.zero_grad()
            loss = elastic.peft_model(**batch).loss
            loss.backward()
            losses.append(float(loss.detach()))
            optimizer.step()
        for name in names:
            if elastic.ranks()[name]:
                assert largest(elastic.parameters_of(name)[1].grad) > 0, name
        elastic.resize(ranks, optimizer, budget=PLENTY)
        elastic.check()
    assert elastic.ranks() == events[-1]
    assert losses[-1] < losses[0]

    prompt = processor.prompt_batch(examples())
    output = elastic.peft_model.generate(  # type: ignore[no-untyped-call]
        **prompt, max_new_tokens=2, min_new_tokens=2, do_sample=False
    )
    assert output.shape[1] == prompt["input_ids"].shape[1] + 2
    export(elastic, tmp_path / "adapter", base_model_name="smol")
    difference = reload_difference(
        elastic.peft_model, tmp_path / "adapter", fresh_base=tiny_model(), batch=prompt
    )
    assert difference.largest < 1e-5 * max(1.0, difference.largest_logit)
