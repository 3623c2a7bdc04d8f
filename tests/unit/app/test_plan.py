"""``rankscope plan``: the contract of its JSON, and what people see."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rankscope.models.vlms.linears import embedded_linears

Answer = Callable[..., dict[str, Any]]
SCHEDULERS = ["uniform", "random", "static", "gradient", "hydra", "adalora"]


@pytest.fixture
def config(tmp_path: Path) -> str:
    path = tmp_path / "run.yaml"
    path.write_text(
        "data: {kind: scenes, task: answers}\nbudget: {unit: rank, value: 1.5}\n", encoding="utf-8"
    )
    return str(path)


@pytest.mark.usefixtures("empty_home")
@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_the_last_line_is_the_whole_plan_and_keeps_the_budget(
    answer_of: Answer, config: str, scheduler: str
) -> None:
    """Rank 1.5 on the embedded model: its language linears cost 13,056 per rank; 19,584."""
    answer = answer_of("plan", config, "--json", "--set", f"scheduler.kind={scheduler}")
    fields = {"name", "part", "layer", "type", "d_in", "d_out", "rank"}
    assert all(set(module) == fields for module in answer["modules"])
    params = sum((m["d_in"] + m["d_out"]) * m["rank"] for m in answer["modules"])
    assert answer["params"] == params <= answer["budget_params"] == 19_584
    assert (answer["scheduler"], answer["equivalent_rank"]) == (scheduler, 1.5)
    shipped = embedded_linears()
    assert answer["total_params"] == shipped.total_params
    language = [module.name for module in shipped.modules if module.part == "language"]
    assert [module["name"] for module in answer["modules"]] == language


@pytest.mark.usefixtures("empty_home")
def test_people_see_a_line_per_layer_and_the_next_decision(
    call: Callable[..., tuple[int, str, str]], config: str
) -> None:
    code, said, _ = call("plan", config, "--set", "scheduler.kind=hydra")
    assert code == 0
    lines = said.splitlines()
    layers = [line.split() for line in lines if line.startswith("language")]
    assert [line[1] for line in layers] == [str(layer) for layer in range(6)]
    assert "19,584 parameters (= rank 1.5 everywhere)" in said
    assert lines[-1].endswith("decided again at step 30")
