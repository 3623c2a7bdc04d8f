"""Questions about pictures as the dialogues that models take."""

from collections.abc import Sequence

from rankscope.models.data.arrays import UInt8Array
from rankscope.models.data.dialogue import Example
from rankscope.models.data.parts import example_of


def asked(
    images_NHWC: UInt8Array, questions: Sequence[str], answers: Sequence[str] | None = None
) -> list[Example]:
    """One question about each picture; what only prompts with it needs no answer."""
    said = answers or ["unsaid"] * len(questions)
    return [
        example_of(image_HWC, question, answer, item=item)
        for item, (image_HWC, question, answer) in enumerate(
            zip(images_NHWC, questions, said, strict=True)
        )
    ]
