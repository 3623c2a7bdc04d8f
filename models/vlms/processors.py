"""What turns dialogues into a model's batches, without the model where it does without."""

import torch

from rankscope.models.roots import Roots
from rankscope.models.vlms import AnyVlm, EmbeddedVlm, HubVlm, MobileVlm, SmolVlm
from rankscope.models.vlms.embedded.processing import EmbeddedProcessor, weights_dir
from rankscope.models.vlms.hub.loading import load_hub_processor
from rankscope.models.vlms.loading import VlmProcessor, load_vlm
from rankscope.models.vlms.mobilevlm.checkpoints import config_in
from rankscope.models.vlms.mobilevlm.processing import MobileVlmProcessor


def load_processor(settings: AnyVlm, roots: Roots) -> VlmProcessor:
    """The processor of the model that ``settings`` name.

    Raises:
        ValueError: If its files cannot be found, read or used; says what to do about it.
    """
    match settings:
        case EmbeddedVlm():
            return EmbeddedProcessor.from_pretrained(weights_dir())
        case MobileVlm():
            return _mobilevlm(settings, roots)
        case SmolVlm():  # features of pictures come from its own tower
            return load_vlm(settings, torch.device("cpu"), roots).processor
        case HubVlm():
            here = settings.model_copy(update={"source": roots.model_source(settings.source)})
            return load_hub_processor(here, allow_remote_code=roots.allow_remote_code)


def _mobilevlm(settings: MobileVlm, roots: Roots) -> MobileVlmProcessor:
    if not settings.folder:
        raise ValueError(
            "model.folder must name the folder of the checkpoint for its tokenizer, got none; "
            f"download it below {roots.models} and give its name"
        )
    folder = roots.model_folder(settings.folder)
    vision_folder = roots.model_folder(settings.vision_folder) if settings.vision_folder else None
    return MobileVlmProcessor.from_pretrained(
        folder,
        config_in(folder, vision_folder),
        template=settings.prompt,
        max_answer_tokens=settings.max_answer_tokens,
    )
