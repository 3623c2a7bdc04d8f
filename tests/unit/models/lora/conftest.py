"""Small models to adapt: a Llama of two layers and bare linears in double precision."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from transformers import LlamaConfig, LlamaForCausalLM

from rankscope.models.lora.elastic import ElasticLora
from rankscope.models.lora.inventory import find_modules

EVERY_PROJECTION = "q_proj|k_proj|v_proj|o_proj|gate_proj|up_proj|down_proj"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    # peft 0.21 asks transformers 5.23 under the attribute's old name.
    old_name = "ignore:.*is_gradient_checkpointing.*:FutureWarning"
    for item in items:
        if item.path.is_relative_to(here):
            item.add_marker(pytest.mark.filterwarnings(old_name))


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    torch.set_num_threads(1)


class Linears(nn.Module):
    """Independent linears ``layers.0``, ``layers.1``, ... each fed its own input."""

    def __init__(self, shapes: Sequence[tuple[int, int]]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Linear(d_in, d_out, bias=False, dtype=torch.float64) for d_in, d_out in shapes
        )

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        outputs = [layer(x) for layer, x in zip(self.layers, inputs, strict=True)]
        return torch.stack([(output - 1.0).square().mean() for output in outputs]).sum()


@pytest.fixture(scope="session")
def make_llama() -> Callable[[], LlamaForCausalLM]:
    def make() -> LlamaForCausalLM:
        torch.manual_seed(5)
        config = LlamaConfig(
            vocab_size=64,
            hidden_size=32,
            intermediate_size=48,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=2,
        )
        return LlamaForCausalLM(config)

    return make


@pytest.fixture(scope="session")
def make_elastic_llama(
    make_llama: Callable[[], LlamaForCausalLM],
) -> Callable[[int | Mapping[str, int]], ElasticLora]:
    """A Llama with adapters on every projection, at one rank or at a table of ranks."""

    def make(ranks: int | Mapping[str, int]) -> ElasticLora:
        model = make_llama()
        inventory = find_modules(model, EVERY_PROJECTION, frozenset({"language"}))
        if isinstance(ranks, int):
            ranks = {module.name: ranks for module in inventory.modules}
        return ElasticLora(model, inventory, ranks, scale=2.0, seed=0)

    return make


@pytest.fixture(scope="session")
def make_elastic_linears() -> Callable[[Sequence[tuple[int, int]], Sequence[int]], ElasticLora]:
    """Linears of shapes (d_in, d_out) with adapters of the given ranks, scale 1.5, B not zero."""

    def make(shapes: Sequence[tuple[int, int]], ranks: Sequence[int]) -> ElasticLora:
        torch.manual_seed(3)
        model = Linears(shapes)
        inventory = find_modules(model, r"\d+", frozenset({"language"}))
        table = {module.name: rank for module, rank in zip(inventory.modules, ranks, strict=True)}
        elastic = ElasticLora(model, inventory, table, scale=1.5, seed=0)
        with torch.no_grad():
            for name in table:
                elastic.parameters_of(name)[1].normal_()
        return elastic

    return make


@pytest.fixture(scope="session")
def token_batch() -> dict[str, Tensor]:
    """Four items of six tokens with their labels."""
    ids = torch.randint(0, 64, (4, 6), generator=torch.Generator().manual_seed(1))
    return {"input_ids": ids, "labels": ids}
