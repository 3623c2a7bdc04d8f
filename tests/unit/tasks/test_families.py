"""Every family through the real path: own files, elastic ranks, a part in full, export, reload.

All runs share one process and one database; the checkpoints are the smallest of their kind.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
import torch
from peft import PeftModel
from PIL import Image, ImageDraw
from safetensors.torch import load_file
from sqlalchemy import Engine
from torch import Tensor, nn
from transformers import AutoModelForImageTextToText, PreTrainedModel

from rankscope.models.config import RunConfig
from rankscope.models.events import Event, StepDone
from rankscope.models.full_parts import FILE_NAME
from rankscope.models.inventory import PARTS, place_of
from rankscope.models.lora.inventory import find_modules
from rankscope.models.reading import parse_config
from rankscope.models.roots import Roots
from rankscope.models.vlms.loading import load_vlm
from rankscope.models.vlms.mobilevlm.checkpoints import load_checkpoint
from rankscope.models.vlms.mobilevlm.sizes import ProjectorKind
from rankscope.storage import history
from rankscope.storage.artifacts import RunFolder
from rankscope.storage.database import migrate, open_database
from rankscope.storage.runs import begin_attempt, create_run, get_run
from rankscope.storage.settings import Settings
from rankscope.tasks.build import assemble, make_trainer
from rankscope.tasks.callback import RunCallback
from rankscope.tasks.checkpoints import (
    CHECKPOINTS,
    Tensors,
    list_checkpoints,
    read_checkpoint,
    trained_tensors,
)
from rankscope.tasks.checkpoints import load_trained as load_checkpointed
from rankscope.tasks.exporting import export
from rankscope.tasks.loop import seed_everything
from rankscope.tasks.scoring import exact_match, mean_loss
from rankscope.tasks.trainer import train
from tests.helpers.tiny_tokenizers import save_llama_tokenizer
from tests.helpers.tiny_vlms import TINY_FAMILIES
from tests.unit.models.vlms.mobilevlm.official import (
    official_tensors,
    write_llama_and_clip,
    write_official,
    write_vision_config,
)
from tests.unit.models.vlms.mobilevlm.tiny import tiny_model

MOBILEVLMS: dict[str, ProjectorKind] = {"mobilevlm_v1": "ldpnet", "mobilevlm_v2": "ldpnetv2"}
FAMILIES = (*TINY_FAMILIES, *MOBILEVLMS)
COLORS = ("red", "green", "blue", "white", "black", "yellow")
NUM_ROWS = 30
SHORT: dict[str, Any] = {
    "data": {
        "kind": "files",
        "path": "rows.json",
        "split": {"probe_fraction": 0.1, "validation_fraction": 0.1, "test_fraction": 0.2},
    },
    "scheduler": {
        "kind": "elalora",
        "warmup_fraction": 0.1,
        "final_fraction": 0.1,
        "interval_fraction": 0.2,
        "grace_events": 0,
    },
    "budget": {"unit": "rank", "value": 2},
    "lora": {"parts": ["vision", "language"], "targets": ".*", "max_rank": 4},
    "optimizer": {"lr": 0.01},
    "evaluation": {
        "validation_items": 2,
        "test_items": 2,
        "before": False,
        "shuffled_images": False,
        "batch_size": 2,
    },
}


@dataclass(frozen=True)
class Place:
    """Database, data and models of all runs here."""

    engine: Engine
    settings: Settings

    def model(self, family: str) -> dict[str, object]:
        """A family's tiny checkpoint as a run names it, written when first asked for."""
        folder = self.settings.roots.models / family
        if not folder.exists():
            folder.mkdir()
            if family in MOBILEVLMS:
                model = tiny_model(MOBILEVLMS[family])
                write_official(folder, model, official_tensors(model))
                save_llama_tokenizer(folder, ("<unk>", "<s>", "</s>"))
                clip = self.settings.roots.models / f"{family}_clip"
                write_vision_config(clip, model.config.vision_config)
            else:
                TINY_FAMILIES[family](folder)
        own: dict[str, object]
        if family in MOBILEVLMS:
            own = {"kind": "mobilevlm", "folder": family, "vision_folder": f"{family}_clip"}
        else:
            own = {"kind": "hub", "source": family, "max_length": 512}
        return {**own, "max_answer_tokens": 2, "gradient_checkpointing": True}

    def config(
        self,
        family: str,
        precision: str,
        *,
        lora: Mapping[str, object] = MappingProxyType({}),
        **training: object,
    ) -> RunConfig:
        model = {**self.model(family), "precision": precision}
        told = {"steps": 10, "batch_size": 4, "precision": precision, "full_parts": ["projector"]}
        changed = {"model": model, "training": told | training, "lora": SHORT["lora"] | {**lora}}
        return parse_config(SHORT | changed)

    def run(self, config: RunConfig) -> str:
        """Train to the end; returns the run's id."""
        vlm = load_vlm(config.model, CPU, self.settings.roots)
        inventory = find_modules(vlm.model, config.lora.targets, config.lora.parts)
        run_id = create_run(
            self.engine,
            config,
            origin="external",
            owner="test",
            inventory=inventory,
            budget_params=config.budget.params(inventory),
        )
        attempt = begin_attempt(self.engine, run_id, worker_id=None, lease_s=60.0)
        status = train(self.engine, self.settings, run_id, attempt, lease_s=60.0)
        assert status == "done", history.log_lines(self.engine, run_id)["text"].tolist()
        return run_id

    def live(self, run_id: str) -> tuple[nn.Module, dict[str, Tensor]]:
        """The run's own model at its last checkpoint, and a batch of its test."""
        config = get_run(self.engine, run_id).config
        folder = RunFolder(self.settings, run_id).inside(CHECKPOINTS)
        state, tensors = read_checkpoint(list_checkpoints(folder)[-1], config.hash())
        assembled = assemble(config, self.settings.roots, emit=lambda _: None)
        load_checkpointed(assembled.tuning, state, tensors)
        examples = assembled.splits.test.examples(range(2))
        return assembled.tuning.model, assembled.vlm.processor.prompt_batch(examples)


CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    home = tmp_path_factory.mktemp("families")
    settings = Settings(rankscope_home=home, database_url=f"sqlite:///{home}/rankscope.db")
    settings.roots.models.mkdir()
    settings.roots.data.mkdir()
    write_rows(settings.roots.data)
    engine = open_database(settings.database_url)
    migrate(engine)
    yield Place(engine, settings)
    engine.dispose()


def write_rows(folder: Path) -> None:
    """LLaVA's format, a picture a row, of two shapes."""
    rows = []
    for number in range(NUM_ROWS):
        color = COLORS[number % len(COLORS)]
        image = Image.new("RGB", (40, 30) if number % 2 else (30, 44), color)
        ImageDraw.Draw(image).line((0, number, 29, number), fill="gray")
        image.save(folder / f"{number}.png")
        asked = {"from": "human", "value": "<image>\nWhat color is the bus?"}
        said = {"from": "gpt", "value": f"The bus is {color}."}
        conversation = {"id": str(number), "image": f"{number}.png", "conversations": [asked, said]}
        rows.append(conversation)
    (folder / "rows.json").write_text(json.dumps(rows), encoding="utf-8")


def stock_base(place: Place, family: str) -> PreTrainedModel:
    """The base model as anybody loads it, in float32."""
    folder = place.settings.roots.models / family
    if family in MOBILEVLMS:
        return load_checkpoint(folder, vision_folder=folder.with_name(f"{family}_clip"))
    base = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32)
    assert isinstance(base, PreTrainedModel)
    return base


@pytest.mark.parametrize("family", FAMILIES)
def test_an_elastic_run_exports_what_stock_peft_loads_to_the_same_logits(
    place: Place, family: str, tmp_path: Path
) -> None:
    run_id = place.run(place.config(family, "fp32"))
    moves = [one for one in history.decisions(place.engine, run_id) if one.decision.kind == "apply"]
    assert len(moves) >= 3
    samples = history.numel_samples(place.engine, run_id)["live_params"]
    run = get_run(place.engine, run_id)
    assert run.budget_params is not None
    assert samples.max() <= run.budget_params
    assert run.data_record is not None
    assert run.data_record.num_rows == NUM_ROWS

    folder = tmp_path / "adapter"
    answer = export(place.engine, place.settings, run_id, folder)
    assert answer["base_params"] == run.other_trainable_params != 0
    told = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
    assert told["base_model_name_or_path"] == family
    live, batch = place.live(run_id)
    held = [p for name, p in live.named_parameters() if "lora_B" in name and p.numel()]
    assert all((b != 0).any() for b in held)
    base = stock_base(place, family)
    untrained = {name: p.detach().clone() for name, p in base.named_parameters()}
    trained = load_file(folder / FILE_NAME)
    assert trained.keys() == {name for name in untrained if place_of(name)[0] == "projector"}
    assert not any(torch.equal(weight, untrained[name]) for name, weight in trained.items())
    base.load_state_dict(trained, strict=False)
    loaded = PeftModel.from_pretrained(base, str(folder)).eval()
    with torch.no_grad():
        expected, got = live.eval()(**batch).logits, loaded(**batch).logits
    largest = float(expected.abs().max())
    torch.testing.assert_close(got, expected, atol=1e-5 * max(1.0, largest), rtol=0)


ALONE, ALL_BUT_WORDS, WORDS = ["projector"], ["vision", "projector"], ["language"]


@pytest.mark.parametrize(
    ("family", "full_parts"),
    [
        *((family, ALONE) for family in FAMILIES),
        *(
            (family, parts)
            for family in ("smolvlm", "qwen2_5_vl", "mobilevlm_v1")
            for parts in (ALL_BUT_WORDS, WORDS)
        ),
    ],
)
def test_a_part_in_full_is_float32_in_a_bfloat16_model_that_trains_and_generates(
    place: Place, family: str, full_parts: list[str]
) -> None:
    others = [part for part in PARTS if part not in full_parts]
    config = place.config(family, "bf16", lora={"parts": others}, full_parts=full_parts)
    assembled = assemble(config, place.settings.roots, emit=lambda _: None)
    vlm, model = assembled.vlm, assembled.tuning.model
    examples = assembled.splits.train.examples(range(2))
    model.train()
    model(**vlm.processor.training_batch(examples)).loss.backward()
    for name, parameter in vlm.model.named_parameters():
        is_full = place_of(name)[0] in full_parts
        assert parameter.requires_grad == (is_full or ".lora_" in name)
        assert (parameter.dtype == torch.float32) == parameter.requires_grad
        if is_full and "post_layernorm" not in name:  # which MobileVLM's tower does not read
            assert parameter.grad is not None, name
            assert float(parameter.grad.abs().max()) > 0, name
    said = exact_match(model, vlm, assembled.splits.test.head(2), batch_size=2)
    assert len(said.correct_N) == 2
    assert mean_loss(model, vlm, assembled.splits.test.head(2), batch_size=2) > 0


def trained_for(
    config: RunConfig, roots: Roots, folder: Path, *, stop_after: int | None = None
) -> tuple[Tensors, list[float]]:
    """What a run has trained when it ends or is stopped, and its losses; goes on if it can."""
    events: list[Event] = []
    seed_everything(config.seed)
    assembled = assemble(config, roots, events.append)
    callback = RunCallback(
        config,
        assembled.inventory,
        emit=events.append,
        flush=lambda: None,
        requested=lambda: "stop" if trainer.state.global_step == stop_after else None,
        score_validation=lambda _: None,
    )
    trainer = make_trainer(config, assembled, folder, callback)
    checkpoints = list_checkpoints(folder)
    trainer.train(resume_from_checkpoint=str(checkpoints[-1]) if checkpoints else None)
    losses = [event.loss for event in events if isinstance(event, StepDone)]
    return trained_tensors(assembled.tuning), losses


@pytest.mark.parametrize("family", ["qwen2_5_vl", "mobilevlm_v1"])
def test_a_bfloat16_run_with_a_part_in_full_goes_on_bitwise(
    place: Place, family: str, tmp_path: Path
) -> None:
    config, roots = place.config(family, "bf16", steps=7), place.settings.roots
    whole, losses = trained_for(config, roots, tmp_path / "whole")
    _, first = trained_for(config, roots, tmp_path / "cut", stop_after=4)
    cut, second = trained_for(config, roots, tmp_path / "cut")
    assert first + second == losses
    assert cut.keys() == whole.keys()
    assert any(name.startswith("other/") for name in cut)
    assert all(torch.equal(cut[name], tensor) for name, tensor in whole.items())


def test_the_projector_of_stage_one_is_taken_over_by_stage_two(place: Place) -> None:
    """Stage I has no adapter at all; what it exports lies below the models root."""
    models, model = place.settings.roots.models, tiny_model("ldpnet")
    llama, clip = write_llama_and_clip(models, model)
    save_llama_tokenizer(llama, ("<unk>", "<s>", "</s>"))
    begun: dict[str, Any] = {
        "kind": "mobilevlm",
        "size": "v1_1.7b",
        "folder": llama.name,
        "vision_folder": clip.name,
        "gradient_checkpointing": True,
        "max_answer_tokens": 2,
    }
    told = {"steps": 3, "batch_size": 4, "precision": "bf16", "full_parts": ["projector"]}
    alone = {"scheduler": {"kind": "full"}, "lora": {"parts": []}}
    captions = {**begun, "prompt": "plain"}
    one = place.run(parse_config(SHORT | alone | {"model": captions, "training": told}))
    run = get_run(place.engine, one)
    num_projector = sum(p.numel() for p in model.projector.parameters())
    assert (run.budget_params, run.other_trainable_params) == (0, num_projector)
    assert history.numel_samples(place.engine, one)["live_params"].tolist() == [0]
    answer = export(place.engine, place.settings, one, models / "stage_one")
    assert (answer["params"], answer["base_params"]) == (0, num_projector)

    goes_on = {**begun, "projector_folder": "stage_one"}
    config = parse_config(SHORT | {"model": goes_on, "training": told})
    written = load_file(models / "stage_one" / FILE_NAME)
    loaded = load_vlm(config.model, CPU, place.settings.roots).model
    for name, weight in written.items():
        assert torch.equal(loaded.get_parameter(name), weight.to(torch.bfloat16)), name
    place.run(config)
