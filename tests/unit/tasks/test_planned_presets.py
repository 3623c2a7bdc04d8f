"""What the presets of real models would train, worked out from their sizes alone."""

from pathlib import Path

import pytest

from rankscope.models.inventory import AdaptableModule, Inventory
from rankscope.models.presets import preset
from rankscope.models.reading import load_config
from rankscope.storage.settings import Settings
from rankscope.tasks.planning import plan_run
from rankscope.tasks.submitting import cost, plan

CONFIGS = Path(__file__).parents[3] / "configs"
WITH_ADAPTERS = (
    *("uniform", "random", "static", "gradient", "gora", "elalora", "para", "hydra"),
    *("adalora", "dora", "eva", "lora_ga"),
)


@pytest.mark.parametrize(
    ("name", "projector_params"),
    [("mobilevlm_v1_1.7b_stage1", 18_936_832), ("mobilevlm_v2_1.7b_stage1", 6_316_032)],
)
def test_stage_one_trains_the_projector_and_nothing_else(name: str, projector_params: int) -> None:
    """Float32: gradients 4 bytes a parameter, AdamW's two moments twice that."""
    config = preset(name).config
    planned = plan(config)
    assert (planned.modules, planned.params, planned.budget_params) == ((), 0, 0)
    assert planned.equivalent_rank == 0
    assert planned.other_trainable_params == projector_params
    assert planned.note == "trains without adapters"
    memory = cost(config, planned, Settings()).memory
    assert memory.gradients_bytes == 4 * projector_params
    assert memory.optimizer_bytes == 8 * projector_params


def test_the_second_versions_stage_one_can_train_the_language_model_as_published() -> None:
    """Every linear of 24 layers: 4 * 2048 ** 2 + 3 * 2048 * 5632 weights each."""
    told = ["lora.parts=[language]", "optimizer.lr=2e-5", "optimizer.full_lr_ratio=50"]
    config = load_config(CONFIGS / "mobilevlm_v2_1.7b_stage1.yaml", told)
    assert config.optimizer.lr * config.optimizer.full_lr_ratio == pytest.approx(1e-3)
    weights = 24 * (4 * 2048**2 + 3 * 2048 * 5632)
    memory = cost(config, plan(config), Settings()).memory
    assert memory.gradients_bytes == 4 * (weights + 6_316_032)


@pytest.mark.parametrize("kind", WITH_ADAPTERS)
def test_any_scheduler_takes_the_agents_budget_over(kind: str) -> None:
    """Qwen2-VL-7B: 28 layers of width 3584, k and v of 512: 7,168 + 2 * 4,096 a rank and layer."""
    # static's own default, the MLPs, have no adapters in this recipe
    told = ["scheduler.where=late"] if kind == "static" else []
    config = load_config(CONFIGS / "t3_agent.yaml", [f"scheduler.kind={kind}", *told])
    planned = plan_run(config, qwen2_vl_7b())
    assert planned.budget_params == 64 * 28 * (7_168 + 2 * 4_096) == 27_525_120
    assert 0.95 * planned.budget_params < planned.params <= planned.budget_params


def qwen2_vl_7b() -> Inventory:
    return Inventory(
        modules=tuple(
            AdaptableModule(
                name=f"model.language_model.layers.{layer}.self_attn.{kind}",
                part="language",
                layer=layer,
                type=kind,
                d_in=3584,
                d_out=d_out,
            )
            for layer in range(28)
            for kind, d_out in (("q_proj", 3584), ("k_proj", 512), ("v_proj", 512))
        ),
        total_params=8_291_375_616,
    )
