"""What tuning chose: ``winners.yaml``, written by ``--preset tune`` and read by all others."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from pydantic import BaseModel, ConfigDict

from benchmarks.science.protocol import Protocol, ProtocolError, Raw

WINNERS = Path(__file__).parents[1] / "winners.yaml"
_HEAD = """\
# What `python -m benchmarks.science --preset tune` chose on validation; do not edit.
# trial: settings that won. loss, accuracy: means on validation over the tuning seeds.
# steering_steps: what the arm's decisions cost (measurements, resizing), in its own steps.
# tuned_under: hash of the parts of the protocol that this choice depends on.
"""


class Place(NamedTuple):
    """What there is a winner for."""

    arm: str
    task: str
    budget: float


class Winner(BaseModel):
    """The best trial of an arm on a task at a budget."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    trial: Raw
    loss: float
    accuracy: float
    steering_steps: float
    tuned_under: str


class Winners(BaseModel):
    """Winners by arm, task and budget, and what they were chosen under."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    protocol_sha256: str = ""
    commit: str = ""
    date: str = ""
    arms: dict[str, dict[str, dict[float, Winner]]] = {}

    def with_chosen(self, chosen: Mapping[Place, Winner], **about: str) -> "Winners":
        """These and newly chosen ones."""
        arms = {
            arm: {task: dict(by_budget) for task, by_budget in by_task.items()}
            for arm, by_task in self.arms.items()
        }
        for place, winner in chosen.items():
            arms.setdefault(place.arm, {}).setdefault(place.task, {})[place.budget] = winner
        return Winners.model_validate({**about, "arms": arms})

    def trial(self, protocol: Protocol, place: Place, *, untuned: bool) -> Raw:
        """The settings an arm runs with on a task at a budget.

        Raises:
            ProtocolError: It was never tuned, or under other rules, and must have been.
        """
        winner = self._present(protocol, place)
        if winner is not None:
            return winner.trial
        if untuned:
            trials = protocol.trials(place.arm)
            return trials[(len(trials) - 1) // 2]
        raise ProtocolError(
            f"every arm must be tuned under the present protocol, {place.arm} on {place.task} at "
            f"budget {place.budget:g} is not; run: python -m benchmarks.science --preset tune "
            f"--arms '{protocol.tuned_arm(place.arm)}'"
        )

    def is_tuned(self, protocol: Protocol, place: Place) -> bool:
        """Whether a present winner exists."""
        return self._present(protocol, place) is not None

    def more_steps(self, protocol: Protocol, place: Place, *, untuned: bool) -> int:
        """Steps more or fewer by which an arm pays for, or is paid, an arm's decisions."""
        rule = protocol.arms[place.arm]
        total = 0
        for charged, sign in ((rule.less_cost_of, -1), (rule.plus_cost_of, 1)):
            if charged is None:
                continue
            winner = self._present(protocol, place._replace(arm=charged))
            if winner is None and not untuned:
                self.trial(protocol, place._replace(arm=charged), untuned=False)
            # Rounded up: the charge is never smaller than what was measured.
            total += sign * (-int(-winner.steering_steps // 1) if winner else 0)
        return total

    def _present(self, protocol: Protocol, place: Place) -> Winner | None:
        by_task = self.arms.get(protocol.tuned_arm(place.arm), {})
        winner = by_task.get(place.task, {}).get(place.budget)
        if winner is None or winner.tuned_under != protocol.tuned_under(place.task, place.arm):
            return None
        return winner


def read_winners(path: Path = WINNERS) -> tuple[Winners, str]:
    """The winners and the SHA-256 of their file; none and "" where there is no file."""
    if not path.exists():
        return Winners(), ""
    text = path.read_bytes()
    return Winners.model_validate(yaml.safe_load(text)), hashlib.sha256(text).hexdigest()


def write_winners(winners: Winners, path: Path = WINNERS) -> None:
    """Write the file that is to be committed."""
    content: dict[str, Any] = winners.model_dump()
    text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=120)
    path.write_text(_HEAD + text, encoding="utf-8")
