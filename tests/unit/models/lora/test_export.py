import json
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file
from torch import Tensor
from transformers import LlamaForCausalLM

from rankscope.models.lora.elastic import ElasticLora
from rankscope.models.lora.export import export, reload_difference
from rankscope.models.lora.inventory import find_modules

MakeElasticLlama = Callable[[int | Mapping[str, int]], ElasticLora]


def mixed_ranks(elastic: ElasticLora) -> dict[str, int]:
    """0, 1, 2, 3, 4, 0, 1, ... over the modules."""
    return {name: index % 5 for index, name in enumerate(elastic.ranks())}


def stir(elastic: ElasticLora) -> None:
    with torch.no_grad():
        for name in elastic.ranks():
            elastic.parameters_of(name)[1].normal_(std=0.3)


def test_a_mixed_adapter_comes_back_bit_by_bit(
    make_elastic_llama: MakeElasticLlama,
    make_llama: Callable[[], LlamaForCausalLM],
    token_batch: dict[str, Tensor],
    tmp_path: Path,
) -> None:
    elastic = make_elastic_llama(2)
    stir(elastic)
    elastic.resize(mixed_ranks(elastic), None, budget=10**6)
    before = elastic.state()
    export(elastic, tmp_path, base_model_name="tiny")
    difference, _ = reload_difference(
        elastic.peft_model, tmp_path, fresh_base=make_llama(), batch=token_batch
    )
    assert difference == 0.0
    loaded = PeftModel.from_pretrained(make_llama(), str(tmp_path)).state_dict()
    for name, rank in mixed_ranks(elastic).items():
        key = f"base_model.model.{name}.lora_A.default.weight"
        assert (key in loaded) == (rank > 0)
        if rank:
            assert torch.equal(loaded[key], before.tensors[f"{name}.lora_A"])
    after = elastic.state()
    assert after.ranks == before.ranks
    assert all(torch.equal(t, after.tensors[k]) for k, t in before.tensors.items())
    assert elastic.peft_model.training


@pytest.mark.parametrize("rank", [1, 7])
def test_an_adapter_of_equal_ranks_needs_no_patterns(
    make_elastic_llama: MakeElasticLlama,
    make_llama: Callable[[], LlamaForCausalLM],
    token_batch: dict[str, Tensor],
    tmp_path: Path,
    rank: int,
) -> None:
    elastic = make_elastic_llama(rank)
    stir(elastic)
    export(elastic, tmp_path, base_model_name="org/tiny")
    difference, _ = reload_difference(
        elastic.peft_model, tmp_path, fresh_base=make_llama(), batch=token_batch
    )
    assert difference == 0.0
    config = json.loads((tmp_path / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == "org/tiny"
    assert (config["r"], config["lora_alpha"]) == (rank, 2.0 * rank)
    assert config["rank_pattern"] == config["alpha_pattern"] == {}


def test_patterns_are_anchored_and_alpha_is_scale_times_rank(
    make_elastic_llama: MakeElasticLlama, tmp_path: Path
) -> None:
    elastic = make_elastic_llama(1)
    elastic.resize({"model.layers.1.mlp.up_proj": 3}, None, budget=10**6)
    export(elastic, tmp_path, base_model_name="tiny")
    config = json.loads((tmp_path / "adapter_config.json").read_text())
    key = r"^model\.layers\.1\.mlp\.up_proj"
    assert config["rank_pattern"] == {key: 3}
    assert config["alpha_pattern"] == {key: 6.0}
    assert sorted(config["target_modules"]) == sorted(elastic.ranks())


def test_only_modules_with_a_rank_are_written(
    make_elastic_llama: MakeElasticLlama, tmp_path: Path
) -> None:
    elastic = make_elastic_llama({"model.layers.0.mlp.up_proj": 2})
    export(elastic, tmp_path / "new" / "folder", base_model_name="tiny")
    tensors = load_file(tmp_path / "new" / "folder" / "adapter_model.safetensors")
    assert sorted(tensors) == [
        "base_model.model.model.layers.0.mlp.up_proj.lora_A.weight",
        "base_model.model.model.layers.0.mlp.up_proj.lora_B.weight",
    ]


def test_a_scale_that_is_no_round_number_survives(
    make_llama: Callable[[], LlamaForCausalLM], token_batch: dict[str, Tensor], tmp_path: Path
) -> None:
    model = make_llama()
    inventory = find_modules(model, "down_proj", frozenset({"language"}))
    ranks = {module.name: 5 - module.layer for module in inventory.modules}
    elastic = ElasticLora(model, inventory, ranks, scale=1.54, seed=0)
    stir(elastic)
    export(elastic, tmp_path, base_model_name="tiny")
    difference, _ = reload_difference(
        elastic.peft_model, tmp_path, fresh_base=make_llama(), batch=token_batch
    )
    assert difference < 1e-6


def test_an_empty_adapter_is_refused(make_elastic_llama: MakeElasticLlama, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="got rank 0 everywhere; use the base model"):
        export(make_elastic_llama(0), tmp_path / "out", base_model_name="tiny")
    assert not (tmp_path / "out").exists()
