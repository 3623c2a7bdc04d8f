"""Our scores beside those of lmms-eval on the same made-up answers.

Where the two are known to differ, the difference itself is asserted; docs/benchmarks.md lists it.
"""

import copy
from pathlib import Path
from random import Random
from typing import Any

import pytest

from rankscope.models.benchmarks import Gqa, MmBench, Mme, Pope, ScienceQa, TextVqa
from rankscope.models.benchmarks.contract import Item
from rankscope.models.benchmarks.evalai import processed
from rankscope.models.benchmarks.mme import COGNITION, PERCEPTION
from rankscope.models.benchmarks.mme import label_in as mme_label
from rankscope.models.benchmarks.option_letters import LETTERS
from rankscope.models.benchmarks.option_letters import letter_in as option_letter
from rankscope.models.benchmarks.pope import yes_or_no
from rankscope.models.benchmarks.science_qa import letter_in as science_letter
from tests.oracle.lmms_eval_scorers import exact_match, scorer, tasks_folder

NOWHERE = Path("nowhere")
NUM_ITEMS = 600
# Marks, number words, contractions and short words: what the rules are about.
PIECES = (
    *";/[]\"{}()=+\\_-><@`,?!.':ABCDEab",
    *("yes", "Yes", "no", "No", "not", "the", "an", "none", "Ten", "3.5", "1,000", "red", "dog"),
    *("dont", "couldn't've", "it's", "A.", "(B)", "C)", "D:", "E,", ":A", "The answer is", "\n"),
    *("\t", "...", "yall'll", "Im", "somebody'd", "x.y", "7."),
)


def item(key: str, gold: tuple[str, ...], category: str = "", **more: Any) -> Item:
    shared = {"group": key, "image": None, "prompt": "", "categories": (category,), "gold": gold}
    return Item(key=key, **{**shared, **more})


def words(rng: Random, num_pieces: int) -> str:
    """Pieces with and without spaces between them."""
    return "".join(
        rng.choice(PIECES) + rng.choice(("", " ")) for _ in range(rng.randint(0, num_pieces))
    )


def test_without_lmms_eval_the_command_that_installs_it_is_named(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=r"run `.* -m pip install --no-deps --target .* -r "):
        tasks_folder(tmp_path)


def test_the_answer_processor_of_textvqa_is_the_same() -> None:
    theirs = scorer("_task_utils.vqa_eval_metric").EvalAIAnswerProcessor()
    rng = Random(0)
    answers = [words(rng, 12) for _ in range(5_000)]
    answers += [*theirs.CONTRACTIONS, *theirs.CONTRACTIONS.values(), *theirs.NUMBER_MAP]
    answers += ["x" + "." * dots + "y" for dots in range(70)]
    assert [processed(answer) for answer in answers] == [theirs(answer) for answer in answers]


def test_textvqa_is_the_same() -> None:
    theirs = scorer("textvqa.utils").textvqa_process_results
    rng = Random(1)
    items, answers = [], []
    for number in range(NUM_ITEMS):
        few = [words(rng, 3) for _ in range(rng.randint(1, 6))]
        items.append(item(str(number), tuple(rng.choice(few) for _ in range(10))))
        answers.append(rng.choice([*few, words(rng, 3)]))
    expected = [
        theirs({"question_id": one.key, "answers": list(one.gold)}, [answer])["exact_match"]
        for one, answer in zip(items, answers, strict=True)
    ]
    benchmark = TextVqa(annotation_file=NOWHERE, image_dir=NOWHERE, ocr_tokens="hidden")
    verdict = benchmark.judge(items, answers)
    assert verdict.item_scores == pytest.approx(expected)
    assert verdict.metrics["accuracy"] == pytest.approx(sum(expected) / NUM_ITEMS)
    assert len({round(score, 1) for score in expected}) == 5


def test_gqa_differs_only_in_punctuation() -> None:
    """Theirs drops all of it on both sides, ours only full stops at the end."""
    theirs = exact_match()
    rng = Random(2)
    golds = ["yes", "no", "traffic light", "t-shirt", "dog", "end table"]
    items = [item(str(number), (rng.choice(golds),)) for number in range(NUM_ITEMS)]
    answers = [
        rng.choice(("", "", "", "-")).join((one.gold[0].upper(), rng.choice(("", ".", "...", "!"))))
        if rng.random() < 0.6
        else rng.choice(golds)
        for one in items
    ]
    expected = [
        theirs([answer], [one.gold[0]], ignore_case=True, ignore_punctuation=True)["exact_match"]
        for one, answer in zip(items, answers, strict=True)
    ]
    benchmark = Gqa(question_file=NOWHERE, annotation_file=NOWHERE, image_dir=NOWHERE)
    found = benchmark.judge(items, answers).item_scores
    differing = [
        answer
        for answer, ours, their in zip(answers, found, expected, strict=True)
        if ours != their
    ]
    assert differing
    assert all("!" in answer or "-" in answer for answer in differing)
    assert theirs(["tshirt"], ["t-shirt"], ignore_case=True, ignore_punctuation=True) == {
        "exact_match": 1
    }
    plain = [index for index, answer in enumerate(answers) if answer not in differing]
    assert [found[i] for i in plain] == [expected[i] for i in plain]
    assert 0 < sum(found) < NUM_ITEMS


def test_scienceqa_is_the_same_but_for_three_forms_of_answers() -> None:
    theirs = scorer("scienceqa.utils").sqa_process_results
    rng = Random(3)
    options = ("one", "two", "three", "four")
    items, answers = [], []
    for number in range(NUM_ITEMS):
        items.append(item(str(number), (rng.choice("ABCD"),), options=options))
        letter = rng.choice("ABCDE")
        forms = (letter, f"{letter}. two", f"{letter} two", f"({letter})", "two", "")
        answers.append(rng.choice(forms))

    def expected(one: Item, answer: str) -> float:
        doc = {"choices": options, "answer": "ABCD".index(one.gold[0])}
        score: float = theirs(doc, [answer])["exact_match"]
        return score

    benchmark = ScienceQa(
        question_file=NOWHERE, problem_file=NOWHERE, split_file=NOWHERE, image_dir=NOWHERE
    )
    verdict = benchmark.judge(items, answers)
    assert list(verdict.item_scores) == [
        expected(one, answer) for one, answer in zip(items, answers, strict=True)
    ]
    assert 0 < sum(verdict.item_scores) < NUM_ITEMS
    right_b = item("b", ("B",), options=options)
    for answer, is_ours, is_theirs in (
        ("b", False, True),
        ("B.two", False, True),
        ("The answer is B.", True, False),
    ):
        assert (science_letter(answer) == "B", expected(right_b, answer) == 1) == (
            is_ours,
            is_theirs,
        )


def test_pope_is_the_same_for_bare_answers() -> None:
    theirs = scorer("pope.utils")
    rng = Random(4)
    items = [item(str(n), (rng.choice(("yes", "no")),), "random") for n in range(NUM_ITEMS)]
    answers = [rng.choice(("Yes", "No", "yes", "no")) for _ in items]
    results = _pope_results(theirs, items, answers)
    found = _pope().judge(items, answers).by_category["random"]
    for name, aggregate in (
        ("accuracy", theirs.pope_aggregate_accuracy),
        ("precision", theirs.pope_aggregate_precision),
        ("recall", theirs.pope_aggregate_recall),
        ("f1", theirs.pope_aggregate_f1_score),
    ):
        assert found[name] == pytest.approx(aggregate(results)), name
    assert 0.4 < found["f1"] < 0.6


def test_popes_yes_ratio_is_that_of_answers_and_theirs_that_of_labels() -> None:
    theirs = scorer("pope.utils")
    items = [item(str(n), ("yes",) if n < 3 else ("no",), "random") for n in range(10)]
    answers = ["Yes"] * 8 + ["No"] * 2
    assert _pope().judge(items, answers).by_category["random"]["yes_ratio"] == 0.8
    assert theirs.pope_aggregate_yes_ratio(_pope_results(theirs, items, answers)) == 0.3


def test_pope_reads_sentences_and_theirs_only_the_bare_word() -> None:
    theirs = scorer("pope.utils")
    for answer, label in (("Yes.", "yes"), ("No, there is no dog", "no"), ("There is", "yes")):
        assert yes_or_no(answer) == label
        (result,) = _pope_results(theirs, [item("0", (label,), "random")], [answer])
        assert result["score"] == 0


def _pope() -> Pope:
    return Pope(question_file=NOWHERE, label_dir=NOWHERE, image_dir=NOWHERE)


def _pope_results(theirs: Any, items: list[Item], answers: list[str]) -> list[dict[str, Any]]:
    return [
        theirs.pope_process_results({"question_id": one.key, "answer": one.gold[0]}, [answer])[
            "pope_accuracy"
        ]
        for one, answer in zip(items, answers, strict=True)
    ]


def test_mme_is_the_same() -> None:
    """Answers without full stops and of more than one letter, where the two rules are one."""
    theirs = scorer("mme.utils")
    rng = Random(5)
    items, answers = [], []
    for task in PERCEPTION + COGNITION:
        for number in range(20):
            group = f"{task}/{number}"
            for question, label in enumerate(("yes", "no")):
                items.append(item(f"{group}#{question}", (label,), task, group=group))
                said = label if rng.random() < 0.6 else words(rng, 3).replace(".", "").strip()
                answers.append(said if len(said) > 1 else "neither")
    results: dict[str, list[dict[str, Any]]] = {}
    for one, answer in zip(items, answers, strict=True):
        doc = {
            "question_id": one.group,
            "category": one.categories[0],
            "answer": one.gold[0].title(),
        }
        for name, result in theirs.mme_process_results(doc, [answer]).items():
            results.setdefault(name, []).append(result)
    metrics = Mme(question_file=NOWHERE, data_dir=NOWHERE).judge(items, answers).metrics
    for name in ("perception", "cognition"):
        expected = theirs.mme_aggregate_results(results[f"mme_{name}_score"])
        assert metrics[name] == pytest.approx(expected)
        assert 0 < expected < len(PERCEPTION) * 200


def test_mme_takes_no_single_letters_and_counts_full_stops() -> None:
    theirs = scorer("mme.utils").parse_pred_ans
    assert [(mme_label(said), theirs(said)) for said in ("y", "N", "...yes", "a. no")] == [
        ("other", "yes"),
        ("other", "no"),
        ("other", "yes"),
        ("other", "no"),
    ]


def test_the_options_that_mmbench_recognises_are_the_same() -> None:
    theirs = scorer("mmbench.mmbench_evals").MMBench_Evaluator()
    rng = Random(6)
    options = ("red", "dog", "the red cup", "no")
    named = dict(zip(LETTERS, options, strict=True))
    answers = [words(rng, 5) for _ in range(3_000)]
    found = [option_letter(answer, options) for answer in answers]
    expected = [theirs.can_infer(answer, copy.copy(named)) or None for answer in answers]
    assert found == expected
    assert set(found) == {"A", "B", "C", "D", "E", None}


def test_mmbenchs_circular_score_is_the_same_where_letters_can_be_told() -> None:
    theirs = scorer("mmbench.mmbench_evals").MMBench_Evaluator()
    rng = Random(7)
    items, answers = [], []
    for question in range(120):
        options = ("red", "dog", "cup", "")
        for rotation in range(3):
            key, gold = question + rotation * 1_000_000, rng.choice("ABC")
            items.append(
                item(str(key), (gold,), f"c{question % 4}", group=str(question), options=options)
            )
            letter = gold if rng.random() < 0.8 else rng.choice("ABC")
            answers.append(rng.choice((letter, f"{letter}.", f"({letter})", f"It is {letter}")))
    overall, by_category, _ = _mmbench_result(theirs, items, answers)
    verdict = MmBench(table_file=NOWHERE).judge(items, answers)
    assert verdict.metrics["circular_accuracy"] == pytest.approx(overall)
    assert {name: found["accuracy"] for name, found in verdict.by_category.items()} == (
        pytest.approx(by_category)
    )
    assert verdict.metrics["circular_accuracy"] < verdict.metrics["vanilla_accuracy"] - 0.2


def test_mmbench_counts_unclear_letters_as_wrong_where_theirs_guesses_on() -> None:
    theirs = scorer("mmbench.mmbench_evals").MMBench_Evaluator()
    items = [item("1", ("B",), "c", options=("red", "dog", "cup", ""))]
    answers = ["**B**"]
    assert MmBench(table_file=NOWHERE).judge(items, answers).metrics["circular_accuracy"] == 0
    assert _mmbench_result(theirs, items, answers)[0] == 1


def _mmbench_result(
    theirs: Any, items: list[Item], answers: list[str]
) -> tuple[float, dict[str, float], dict[str, float]]:
    rows = [
        {
            "index": int(one.key),
            "question": "",
            "answer": one.gold[0],
            "prediction": answer,
            "category": one.categories[0],
            "L2-category": "all",
            **{letter: option or None for letter, option in zip(LETTERS, one.options, strict=True)},
        }
        for one, answer in zip(items, answers, strict=True)
    ]
    result: tuple[float, dict[str, float], dict[str, float]] = theirs.eval_result(
        rows, eval_method="static"
    )
    return result
