"""What of HyDRA can be set: its levels, events, caution, and what it believes unmeasured."""

from typing import Self

from pydantic import Field, model_validator

from rankscope.models.schedulers.contract import RankPlanner
from rankscope.models.schedulers.performance import PerformanceModelKind


class HydraSettings(RankPlanner):
    """Settings of ``Hydra``, which says what they do together."""

    coarse: bool = Field(True, description="Layers may have budgets of their own.")
    fine: bool = Field(True, description="Ranks may differ within a layer.")
    dynamic: bool = Field(True, description="Ranks may move again after they were first allocated.")
    early_lr_factor: float = Field(
        1.0,
        gt=0,
        le=1,
        description="Learning-rate factor in the first half of the language model's layers.",
    )
    first_event_fraction: float = Field(
        0.2, gt=0, lt=1, description="Share of the steps before the first measurement."
    )
    event_interval_fraction: float = Field(
        0.3, gt=0, lt=1, description="Share of the steps between later decisions."
    )
    freeze_fraction: float = Field(
        0.5, gt=0, lt=1, description="Share of the steps after which ranks are frozen."
    )
    probe_items: int = Field(32, ge=2, le=65536, description="Probe items per forward pass.")
    first_groups: int = Field(
        12, ge=1, le=1000, description="Groups measured at a first decision that nobody taught for."
    )
    refresh_groups: int = Field(
        4, ge=1, le=1000, description="Groups measured again at each later decision."
    )
    max_move_fraction: float = Field(
        0.1, gt=0, le=1, description="Share of the budget a later decision may move."
    )
    min_gain_fraction: float = Field(
        0.02, ge=0, le=1, description="Least predicted gain of a later move, of what adapters gain."
    )
    caution_sds: float = Field(
        1.0, ge=0, le=10, description="Standard deviations taken off a later move's predicted gain."
    )
    coarse_floor: float = Field(
        0.0, ge=0, le=1, description="Smallest layer budget, in equal shares."
    )
    coarse_cap: float = Field(
        4.0, ge=1, le=100, description="Largest layer budget, in equal shares."
    )
    layer_pull: float = Field(
        0.25,
        ge=0,
        le=1,
        description="Pull of a wholly unsure layer's budget towards its equal share.",
    )
    layer_prior_sd: float = Field(
        0.4, gt=0, le=10, description="How far layers may differ unmeasured (natural-log units)."
    )
    part_prior_sd: float = Field(
        1.2, gt=0, le=10, description="How far parts may differ unmeasured (natural-log units)."
    )
    type_prior_sd: float = Field(
        0.6, gt=0, le=10, description="How far types may differ unmeasured (natural-log units)."
    )
    mlp_prior_ratio: float = Field(
        1.0,
        gt=0,
        le=100,
        description="Worth per parameter of an MLP module over another's, unmeasured.",
    )
    depth_prior_ratio: float = Field(
        1.0,
        gt=0,
        le=100,
        description="Worth per parameter in the last language layer over the first's.",
    )
    damping_exponent: float = Field(
        0.5,
        ge=0,
        le=1,
        description="A damped module's knock-out is divided by early_lr_factor to this power.",
    )
    knock_out_log_sd: float = Field(
        1.3, gt=0, le=10, description="What a knock-out's logarithm errs by beyond item noise."
    )
    performance_model: PerformanceModelKind = Field(
        "bayesian_linear", description="What learns how much each module's rank is worth."
    )
    offline: str = Field(
        "auto",
        min_length=1,
        max_length=100,
        title="Learned from past runs",
        description="The offline performance model to begin with: auto (the newest useful one of "
        "this architecture, else one that knows the best static rule), none, or a model's name.",
    )

    @model_validator(mode="after")
    def _events_come_before_the_freeze(self) -> Self:
        if self.first_event_fraction > self.freeze_fraction:
            raise ValueError(
                f"first_event_fraction must not exceed freeze_fraction={self.freeze_fraction}, "
                f"got {self.first_event_fraction}; lower it"
            )
        return self
