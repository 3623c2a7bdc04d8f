from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch
from PIL import Image

from rankscope.models.data.dialogue import Example, Picture, Turn
from rankscope.models.roots import Roots
from rankscope.models.vlms import AnyVlm, EmbeddedVlm, HubVlm
from rankscope.models.vlms.loading import LoadedVlm, load_vlm
from rankscope.tasks.generation import Interrupted, generate_answers, in_batches
from tests.helpers.tiny_vlms import save_llava, save_qwen2_vl, save_smolvlm

QUESTIONS = (
    "is there red in the image?",
    "is there one red or one blue square in the image?",
    "what color is it?",
    "how many red shapes are in the image?",
    "what is the color of the large circle in the upper left corner?",
)
SAVED: dict[str, Callable[[Path], None]] = {
    "smolvlm": save_smolvlm,
    "llava": save_llava,
    "qwen2_vl": save_qwen2_vl,
}


def example(folder: Path, number: int) -> Example:
    path = folder / f"{number}.png"
    Image.new("RGB", (48, 48), (50 * number, 120, 250 - 50 * number)).save(path)
    turns = (Turn("user", f"<image>\n{QUESTIONS[number]}"), Turn("assistant", "-"))
    return Example(str(number), number + 1, (Picture(path.name, path),), turns)


def loaded(folder: Path, kind: str) -> LoadedVlm:
    settings: AnyVlm = EmbeddedVlm()
    if kind != "embedded":
        (folder / kind).mkdir()
        SAVED[kind](folder / kind)
        settings = HubVlm(source=f"./{kind}", precision="fp32")
    roots = Roots(data=folder, models=folder, cache=folder / "cache")
    return load_vlm(settings, torch.device("cpu"), roots)


@pytest.mark.parametrize("kind", ["embedded", *SAVED])
def test_answers_in_batches_are_those_of_single_questions(tmp_path: Path, kind: str) -> None:
    vlm = loaded(tmp_path, kind)
    examples = [example(tmp_path, number) for number in range(len(QUESTIONS))]

    def answer(batch: Sequence[Example]) -> list[str]:
        return generate_answers(vlm.model, vlm, batch, max_new_tokens=12)

    single = [answer([one])[0] for one in examples]
    together = [said for _, answers in in_batches(examples, 3, answer) for said in answers]
    assert together == single
    assert any(single)


def test_a_batch_that_is_too_large_is_halved_and_stays_so() -> None:
    sizes: list[int] = []

    def answer(batch: Sequence[int]) -> list[str]:
        sizes.append(len(batch))
        if len(batch) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return [str(one) for one in batch]

    found = [
        pair
        for batch, said in in_batches(range(7), 6, answer)
        for pair in zip(batch, said, strict=True)
    ]
    assert found == [(i, str(i)) for i in range(7)]
    assert sizes == [6, 3, 1, 1, 1, 1, 1, 1, 1]


def test_an_item_that_is_too_large_by_itself_is_refused_with_a_remedy() -> None:
    def answer(batch: Sequence[int]) -> list[str]:
        del batch
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate")

    with pytest.raises(MemoryError, match="one item must fit into memory"):
        list(in_batches(range(3), 2, answer))


def test_other_errors_are_no_lack_of_memory() -> None:
    def answer(batch: Sequence[int]) -> list[str]:
        raise RuntimeError(f"shapes differ in {batch}")

    with pytest.raises(RuntimeError, match="shapes differ"):
        list(in_batches(range(3), 2, answer))


def test_generation_is_given_up_within_a_batch(tmp_path: Path) -> None:
    vlm = loaded(tmp_path, "embedded")
    with pytest.raises(Interrupted):
        generate_answers(
            vlm.model, vlm, [example(tmp_path, 0)], max_new_tokens=2000, is_over=lambda: True
        )
