"""What every estimate of a run's cost begins with."""

from dataclasses import dataclass

from rankscope.models.config import RunConfig
from rankscope.models.cost.activations import Trained
from rankscope.models.cost.formats import (
    Formats,
    base_precision,
    checkpoints_gradients,
    formats_of,
)
from rankscope.models.cost.lengths import Lengths
from rankscope.models.cost.texts import lengths_of
from rankscope.models.data.contract import VqaDataset
from rankscope.models.inventory import Linears
from rankscope.models.roots import Roots
from rankscope.models.schedulers.contract import RankPlanner
from rankscope.models.schedulers.full import Full
from rankscope.models.vlms import EmbeddedVlm
from rankscope.tasks.planning import Plan

PROBE_ROWS = 128
"""Items per forward pass of a measurement: bounds memory, changes no result."""
_EMBEDDED_ANSWER_TOKENS = 6


@dataclass(frozen=True)
class Subject:
    """A run that is not there yet.

    Args:
        config: What it would be.
        planned: Its first ranks.
        linears: All modules of its model.
        trained: What gets gradients.
        formats: Bytes per number.
        lengths: Of its rows, None where the model's sizes are not known.
    """

    config: RunConfig
    planned: Plan
    linears: Linears
    trained: Trained
    formats: Formats
    lengths: Lengths | None

    @classmethod
    def of(cls, config: RunConfig, planned: Plan, linears: Linears, roots: Roots) -> "Subject":
        """Look at the data as far as they are at hand."""
        ranks = {module.name: module.rank for module in planned.modules}
        names = frozenset(ranks if isinstance(config.scheduler, Full) else ())
        lengths = None
        if linears.sizes is not None:
            rows = config.training.batch_size
            lengths = lengths_of(config.data, config.model, linears.sizes, rows=rows, roots=roots)
        return cls(
            config,
            planned,
            linears,
            Trained(ranks, names, config.training.full_parts),
            formats_of(base_precision(config.model), config.training.precision),
            lengths,
        )

    @property
    def checkpointing(self) -> bool:
        """Whether layers are made again in backward."""
        return checkpoints_gradients(self.config.model)

    @property
    def answer_tokens(self) -> int:
        """That an answer may have."""
        model = self.config.model
        return (
            _EMBEDDED_ANSWER_TOKENS if isinstance(model, EmbeddedVlm) else model.max_answer_tokens
        )

    @property
    def probe_items(self) -> int:
        """That the scheduler measures on at most."""
        scheduler = self.config.scheduler
        return scheduler.most_probe_items if isinstance(scheduler, RankPlanner) else 0

    def validations(self) -> tuple[int, ...]:
        """Items of every score while it trains; the last step is always scored."""
        asked, steps = self.config.evaluation, self.config.training.steps
        times = -(-steps // asked.every_steps)
        return (asked.validation_items,) * times if asked.validation_items else ()

    def tests(self) -> tuple[int, ...]:
        """Items of every score of the test; empty where only the data can tell how many."""
        asked, data = self.config.evaluation, self.config.data
        items = asked.test_items
        if items is None:
            items = getattr(data, "test_items", None) if isinstance(data, VqaDataset) else None
        times = 1 + asked.before + asked.shuffled_images
        return (items,) * times if items else ()
