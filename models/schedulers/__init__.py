"""The schedulers there are; a new one is one file and one name here."""

from typing import Annotated, get_args

from pydantic import Field

from rankscope.models.schedulers.adalora import AdaLora
from rankscope.models.schedulers.contract import RankPlanner
from rankscope.models.schedulers.dora import Dora
from rankscope.models.schedulers.elalora import ElaLora
from rankscope.models.schedulers.eva import Eva
from rankscope.models.schedulers.fixed import Fixed
from rankscope.models.schedulers.full import Full
from rankscope.models.schedulers.gora import Gora
from rankscope.models.schedulers.gradient import Gradient
from rankscope.models.schedulers.hydra import Hydra
from rankscope.models.schedulers.lora_ga import LoraGa
from rankscope.models.schedulers.para import Para
from rankscope.models.schedulers.random_ranks import RandomRanks
from rankscope.models.schedulers.static import Static
from rankscope.models.schedulers.uniform import Uniform

_Planner = Uniform | RandomRanks | Static | Fixed | Gradient | Gora | ElaLora | Para | Hydra
"""The list: a new planner's name goes here. Planners never exceed the budget."""

AnyScheduler = Annotated[
    _Planner | AdaLora | Dora | Eva | LoraGa | Full, Field(discriminator="kind")
]
"""What a run may be configured with; those that are no planners train by themselves.

``AdaLora``, as peft has it, and ``Full`` exceed the budget.
"""

PLANNERS: tuple[type[RankPlanner], ...] = get_args(_Planner)
