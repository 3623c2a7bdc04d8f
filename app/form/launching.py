"""A filled form becomes runs of the queue, once however often the button is pressed."""

import hashlib
import json
from typing import Any

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from rankscope.app.door.identity import Person
from rankscope.app.form.preview import read_form
from rankscope.app.form.values import Values
from rankscope.models.reading import ConfigError
from rankscope.storage.errors import StorageError
from rankscope.storage.settings import Settings
from rankscope.tasks import client


def launch(
    engine: Engine,
    settings: Settings,
    values: Values,
    *,
    person: Person,
    page: str,
    lists: client.ModelLists | None = None,
) -> dict[str, Any]:
    """Submit what stands in a form.

    Args:
        engine: The database.
        settings: Where the queue is.
        values: The form.
        person: Who launches; must be an operator.
        page: Names the opened page. The same form of the same page is submitted once: pressed
            twice, it answers with the same runs.
        lists: What models offer to adapt; without it a model's files are waited for.

    Returns:
        ``{"runs": [ids]}``, or ``{"message": ...}`` with the ``problems`` of single fields.
    """
    if not person.can_operate:
        return _refused(
            f"launching needs the role operator, {person.name} is {person.role}; "
            "ask an administrator"
        )
    filled = read_form(values, engine, lists)
    if filled.is_waiting:
        return _refused(
            "launching needs the model's list of modules, which is not read yet; wait until it is "
            "shown"
        )
    if filled.config is None:
        return _refused("not launched: mend the marked fields first") | {
            "problems": filled.problems
        }
    content = [page, person.name, filled.config.model_dump(mode="json"), filled.seeds]
    key = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    try:
        runs = client.submit(
            engine,
            settings,
            filled.config,
            owner=person.name,
            seeds=filled.seeds,
            idempotency_key=key,
        )
    except (ConfigError, StorageError) as error:
        return _refused(str(error))
    except SQLAlchemyError:
        return _refused("launching needs the database, it does not answer; try again in a minute")
    return {"runs": runs, "message": "", "problems": {}}


def _refused(message: str) -> dict[str, Any]:
    return {"runs": [], "message": message, "problems": {}}
