"""Every format of dialogue: add a file with a ``Format`` and an instance of it to this list."""

from rankscope.models.data.files.contract import Format
from rankscope.models.data.files.llava import Llava
from rankscope.models.data.files.messages import Messages
from rankscope.models.data.files.sharegpt import ShareGpt
from rankscope.models.data.files.table import Table

FORMATS: tuple[Format, ...] = (Llava(), ShareGpt(), Messages(), Table())
"""The first that fits a row is taken, so the narrower stand first."""
