"""What the processors of transformers have in common that take pictures and text."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from PIL import Image
from transformers import BatchFeature, PreTrainedTokenizerBase


class PictureProcessor(Protocol):
    """Of one model: its tokenizer, its preparation of pictures, its chat template."""

    tokenizer: PreTrainedTokenizerBase
    image_processor: Any
    chat_template: str | dict[str, str] | None
    image_token: str
    """Stands for a picture in a text."""
    image_token_id: int

    @property
    def image_token_ids(self) -> Sequence[int | None]:
        """All tokens that a picture becomes."""
        ...

    def __call__(
        self,
        *,
        text: Sequence[str],
        images: Sequence[Sequence[Image.Image]] | None,
        text_kwargs: Mapping[str, bool],
        images_kwargs: Mapping[str, str],
        suffix: Sequence[str] | None = ...,
        return_text_replacement_offsets: bool = ...,
    ) -> BatchFeature:
        """Tokens of texts, in which every picture has become many, and tensors of pictures.

        Args:
            text: With one image token per picture.
            images: Per text.
            text_kwargs: How to tokenise.
            images_kwargs: How to hand out pictures.
            suffix: Answers, where the processor takes them apart from the text.
            return_text_replacement_offsets: Whether to tell what the image tokens became.
        """
        ...
