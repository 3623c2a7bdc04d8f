from collections.abc import Callable, Sequence

import pytest
import torch

from rankscope.models.lora.elastic import ElasticLora
from rankscope.models.lora.spectra import singular_values

MakeElasticLinears = Callable[[Sequence[tuple[int, int]], Sequence[int]], ElasticLora]


def test_singular_values_are_those_of_the_scaled_product(
    make_elastic_linears: MakeElasticLinears,
) -> None:
    elastic = make_elastic_linears([(6, 5), (4, 7)], [3, 2])
    values = singular_values(elastic)
    for name, rank in elastic.ranks().items():
        a_RI, b_OR = (parameter.detach() for parameter in elastic.parameters_of(name))
        expected = torch.linalg.svdvals(1.5 * b_OR @ a_RI)[:rank].tolist()
        assert values[name] == pytest.approx(expected)


def test_they_foretell_what_a_shrink_changes(make_elastic_linears: MakeElasticLinears) -> None:
    elastic = make_elastic_linears([(6, 5)], [3])
    _, second, third = singular_values(elastic)["layers.0"]
    report = elastic.resize({"layers.0": 1}, None, budget=100)
    error = (second**2 + third**2) ** 0.5
    assert report.modules[0].truncation_error == pytest.approx(error)


def test_empty_and_untrained_modules_have_none_and_zeros(
    make_elastic_linears: MakeElasticLinears,
) -> None:
    elastic = make_elastic_linears([(6, 5), (6, 5)], [0, 2])
    with torch.no_grad():
        elastic.parameters_of("layers.1")[1].zero_()
    assert singular_values(elastic) == {"layers.0": (), "layers.1": (0.0, 0.0)}
