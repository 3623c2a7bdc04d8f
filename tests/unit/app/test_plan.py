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
    table = lines[: lines.index("")]
    layers = [line.split() for line in table if line.startswith("language")]
    assert [line[1] for line in layers] == [str(layer) for layer in range(6)]
    assert "19,584 parameters (= rank 1.5 everywhere)" in said
    assert any(line.endswith("decided again at step 30") for line in lines)
    assert "whole model" in said
    for beginning, basis in (
        ("memory about ", "libraries"),
        ("rows of ", "its words are its tokens"),
        ("time ", "no recorded run like it; operations counted"),
        ("disk ", "checkpoints"),
    ):
        assert basis in next(line for line in lines if line.startswith(beginning))


@pytest.mark.usefixtures("empty_home")
def test_a_published_preset_has_its_budget_and_costs_without_any_download(
    answer_of: Answer,
) -> None:
    """MobileVLM 1.7B, stage II, by hand in bytes.

    Base in bf16, its projector in float32: 2 x 1,674,145,792 + 2 x 18,936,832. Adapters in
    float32, 4 x 121,110,528; gradients as they are and the projector's; two moments each.
    """
    answer = answer_of("plan", "configs/mobilevlm_v1_1.7b_stage2.yaml", "--json")
    assert (answer["budget_params"], answer["other_trainable_params"]) == (121_110_528, 18_936_832)
    assert answer["parts"]["language"] == {
        "params": 1_364_297_728,
        "trainable_params": 121_110_528,
        "how": "adapters",
    }
    assert answer["parts"]["projector"]["how"] == "full"
    assert answer["parts"]["vision"]["how"] == "frozen"
    assert answer["trainable_params"] == 121_110_528 + 18_936_832
    assert answer["whole_params"] == 1_674_145_792 + 121_110_528
    memory = answer["memory"]
    assert memory["base_weights_bytes"] == 3_386_165_248
    assert memory["adapters_bytes"] == 484_442_112
    assert memory["gradients_bytes"] == 484_442_112 + 75_747_328
    assert memory["optimizer_bytes"] == 2 * memory["gradients_bytes"]
    assert answer["disk"]["checkpoint_bytes"] > 3 * (484_442_112 + 75_747_328)
    assert answer["lengths"]["longest_tokens"] == 2048
    assert "not at hand" in answer["lengths"]["basis"]
