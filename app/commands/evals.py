"""``rankscope evals``: evaluations on benchmarks, their scores, and how two of them differ."""

from typing import Annotated

import typer

from rankscope.app.commands.evaluate import evaluate_in_foreground
from rankscope.app.options import AsJson
from rankscope.app.shown_evaluations import difference_row, evaluation_row
from rankscope.app.store import open_store
from rankscope.app.terminal import count, out, percent, print_json, print_table
from rankscope.app.told_evaluations import shown, tell
from rankscope.models.reading import ConfigError
from rankscope.storage.benchmark_figures import Difference, compare
from rankscope.storage.evaluations import (
    EvaluationRecord,
    get_evaluation,
    list_evaluations,
    resolve_evaluation,
    stop_evaluation,
)
from rankscope.storage.settings import Settings
from rankscope.tasks import client


def evals(
    evaluations: Annotated[
        list[str] | None,
        typer.Argument(metavar="[EVALUATION]...", help="One to show, two to compare in pairs."),
    ] = None,
    stop: Annotated[bool, typer.Option("--stop", help="Stop it; what was answered stays.")] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Put it back into the queue for the rest.")
    ] = False,
    foreground: Annotated[
        bool, typer.Option("--foreground", help="With --resume: answer the rest here and now.")
    ] = False,
    as_json: AsJson = False,
) -> int | None:
    """List evaluations on benchmarks, show one, or compare two on the same items."""
    settings = Settings()
    engine = open_store(settings)
    ids = [resolve_evaluation(engine, prefix) for prefix in evaluations or []]
    if (stop or resume) and (len(ids) != 1 or stop == resume):
        raise ConfigError("--stop and --resume need one evaluation, and one of them; give its id")
    if foreground and not resume:
        raise ConfigError("--foreground has an effect with --resume only; leave it out")
    if stop:
        stop_evaluation(engine, ids[0])
    if resume and foreground:
        client.check_training_packages()
        return evaluate_in_foreground(engine, settings, ids[0], as_json=as_json)
    if resume:
        queue = get_evaluation(engine, ids[0]).queue
        client.resume_evaluation(engine, settings, ids[0], queue)
    found = [get_evaluation(engine, one) for one in ids]
    match found:
        case []:
            _print_list(list_evaluations(engine), as_json=as_json)
        case [one]:
            tell(one, as_json=as_json)
        case [ours, theirs]:
            _print_difference(ours, theirs, compare(engine, ours, theirs), as_json=as_json)
        case _:
            raise ConfigError(
                f"at most two evaluations can be compared, got {len(found)}; name two"
            )
    return None


def _print_list(evaluations: list[EvaluationRecord], *, as_json: bool) -> None:
    if as_json:
        print_json({"evaluations": [evaluation_row(one) for one in evaluations]})
        return
    print_table(
        "",
        ["id", "benchmark", "of", "status", "items", "score"],
        [
            [
                one.id,
                one.benchmark,
                one.title,
                one.status,
                f"{count(one.num_answered)} / {count(one.num_items)}",
                _headline(one),
            ]
            for one in evaluations
        ],
    )


def _headline(evaluation: EvaluationRecord) -> str:
    score = evaluation.score
    if score is None:
        return "–"
    name = score["headline"]
    return f"{name} {shown(name, score['metrics'][name])}"


def _print_difference(
    ours: EvaluationRecord, theirs: EvaluationRecord, found: Difference, *, as_json: bool
) -> None:
    if as_json:
        print_json(difference_row(found))
        return
    difference = found.difference
    out.print(
        f"{ours.benchmark}, {count(found.num_pairs)} {found.what}: {ours.title} "
        f"{percent(found.ours)}, {theirs.title} {percent(found.theirs)}, difference "
        f"{100 * difference.mean:+.1f} points [{100 * difference.low:+.1f}, "
        f"{100 * difference.high:+.1f}] (95 %, {difference.basis}); better in "
        f"{count(found.num_only_ours)}, worse in {count(found.num_only_theirs)}",
        markup=False,
    )
