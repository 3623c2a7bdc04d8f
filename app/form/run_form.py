"""The form of a run, and what it is made from."""

from functools import cache

from rankscope.app.form.fields import Entry, form_of
from rankscope.app.form.parts import with_choices
from rankscope.models.config import RunConfig


@cache
def run_form() -> tuple[Entry, ...]:
    """As people fill it in."""
    return with_choices(config_form())


@cache
def config_form() -> tuple[Entry, ...]:
    """As the configuration has it, key for key."""
    return form_of(RunConfig)
