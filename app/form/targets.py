"""What the pattern of targets matches in the chosen model, while it is being typed."""

import re
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy.exc import SQLAlchemyError

from rankscope.app.form.parts import KEY as PARTS_KEY
from rankscope.app.form.values import Values, mapping_of
from rankscope.models.data import AnyDataset
from rankscope.models.inventory import PARTS, AdaptableModule, Linears, Part
from rankscope.models.reading import ConfigError, Problem, parse_part
from rankscope.models.vlms import AnyVlm
from rankscope.tasks.client import ModelLists, Refused, Working

_MODEL: TypeAdapter[AnyVlm] = TypeAdapter(AnyVlm)
_DATA: TypeAdapter[AnyDataset] = TypeAdapter(AnyDataset)
_NAMED_BY = ("source", "folder")
"""Fields that say which model is meant; a refusal of its files stands beside one."""

_Group = tuple[Part, str, str, int, int]
"""Part, path with the layer left open, type, d_in, d_out."""


def is_read(model: AnyVlm, lists: ModelLists) -> bool:
    """Whether it is known what a model is made of.

    Raises:
        ConfigError: Its files cannot be read.
    """
    state = lists.look(model)
    if isinstance(state, Refused):
        field = next((name for name in _NAMED_BY if name in type(model).model_fields), "kind")
        place = ("model", model.kind, field)
        raise ConfigError(state.message, (Problem(f"model.{field}", place, state.message),))
    return isinstance(state, Linears)


def targets_shown(values: Values, lists: ModelLists) -> dict[str, Any]:
    """For ``ui/new_targets.js``: modules by part and path, and which of them get adapters.

    ``state`` is one of ``unnamed``, ``unread``, ``reading``, ``refused`` and ``known``.
    """
    try:
        model = _model(values)
        state = lists.look(model)
    except (ConfigError, SQLAlchemyError):
        return {"state": "unnamed"}
    return state_of(state) | (_known(state, values) if isinstance(state, Linears) else {})


def state_of(state: Linears | Refused | Working | None) -> dict[str, Any]:
    """How far reading a model is, as JSON."""
    match state:
        case None:
            return {"state": "unread"}
        case Working():
            return {"state": "reading", "elapsed_s": state.elapsed_s}
        case Refused():
            return {"state": "refused", "message": state.message}
        case Linears():
            return {"state": "known"}


def chosen(values: Values) -> dict[str, Any]:
    """Settings of model and data as JSON, each None while it is not right."""
    written = mapping_of(values)
    return {
        "model": _settings(_MODEL, written["model"], "model"),
        "data": _settings(_DATA, written["data"], "data"),
    }


def _settings(kind: TypeAdapter[Any], raw: dict[str, Any], name: str) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = parse_part(kind, raw, name).model_dump(mode="json")
    except ConfigError:
        return None
    return found


def _known(linears: Linears, values: Values) -> dict[str, Any]:
    ways = {part: str(values[f"{PARTS_KEY}.{part}"]) for part in PARTS}
    try:
        pattern = re.compile(str(values["lora.targets"]))
    except re.error:
        pattern = None  # the field says why
    groups: defaultdict[_Group, list[AdaptableModule]] = defaultdict(list)
    for module in linears.modules:
        groups[_group(module)].append(module)
    shown = []
    for (part, path, kind, d_in, d_out), modules in groups.items():
        is_matched = bool(pattern and pattern.fullmatch(kind)) and ways[part] == "lora"
        shown.append(
            {
                "part": part,
                "path": path,
                "type": kind,
                "layers": _ranges([module.layer for module in modules]) if "{" in path else "",
                "num_modules": len(modules),
                "d_in": d_in,
                "d_out": d_out,
                "params_per_rank": sum(module.cost for module in modules),
                "is_matched": is_matched,
            }
        )
    matched = [group for group in shown if group["is_matched"]]
    return {
        "parts": [
            {"part": part, "way": ways[part], "params": linears.params_by_part[part]}
            for part in PARTS
            if part in linears.params_by_part
        ],
        "groups": shown,
        "num_modules": len(linears.modules),
        "num_matched": sum(group["num_modules"] for group in matched),
        "params_per_rank": sum(group["params_per_rank"] for group in matched),
    }


def _group(module: AdaptableModule) -> _Group:
    steps = module.name.split(".")
    layer = str(module.layer)
    if layer in steps:
        steps[steps.index(layer)] = "{layer}"
    return module.part, ".".join(steps), module.type, module.d_in, module.d_out


def _ranges(layers: Sequence[int]) -> str:
    """``0-3, 5`` of 0, 1, 2, 3, 5."""
    spans: list[list[int]] = []
    for layer in sorted(set(layers)):
        if spans and spans[-1][1] == layer - 1:
            spans[-1][1] = layer
        else:
            spans.append([layer, layer])
    return ", ".join(f"{a}" if a == b else f"{a}–{b}" for a, b in spans)


def _model(values: Values) -> AnyVlm:
    model: AnyVlm = parse_part(_MODEL, mapping_of(values)["model"], "model")
    return model
