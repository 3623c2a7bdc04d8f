from rankscope.models.schedulers.offline.architecture import Architecture
from tests.unit.models.schedulers.offline.planted import MODULES, architecture

KNOWN = Architecture.of(MODULES)


def test_the_key_does_not_depend_on_the_order_of_modules() -> None:
    assert Architecture.of(MODULES[::-1]) == KNOWN


def test_the_same_linears_and_parts_of_them_are_the_same_architecture() -> None:
    assert KNOWN.kinship(MODULES) == "same"
    assert KNOWN.kinship([m for m in MODULES if m.part == "language"]) == "same"
    assert KNOWN.kinship([m for m in MODULES if m.type == "up_proj"]) == "same"


def test_other_depths_and_widths_are_kin() -> None:
    assert KNOWN.kinship(architecture(layers=8)) == "kin"
    wider = [m.model_copy(update={"d_in": 128}) for m in MODULES]
    assert KNOWN.kinship(wider) == "kin"
    assert Architecture.of(wider).key != KNOWN.key


def test_a_linear_of_another_name_makes_another_architecture() -> None:
    other = MODULES[0].model_copy(update={"name": "language.blocks.0.q_proj"})
    assert KNOWN.kinship((*MODULES[1:], other)) == "other"
    assert KNOWN.stranger((other,)) == "language.blocks.0.q_proj"
