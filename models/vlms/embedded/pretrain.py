"""Pretrain the embedded model: ``python -m rankscope.models.vlms.embedded.pretrain``.

Two stages on one core. First the vision tower and the projector learn what stands in which cell,
read off by two linear heads that are thrown away. Then everything learns to answer questions.

Shape letters: B batch, V visual tokens (one per cell), K classes.
"""

import argparse
import json
import math
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random

import torch
from torch import Tensor, nn

from rankscope.models.data.parts import example_of
from rankscope.models.data.scenes_drawing import COLORS, SHAPES, Scene
from rankscope.models.data.scenes_questions import (
    CELLS_PER_SIDE,
    PRETRAINING_ASKERS,
    ask_color,
    ask_count,
    ask_existence,
    ask_position,
    ask_shape,
)
from rankscope.models.lora.inventory import list_linears
from rankscope.models.vlms.embedded.modeling import (
    EmbeddedVlmConfig,
    EmbeddedVlmForConditionalGeneration,
)
from rankscope.models.vlms.embedded.pretrain_batches import known_words, sample_batch
from rankscope.models.vlms.embedded.processing import (
    EmbeddedProcessor,
    generate_answers,
    weights_dir,
)

LINEARS_FILE = "linears.json"
"""What can be adapted, for those who plan a run without loading the model."""
REPORT_FILE = "pretraining.json"


# Color and shape are learned within a few hundred steps; the other skills need all of them.
HARDER_SKILLS_MORE_OFTEN = (
    ask_color,
    ask_shape,
    *(ask_position, ask_count, ask_existence),
    *(ask_position, ask_count, ask_existence),
    ask_position,
)


@dataclass(frozen=True)
class Recipe:
    """Everything that shapes the weights; the defaults made the shipped ones."""

    seed: int = 0
    vision_steps: int = 500
    vision_batch: int = 128
    vision_learning_rate: float = 6e-3
    content_std: float = 2.0
    place_std: float = 1.0
    word_std: float = 1.0
    language_steps: int = 3200
    language_batch: int = 24
    questions_per_scene: int = 4
    language_learning_rate: float = 1.5e-3
    # The vision tower can already see when the second stage begins.
    seeing_learning_rate: float = 5e-4
    warmup_steps: int = 100
    lone_fraction: float = 0.12
    held_out_items_per_skill: int = 1000


def learn_to_see(
    model: EmbeddedVlmForConditionalGeneration, processor: EmbeddedProcessor, recipe: Recipe
) -> None:
    """Stage one: color and shape per cell, and of a lone thing from the mean visual token."""
    rng = Random(recipe.seed * 2)  # noqa: S311 - pictures, not secrets
    width = model.config.text_config.hidden_size
    num_colors, num_shapes = len(COLORS), len(SHAPES)
    cell_head = nn.Linear(width, num_colors + 1 + num_shapes + 1)
    lone_head = nn.Linear(width, num_colors + num_shapes)
    seeing = [*model.vision_tower.parameters(), *model.projector.parameters()]
    heads = [*cell_head.parameters(), *lone_head.parameters()]
    optimizer = torch.optim.AdamW([*seeing, *heads], lr=recipe.vision_learning_rate)
    num_lone = round(recipe.vision_batch * recipe.lone_fraction)
    for _ in _scheduled("seeing", optimizer, recipe.vision_steps, recipe.warmup_steps):
        batch = sample_batch(
            rng, recipe.vision_batch, 0, recipe.lone_fraction, processor.image_size_px
        )
        tokens_BVE = model.visual_tokens(processor.pixels(batch.images_NHWC))
        on_grid = len(batch.scenes) - num_lone
        color_BV, shape_BV = _cell_classes(batch.scenes[:on_grid])
        lone_color_B, lone_shape_B = _lone_classes(batch.scenes[on_grid:])
        color, shape = cell_head(tokens_BVE[:on_grid]).split([num_colors + 1, num_shapes + 1], -1)
        lone_color, lone_shape = lone_head(tokens_BVE[on_grid:].mean(1)).split(
            [num_colors, num_shapes], -1
        )
        loss = (
            nn.functional.cross_entropy(color.flatten(0, 1), color_BV.flatten())
            + nn.functional.cross_entropy(shape.flatten(0, 1), shape_BV.flatten())
            + 0.3 * nn.functional.cross_entropy(lone_color, lone_color_B)
            + 0.3 * nn.functional.cross_entropy(lone_shape, lone_shape_B)
        )
        _step(optimizer, loss, [*seeing, *heads])


def learn_to_answer(
    model: EmbeddedVlmForConditionalGeneration, processor: EmbeddedProcessor, recipe: Recipe
) -> None:
    """Stage two: every parameter, on questions and answers."""
    rng = Random(recipe.seed * 2 + 1)  # noqa: S311 - pictures, not secrets
    optimizer = torch.optim.AdamW(
        [
            {
                "params": [*model.vision_tower.parameters(), *model.projector.parameters()],
                "lr": recipe.seeing_learning_rate,
            },
            {
                "params": list(model.language_model.parameters()),
                "lr": recipe.language_learning_rate,
            },
        ],
        betas=(0.9, 0.98),
        weight_decay=0.01,
    )
    parameters = list(model.parameters())
    model.train()
    for _ in _scheduled("answering", optimizer, recipe.language_steps, recipe.warmup_steps):
        batch = sample_batch(
            rng,
            recipe.language_batch,
            recipe.questions_per_scene,
            recipe.lone_fraction,
            processor.image_size_px,
            HARDER_SKILLS_MORE_OFTEN,
        )
        inputs = processor.dialogue_batch(batch.images_NHWC, batch.turns)
        _step(optimizer, model(**inputs).loss, parameters)


@torch.no_grad()
def balance_scales(
    model: EmbeddedVlmForConditionalGeneration, processor: EmbeddedProcessor, recipe: Recipe
) -> None:
    """Between the stages: give contents, places and words comparable scales.

    Stage one lets contents grow fifty times as large as places, which it does not need, and the
    usual initial words are small beside what the first layer adds to them. In trial runs stage two
    went about twice as fast with both mended (one seed, not ablated apart).
    """
    rng = Random(recipe.seed)  # noqa: S311 - pictures, not secrets
    batch = sample_batch(rng, 256, 0, lone_fraction=0, image_size_px=processor.image_size_px)
    projector = model.projector
    spread = model.visual_tokens(processor.pixels(batch.images_NHWC)).std()
    # All that follows these three is linear, so that scaling them scales the visual tokens.
    for name in ("linear_2.weight", "linear_2.bias", "peg.bias"):
        projector.get_parameter(name).mul_(recipe.content_std / spread)
    projector.position.normal_(0, recipe.place_std)
    model.language_model.model.embed_tokens.weight.normal_(0, recipe.word_std)


@torch.no_grad()
def held_out_accuracy(
    model: EmbeddedVlmForConditionalGeneration, processor: EmbeddedProcessor, recipe: Recipe
) -> dict[str, float]:
    """Exact-match accuracy of generated answers per skill, on new grids and on new lone things."""
    model.eval()  # type: ignore[no-untyped-call]
    rng = Random(recipe.seed + 1_000_003)  # noqa: S311 - a stream training never draws from
    right, asked = Counter[str](), Counter[str]()
    num_items = recipe.held_out_items_per_skill * len(PRETRAINING_ASKERS)
    for fraction, suffix in ((0.0, ""), (1.0, ", lone thing")):
        for _ in range(math.ceil(num_items / 250)):
            batch = sample_batch(rng, 250, 1, fraction, processor.image_size_px)
            questions = [dialogue[0] for dialogue in batch.dialogues]
            examples = [
                example_of(image_HWC, question.text, question.answer)
                for image_HWC, question in zip(batch.images_NHWC, questions, strict=True)
            ]
            answers = generate_answers(model, processor, examples)
            for question, answer in zip(questions, answers, strict=True):
                asked[question.skill + suffix] += 1
                right[question.skill + suffix] += answer == question.answer
    return {skill: round(right[skill] / asked[skill], 4) for skill in sorted(asked)}


def pretrain(recipe: Recipe, out: Path) -> dict[str, object]:
    """Train, measure and write weights, tokenizer and report; returns the report."""
    torch.set_num_threads(1)
    torch.manual_seed(recipe.seed)
    started_s, started_cpu_s = time.perf_counter(), time.process_time()
    processor = EmbeddedProcessor.from_words(known_words())
    vocabulary = len(processor.tokenizer)
    config = EmbeddedVlmConfig()
    config.text_config.vocab_size = vocabulary
    model = EmbeddedVlmForConditionalGeneration(config)
    learn_to_see(model, processor, recipe)
    balance_scales(model, processor, recipe)
    learn_to_answer(model, processor, recipe)
    report: dict[str, object] = {
        "command": "python -m rankscope.models.vlms.embedded.pretrain",
        "recipe": asdict(recipe),
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "vocabulary": vocabulary,
        "torch": torch.__version__,
        "held_out_accuracy": held_out_accuracy(model, processor, recipe),
        "wall_s": round(time.perf_counter() - started_s, 1),
        "cpu_s": round(time.process_time() - started_cpu_s, 1),
    }
    out.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(out)
    processor.save_pretrained(out)
    (out / LINEARS_FILE).write_text(list_linears(model).model_dump_json() + "\n")
    (out / REPORT_FILE).write_text(json.dumps(report, indent=2) + "\n")
    return report


def main() -> None:
    """Command line; progress and remaining time go to stderr, the report to stdout."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=weights_dir(), help="folder to write to")
    parser.add_argument("--seed", type=int, default=Recipe.seed, help="everything follows from it")
    arguments = parser.parse_args()
    report = pretrain(Recipe(seed=arguments.seed), arguments.out)
    sys.stdout.write(json.dumps(report) + "\n")


def _cell_classes(scenes: Sequence[Scene]) -> tuple[Tensor, Tensor]:
    """Color and shape index per cell (B, V); the last class is the empty cell."""
    color_BV = torch.full((len(scenes), CELLS_PER_SIDE**2), len(COLORS))
    shape_BV = torch.full((len(scenes), CELLS_PER_SIDE**2), len(SHAPES))
    for row, scene in enumerate(scenes):
        for thing in scene:
            color_BV[row, thing.cell] = COLORS.index(thing.color)
            shape_BV[row, thing.cell] = SHAPES.index(thing.shape)
    return color_BV, shape_BV


def _lone_classes(scenes: Sequence[Scene]) -> tuple[Tensor, Tensor]:
    """Color and shape index of each scene's first thing (B,)."""
    colors = [COLORS.index(scene[0].color) for scene in scenes]
    shapes = [SHAPES.index(scene[0].shape) for scene in scenes]
    return torch.tensor(colors), torch.tensor(shapes)


def _scheduled(
    stage: str, optimizer: torch.optim.Optimizer, num_steps: int, warmup_steps: int
) -> Iterator[int]:
    """Steps with linear warm-up and cosine decay, and a line with the remaining time every 50."""

    def factor(step: int) -> float:
        warm = min(1.0, (step + 1) / warmup_steps)
        return warm * 0.5 * (1 + math.cos(math.pi * step / num_steps))

    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
    started_s = time.perf_counter()
    for step in range(num_steps):
        yield step
        schedule.step()
        if (step + 1) % 50 == 0:
            left_s = (time.perf_counter() - started_s) / (step + 1) * (num_steps - step - 1)
            sys.stderr.write(f"{stage}: step {step + 1} of {num_steps}, {left_s:.0f} s left\n")


def _step(optimizer: torch.optim.Optimizer, loss: Tensor, parameters: Sequence[Tensor]) -> None:
    optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(parameters, 1.0)
    optimizer.step()


if __name__ == "__main__":
    main()
