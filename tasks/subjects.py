"""The model that an evaluation asks: a base model, with an adapter, or as a run trained it."""

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import torch
from peft import PeftModel
from sqlalchemy import Engine
from torch import nn

from rankscope.models.adapter_folder import check_fits, read_adapter
from rankscope.models.evaluation import AdapterSubject, AnySubject, BaseSubject, RunSubject
from rankscope.models.full_parts import load_trained as load_trained_weights
from rankscope.models.roots import Roots
from rankscope.models.vlms.loading import LoadedVlm, load_vlm
from rankscope.models.vlms.mobilevlm.processing import MobileVlmProcessor
from rankscope.storage.artifacts import RunFolder
from rankscope.storage.runs import get_run
from rankscope.storage.settings import Settings
from rankscope.tasks.build import adapted
from rankscope.tasks.checkpoints import (
    CHECKPOINTS,
    list_checkpoints,
    load_trained,
    read_checkpoint,
    step_of,
)


class Asked(NamedTuple):
    """A model in evaluation mode, and its processor."""

    model: nn.Module
    vlm: LoadedVlm

    def without_padding(self) -> "Asked":
        """MobileVLM with its pictures cropped to a square, as it does for ScienceQA alone."""
        if not isinstance(self.vlm.processor, MobileVlmProcessor):
            return self
        processor = self.vlm.processor.framed("crop")
        return Asked(self.model, replace(self.vlm, processor=processor))


def load_subject(engine: Engine, settings: Settings, subject: AnySubject) -> Asked:
    """Load what an evaluation names.

    Raises:
        ValueError: A model or adapter cannot be found, read or put together.
        CheckpointError: The run's checkpoint cannot be used any more.
        StorageError: The run is gone.
    """
    if isinstance(subject, RunSubject):
        return _of_run(engine, settings, subject)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    vlm = load_vlm(subject.model, device, settings.roots)
    if isinstance(subject, BaseSubject):
        return Asked(vlm.model, vlm)
    return _with_adapter(vlm, subject, settings.roots)


def _of_run(engine: Engine, settings: Settings, subject: RunSubject) -> Asked:
    config = get_run(engine, subject.run_id).config
    within = RunFolder(settings, subject.run_id).inside(CHECKPOINTS)
    folder = next((one for one in list_checkpoints(within) if step_of(one) == subject.step), None)
    if folder is None:
        raise ValueError(
            f"the checkpoint of step {subject.step:,} of run {subject.run_id} must be in {within}, "
            "it is not; where the run went on, evaluate it again"
        )
    state, tensors = read_checkpoint(folder, config.hash())
    vlm, tuning = adapted(config, settings.roots)
    load_trained(tuning, state, tensors)
    nn.Module.train(tuning.model, False)
    return Asked(tuning.model, vlm)


def _with_adapter(vlm: LoadedVlm, subject: AdapterSubject, roots: Roots) -> Asked:
    folder = roots.model_folder(subject.folder)
    shapes = {
        name: (module.out_features, module.in_features)
        for name, module in vlm.model.named_modules()
        if isinstance(module, nn.Linear)
    }
    check_fits(read_adapter(folder), shapes, subject.folder)
    load_trained_weights(vlm.model, folder)
    loaded = _loaded(vlm, folder)
    nn.Module.train(loaded, False)
    return Asked(loaded, vlm)


def _loaded(vlm: LoadedVlm, folder: Path) -> nn.Module:
    try:
        loaded: nn.Module = PeftModel.from_pretrained(vlm.model, str(folder)).to(vlm.device)
    except (ValueError, RuntimeError, KeyError, TypeError) as error:
        said = " ".join(str(error).split())
        raise ValueError(
            f"an adapter must load onto its base model, {folder} does not ({said:.300}); "
            "give the model that it was trained on"
        ) from error
    return loaded
