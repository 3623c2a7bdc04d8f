"""What is compared: ``protocol.yaml``, and the configuration of every run it asks for."""

import copy
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from rankscope.models.config import RunConfig
from rankscope.models.freezing import Control
from rankscope.models.reading import parse_config

PROTOCOL = Path(__file__).parents[1] / "protocol.yaml"

Raw = dict[str, Any]
"""A part of a run's configuration, as YAML has it."""
ScoredPart = Literal["validation", "test"]


class ProtocolError(ValueError):
    """The protocol does not allow it; the message says rule, value and remedy."""


@dataclass(frozen=True)
class Cell:
    """One run: an arm on a task at a budget with a seed.

    ``trial`` is the place in the arm's grid; None stands for the arm's winner. ``draw`` numbers
    repetitions of an arm that draws its ranks.
    """

    task: str
    arm: str
    budget: float
    seed: int
    part: ScoredPart
    trial: int | None = None
    draw: int = 0


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Task(_Section):
    """A data set and the family it belongs to."""

    family: str
    data: Raw
    sealed: bool = False


class Arm(_Section):
    """One way to spend the budget."""

    config: Raw = {}
    key: str | None = None
    grid: str = "rates"
    like: str | None = None
    less_cost_of: str | None = None
    plus_cost_of: str | None = None
    control: Control | None = None
    over_budget: str | None = None


class Tuning(_Section):
    """Where learning rates are chosen: at every budget for itself."""

    budgets: tuple[float, ...] = Field(min_length=1)
    seeds: tuple[int, ...] = Field(min_length=1)


class Preset(_Section):
    """What one command runs."""

    part: ScoredPart
    tasks: tuple[str, ...] = Field(min_length=1)
    arms: tuple[str, ...] = Field(min_length=1)
    budgets: tuple[float, ...] = ()
    seeds: tuple[int, ...] = ()
    draws: dict[str, int] = {}
    untuned: bool = False


class Protocol(_Section):
    """The whole file."""

    sealed_open: bool
    common: Raw
    on_validation: Raw
    on_test: Raw
    tasks: dict[str, Task]
    tuning: Tuning
    grids: dict[str, tuple[Raw, ...]]
    arms: dict[str, Arm]
    presets: dict[str, Preset]

    @model_validator(mode="after")
    def _every_arm_has_as_many_trials(self) -> Self:
        sizes = {name: len(trials) for name, trials in self.grids.items()}
        if len(set(sizes.values())) != 1:
            raise ValueError(f"all grids must have as many trials, got {sizes}; even them out")
        return self

    @model_validator(mode="after")
    def _tuning_seeds_never_test(self) -> Self:
        for name, preset in self.presets.items():
            shared = sorted(set(preset.seeds) & set(self.tuning.seeds))
            if shared:
                raise ValueError(
                    f"preset {name} must not use the tuning seeds, got {shared}; take others"
                )
        return self

    @model_validator(mode="after")
    def _names_are_known(self) -> Self:
        for name, preset in self.presets.items():
            _must_know(f"tasks of preset {name}", preset.tasks, self.tasks)
            _must_know(f"arms of preset {name}", preset.arms, self.arms)
        for name, arm in self.arms.items():
            others = (arm.like, arm.less_cost_of, arm.plus_cost_of)
            _must_know(f"what arm {name} refers to", [o for o in others if o], self.arms)
            _must_know(f"the grid of arm {name}", [arm.grid], self.grids)
            if arm.control and not arm.like:
                raise ValueError(f"control of arm {name} needs like, got none; say of which arm")
        return self

    def tuned_arm(self, arm: str) -> str:
        """The arm whose winners this one uses: its own or those of the one it is like."""
        like = self.arms[arm].like
        return arm if like is None else self.tuned_arm(like)

    def trials(self, arm: str) -> tuple[Raw, ...]:
        """What is tried for an arm."""
        return self.grids[self.arms[self.tuned_arm(arm)].grid]

    def key(self, arm: str) -> str:
        """An arm's name in JSON keys."""
        return self.arms[arm].key or "_".join(re.findall(r"\w+", arm))

    def tuned_under(self, task: str, arm: str) -> str:
        """Hash of all that decides the tuning runs of an arm on a task, as the file writes it."""
        tuned = self.tuned_arm(arm)
        content = [
            self.common,
            self.on_validation,
            self.tasks[task].data,
            self.tuning.model_dump(),
            self.trials(tuned),
            self._arm_config(tuned),
        ]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]

    def open_tasks(self, tasks: Sequence[str]) -> list[str]:
        """The tasks that may be run now."""
        return [task for task in tasks if self.sealed_open or not self.tasks[task].sealed]

    def config(
        self, cell: Cell, winner: Raw, *, more_steps: int = 0, tags: Sequence[str] = ()
    ) -> RunConfig:
        """The run of a cell.

        Args:
            cell: The cell.
            winner: What tuning chose for its arm and task; of no effect in a tuning trial.
            more_steps: Added to the steps, may be negative.
            tags: Words to find the run by.

        Raises:
            ProtocolError: The task is sealed.
            ConfigError: The configuration does not parse.
        """
        task = self.tasks[cell.task]
        if task.sealed and not self.sealed_open:
            raise ProtocolError(
                f"a sealed task must not be run on {cell.part}, got {cell.task}; commit "
                "sealed_open: true in benchmarks/protocol.yaml once the method is final"
            )
        chosen = winner if cell.trial is None else self.trials(cell.arm)[cell.trial]
        raw = merged(
            self.common,
            {"data": task.data, "seed": cell.seed, "name": f"{cell.task}: {cell.arm}"},
            {"budget": {"unit": "rank", "value": cell.budget}, "tags": list(tags)},
            self._arm_config(cell.arm),
            chosen,
            self._beyond_winner(cell.arm),
            self.on_test if cell.part == "test" else self.on_validation,
        )
        raw["training"]["steps"] += more_steps
        if cell.draw:
            raw["scheduler"]["draw"] = cell.draw
        config = parse_config(_filled(raw, task.family))
        if config.data.family != task.family:
            raise ProtocolError(
                f"a task's family must be its data's, {cell.task} says {task.family}, its data "
                f"{config.data.family}; correct benchmarks/protocol.yaml"
            )
        return config

    def _arm_config(self, arm: str) -> Raw:
        return self.arms[self.tuned_arm(arm)].config

    def _beyond_winner(self, arm: str) -> Raw:
        """What an arm changes of the tuned arm it is like."""
        like = self.arms[arm].like
        return {} if like is None else merged(self._beyond_winner(like), self.arms[arm].config)


def read_protocol(path: Path = PROTOCOL) -> tuple[Protocol, str]:
    """The protocol and the SHA-256 of its file.

    Raises:
        ProtocolError: The file breaks a rule.
    """
    text = path.read_bytes()
    try:
        protocol = Protocol.model_validate(yaml.safe_load(text))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise ProtocolError(f"{path.name}: {where} {first['msg']}".replace("  ", " ")) from error
    return protocol, hashlib.sha256(text).hexdigest()


def merged(*parts: Mapping[str, Any]) -> Raw:
    """Nested mappings put together, the later ones on top; another kind replaces all of the old."""
    whole: Raw = {}
    for part in parts:
        for key, value in copy.deepcopy(dict(part)).items():
            old = whole.get(key)
            if isinstance(value, dict) and isinstance(old, dict) and _same_kind(value, old):
                whole[key] = merged(old, value)
            else:
                whole[key] = value
    return whole


def _filled(raw: Raw, family: str) -> Raw:
    """``{family}`` in texts replaced: an offline model is named for the family it has not seen."""
    return {
        key: _filled(value, family)
        if isinstance(value, dict)
        else value.replace("{family}", family)
        if isinstance(value, str)
        else value
        for key, value in raw.items()
    }


def _same_kind(new: Raw, old: Raw) -> bool:
    return new.get("kind", old.get("kind")) == old.get("kind")


def _must_know(what: str, names: Sequence[str], known: Mapping[str, object]) -> None:
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ValueError(f"{what} must be among {', '.join(known)}; got {unknown[0]!r}")
