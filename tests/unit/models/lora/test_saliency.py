import json
from collections.abc import Callable, Sequence

import pytest
import torch

from rankscope.models.lora.elastic import ElasticLora
from rankscope.models.lora.saliency import SaliencyTracker

MakeElasticLinears = Callable[[Sequence[tuple[int, int]], Sequence[int]], ElasticLora]


def set_factors(elastic: ElasticLora, b: list[list[float]], grad: list[list[float]]) -> None:
    """Give layers.0 this B and this gradient of B."""
    parameter = elastic.parameters_of("layers.0")[1]
    with torch.no_grad():
        parameter.copy_(torch.tensor(b))
    parameter.grad = torch.tensor(grad, dtype=torch.float64)


def test_saliency_is_the_decayed_mean_of_the_absolute_products(
    make_elastic_linears: MakeElasticLinears,
) -> None:
    """Columns (1, 2), (3, -1); gradients (1, 1), (1, 5): products 3 and -2, then 1 and 4.

    With decay 0.5 the second mean is (0.5 * 3 + 1) / 1.5 = 5/3 and (0.5 * 2 + 4) / 1.5 = 10/3.
    """
    elastic = make_elastic_linears([(3, 2)], [2])
    tracker = SaliencyTracker(elastic, decay=0.5)
    assert tracker.values() == {"layers.0": (0.0, 0.0)}
    set_factors(elastic, [[1, 3], [2, -1]], [[1, 1], [1, 5]])
    tracker.update()
    assert tracker.values()["layers.0"] == pytest.approx((3.0, 2.0))
    set_factors(elastic, [[1, 2], [0, 0]], [[1, 2], [7, 7]])
    tracker.update()
    assert tracker.values()["layers.0"] == pytest.approx((5 / 3, 10 / 3))


def test_saliency_predicts_the_fall_of_the_loss_when_a_component_goes(
    make_elastic_linears: MakeElasticLinears,
) -> None:
    """First order of ALGORITHMS 3.1: deleting a small component costs b_k . dB_k."""
    shapes = [(6, 5)]
    elastic = make_elastic_linears(shapes, [3])
    inputs = [torch.randn(8, 6, dtype=torch.float64)]
    b = elastic.parameters_of("layers.0")[1]
    with torch.no_grad():
        b[:, 1] *= 1e-5
    tracker = SaliencyTracker(elastic, decay=0.9)
    loss = elastic.peft_model(inputs)
    loss.backward()
    tracker.update()
    with torch.no_grad():
        b[:, 1] = 0.0
        change = float(elastic.peft_model(inputs) - loss)
    assert tracker.values()["layers.0"][1] == pytest.approx(abs(change), rel=1e-3)


def test_growth_keeps_the_past_and_a_shrink_starts_anew(
    make_elastic_linears: MakeElasticLinears,
) -> None:
    elastic = make_elastic_linears([(3, 4), (5, 4)], [2, 2])
    tracker = SaliencyTracker(elastic, decay=0.5)
    for name in elastic.ranks():
        b = elastic.parameters_of(name)[1]
        b.grad = torch.ones_like(b)
    tracker.update()
    before = tracker.values()
    tracker.follow(elastic.resize({"layers.0": 3, "layers.1": 1}, None, budget=100))
    assert tracker.values() == {"layers.0": (*before["layers.0"], 0.0), "layers.1": (0.0,)}
    b = elastic.parameters_of("layers.0")[1]
    b.grad = torch.ones_like(b)
    tracker.update()
    assert len(tracker.values()["layers.0"]) == 3


def test_modules_without_a_gradient_are_left_alone(
    make_elastic_linears: MakeElasticLinears,
) -> None:
    tracker = SaliencyTracker(make_elastic_linears([(3, 4), (3, 4)], [1, 0]), decay=0.5)
    tracker.update()
    assert tracker.values() == {"layers.0": (0.0,), "layers.1": ()}


def test_state_survives_json_bit_by_bit(make_elastic_linears: MakeElasticLinears) -> None:
    elastic = make_elastic_linears([(3, 4)], [2])
    tracker, other = SaliencyTracker(elastic, 0.9), SaliencyTracker(elastic, 0.9)
    b = elastic.parameters_of("layers.0")[1]
    b.grad = torch.randn_like(b)
    tracker.update()
    other.load(json.loads(json.dumps(tracker.state())))
    for one in (tracker, other):
        one.update()
    assert other.state() == tracker.state()


def test_state_of_other_ranks_is_refused(make_elastic_linears: MakeElasticLinears) -> None:
    state = SaliencyTracker(make_elastic_linears([(3, 4)], [2]), 0.9).state()
    with pytest.raises(ValueError, match="load the adapters of the same checkpoint first"):
        SaliencyTracker(make_elastic_linears([(3, 4)], [1]), 0.9).load(state)


def test_a_decay_of_one_would_never_learn_and_is_refused(
    make_elastic_linears: MakeElasticLinears,
) -> None:
    with pytest.raises(ValueError, match=r"must lie in \[0, 1\), got 1\.0"):
        SaliencyTracker(make_elastic_linears([(3, 4)], [1]), 1.0)
