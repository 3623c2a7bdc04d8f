"""What a run does before its first step, and that it is charged for it."""

import numpy as np
import torch

from rankscope.models.config import RunConfig
from rankscope.models.data.parts import Splits
from rankscope.models.events import Event, Measured
from rankscope.models.lora.eva import EvaTuning
from rankscope.models.lora.tuning import ElasticTuning
from rankscope.models.rank_bounds import initial_states
from rankscope.models.schedulers.eva import Eva
from rankscope.models.tuning import Batches, Preparation, Tuning
from rankscope.tasks.batches import Collator, ShuffledItems
from rankscope.tasks.build import Assembled
from rankscope.tasks.preparing import prepare
from tests.unit.tasks import tiny

BUDGET = 496
SETTINGS = Eva(num_batches=3, tau=1.0)


def config() -> RunConfig:
    return tiny.config(scheduler=SETTINGS.model_dump(), training={"batch_size": 4}, seed=5)


def assembled(make: type[ElasticTuning] = EvaTuning) -> Assembled:
    vlm, part = tiny.vlm(), tiny.part(10)
    inventory = tiny.inventory_of(vlm)
    elastic = tiny.elastic_of(vlm, 1, is_stirred=False)
    tuning: Tuning = ElasticTuning(elastic)
    if make is EvaTuning:
        states = initial_states(inventory, config().lora)
        tuning = EvaTuning(elastic, SETTINGS, states, budget=BUDGET)
    return Assembled(vlm, Splits(part, part, part, part), inventory, tuning, None, BUDGET, 0)


def test_what_it_took_is_told_as_a_measurement_that_nobody_asked_for() -> None:
    """One batch of four tells which modules read one input, three more are decomposed."""
    events: list[Event] = []
    text = prepare(config(), assembled(), events.append)
    (event,) = events
    assert isinstance(event, Measured)
    assert (event.step, event.request, event.results, event.cost_items) == (0, None, (), 16)
    assert event.cost_s > 0
    assert text is not None
    assert text.startswith("EVA: ranks ")


def test_a_tuning_that_needs_nothing_says_nothing() -> None:
    events: list[Event] = []
    assert prepare(config(), assembled(ElasticTuning), events.append) is None
    assert events == []


class Looking(ElasticTuning):
    """Keeps the batches that it is given."""

    seen: list[dict[str, torch.Tensor]]

    def prepare(self, batches: Batches) -> Preparation | None:
        self.seen = [dict(batch) for batch in batches(3)]
        return None


def test_the_batches_are_those_that_training_begins_with() -> None:
    """Ten items in batches of four: the third crosses into the second epoch."""
    built = assembled(ElasticTuning)
    assert isinstance(built.tuning, ElasticTuning)
    looking = Looking(built.tuning.elastic)
    prepare(config(), Assembled(**{**vars(built), "tuning": looking}), lambda _: None)
    order = ShuffledItems(10, 12, seed=5)
    collate = Collator(built.splits.train, built.vlm.processor)
    for number, batch in enumerate(looking.seen):
        expected = collate(order[4 * number + i] for i in range(4))
        assert all(torch.equal(batch[key], value) for key, value in expected.items())
    assert len(looking.seen) == 3
    assert len(np.unique([order[i] for i in range(10)])) == 10
