"""What a page is: a title, an address, and a function that builds it in Gradio."""

from collections.abc import Callable
from typing import NamedTuple

from sqlalchemy import Engine

from rankscope.storage.settings import Settings
from rankscope.tasks.client import Answers


class Site(NamedTuple):
    """What pages are built on."""

    engine: Engine
    settings: Settings
    answers: Answers


class Page(NamedTuple):
    """One page of the dashboard; ``build`` runs once, inside the page's ``gr.Blocks``."""

    title: str
    path: str
    build: Callable[[Site], None]
    in_menu: bool = True
