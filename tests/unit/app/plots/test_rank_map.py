"""Maps of ranks as data: where modules lie, what an empty cell is, which scale is shown."""

import json
from typing import Any

import pytest

from rankscope.app.plots.rank_map import panels, rank_difference_map, rank_map
from rankscope.models.inventory import AdaptableModule, Part


def module(part: Part, layer: int, module_type: str, name: str = "") -> AdaptableModule:
    called = name or f"{part}.{layer}.{module_type}"
    return AdaptableModule(name=called, part=part, layer=layer, type=module_type, d_in=8, d_out=4)


MODULES = (
    module("language", 0, "q_proj"),
    module("language", 0, "down_proj"),
    module("language", 2, "q_proj"),
    module("vision", 0, "fc1"),
)


def drawn(ranks: list[int] | None, max_rank: int = 16) -> dict[str, Any]:
    figure = rank_map(MODULES, ranks, max_rank=max_rank, title="Rank of every adapter, step 3")
    content: dict[str, Any] = json.loads(figure.to_json())
    return content


def test_every_part_has_a_panel_in_the_order_of_the_model() -> None:
    vision, language = panels(MODULES)
    assert (vision.part, vision.layers, vision.columns) == ("vision", (0,), ("fc1",))
    assert (language.part, language.layers) == ("language", (0, 2))
    assert language.columns == ("q", "down")


def test_every_module_has_one_cell_and_no_two_share_one() -> None:
    places = [(p.part, *cell) for p in panels(MODULES) for cell in p.cells.values()]
    assert len(set(places)) == len(places) == len(MODULES)


def test_modules_of_one_type_in_one_layer_get_columns_of_their_own() -> None:
    twins = [module("language", 0, "up_proj", "expert.0"), module("language", 0, "up_proj", "e.1")]
    (panel,) = panels(twins)
    assert panel.columns == ("up", "up 2")
    assert panel.cells == {0: (0, 0), 1: (0, 1)}


def test_rank_0_is_a_hole_over_a_hairline_and_a_missing_module_is_nothing() -> None:
    """Language: L0 q 5, L0 down 0, L2 q 1; L2 has no down."""
    frame, _, filled = drawn([5, 0, 1, 2])["data"][3:]
    assert filled["z"] == [[5, None], [1, None]]
    assert frame["z"] == [[1, 1], [1, None]]


def test_the_scale_ends_at_the_largest_rank_allowed_whatever_is_shown() -> None:
    for ranks in ([1, 1, 1, 1], [16, 0, 0, 0]):
        scales = {(t["zmin"], t["zmax"]) for t in drawn(ranks)["data"] if "zmax" in t}
        assert scales == {(0, 16)}
    assert drawn(None)["layout"]["meta"]["limits"] == [0, 16]


def test_without_ranks_all_cells_are_empty() -> None:
    assert drawn(None)["layout"]["meta"]["values"] == [0, 0, 0, 0]


def test_a_difference_is_symmetric_about_0_and_has_its_sign() -> None:
    figure = rank_difference_map(
        MODULES, [3, 0, 1, 2], [1, 2, 1, 2], max_change=6, title="hydra minus uniform"
    )
    meta = figure.layout.meta
    assert meta["values"] == [2, -2, 0, 0]
    assert tuple(meta["limits"]) == (-6, 6)


def test_a_difference_refuses_ranks_of_another_inventory() -> None:
    with pytest.raises(ValueError, match="shorter"):
        rank_difference_map(MODULES, [1, 2, 3, 4], [1], max_change=1, title="")


def test_colours_of_the_page_are_named_not_fixed() -> None:
    layout = drawn([1, 1, 1, 1])["layout"]
    assert layout["font"]["color"].startswith("var(--")
    assert layout["title"]["text"] == "Rank of every adapter, step 3"


def test_the_browser_gets_what_it_needs_to_fill_in_ranks() -> None:
    meta = drawn([1, 2, 3, 4])["layout"]["meta"]
    assert [m["cost"] for m in meta["modules"]] == [12, 12, 12, 12]
    assert [p["title"] for p in meta["panels"]] == ["Vision", "Language"]
    assert meta["panels"][1]["cells"] == [[0, 0, 0], [1, 0, 1], [2, 1, 0]]
