"""MMBench, dev: 1,164 multiple-choice questions, each asked once for every rotation of its options.

CircularEval counts a question as right only if all its rotations are. VanillaEval, the first
rotation alone, is reported under its own name and is much higher: never compare the two.

Source: Liu et al., arXiv 2307.06281; OpenCompass' ``tools/eval_mmbench.py``; the prompts of
``model_vqa_mmbench.py`` in LLaVA and MobileVLM. Where letters cannot be told, the official tool
asks a GPT; here the answer counts as wrong. lmms-eval differs: its static way guesses further.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import ConfigDict, Field
from typing_extensions import override

from rankscope.models.benchmarks.contract import (
    Benchmark,
    Item,
    Verdict,
    least_by_group,
    mean,
    mean_by_category,
)
from rankscope.models.benchmarks.option_letters import LETTERS, letter_in
from rankscope.models.benchmarks.pictures import decoded
from rankscope.models.benchmarks.protocol import CHOICE_MAX_NEW_TOKENS, OPTION_LETTER
from rankscope.models.benchmarks.rows import CUT_OFF, REMEDY, Row, require_file, unreadable

NUM_BASES = 1_000_000
"""A rotated copy's index is that of its question plus a multiple of this."""
COLUMNS = ("index", "question", "hint", *LETTERS, "answer", "category", "image", "l2-category")
MISSING_WORDS = frozenset({"", "nan", "none"})
ROWS_AT_ONCE = 256


class MmBench(Benchmark):
    """MMBench dev, in English."""

    model_config = ConfigDict(title="MMBench")

    max_new_tokens: ClassVar[int] = CHOICE_MAX_NEW_TOKENS
    headline: ClassVar[str] = "circular_accuracy"
    official_groups: ClassVar[int] = 1_164

    kind: Literal["mmbench"] = "mmbench"
    table_file: Path = Field(
        description="mmbench_dev_en_20231003.tsv (MobileVLM) or mmbench_dev_20230712.tsv (LLaVA); "
        "it holds the pictures."
    )

    @override
    def read_items(self) -> Iterator[Item]:
        pictures = _Pictures()
        places: dict[int, str] = {}
        for row in _rows(self.table_file):
            index = _index(row)
            if index in places:
                raise row.refused(f"indices must differ, and {places[index]} has this one", index)
            places[index] = row.place
            yield _item(index, row, pictures.of(index, row))
        for index, place in places.items():
            if index % NUM_BASES not in places:
                raise ValueError(
                    f"{place}: must rotate a question of the table, got one of "
                    f"{index % NUM_BASES}, which is missing; {CUT_OFF}"
                )

    @override
    def judge(self, items: Sequence[Item], answers: Sequence[str]) -> Verdict:
        letters = [
            letter_in(answer, item.options) for item, answer in zip(items, answers, strict=True)
        ]
        scores = tuple(
            float((letter,) == item.gold) for item, letter in zip(items, letters, strict=True)
        )
        bases = [item for item in items if item.key == item.group]
        hits_by_group = least_by_group(items, scores)
        hits = [hits_by_group[base.group] for base in bases]
        num_unclear = letters.count(None)
        num_short = _num_not_fully_rotated(items)
        notes = []
        if num_short:
            notes.append(
                f"{num_short:,} questions have fewer rotations than options, which makes "
                "circular_accuracy too high"
            )
        if num_unclear:
            notes.append(f"{num_unclear:,} answers name no single option and count as wrong")
        return Verdict(
            item_scores=scores,
            metrics={
                "circular_accuracy": mean(hits),
                "vanilla_accuracy": mean(
                    [s for item, s in zip(items, scores, strict=True) if item.key == item.group]
                ),
            },
            by_category=mean_by_category(bases, hits),
            notes=tuple(notes),
        )


class _Pictures:
    """Pictures of a table; rotations share the bytes of their question's picture."""

    def __init__(self) -> None:
        self._by_digest: dict[bytes, bytes] = {}
        self._by_index: dict[int, bytes] = {}

    def of(self, index: int, row: Row) -> bytes:
        cell = row.text("image")
        # Newer tables give the index of the row that holds the picture; base64 is longer.
        if len(cell) <= 8 and cell.isascii() and cell.isdigit():
            if int(cell) not in self._by_index:
                raise row.refused("image must be base64 or the index of an earlier row", cell)
            picture = self._by_index[int(cell)]
        else:
            digest = hashlib.sha256(cell.encode()).digest()
            if digest not in self._by_digest:
                self._by_digest[digest] = decoded(cell, row.place)
            picture = self._by_digest[digest]
        self._by_index[index] = picture
        return picture


def _rows(path: Path) -> Iterator[Row]:
    """Rows of the table; a cell is None where pandas, which the official tools use, finds none.

    Raises:
        ValueError: If it cannot be read or lacks a column.
    """
    import pandas as pd

    require_file(path)
    number = 0
    try:
        with pd.read_csv(
            path,
            sep="\t",
            dtype=str,
            encoding="utf-8",
            # No archive is opened, whatever the file is called.
            compression=None,
            chunksize=ROWS_AT_ONCE,
        ) as tables:
            for table in tables:
                missing = [column for column in COLUMNS if column not in table.columns]
                if missing:
                    raise ValueError(
                        f"{path}: must have the columns {', '.join(missing)}, got only "
                        f"{', '.join(table.columns)}; {REMEDY}, the dev part: test has no answers"
                    )
                for cells in table[list(COLUMNS)].itertuples(index=False, name=None):
                    number += 1
                    values = (cell if isinstance(cell, str) else None for cell in cells)
                    row = dict(zip(COLUMNS, values, strict=True))
                    yield Row(f"{path} row {number} (index {row['index']})", row)
    except OSError as error:
        raise unreadable(path, error) from error
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        said = " ".join(str(error).split())
        raise ValueError(
            f"{path} after row {number}: must be a UTF-8 table with tabs ({said}); {CUT_OFF}"
        ) from error


def _index(row: Row) -> int:
    cell = row.text("index")
    if not (cell.isascii() and cell.isdigit()):
        raise row.refused("index must be a whole number", cell)
    return int(cell)


def _item(index: int, row: Row, picture: bytes) -> Item:
    options = tuple(row.cells[letter] or "" for letter in LETTERS)
    answer = row.text("answer")
    if answer not in LETTERS or not options[LETTERS.index(answer)]:
        raise row.refused("answer must be the letter of an option", answer)
    return Item(
        key=str(index),
        group=str(index % NUM_BASES),
        image=picture,
        prompt=_prompt(row, options),
        categories=(row.text("category"), f"all {row.text('l2-category')}"),
        gold=(answer,),
        options=options,
    )


def _prompt(row: Row, options: Sequence[str]) -> str:
    """Hint, question and options up to the first that is missing, as both protocols put them."""
    lines = [row.text("question")]
    hint = row.cells["hint"]
    if not _is_missing(hint):
        lines.insert(0, hint)
    for letter, option in zip(LETTERS, options, strict=True):
        if _is_missing(option):
            break
        lines.append(f"{letter}. {option}")
    return "\n".join([*lines, OPTION_LETTER])


def _is_missing(cell: str | None) -> bool:
    return cell is None or cell.lower() in MISSING_WORDS


def _num_not_fully_rotated(items: Sequence[Item]) -> int:
    """Questions with fewer rows than options."""
    num_rows = Counter(item.group for item in items)
    return sum(
        num_rows[item.group] < sum(map(bool, item.options))
        for item in items
        if item.key == item.group
    )
