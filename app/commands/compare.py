"""``rankscope compare``: scores over seeds, side by side."""

from typing import Annotated, Literal

import typer

from rankscope.app.store import open_store
from rankscope.app.terminal import out, print_json, print_table
from rankscope.storage.comparison import Comparison, ComparisonRow, compare as compare_runs
from rankscope.storage.runs import resolve_run
from rankscope.storage.settings import Settings
