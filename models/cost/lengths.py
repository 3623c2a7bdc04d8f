"""How long rows are: from the texts of the data where they are at hand, else from limits."""

from collections.abc import Sequence

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from rankscope.models.cost.sizes import ModelSizes

CHARS_PER_TOKEN = 3.5
"""Of English in a vocabulary of 32,000 or more words; a stated assumption, no measurement."""
TEMPLATE_TOKENS = 40
"""Around a dialogue: the system's words and the roles; a stated assumption."""
USUAL_TEXT_TOKENS = 256
"""Of a dialogue where its data are not at hand; a stated assumption, for times alone."""


class Lengths(BaseModel):
    """Positions of a padded batch in the language model."""

    model_config = ConfigDict(frozen=True)

    typical_tokens: int = Field(ge=1, description="Of most batches: decides on time.")
    longest_tokens: int = Field(ge=1, description="Of the longest: decides on memory.")
    visual_tokens: int = Field(ge=0, description="Of these, for the pictures of one row.")
    pictures: float = Field(ge=0, description="Per row.")
    basis: str = Field(description="What was counted, for people.")


def limits(sizes: ModelSizes, *, pictures: float = 1.0) -> Lengths:
    """Where nothing is known of the data: the model's context as the most."""
    visual = _visual(sizes, pictures)
    picture = sizes.picture
    shown = f"{picture.tokens:,} for {picture.of}" if picture else "pictures not counted"
    return Lengths(
        typical_tokens=min(sizes.context_tokens, visual + USUAL_TEXT_TOKENS),
        longest_tokens=sizes.context_tokens,
        visual_tokens=min(visual, sizes.context_tokens),
        pictures=pictures,
        basis=f"limit of {sizes.context_tokens:,} tokens ({shown}), the data are not at hand; "
        f"time for {USUAL_TEXT_TOKENS} tokens of text assumed",
    )


def measured(
    sizes: ModelSizes, text_tokens: Sequence[int], *, pictures: float, rows: int, what: str
) -> Lengths:
    """From the texts of some rows.

    A batch is padded to its longest row: the typical one to the quantile ``rows / (rows + 1)``, the
    mean of the largest of so many uniform draws.

    Args:
        sizes: Of the model.
        text_tokens: Of each row that was read, pictures left out; at least one.
        pictures: Per row.
        rows: Of a batch.
        what: Which rows they were and how tokens were counted, for people.
    """
    visual = _visual(sizes, pictures)
    typical = float(np.quantile(np.asarray(text_tokens), rows / (rows + 1)))

    def within(tokens: float) -> int:
        return max(1, min(sizes.context_tokens, round(tokens) + visual))

    return Lengths(
        typical_tokens=within(typical),
        longest_tokens=within(max(text_tokens)),
        visual_tokens=min(visual, sizes.context_tokens),
        pictures=pictures,
        basis=what,
    )


def _visual(sizes: ModelSizes, pictures: float) -> int:
    return round(pictures * sizes.picture.tokens) if sizes.picture else 0
