"""The configurations that come with Rankscope."""

from pathlib import Path

import pytest

from rankscope.models.budgets import RankBudget
from rankscope.models.data.files.settings import FileData
from rankscope.models.presets import preset, presets
from rankscope.models.reading import ConfigError, load_config
from rankscope.models.vlms import HubVlm, MobileVlm

FILES = sorted((Path(__file__).parents[3] / "configs").glob("*.yaml"))


def test_every_file_in_configs_is_a_preset_with_a_description() -> None:
    assert [found.name for found in presets()] == [file.stem for file in FILES]
    for found, file in zip(presets(), FILES, strict=True):
        assert found.config == load_config(file)
        assert found.description
        assert "#" not in found.description


@pytest.mark.parametrize("name", ["nothing", "../pyproject", "demo.yaml", ""])
def test_an_unknown_preset_is_refused_with_the_known_ones(name: str) -> None:
    with pytest.raises(ConfigError, match="must be one of demo, easy_vqa"):
        preset(name)


def test_the_agents_recipe_is_the_published_one() -> None:
    """LoRA rank 64 on q, k, v; AdamW, cosine, rate 1e-6, batch 2, context 10,240, 5 epochs.

    Of 20,000 rows 3 % are kept for probe, validation and test: 5 * 19,400 / 2 = 48,500 steps.
    """
    config = preset("t3_agent").config
    assert config.lora.targets == "q_proj|k_proj|v_proj"
    assert config.lora.parts == {"language"}
    assert config.budget == RankBudget(value=64)
    assert config.training.full_parts == frozenset()  # tower and token compressor stay as they are
    assert config.optimizer.lr == 1e-6
    assert isinstance(config.model, HubVlm)
    assert config.model.max_length == 10_240
    assert (config.training.batch_size, config.training.accumulation_steps) == (2, 1)
    assert isinstance(config.data, FileData)
    split = config.data.split
    kept = split.probe_fraction + split.validation_fraction + split.test_fraction
    assert config.training.steps == round(5 * 20_000 * (1 - kept) / 2) == 48_500


@pytest.mark.parametrize("name", ["mobilevlm_v1_1.7b_stage1", "mobilevlm_v2_1.7b_stage1"])
def test_stage_one_has_the_papers_batch_rate_and_schedule(name: str) -> None:
    """Batch 32 x 8 = 256, rate 1e-3, cosine after 3 % of warm-up, no decay of weights."""
    config = preset(name).config
    training = config.training
    assert training.batch_size * training.accumulation_steps == 256
    assert (config.optimizer.lr, config.optimizer.full_lr_ratio) == (1e-3, 1.0)
    assert (training.warmup_fraction, config.optimizer.weight_decay) == (0.03, 0.0)
    assert (config.scheduler.kind, config.lora.parts) == ("full", frozenset())
    assert training.full_parts == {"projector"}
    assert isinstance(config.model, MobileVlm)
    assert config.model.prompt == "plain"
