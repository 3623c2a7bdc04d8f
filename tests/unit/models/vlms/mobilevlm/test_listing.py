"""What is listed without torch is what the models are made of."""

from typing import get_args

import pytest
import torch

from rankscope.models.lora.inventory import list_linears
from rankscope.models.vlms.mobilevlm.configuration import named_config
from rankscope.models.vlms.mobilevlm.listing import mobilevlm_linears
from rankscope.models.vlms.mobilevlm.modeling import MobileVlmForConditionalGeneration
from rankscope.models.vlms.settings import MobileVlmSize


@pytest.mark.parametrize("size", get_args(MobileVlmSize))
def test_the_list_is_that_of_the_model_itself(size: MobileVlmSize) -> None:
    with torch.device("meta"):
        model = MobileVlmForConditionalGeneration(named_config(size))
    assert mobilevlm_linears(size).model_copy(update={"sizes": None}) == list_linears(model)


def test_rank_128_on_the_language_model_costs_what_the_paper_trains() -> None:
    """A layer: 4 x (2048 + 2048) + 3 x (2048 + 5632) = 39,424; 24 layers, rank 128."""
    every = r"\w+_proj"
    inventory = mobilevlm_linears("v1_1.7b").select(every, frozenset({"language"}))
    assert 128 * inventory.params_per_rank == 128 * 24 * 39_424 == 121_110_528
