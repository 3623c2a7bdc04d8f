"""Every benchmark: add a file with a ``Benchmark`` and its name to both lists."""

from typing import Annotated

from pydantic import Field

from rankscope.models.benchmarks.contract import Benchmark
from rankscope.models.benchmarks.gqa import Gqa
from rankscope.models.benchmarks.mmbench import MmBench
from rankscope.models.benchmarks.mme import Mme
from rankscope.models.benchmarks.pope import Pope
from rankscope.models.benchmarks.science_qa import ScienceQa
from rankscope.models.benchmarks.text_vqa import TextVqa

__all__ = ["BENCHMARKS", "AnyBenchmark", "Gqa", "MmBench", "Mme", "Pope", "ScienceQa", "TextVqa"]

BENCHMARKS: tuple[type[Benchmark], ...] = (Gqa, ScienceQa, TextVqa, Pope, Mme, MmBench)
"""In the order of LLaVA's and MobileVLM's tables."""

AnyBenchmark = Annotated[
    Gqa | ScienceQa | TextVqa | Pope | Mme | MmBench, Field(discriminator="kind")
]
