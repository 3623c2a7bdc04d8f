"""Offline models that come with the package, each in a JSON file."""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable

from rankscope.models.inventory import AdaptableModule
from rankscope.models.schedulers.offline.model import OfflineModel


@cache
def shipped_models() -> Mapping[str, OfflineModel]:
    """By name."""
    return models_in(files("rankscope.models.schedulers") / "learned")


def models_in(folder: Traversable) -> dict[str, OfflineModel]:
    """The models in a folder's JSON files by name; a folder that is not there holds none."""
    if not folder.is_dir():
        return {}
    found = sorted((f for f in folder.iterdir() if f.name.endswith(".json")), key=lambda f: f.name)
    models = [OfflineModel.model_validate_json(file.read_text("utf-8")) for file in found]
    return {model.name: model for model in models}


def best_of(
    models: Iterable[OfflineModel], modules: Sequence[AdaptableModule]
) -> OfflineModel | None:
    """The useful model of these modules' architecture that was learned from most families."""
    fitting = [
        model
        for model in models
        if model.is_useful and model.architecture.kinship(modules) == "same"
    ]
    return max(fitting, key=lambda model: len(model.families), default=None)
