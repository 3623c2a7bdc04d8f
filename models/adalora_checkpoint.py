"""What a peft AdaLoRA checkpoint says of its ranks; nothing of it is run, no weight is read."""

import json
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from rankscope.models.inventory import PARTS, AdaptableModule, Inventory, place_of
from rankscope.models.reading import ConfigError
from rankscope.models.schedulers.adalora import AdaLora

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
PICKLED = "adapter_model.bin"
_MAX_JSON_BYTES = 100_000_000
"""safetensors' own limit for a header."""
_PREFIX = "base_model.model."
_FACTORS = ("lora_A", "lora_B", "lora_E")


class Settings(BaseModel):
    """The part of peft's ``AdaLoraConfig`` that ranks follow from; other keys are left alone."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    peft_type: str = ""
    base_model_name_or_path: str | None = None
    init_r: int = Field(12, ge=1, le=65535)
    target_r: int = Field(8, ge=1, le=65535)
    tinit: int = Field(0, ge=0)
    tfinal: int = Field(0, ge=0)
    deltaT: int = Field(1, ge=1)
    total_step: int | None = Field(None, ge=1)
    beta1: float = 0.85
    beta2: float = 0.85
    orth_reg_weight: float = 0.5
    rank_pattern: dict[str, list[bool] | int] | None = None

    def scheduler(self) -> AdaLora | None:
        """The same as Rankscope's own settings; None where those cannot say it."""
        steps = self.total_step or 1
        try:
            return AdaLora(
                init_rank_factor=self.init_r / self.target_r,
                warmup_fraction=self.tinit / steps,
                final_fraction=self.tfinal / steps,
                interval_fraction=self.deltaT / steps,
                beta1=self.beta1,
                beta2=self.beta2,
                orthogonality_weight=self.orth_reg_weight,
            )
        except ValidationError:
            return None


class _Tensor(BaseModel):
    """A tensor's entry in a safetensors header."""

    shape: list[Annotated[int, Field(ge=0)]]


_TENSORS: TypeAdapter[dict[str, _Tensor]] = TypeAdapter(dict[str, _Tensor])


class AdaLoraCheckpoint(NamedTuple):
    """Where adapters sat, and the ranks that were left of them.

    ``inventory.total_params`` counts the adapted weights alone: the base model is not there.
    """

    settings: Settings
    inventory: Inventory
    ranks: dict[str, int]


def read_adalora(folder: Path) -> AdaLoraCheckpoint:
    """Read what ``save_pretrained`` wrote of a model with AdaLoRA.

    Raises:
        ConfigError: It is no such folder, or says too little: rule, value, remedy.
    """
    settings = _settings(folder)
    shapes = _shapes(_header(folder))
    kept = {_base_name(key): value for key, value in (settings.rank_pattern or {}).items()}
    strangers = sorted(kept.keys() - shapes.keys())
    if strangers:
        raise ConfigError(
            f"rank_pattern must name modules of {WEIGHTS}, got {strangers[0]!r}; "
            "use a config and weights of one checkpoint"
        )
    modules, ranks = [], {}
    for name, (rank, d_in, d_out) in shapes.items():
        ranks[name] = _rank(name, kept.get(name), rank)
        part, layer = place_of(name)
        modules.append(
            AdaptableModule(
                name=name,
                part=part,
                layer=layer or 0,
                type=name.rsplit(".", 1)[-1],
                d_in=d_in,
                d_out=d_out,
            )
        )
    modules.sort(key=lambda module: (PARTS.index(module.part), module.layer))
    adapted = sum(module.d_in * module.d_out for module in modules)
    return AdaLoraCheckpoint(
        settings, Inventory(modules=tuple(modules), total_params=adapted), ranks
    )


def _settings(folder: Path) -> Settings:
    path = folder / CONFIG
    if not path.is_file():
        raise ConfigError(
            f"FOLDER must hold {CONFIG}, got {folder} which does not; "
            "give the folder that save_pretrained wrote"
        )
    try:
        settings = Settings.model_validate(_json(path.read_bytes(), CONFIG))
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"][:2]))
        raise ConfigError(
            f"{CONFIG} must be peft's, its {key} is not ({first['msg']}); save the adapter again"
        ) from error
    if settings.peft_type != "ADALORA":
        raise ConfigError(
            f"peft_type must be ADALORA, {path} says {settings.peft_type or 'nothing'!r}; "
            "other adapters have the same rank everywhere, or say their ranks themselves"
        )
    if not settings.rank_pattern:
        raise ConfigError(
            f"rank_pattern must be in {path}, it is not: nothing was pruned yet; "
            "call update_and_allocate while training, then save"
        )
    return settings


def _header(folder: Path) -> dict[str, _Tensor]:
    """Names, types and shapes of the tensors: the first bytes of a safetensors file, plain JSON."""
    path = folder / WEIGHTS
    if not path.is_file():
        found = (
            f"{PICKLED}, which may run code when read" if (folder / PICKLED).exists() else "none"
        )
        raise ConfigError(
            f"the weights must be {WEIGHTS}, got {found}; save with safe_serialization=True"
        )
    with path.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
        content = file.read(size) if size <= _MAX_JSON_BYTES else b""
    if len(content) != size:
        raise ConfigError(f"{path} must be a whole safetensors file, it is not; save it again")
    header = _json(content, WEIGHTS)
    header.pop("__metadata__", None)
    try:
        return _TENSORS.validate_python(header)
    except ValidationError as error:
        raise ConfigError(f"the header of {path} must list shapes; save it again") from error


def _shapes(header: dict[str, _Tensor]) -> dict[str, tuple[int, int, int]]:
    """Per module its rank as stored, d_in and d_out."""
    stored: dict[str, dict[str, list[int]]] = {}
    for key, tensor in header.items():
        name, _, factor = key.removesuffix(".weight").rpartition(".")
        if factor in _FACTORS:
            stored.setdefault(name.removeprefix(_PREFIX), {})[factor] = tensor.shape
    shapes = {}
    for name, factors in stored.items():
        a, b = factors.get("lora_A", []), factors.get("lora_B", [])
        if len(a) != 2 or len(b) != 2 or a[0] != b[1] or not (a[1] and b[0]):
            raise ConfigError(
                f"{WEIGHTS} must hold A (rank x d_in) and B (d_out x rank) of {name}, got shapes "
                f"{a} and {b}; save the adapter again"
            )
        shapes[name] = a[0], a[1], b[0]
    if not shapes:
        raise ConfigError(f"{WEIGHTS} must hold LoRA tensors, it has none; give another folder")
    return shapes


def _rank(name: str, kept: list[bool] | int | None, stored: int) -> int:
    """A module's rank: peft drops pruned triplets when it saves, older versions kept them."""
    rank = stored if kept is None else kept if isinstance(kept, int) else sum(kept)
    whole = len(kept) if isinstance(kept, list) else stored
    if stored not in (rank, whole) or rank > stored:
        raise ConfigError(
            f"rank_pattern must fit the weights, {name} keeps {rank} where {WEIGHTS} holds "
            f"{stored}; use a config and weights of one checkpoint"
        )
    return rank


def _base_name(key: str) -> str:
    """The module's path, of peft's ``[base_model.model.]NAME.lora_E[.default]``."""
    name = key.removeprefix(_PREFIX)
    return name.rpartition(".lora_E")[0] or name


def _json(content: bytes, called: str) -> dict[str, Any]:
    try:
        mapping = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{called} must be JSON, it is not ({error}); save it again") from error
    if not isinstance(mapping, dict):
        raise ConfigError(f"{called} must be a mapping, it is not; save it again")
    return mapping
