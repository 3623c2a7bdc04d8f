"""A model without its weights: what can be adapted and what that costs, before any download.

Only the small files are fetched; the model is built on the meta device, where parameters have
shapes and no values.
"""

import torch
from transformers import AutoModelForImageTextToText, PreTrainedModel

from rankscope.models.inventory import Linears
from rankscope.models.lora.inventory import list_linears
from rankscope.models.vlms.hub.configs import needs_own_code, read_config
from rankscope.models.vlms.hub.families import family_of
from rankscope.models.vlms.hub.settings import HubVlm
from rankscope.models.vlms.hub.sizes import hub_sizes
from rankscope.models.vlms.hub.sources import folder_of


def meta_model(settings: HubVlm, *, allow_remote_code: bool = False) -> PreTrainedModel:
    """The model that ``settings`` name, on the meta device.

    Raises:
        ValueError: As `load_hub` raises it, weights and processor aside.
    """
    folder = folder_of(settings, with_weights=False, allow_remote_code=allow_remote_code)
    config = read_config(folder, allow_remote_code=allow_remote_code)
    with torch.device("meta"):
        model: PreTrainedModel = AutoModelForImageTextToText.from_config(  # type: ignore[no-untyped-call]
            config, trust_remote_code=needs_own_code(config)
        )
    prepare = family_of(config).prepare
    if prepare is not None:
        prepare(model)
    return model


def hub_linears(settings: HubVlm, *, allow_remote_code: bool = False) -> Linears:
    """Every linear module of a model that an adapter can sit on, its parameters and its sizes.

    Raises:
        ValueError: As `meta_model`.
    """
    model = meta_model(settings, allow_remote_code=allow_remote_code)
    folder = folder_of(settings, with_weights=False, allow_remote_code=allow_remote_code)
    return list_linears(model).model_copy(update={"sizes": hub_sizes(settings, folder, model)})
