"""The process behind ``rankscope export``: what a run trained as files, proved by reloading.

Adapters become a plain PEFT adapter; weights of the base model that were trained beside them, or
alone, become ``trained_weights.safetensors`` in the same folder, in float32 under their own names.

Started as ``python -P -m rankscope.tasks.exporting RUN FOLDER``; answers with a JSON object on
stdout.
"""

import argparse
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import torch
from peft.utils import SAFETENSORS_WEIGHTS_NAME
from safetensors.torch import load_file
from sqlalchemy import Engine

from rankscope.models.config import RunConfig
from rankscope.models.data.parts import DataPart
from rankscope.models.full_parts import load_trained as load_trained_weights
from rankscope.models.full_parts import save_trained
from rankscope.models.lora.export import LogitDifference, logit_difference, reload_difference
from rankscope.models.roots import Roots
from rankscope.models.vlms import AnyVlm, EmbeddedVlm, HubVlm, MobileVlm, SmolVlm
from rankscope.models.vlms.loading import load_vlm
from rankscope.storage.artifacts import RunFolder
from rankscope.storage.database import open_database
from rankscope.storage.runs import get_run
from rankscope.storage.settings import Settings
from rankscope.tasks.build import Assembled, assemble
from rankscope.tasks.checkpoints import (
    CHECKPOINTS,
    CheckpointError,
    list_checkpoints,
    load_trained,
    read_checkpoint,
)

LARGEST_DIFFERENCE = 1e-5
"""Of logits between the run's model and the reloaded adapter, as a share of the largest logit.

Sums in another order, and LoRA-GA's base weights rounded anew; no more.
"""

COMPARED_ITEMS = 64


class ExportError(RuntimeError):
    """Nothing can be exported; the message says rule, value and remedy."""


def export(engine: Engine, settings: Settings, run_id: str, to: Path) -> dict[str, Any]:
    """Export a run's last checkpoint and compare it, loaded anew, with the run's own model.

    Raises:
        ExportError: The run has no checkpoint, or the reloaded adapter computes something else.
    """
    config = get_run(engine, run_id).config
    checkpoints = list_checkpoints(RunFolder(settings, run_id).inside(CHECKPOINTS))
    if not checkpoints:
        raise ExportError(
            f"a run needs a checkpoint to be exported, {run_id} has none; let it train longer"
        )
    state, tensors = read_checkpoint(checkpoints[-1], config.hash())
    torch.set_num_threads(state.num_threads)
    # a run of a GPU can be exported where there is none
    anywhere = config.training.model_copy(update={"device": "auto", "precision": "fp32"})
    config = config.model_copy(update={"training": anywhere})
    assembled = assemble(config, settings.roots, emit=lambda _: None)
    load_trained(assembled.tuning, state, tensors)
    assembled.tuning.export(to, base_model_name=_base_name(config.model))
    num_own = save_trained(assembled.vlm.model, to)
    splits = assembled.splits
    items = (splits.test if len(splits.test) else splits.train).head(COMPARED_ITEMS)
    difference = _logit_difference(config, assembled, settings.roots, to, items)
    allowed = LARGEST_DIFFERENCE * max(1.0, difference.largest_logit)
    if not difference.largest <= allowed:
        shutil.rmtree(to)
        raise ExportError(
            f"what is loaded again must give the same logits within {allowed:g}, "
            f"got {difference.largest:g}; report this as a defect"
        )
    adapter = to / SAFETENSORS_WEIGHTS_NAME
    written = load_file(adapter) if adapter.is_file() else {}
    return {
        "run": run_id,
        "step": state.step,
        "folder": str(to),
        "params": sum(tensor.numel() for tensor in written.values()),
        "modules": sum(".lora_A." in name for name in written),
        "base_params": num_own,
        "items": len(items),
        "max_logit_difference": difference.largest,
    }


def _base_name(model: AnyVlm) -> str:
    """What the adapter names as its base model, as the run named it."""
    match model:
        case HubVlm():
            return model.source
        case MobileVlm():
            return model.folder
        case EmbeddedVlm() | SmolVlm():
            return model.kind


def _logit_difference(
    config: RunConfig, assembled: Assembled, roots: Roots, folder: Path, items: DataPart
) -> LogitDifference:
    """On prompts, between the run's model and the reloaded one."""
    vlm = assembled.vlm
    prompt = vlm.processor.prompt_batch(items.examples(range(len(items))))
    batch = {key: value.to(vlm.device) for key, value in prompt.items()}
    fresh = load_vlm(config.model, vlm.device, roots).model
    load_trained_weights(fresh, folder)
    live = assembled.tuning.model
    if not (folder / SAFETENSORS_WEIGHTS_NAME).is_file():
        return logit_difference(live, fresh, batch)
    return reload_difference(live, folder, fresh_base=fresh, batch=batch)


def main() -> int:
    """Exit status 0 and an answer, or 1 and one line that says why."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", help="id of the run")
    parser.add_argument("folder", type=Path, help="where to write")
    arguments = parser.parse_args()
    settings = Settings()
    engine = open_database(settings.database_url)
    try:
        answer = export(engine, settings, arguments.run, arguments.folder)
    except (ExportError, CheckpointError, ValueError, OSError) as error:
        print(" ".join(str(error).split()), file=sys.stderr)  # noqa: T201
        return 1
    print(json.dumps(answer))  # noqa: T201
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
