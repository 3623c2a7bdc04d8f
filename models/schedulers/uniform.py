"""The same rank everywhere: plain LoRA, and the control of every other scheduler."""

from typing import Literal

from typing_extensions import override

from rankscope.models.schedulers.contract import Decision, Keep, Memory, RankPlanner, View


class Uniform(RankPlanner):
    """Keep the uniform ranks that every run starts from."""

    kind: Literal["uniform"] = "uniform"

    @override
    def plan(self, view: View, memory: Memory) -> tuple[Decision, Memory]:
        return Keep(reason="uniform ranks are kept"), memory
