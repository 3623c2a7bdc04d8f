"""What a run would cost: sums by hand, what is compared with what, and when it warns."""

import json
from pathlib import Path
from typing import Any

import pytest

from rankscope.models.cost.activations import Trained
from rankscope.models.cost.sizes import ModelSizes, PictureSizes
from rankscope.models.inventory import AdaptableModule, Linears, Part
from rankscope.models.reading import parse_config
from rankscope.models.schedulers import PLANNERS
from rankscope.models.vlms.linears import embedded_linears
from rankscope.models.vlms.smol.sizes import smol_linears
from rankscope.storage.settings import Settings
from rankscope.storage.speeds import MeasuredSpeed, remember_speed
from rankscope.tasks import machine
from rankscope.tasks.costing import Cost, cost_of
from rankscope.tasks.planning import plan_run

SIZES = ModelSizes(
    vocabulary=100,
    num_heads=2,
    context_tokens=512,
    picture=PictureSizes(patches=16, tokens=4, of="a picture of 8 x 8 px"),
)


def linears(sizes: ModelSizes | None = SIZES) -> Linears:
    """q_proj 8 x 8, up_proj 8 x 24 in the language model; fc1 6 x 10 in the tower."""
    places: tuple[tuple[Part, str, int, int], ...] = (
        ("vision", "fc1", 6, 10),
        ("language", "q_proj", 8, 8),
        ("language", "up_proj", 8, 24),
    )
    return Linears(
        modules=tuple(
            AdaptableModule(
                name=f"{part}.{kind}", part=part, layer=0, type=kind, d_in=d_in, d_out=d_out
            )
            for part, kind, d_in, d_out in places
        ),
        params_by_part={"vision": 300, "projector": 100, "language": 600},
        sizes=sizes,
    )


def cost(home: Path, of: Linears | None = None, **changes: Any) -> Cost:
    listed = of or linears()
    raw = {"data": {"kind": "scenes"}, "training": {"steps": 100}, **changes}
    config = parse_config(raw)
    planned = plan_run(config, listed.select(config.lora.targets, config.lora.parts))
    return cost_of(config, planned, listed, Settings(rankscope_home=home), None)


def test_fixed_memory_by_hand(tmp_path: Path) -> None:
    """Float32, 48 adapter parameters: base 4 x 1000, adapters and gradients 4 x 48, moments 2."""
    memory = cost(tmp_path).memory
    assert (memory.base_weights_bytes, memory.adapters_bytes) == (4000, 192)
    assert (memory.gradients_bytes, memory.optimizer_bytes) == (192, 384)
    moving = max(memory.activations_bytes, memory.scoring_bytes)
    assert memory.allocator_bytes == moving
    fixed = 4000 + 192 + 192 + 384
    assert memory.total_bytes == fixed + 2 * moving + memory.libraries_bytes


def test_weights_trained_in_full_have_gradients_and_moments_of_their_own(tmp_path: Path) -> None:
    """The projector's 100 beside 48; full tuning trains 8 x 8 + 8 x 24 = 256 and no adapter."""
    beside = cost(tmp_path, training={"steps": 9, "full_parts": ["projector"]})
    assert beside.memory.gradients_bytes == 4 * (48 + 100)
    assert beside.trainable_params == 148
    assert beside.parts["projector"].how == "full"
    full = cost(tmp_path, scheduler={"kind": "full"})
    assert (full.memory.gradients_bytes, full.memory.optimizer_bytes) == (1024, 2048)
    assert (full.parts["language"].how, full.parts["language"].trainable_params) == ("full", 256)
    assert full.disk.adapter_bytes == 0


@pytest.mark.parametrize(
    ("precision", "linear_bits", "other_bytes"),
    [("fp32", 32, 4), ("bf16", 16, 2), ("int8", 8, 2), ("nf4", 4.127, 2)],
)
def test_the_base_weighs_what_its_precision_says(
    tmp_path: Path, precision: str, linear_bits: float, other_bytes: int
) -> None:
    """316 of 1,000 weights are in linears, which alone are quantised."""
    model = {"kind": "hub", "source": "a/b", "precision": precision}
    weights = cost(tmp_path, model=model).memory.base_weights_bytes
    assert weights == round(316 * linear_bits / 8 + 684 * other_bytes)


def test_a_longer_batch_takes_more_memory_and_checkpointing_less(tmp_path: Path) -> None:
    model = {"kind": "hub", "source": "a/b"}
    few, many = (
        cost(tmp_path, model=model, training={"batch_size": n}).memory.activations_bytes
        for n in (2, 8)
    )
    assert many == pytest.approx(4 * few, rel=0.01)


def test_disk_holds_two_checkpoints_and_the_one_being_written(tmp_path: Path) -> None:
    """Adapters and two moments, 3 x 192 bytes, beside some state."""
    disk = cost(tmp_path).disk
    assert disk.adapter_bytes == 192
    assert 3 * 192 < disk.checkpoint_bytes < 3 * 192 + 100_000
    assert disk.total_bytes == 3 * disk.checkpoint_bytes + 192 + disk.database_bytes


def test_time_rests_on_what_this_machine_was_measured_to_do(tmp_path: Path) -> None:
    assumed = cost(tmp_path).time
    assert assumed is not None
    assert "assumed" in assumed.basis
    here = machine.training_device().name
    remember_speed(
        Settings(rankscope_home=tmp_path),
        MeasuredSpeed(device=here, format="fp32", num_threads=1, flops_per_s=1e6, call_s=1e-3),
    )
    slow = cost(tmp_path).time
    assert slow is not None
    assert "measured here" in slow.basis
    assert slow.step_s.low > assumed.step_s.high


def test_a_run_takes_its_steps_its_scores_and_its_measurements(tmp_path: Path) -> None:
    def seconds(**changes: Any) -> tuple[float, float]:
        time = cost(tmp_path, embedded_linears(), **changes).time
        assert time is not None
        assert time.scores_s is not None
        assert time.measurements_s is not None
        assert time.total_s.low > 100 * time.step_s.low + time.scores_s.low
        return time.scores_s.high, time.measurements_s.high

    plain = seconds()
    assert plain[1] == 0
    assert seconds(scheduler={"kind": "hydra"})[1] > 0
    assert seconds(scheduler={"kind": "gradient"})[1] > 0
    fewer = {"validation_items": 0, "test_items": 100, "before": False, "shuffled_images": False}
    assert seconds(evaluation=fewer)[0] < plain[0]


@pytest.mark.parametrize("planner", PLANNERS)
def test_every_planner_can_be_costed(tmp_path: Path, planner: Any) -> None:
    kind = planner.model_fields["kind"].default
    if kind == "fixed":  # it plans what it is given, and nothing by default
        return
    assert cost(tmp_path, embedded_linears(), scheduler={"kind": kind}).time is not None


def test_rows_of_files_at_hand_are_counted(tmp_path: Path) -> None:
    """35 characters at 3.5 a token, 40 around them and 4 of the picture: 54 tokens."""
    rows = [
        {
            "id": str(number),
            "image": "a.png",
            "conversations": [
                {"from": "human", "value": "<image>" + 8 * "x"},
                {"from": "gpt", "value": 19 * "y"},
            ],
        }
        for number in range(300)
    ]
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "rows.json").write_text(json.dumps(rows), encoding="utf-8")
    model = {"kind": "hub", "source": "a/b"}
    told = cost(tmp_path, model=model, data={"kind": "files", "path": "rows.json"}).lengths
    assert told is not None
    assert (told.typical_tokens, told.longest_tokens, told.visual_tokens) == (54, 54, 4)
    assert "first 256 rows" in told.basis
    away = cost(tmp_path, model=model, data={"kind": "files", "path": "no.json"}).lengths
    assert away is not None
    assert away.longest_tokens == 512
    assert "not at hand" in away.basis


def test_a_model_of_unknown_sizes_is_costed_without_activations_and_time(tmp_path: Path) -> None:
    told = cost(tmp_path, linears(None))
    assert (told.lengths, told.time, told.memory.activations_bytes) == (None, None, 0)
    assert told.memory.total_bytes > 4000


def test_what_does_not_fit_is_said_with_a_remedy(tmp_path: Path) -> None:
    """A batch of 4,096 rows of 512 tokens whose head has ten million words."""
    large = SIZES.model_copy(update={"vocabulary": 10**7})
    model = {"kind": "hub", "source": "a/b"}
    data = {"kind": "hub", "id": "a/b"}
    told = cost(tmp_path, linears(large), model=model, data=data, training={"batch_size": 4096})
    assert told.fit == "too_large"
    assert told.memory.total_bytes > told.machine.memory_bytes
    assert "memory exceeds what" in told.warnings[0]
    assert "; lower " in told.warnings[0]
    assert cost(tmp_path).fit == "fits"


def test_a_device_that_is_not_there_is_told(tmp_path: Path) -> None:
    told = cost(tmp_path, training={"device": "cuda:7"})
    assert told.machine.kind == "cpu"
    assert "training.device must be there, got cuda:7" in told.warnings[0]


def test_processes_on_one_processor_share_its_memory_and_the_batch(tmp_path: Path) -> None:
    """Two hold the model twice, and each the activations of half a batch."""
    large = SIZES.model_copy(update={"vocabulary": 20_000})
    alone = cost(tmp_path, linears(large), training={"batch_size": 64})
    two = cost(tmp_path, linears(large), training={"batch_size": 64, "num_processes": 2})
    assert two.num_processes == 2
    assert two.memory.base_weights_bytes == alone.memory.base_weights_bytes
    half = cost(tmp_path, linears(large), training={"batch_size": 32})
    assert two.memory.activations_bytes == half.memory.activations_bytes
    assert (
        2 * two.memory.activations_bytes - alone.memory.activations_bytes
    ) < 0.2 * alone.memory.activations_bytes


def test_features_of_pictures_are_kept_on_disk_where_the_tower_is_frozen(tmp_path: Path) -> None:
    """Smol: 5 tokens of 1,280 float32 for each of 100 + 60 + 50 + 200 pictures."""
    data = {
        "kind": "emoji",
        "train_items": 100,
        "probe_items": 60,
        "validation_items": 50,
        "test_items": 200,
    }
    told = cost(tmp_path, smol_linears(), model={"kind": "smol"}, data=data)
    assert told.disk.features_bytes == 410 * 5 * 1280 * 4
    assert cost(tmp_path).disk.features_bytes == 0


def test_ranks_in_eights_are_advised_on_a_gpu_in_bf16_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The driver's tool is played by a script: this is about machines that tests do not have."""
    tools = tmp_path / "tools"
    tools.mkdir()
    tool = tools / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho 'NVIDIA T, 81559, 80000'\n", encoding="utf-8")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:/bin:/usr/bin")
    machine._accelerators.cache_clear()
    try:
        half = {"precision": "bf16"}
        told = cost(tmp_path, training=half)
        assert (told.machine.kind, told.machine.name) == ("cuda", "NVIDIA T")
        assert told.machine.memory_bytes == 81_559 * 2**20
        assert told.memory.allocator_bytes == 0
        assert any("multiples of 8" in warning for warning in told.warnings)
        eights = {"rank_multiple": 8, "max_rank": 8}
        budget = {"unit": "rank", "value": 8}
        assert not cost(tmp_path).warnings
        assert not cost(tmp_path, training=half, lora=eights, budget=budget).warnings
    finally:
        machine._accelerators.cache_clear()


def test_what_is_trained_tells_which_parts_gradients_pass() -> None:
    modules = linears().modules
    assert Trained({"vision.fc1": 1}).reaches(modules, "vision")
    assert not Trained({"vision.fc1": 0}).reaches(modules, "vision")
    assert Trained({}, full_parts=frozenset({"projector"})).reaches(modules, "projector")
