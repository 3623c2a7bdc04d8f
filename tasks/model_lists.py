"""What models offer to adapt, without waiting: where their files have to tell, a process reads."""

from sqlalchemy import Engine

from rankscope.models.config import RunConfig
from rankscope.models.data import Scenes
from rankscope.models.inventory import Linears
from rankscope.models.vlms import AnyVlm
from rankscope.models.vlms.linears import known_linears
from rankscope.storage.inventories import get_linears, put_linears
from rankscope.tasks.answers import Answered, Answers, Refused, Working


class ModelLists:
    """Linear modules by a model's settings.

    Args:
        engine: The database, which remembers what was read.
        answers: Start the processes that read.
    """

    def __init__(self, engine: Engine, answers: Answers) -> None:
        self._engine, self._answers = engine, answers

    def look(self, model: AnyVlm) -> Linears | Refused | Working | None:
        """The list, or how far reading it is; None if somebody has to ask first."""
        answer = self._remembered(model) or self._answers.progress("listing", _argument(model))
        return self._kept(model, answer) if isinstance(answer, Answered) else answer

    def ask(self, model: AnyVlm, *, again: bool = False) -> None:
        """Have the list read, unless it is known.

        Args:
            model: The settings.
            again: Also if it was refused just now.
        """
        if self._remembered(model) is None:
            config = RunConfig(model=model, data=Scenes())
            self._answers.look("listing", _argument(model), config=config, again=again)

    def _remembered(self, model: AnyVlm) -> Linears | None:
        return known_linears(model) or get_linears(self._engine, model)

    def _kept(self, model: AnyVlm, answer: Answered) -> Linears:
        linears = Linears.model_validate_json(answer.text)
        put_linears(self._engine, model, linears)
        return linears


def _argument(model: AnyVlm) -> str:
    return model.model_dump_json()
