"""Compiled layers train as plain ones do, through every rank event, and only in training steps."""

from pathlib import Path

import pytest
import torch
from torch import fx

from rankscope.models.lora.tuning import ElasticTuning
from rankscope.tasks import compiling
from rankscope.tasks.compiling import compile_layers
from tests.unit.tasks import tiny
from tests.unit.tasks.tiny_run import Run, config


class Backend:
    """Takes the graphs that torch finds and runs them as they are: no compiler is needed."""

    def __init__(self) -> None:
        self.num_graphs = 0
        self.calls: list[bool] = []

    def __call__(self, graph: fx.GraphModule, _inputs: list[torch.Tensor]) -> object:
        self.num_graphs += 1

        def called(*args: torch.Tensor) -> object:
            self.calls.append(torch.is_grad_enabled())
            return graph.forward(*args)

        return called


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch) -> Backend:
    counting = Backend()
    monkeypatch.setattr(compiling, "BACKEND", counting)
    torch._dynamo.reset()
    return counting


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")  # torch asks itself
def test_compiled_layers_train_through_rank_events(tmp_path: Path, backend: Backend) -> None:
    plain = Run(tmp_path / "plain", config(), is_steered=True)
    plain.train()
    run = Run(tmp_path / "compiled", config(), is_steered=True)
    assert isinstance(run.tuning, ElasticTuning)
    elastic = run.tuning.elastic
    base = elastic.peft_model.get_submodule("base_model.model")
    compile_layers(base, elastic.inventory)
    run.train()
    assert [step.loss for step in run.steps()] == pytest.approx(
        [step.loss for step in plain.steps()], rel=1e-5
    )
    assert run.moves() == plain.moves()
    assert len(run.moves()) == 2
    assert backend.num_graphs >= 2  # at least one a layer
    assert all(backend.calls)  # measurements and scores are plain
    assert len(backend.calls) >= 2 * len(run.steps())


def test_layers_without_adapters_and_other_parts_stay_plain(backend: Backend) -> None:
    vlm = tiny.vlm()
    inventory = tiny.elastic_of(vlm, 1).inventory
    modules = tuple(m for m in inventory.modules if m.part != "language" or m.layer == 0)
    compile_layers(vlm.model, inventory.model_copy(update={"modules": modules}))
    layers = vlm.model.get_submodule("language_model.model.layers")
    assert "forward" in vars(layers.get_submodule("0"))
    assert "forward" not in vars(layers.get_submodule("1"))
    assert not backend.num_graphs
