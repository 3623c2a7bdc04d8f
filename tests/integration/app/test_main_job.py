"""The main job as the README gives it: run the demo, look at it, compare, replay, export."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from peft import PeftModel
from transformers import PreTrainedModel

from rankscope.models.data import Scenes
from rankscope.models.reading import load_config
from rankscope.models.vlms.embedded.processing import load_embedded
from rankscope.storage import history
from rankscope.storage.database import open_database
from tests.helpers.command import TINY_RUN, CommandLine


class Finished(NamedTuple):
    """The demo after its run, and a short uniform run beside it."""

    rankscope: CommandLine
    summary: dict[str, Any]
    uniform: dict[str, Any]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, demo: str) -> Finished:
    rankscope = CommandLine(tmp_path_factory.mktemp("main_job"))
    summary = rankscope.answer("run", demo)
    uniform = rankscope.answer("run", demo, *TINY_RUN, "--set", "scheduler={kind: uniform}")
    return Finished(rankscope, summary, uniform)


def test_hydra_learns_within_the_budget_and_looks_at_the_pictures(finished: Finished) -> None:
    done = finished.summary
    assert done["status"] == "done"
    assert done["scheduler"] == "hydra"
    assert done["items"] >= 1000
    assert done["accuracy"] >= done["accuracy_before"] + 0.10
    assert done["accuracy"] >= done["accuracy_shuffled_images"] + 0.10
    assert done["accuracy"] >= done["accuracy_question_only"] + 0.10
    assert done["decisions"] >= 5
    assert done["rank_events"] >= 1
    assert done["params_moved"] > 0
    assert done["final_params"] <= done["max_live_params"] <= done["budget_params"] == 13_056


def test_every_count_of_the_real_tensors_was_within_the_budget(finished: Finished) -> None:
    engine = open_database(f"sqlite:///{finished.rankscope.home}/rankscope.db")
    samples = history.numel_samples(engine, finished.summary["run"])
    assert len(samples) > 10
    assert samples["live_params"].max() == finished.summary["max_live_params"]
    assert samples["sample"].tolist() == list(range(len(samples)))


def test_every_decision_is_shown_with_its_reason(finished: Finished) -> None:
    shown = finished.rankscope.answer("show", finished.summary["run"])
    log = shown["decision_log"]
    assert [one["step"] for one in log] == [0, 20, 40, 60, 80, 100]
    assert all(one["reason"] for one in log)
    moved = next(one for one in log if one["kind"] == "apply" and one["step"] > 0)
    assert moved["predicted_gain"] > moved["threshold"]
    assert moved["predicted_gain_sd"] > 0
    assert moved["reasons"].keys() == moved["ranks"].keys()
    assert sum(shown["ranks"].values()) > 0
    assert sum(rank > 0 for rank in shown["ranks"].values()) < len(shown["ranks"])


def test_plan_tells_the_ranks_the_run_began_with(finished: Finished, demo: str) -> None:
    planned = finished.rankscope.answer("plan", demo)
    costs = {m["name"]: m["d_in"] + m["d_out"] for m in planned["modules"]}
    ranks = {m["name"]: m["rank"] for m in planned["modules"]}
    assert planned["params"] == sum(costs[name] * rank for name, rank in ranks.items())
    assert planned["params"] <= planned["budget_params"] == 13_056
    engine = open_database(f"sqlite:///{finished.rankscope.home}/rankscope.db")
    assert history.rank_map(engine, finished.summary["run"], step=0) == ranks


def test_the_exported_adapter_loads_with_stock_peft_to_the_same_logits(
    finished: Finished, tmp_path: Path
) -> None:
    """Exported twice: the answer's own proof, and a second one here from the files alone."""
    first = finished.rankscope.answer(
        "export", finished.summary["run"], "--to", str(tmp_path / "one")
    )
    assert first["max_logit_difference"] <= 1e-5
    assert first["params"] == finished.summary["final_params"]
    base, processor = load_embedded()
    data = load_config(Path(__file__).parents[3] / "configs" / "demo.yaml").data
    assert isinstance(data, Scenes)
    test = data.load(processor.image_size_px).test
    adapted = PeftModel.from_pretrained(base, str(tmp_path / "one")).eval()
    assert isinstance(base, PreTrainedModel)
    right = 0
    for start in range(0, 512, 256):
        part = test.subset(range(start, start + 256))
        prompt = processor.prompt_batch(part.examples(range(256)))
        with torch.no_grad():
            output = adapted.generate(**prompt, max_new_tokens=3, do_sample=False)  # type: ignore[no-untyped-call]
        said = processor.decode(output[:, prompt["input_ids"].shape[1] :])
        right += sum(a == b for a, b in zip(said, part.answers, strict=True))
    engine = open_database(f"sqlite:///{finished.rankscope.home}/rankscope.db")
    after = next(
        e for e in history.evaluations(engine, finished.summary["run"]) if e.when == "after"
    )
    assert right == after.correct[:512].sum()


def test_an_export_into_a_full_folder_is_refused(finished: Finished, tmp_path: Path) -> None:
    (tmp_path / "something").touch()
    done = finished.rankscope("export", finished.summary["run"], "--to", str(tmp_path), code=2)
    assert "--to must be a new or empty folder" in done.stderr


def test_replay_of_the_same_scheduler_repeats_the_run(finished: Finished) -> None:
    run = finished.summary["run"]
    config = finished.rankscope.answer("show", run)["config"]["scheduler"]
    settings = [f"{key}={json.dumps(value)}" for key, value in config.items() if key != "kind"]
    overrides = [part for setting in settings for part in ("--set", setting)]
    again = finished.rankscope.answer("replay", run, "--scheduler", "hydra", *overrides)
    assert again["decisions"][-1]["ranks"] == finished.rankscope.answer("show", run)["ranks"]
    assert not any(one["is_off_policy"] or one["not_recorded"] for one in again["decisions"])


def test_replay_of_a_scheduler_without_ranks_of_its_own_is_refused(finished: Finished) -> None:
    run = finished.summary["run"]
    done = finished.rankscope("replay", run, "--scheduler", "adalora", code=2)
    assert "must be a planner" in done.stderr


def test_compare_puts_both_runs_side_by_side_and_says_what_is_unequal(finished: Finished) -> None:
    runs = (finished.uniform["run"], finished.summary["run"])
    done = finished.rankscope("compare", *runs, "--format", "json")
    compared = json.loads(done.stdout.splitlines()[-1])
    by_scheduler = {row["scheduler"]: row for row in compared["rows"]}
    assert by_scheduler["hydra"]["accuracy"] == finished.summary["accuracy"]
    assert (
        by_scheduler["hydra"]["low"] < finished.summary["accuracy"] < by_scheduler["hydra"]["high"]
    )
    assert "training.steps" in compared["differences"]
    assert any("not the same test items" in warning for warning in compared["warnings"])


def test_a_run_that_is_done_is_not_resumed(finished: Finished) -> None:
    done = finished.rankscope("resume", finished.summary["run"], code=2)
    (line,) = done.stderr.splitlines()
    assert "done" in line


def test_doctor_finds_this_machine_ready(finished: Finished) -> None:
    assert finished.rankscope.answer("doctor")["ok"] is True


@pytest.mark.parametrize(
    "overrides",
    [
        ["scheduler={kind: adalora}"],
        ["scheduler={kind: dora}"],
        ["scheduler={kind: eva}", "lora.scaling=rslora"],
        ["scheduler={kind: lora_ga}"],
        ["training.precision=bf16"],
        ["scheduler={kind: uniform}", "training.full_parts=[projector]"],
        [
            "scheduler={kind: uniform}",
            "lora.parts=[projector, language]",
            "lora.targets=linear_1|linear_2|down_proj",
        ],
    ],
    ids=["adalora", "dora", "eva", "lora_ga", "bf16", "projector trained", "projector adapted"],
)
def test_what_else_can_be_trained_exports_to_the_same_logits(
    rankscope: CommandLine, demo: str, tmp_path: Path, overrides: list[str]
) -> None:
    arguments = [part for override in overrides for part in ("--set", override)]
    done = rankscope.answer("run", demo, *TINY_RUN, *arguments)
    answer = rankscope.answer("export", done["run"], "--to", str(tmp_path / "adapter"))
    # Folding AdaLoRA's E into B and LoRA-GA's start into the base rounds anew; logits reach 20.
    is_rounded_anew = any(kind in overrides[0] for kind in ("adalora", "lora_ga"))
    assert answer["max_logit_difference"] <= (1e-4 if is_rounded_anew else 1e-5)
    assert answer["params"] > 0
    assert answer["base_params"] == done["other_trainable_params"]
    measures = done["scheduler"] in ("eva", "lora_ga", "hydra")
    assert (done["measurement_items"] > 0) == measures
    assert (done["measurement_s"] > 0) == measures
    # Two linear layers with biases (64 -> 128 -> 128), a depthwise 3 x 3 convolution, nine places.
    projector = (64 + 1) * 128 + (128 + 1) * 128 + (9 + 1) * 128 + 9 * 128
    is_trained = "training.full_parts=[projector]" in overrides
    assert done["other_trainable_params"] == (projector if is_trained else 0)


def test_what_full_fine_tuning_trained_is_exported_under_its_own_names(
    rankscope: CommandLine, demo: str, tmp_path: Path
) -> None:
    done = rankscope.answer("run", demo, *TINY_RUN, "--set", "scheduler={kind: full}")
    assert done["max_live_params"] == 983_040
    answer = rankscope.answer("export", done["run"], "--to", str(tmp_path / "trained"))
    assert (answer["params"], answer["base_params"]) == (0, 983_040)
    assert answer["max_logit_difference"] <= 1e-5
    assert [file.name for file in (tmp_path / "trained").iterdir()] == [
        "trained_weights.safetensors"
    ]
