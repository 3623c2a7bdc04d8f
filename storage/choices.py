"""The closed lists of words that columns hold and callers pass."""

from typing import Literal

Origin = Literal["queue", "foreground", "external"]
"""Who started a run: the queue, a person at a command line, or somebody's own script."""

EvaluationOrigin = Literal["queue", "foreground"]
"""Who started an evaluation on a benchmark."""

Control = Literal["stop", "checkpoint"]
"""What can be asked of a live run; its trainer acts between two steps."""

Role = Literal["viewer", "operator", "admin"]
ArtifactKind = Literal["checkpoint", "adapter", "log"]
