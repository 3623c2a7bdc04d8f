"""LLaVA and LLaVA-NeXT read their tower before its end; the layers after that learn nothing."""

from transformers import PreTrainedModel
from transformers.models.clip.modeling_clip import CLIPVisionModel


def drop_unread_layers(model: PreTrainedModel) -> None:
    """Take the layers whose output nothing reads out of a CLIP tower.

    LLaVA 1.5 reads the last layer but one. Adapters on the last would get no gradient and waste
    their share of the budget. Every other module keeps its name, so adapters fit the whole model.
    """
    tower = model.get_submodule("model.vision_tower")
    if not isinstance(tower, CLIPVisionModel):
        return
    layers = tower.encoder.layers
    num_states = len(layers) + 1  # what enters the first layer comes first
    read = model.config.vision_feature_layer
    last_read = max(place % num_states for place in ([read] if isinstance(read, int) else read))
    # Counted from the front, the same places are read of the shorter tower.
    model.config.vision_feature_layer = (
        read % num_states if isinstance(read, int) else [place % num_states for place in read]
    )
    del layers[last_read:]
    tower.config.num_hidden_layers = last_read
