"""What a rank planner sees, what it may ask to be measured, and what it may decide.

A planner is a frozen config and one pure function of what it sees: no clock, no global state, no
torch. So every planner can be checkpointed, replayed on a recorded run and tested in milliseconds.
The training shell (``rankscope.tasks.steering``) calls ``plan`` at the planner's
``decision_steps``, answers ``Measure`` and calls again with the results in ``view.measurements``,
and applies what comes out.
"""

from abc import ABC, abstractmethod
from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from rankscope.models.inventory import AdaptableModule
from rankscope.models.schedulers.offline.model import OfflineModel

Memory = dict[str, JsonValue]
"""What a planner remembers between decisions: plain JSON, stored in checkpoints."""

MAX_MEASURE_ROUNDS = 8
"""A planner that asks more often in one decision is taken to be in a loop."""

Statistic = Literal["saliency", "singular_values"]
"""A statistic the training shell can collect; a planner names and pays what it needs.

``saliency``: per component k, the exponential mean of |b_k . dB_k|, the first-order change of the
training loss when the component is removed (ALGORITHMS 3.1), in loss units.

``singular_values``: those of the module's whole change s B A at the decision, falling.
"""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ModuleState(AdaptableModule):
    """A module as a planner sees it at one step."""

    rank: int = Field(ge=0)
    min_rank: int = Field(ge=0)
    max_rank: int = Field(ge=0)
    pinned: bool = Field(
        False, description="A pinned module keeps its rank; min_rank == max_rank == rank."
    )
    multiple: int = Field(
        1,
        ge=1,
        description="Ranks are multiples of it, bounds too; the same for every module of a run.",
    )
    saliency: tuple[float, ...] | None = Field(
        None, description="Per component, loss units; None where the planner did not ask for it."
    )
    singular_values: tuple[float, ...] | None = Field(
        None, description="Of s B A, falling, ``rank`` of them; None where not asked for."
    )


class KnockOut(_Frozen):
    """Ask for the probe loss with each group of modules switched off in turn.

    Costs ``len(groups) + 1`` forward passes over ``num_items`` probe items.
    """

    kind: Literal["knock_out"] = "knock_out"
    groups: dict[str, tuple[str, ...]] = Field(description="Group name -> names of its modules.")
    num_items: int = Field(ge=1)


class ProbeLoss(_Frozen):
    """Ask for the mean loss on the first ``num_items`` probe items."""

    kind: Literal["probe_loss"] = "probe_loss"
    num_items: int = Field(ge=1)


class GradientEnergy(_Frozen):
    """Ask for every module's Adafactor-normalised gradient energy of the base weight.

    With G_i (d_out x d_in) the gradient of item i's loss, Gbar its mean over items and V = row x
    column / total the factored mean of G_i^2, energy is the sum of Gbar^2 / V: signal against
    noise, between about d_out d_in / num_items (items pull in unrelated directions) and d_out d_in
    (all agree), whatever the scale of the loss. (The mean of G_i^2 / V would be d_out d_in for
    every module.) Costs one forward and backward pass over the items.

    Source: the factored second moment of Adafactor (Shazeer & Stern 2018, arXiv 1804.04235,
        Algorithm 4).
    """

    kind: Literal["gradient_energy"] = "gradient_energy"
    num_items: int = Field(ge=1)


class HeldOutCredit(_Frozen):
    """Ask by how much the probe loss would rise without each module's adapter, to first order.

    With B the adapter's left factor, an item's credit is -(dL_i/dB . B), minus the derivative of
    its loss with respect to a factor on the whole adapter: above 0 where the adapter lowers the
    loss, exactly 0 at rank 0 and where B is still 0. To second order the rise without the adapter
    is credit + fisher / 2. Costs one forward and backward pass over the items.
    """

    kind: Literal["held_out_credit"] = "held_out_credit"
    num_items: int = Field(ge=1)


class WeightSensitivity(_Frozen):
    """Ask for the mean over each base weight's entries of |W * Gbar|, Gbar its mean gradient.

    Costs one forward and backward pass over the items. Source: GoRA, arXiv 2502.12171.
    """

    kind: Literal["weight_sensitivity"] = "weight_sensitivity"
    num_items: int = Field(ge=1)


MeasurementRequest = Annotated[
    KnockOut | ProbeLoss | GradientEnergy | HeldOutCredit | WeightSensitivity,
    Field(discriminator="kind"),
]


class KnockOutResult(_Frozen):
    """Per group, the paired rise of probe loss when it is off: mean and its standard error."""

    kind: Literal["knock_out"] = "knock_out"
    loss: float = Field(description="Mean probe loss with every adapter on (nats per item).")
    rise: dict[str, float]
    rise_se: dict[str, float]


class ProbeLossResult(_Frozen):
    """Mean loss over the probe items and its standard error."""

    kind: Literal["probe_loss"] = "probe_loss"
    loss: float
    loss_se: float


class GradientEnergyResult(_Frozen):
    """Per module, its normalised gradient energy."""

    kind: Literal["gradient_energy"] = "gradient_energy"
    energy: dict[str, float]


class HeldOutCreditResult(_Frozen):
    """Per module, the mean of the items' exact credits, its standard error, and its curvature."""

    kind: Literal["held_out_credit"] = "held_out_credit"
    loss: float = Field(description="Mean probe loss (nats per item).")
    loss_se: float
    credit: dict[str, float] = Field(description="Nats per item; above 0: the adapter helps.")
    credit_se: dict[str, float] = Field(description="Over items.")
    fisher: dict[str, float] = Field(
        description="Mean over items of their squared credits (nats squared): the empirical Fisher "
        "estimate of the loss's curvature in a factor on the adapter."
    )


class WeightSensitivityResult(_Frozen):
    """Per module, the mean first-order change of the loss when an entry of its weight is zeroed."""

    kind: Literal["weight_sensitivity"] = "weight_sensitivity"
    sensitivity: dict[str, float] = Field(description="Nats per entry of the base weight.")


MeasurementResult = Annotated[
    KnockOutResult
    | ProbeLossResult
    | GradientEnergyResult
    | HeldOutCreditResult
    | WeightSensitivityResult,
    Field(discriminator="kind"),
]


class View(_Frozen):
    """All a planner may know at a step; from train and probe data, never validation or test."""

    step: int = Field(ge=0, description="Optimizer steps done.")
    num_steps: int = Field(ge=1, description="Optimizer steps of the whole run.")
    budget: int = Field(ge=0, description="Adapter parameters that must never be exceeded.")
    seed: int = Field(ge=0, description="The run's seed, for planners that draw.")
    modules: tuple[ModuleState, ...]
    train_loss: float | None = Field(
        None, description="Exponential mean of the training loss (nats)."
    )
    measurements: tuple[MeasurementResult, ...] = Field(
        (),
        description="Answers to this decision's Measure, in the order asked; empty at first.",
    )
    offline: OfflineModel | None = Field(
        None, description="What past runs taught, for a planner that wants it; the whole run's."
    )


class Reason(_Frozen):
    """Why one module's rank moved (or did not): what a person reads beside the heatmap."""

    text: str
    predicted_gain: float | None = Field(None, description="Predicted fall of probe loss (nats).")
    predicted_gain_sd: float | None = None


class Keep(_Frozen):
    """Leave every rank as it is."""

    kind: Literal["keep"] = "keep"
    reason: str
    predicted_gain: float | None = Field(
        None, description="Of the best move that was turned down (nats)."
    )
    predicted_gain_sd: float | None = None
    threshold: float | None = Field(
        None, description="What the gain would have had to exceed (nats)."
    )
    realised_gain: float | None = Field(
        None, description="Measured effect of the previous move (nats)."
    )


class Apply(_Frozen):
    """Set ranks (modules left out keep theirs) and, if given, learning-rate factors per module."""

    kind: Literal["apply"] = "apply"
    ranks: dict[str, int]
    reasons: dict[str, Reason] = Field(default_factory=dict)
    lr_factors: dict[str, float] | None = Field(
        None,
        description="Per module, multiplies the configured learning rate; None: as they are.",
    )
    reason: str
    predicted_gain: float | None = Field(
        None, description="Of the whole move (nats of probe loss)."
    )
    predicted_gain_sd: float | None = None
    threshold: float | None = None
    realised_gain: float | None = Field(
        None, description="Measured effect of the previous move (nats)."
    )


class Measure(_Frozen):
    """Ask for measurements; ``plan`` is called again with the answers."""

    kind: Literal["measure"] = "measure"
    requests: tuple[MeasurementRequest, ...] = Field(min_length=1)


Decision = Annotated[Keep | Apply | Measure, Field(discriminator="kind")]


class RankPlanner(_Frozen, ABC):
    """Base of every planner: fields are its settings, ``plan`` is its rule."""

    kind: str
    needs: ClassVar[frozenset[Statistic]] = frozenset()

    @property
    def wanted_offline(self) -> str:
        """The offline model that ``view.offline`` is to be: ``auto``, ``none`` or a name."""
        return "none"

    @property
    def most_probe_items(self) -> int:
        """Most probe items it ever measures on; a run that has fewer is refused at its start."""
        return 0

    def check(self, view: View) -> None:
        """Refuse settings that cannot work with a run's modules, bounds and budget.

        Called before training, with the view of step 0. What is wrong later never ends a run: it
        keeps its last ranks and says that its scheduler failed.

        Raises:
            ValueError: Saying rule, value and remedy.
        """
        del view

    @abstractmethod
    def plan(self, view: View, memory: Memory) -> tuple[Decision, Memory]:
        """Decide at ``view.step``; a pure function of its arguments and the planner's settings."""

    def decision_steps(self, num_steps: int) -> tuple[int, ...]:
        """Steps at which ``plan`` is called, ascending; 0 is before the first optimizer step.

        ``num_steps`` is after the last one, before the run is scored: what is decided there is
        never trained again.

        Modules start at the uniform allocation of the budget, so a planner that keeps at step 0
        trains uniform.
        """
        del num_steps
        return (0,)
