"""Training state on disk: whole or not at all, bitwise, and refused in one line when unusable."""

import json
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from rankscope.models.full_tuning import FullTuning
from rankscope.models.lora.tuning import ElasticTuning
from rankscope.models.tuning import Tuning
from rankscope.tasks.checkpoints import (
    STATE_NAME,
    TENSORS_NAME,
    CheckpointError,
    CheckpointState,
    drop_old_checkpoints,
    list_checkpoints,
    load_trained,
    random_states,
    read_checkpoint,
    restore_random_states,
    trained_tensors,
    write_checkpoint,
)
from tests.unit.tasks import tiny

HASH = "a" * 64


def state_of(step: int = 3) -> CheckpointState:
    python_random, numpy_random, _ = random_states()
    return CheckpointState(
        config_hash=HASH,
        step=step,
        ranks={"a": 1, "b": 0},
        num_threads=2,
        lr_factors={"a": 0.1},
        last_epoch=step,
        memory={"posterior": {"mean": [0.1, -1e-300]}, "last": None},
        saliency={"a": {"sums": [1 / 3], "weights": [0.1]}, "b": {"sums": [], "weights": []}},
        train_loss=2.7182818284590455,
        num_samples=5,
        python_random=python_random,
        numpy_random=numpy_random,
    )


def tensors() -> dict[str, Tensor]:
    shared = torch.arange(12, dtype=torch.float32).reshape(3, 4)
    return {
        "plain": torch.randn(3, 5),
        "odd": torch.tensor([float("nan"), float("inf"), -0.0, 1e-45]),
        "no rows": torch.empty(0, 7),
        "no columns": torch.empty(7, 0),
        "half": torch.randn(4).to(torch.bfloat16),
        "step": torch.tensor(7.0),
        "count": torch.tensor(3),
        "turned": shared.T,
        "view": shared[1:],
    }


def bits(tensor: Tensor) -> tuple[torch.dtype, tuple[int, ...], bytes]:
    whole = tensor.detach().contiguous()
    return whole.dtype, tuple(whole.shape), whole.reshape(-1).view(torch.uint8).numpy().tobytes()


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_what_is_written_is_read_bit_by_bit(tmp_path: Path) -> None:
    state, written = state_of(), tensors()
    folder = tmp_path / "checkpoints" / "step-000000003"
    size_bytes = write_checkpoint(folder, state, written, {"note.txt": "hällo"})
    again, read = read_checkpoint(folder, HASH)
    assert again == state
    assert read.keys() == written.keys()
    assert {k: bits(t) for k, t in read.items()} == {k: bits(t) for k, t in written.items()}
    assert (folder / "note.txt").read_text(encoding="utf-8") == "hällo"
    assert size_bytes == sum(len(content) for content in files(folder).values())
    assert [path.name for path in folder.parent.iterdir()] == ["step-000000003"]


def test_random_states_come_back_through_a_checkpoint(tmp_path: Path) -> None:
    def draw() -> tuple[float, float, list[float], list[float]]:
        normal = np.random.normal()  # noqa: NPY002 - libraries draw from it
        return random.random(), random.gauss(), [normal], torch.randn(3).tolist()

    draw()  # leaves Python and numpy with the second half of a pair of normals in hand
    python_random, numpy_random, held = random_states()
    state = state_of().model_copy(
        update={"python_random": python_random, "numpy_random": numpy_random}
    )
    write_checkpoint(tmp_path / "step-1", state, held, {})
    expected = [draw() for _ in range(3)]
    restore_random_states(*read_checkpoint(tmp_path / "step-1", HASH))
    assert [draw() for _ in range(3)] == expected


def test_a_write_that_fails_leaves_nothing(tmp_path: Path) -> None:
    """The last file cannot be written, when tensors and state are already there."""
    with pytest.raises(CheckpointError, match=r"must be written whole, step-1 was not .*; free"):
        write_checkpoint(tmp_path / "step-1", state_of(), tensors(), {"no/such/folder.txt": ""})
    assert list(tmp_path.iterdir()) == []


def test_a_write_that_fails_leaves_the_older_checkpoint_of_that_step(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "step-1", state_of(), tensors(), {})
    before = files(tmp_path)
    with pytest.raises(CheckpointError, match=r"must be written whole, step-1 was not .*; free"):
        write_checkpoint(tmp_path / "step-1", state_of(), tensors(), {"no/such/folder.txt": ""})
    assert files(tmp_path) == before


def test_a_checkpoint_written_again_holds_the_new_state_only(tmp_path: Path) -> None:
    """What a killed process left half written does not disturb either."""
    folder = tmp_path / "step-1"
    write_checkpoint(folder, state_of(), tensors(), {"old.txt": ""})
    (tmp_path / ".step-1.partial").mkdir()
    (tmp_path / ".step-1.partial" / "rubbish").write_text("x")
    write_checkpoint(folder, state_of().model_copy(update={"train_loss": 1.0}), tensors(), {})
    assert read_checkpoint(folder, HASH)[0].train_loss == 1.0
    assert sorted(files(tmp_path)) == [f"step-1/{STATE_NAME}", f"step-1/{TENSORS_NAME}"]


def change_state(folder: Path, **changes: object) -> None:
    path = folder / STATE_NAME
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-9])


@pytest.mark.parametrize(
    ("spoil", "rule", "remedy"),
    [
        (
            lambda f: change_state(f, version=2),
            "must have format version 1, step-1 has 2",
            "resume it with the release that wrote it",
        ),
        (
            lambda f: change_state(f, config_hash="b" * 64),
            f"belongs to one configuration, step-1 is of {'b' * 12}, this run of {'a' * 12}",
            "start a new run instead",
        ),
        (lambda f: change_state(f, step="x"), "must be readable, step-1 is not", "earlier one"),
        (lambda f: cut(f / STATE_NAME), "must be readable, step-1 is not", "earlier one"),
        (
            lambda f: (f / STATE_NAME).write_text("[]"),
            "must have format version 1, step-1 has None",
            "resume it with the release that wrote it",
        ),
        (lambda f: cut(f / TENSORS_NAME), "must be readable, step-1 is not", "earlier one"),
        (
            lambda f: (f / TENSORS_NAME).write_bytes(b"\0" * 64),
            "must be readable, step-1 is not",
            "earlier one",
        ),
        (lambda f: (f / TENSORS_NAME).unlink(), "must be readable, step-1 is not", "earlier one"),
        (lambda f: (f / STATE_NAME).unlink(), "must be readable, step-1 is not", "earlier one"),
    ],
    ids=[
        "another version",
        "another config",
        "wrong type",
        "cut state",
        "no object",
        "cut tensors",
        "no tensors' header",
        "tensors missing",
        "state missing",
    ],
)
def test_an_unusable_checkpoint_is_refused_in_one_line(
    tmp_path: Path, spoil: "object", rule: str, remedy: str
) -> None:
    folder = tmp_path / "step-1"
    write_checkpoint(folder, state_of(), tensors(), {})
    assert callable(spoil)
    spoil(folder)
    with pytest.raises(CheckpointError) as caught:
        read_checkpoint(folder, HASH)
    message = str(caught.value)
    assert "\n" not in message
    assert rule in message
    assert message.endswith(remedy)


def test_only_the_last_two_are_kept(tmp_path: Path) -> None:
    for step in (5, 12, 100, 7):
        write_checkpoint(tmp_path / f"step-{step:09d}", state_of(step), {}, {})
    (tmp_path / "step-000000999").mkdir()  # no state: not a checkpoint
    steps = [int(path.name.removeprefix("step-")) for path in list_checkpoints(tmp_path)]
    assert steps == [5, 7, 12, 100]
    drop_old_checkpoints(tmp_path)
    steps = [int(path.name.removeprefix("step-")) for path in list_checkpoints(tmp_path)]
    assert steps == [12, 100]
    drop_old_checkpoints(tmp_path)
    assert len(list_checkpoints(tmp_path)) == 2


def test_a_run_that_saved_nothing_has_no_checkpoint(tmp_path: Path) -> None:
    assert list_checkpoints(tmp_path / "never made") == []
    drop_old_checkpoints(tmp_path / "never made")


def elastic_tuning(*, is_stirred: bool) -> Tuning:
    vlm = tiny.vlm()
    return ElasticTuning(tiny.elastic_of(vlm, 1, is_stirred=is_stirred))


def full_tuning(*, is_stirred: bool) -> Tuning:
    vlm = tiny.vlm()
    tuning = FullTuning(vlm.model, tiny.inventory_of(vlm))
    if is_stirred:
        with torch.no_grad():
            for name in tuning.modules_of_parameters():
                vlm.model.get_parameter(name).mul_(1.5)
    return tuning


@pytest.mark.parametrize("make", [elastic_tuning, full_tuning])
def test_all_that_is_trained_comes_back_bitwise_with_its_shapes(make: "object") -> None:
    """Adapters at other ranks, or weights; and a projector trained beside them."""
    assert callable(make)
    tuning, fresh = make(is_stirred=True), make(is_stirred=False)
    for one in (tuning, fresh):
        for name, parameter in one.model.named_parameters():
            if "projector." in name:
                parameter.requires_grad_(requires_grad=True)
    if isinstance(tuning, ElasticTuning):
        names = list(tuning.ranks())
        tuning.elastic.resize({names[0]: 0, names[1]: 3}, None, budget=10**6)
    with torch.no_grad():
        for name, parameter in tuning.model.named_parameters():
            if "projector." in name:
                parameter.add_(0.25)
    saved = trained_tensors(tuning)
    assert {bits(t) for t in saved.values()} != {bits(t) for t in trained_tensors(fresh).values()}
    load_trained(fresh, state_of().model_copy(update={"ranks": tuning.ranks()}), saved)
    assert fresh.ranks() == tuning.ranks()
    for (name, one), (other_name, other) in zip(
        tuning.model.named_parameters(), fresh.model.named_parameters(), strict=True
    ):
        assert name == other_name
        assert bits(one) == bits(other), name


def test_the_scale_of_half_precision_losses_survives(tmp_path: Path) -> None:
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0, growth_interval=7)
    state = state_of().model_copy(update={"loss_scale": scaler.state_dict()})
    write_checkpoint(tmp_path / "step-000000003", state, {}, {})
    read, _ = read_checkpoint(tmp_path / "step-000000003", HASH)
    other = torch.amp.GradScaler("cpu")
    other.load_state_dict(read.loss_scale)
    assert other.state_dict() == scaler.state_dict()
    assert isinstance(read.loss_scale["growth_interval"], int)
