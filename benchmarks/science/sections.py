"""A preset's result as a section of docs/results.md."""

import shlex
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from benchmarks.science import figures
from benchmarks.science.protocol import Protocol, Raw
from benchmarks.science.results import BASELINE, CHALLENGER
from benchmarks.science.tables import cost_table, main_table, markdown, wall_clock_table
from benchmarks.science.verdict import is_decidable, verdict_text

Figures = Mapping[str, Any]

DECIDING = ("standard", "full")
"""Presets that the decision rule is applied to; the others ask something else."""


def section_of(protocol: Protocol, answer: Figures) -> str:
    """A result's section, from its heading to where it comes from.

    Args:
        protocol: Says what the preset asks for, so that the command names what was changed.
        answer: The preset's JSON object, as its file has it.
    """
    body = _tuning(answer) if answer["preset"] == "tune" else _comparison(answer)
    head = f"### Preset `{answer['preset']}`, on {answer['part']}"
    return "\n\n".join([head, _command(protocol, answer), *body, _provenance(answer)])


def figures_of(answer: Figures) -> dict[str, str]:
    """A comparison's figures as SVG, by the name of their file; none without a baseline."""
    if not _has_figures(answer):
        return {}
    names = _figure_names(answer)
    return dict(
        zip(names, (figures.gain_figure(answer), figures.tasks_figure(answer)), strict=True)
    )


def _has_figures(answer: Figures) -> bool:
    return any("relative_gain_vs_uniform" in arm for arm in answer.get("arms", {}).values())


def _figure_names(answer: Figures) -> tuple[str, str]:
    return f"science-{answer['preset']}-gain.svg", f"science-{answer['preset']}-tasks.svg"


def _command(protocol: Protocol, answer: Figures) -> str:
    """The command that makes the result anew."""
    preset = protocol.presets[answer["preset"]]
    words = ["python", "-m", "benchmarks.science", "--preset", answer["preset"]]
    # Tuning leaves out the variants, which have no trials of their own.
    asked = dict.fromkeys(
        protocol.tuned_arm(arm) if answer["preset"] == "tune" else arm for arm in preset.arms
    )
    arms = list(dict.fromkeys(run["arm"] for run in answer["runs"]))
    if set(arms) != set(asked):
        words += ["--arms", *arms]
    if set(answer["tasks"]) != set(protocol.open_tasks(preset.tasks)):
        words += ["--tasks", *answer["tasks"]]
    num_seeds = len({run["seed"] for run in answer["runs"]})
    if answer["preset"] != "tune" and num_seeds < len(preset.seeds):
        words += ["--num-seeds", str(num_seeds)]
    return f"```\n.venv/bin/{shlex.join([*words, '--save'])}\n```"


def _comparison(answer: Figures) -> list[str]:
    parts = []
    if answer["untuned"]:
        parts.append(
            f"Not tuned, at the middle of their trials: {', '.join(answer['untuned'])}. Shows "
            "that it works and not who wins."
        )
    if answer["preset"] in DECIDING and is_decidable(answer):
        parts += ["**The decision rule**", verdict_text(answer)]
    if _has_figures(answer):
        gain, tasks = _figure_names(answer)
        parts += [
            f"![Gain of every arm over {BASELINE} with its 95 % interval](images/{gain})",
            f"![Difference of every arm to {BASELINE} on every task](images/{tasks})",
        ]
    parts += ["**Equal steps**", main_table(answer), _legend(answer)]
    if any(arm["is_charged"] for arm in answer["arms"].values()):
        parts += ["**Equal wall-clock**", wall_clock_table(answer)]
    parts += ["**Cost**, per run, mean over tasks", cost_table(answer)]
    return [*parts, *_details(answer)]


def _legend(answer: Figures) -> str:
    beyond = [arm for arm, found in answer["arms"].items() if found["over_budget"]]
    why = "; ".join(f"{arm}: {answer['arms'][arm]['over_budget']}" for arm in beyond)
    text = (
        "Accuracy in percent ± half of its 95 % interval; gain in percent of "
        f"{BASELINE}'s mean accuracy; {CHALLENGER} less this arm in points. p after Holm over the "
        "rivals, with * uncorrected."
    )
    return text + (f" † holds more than the budget ({why})." if beyond else "")


def _details(answer: Figures) -> list[str]:
    """Accuracies by budget and the settings of every arm, folded away."""
    tasks = answer["tasks"]
    budgets = sorted({run["budget"] for run in answer["runs"]})
    places = [(task, f"{budget:g}") for task in tasks for budget in budgets]
    head = ["arm", *(f"{task}, rank {budget}" for task, budget in places)]

    def table(shown: Callable[[Figures], str]) -> str:
        return markdown(
            head,
            [
                [arm, *(shown(tasks[task][arm]["by_budget"][budget]) for task, budget in places)]
                for arm in answer["arms"]
            ],
        )

    return [
        "<details><summary>By budget: accuracy, learning rate × steps, agreement of final ranks"
        "</summary>",
        table(lambda found: f"{100 * found['accuracy']:.1f}"),
        table(lambda found: f"{found['lr']:g} × {found['steps']}"),
        "Mean rank correlation of two seeds' final ranks; – where ranks are equal everywhere.",
        table(lambda found: f"{found['rank_agreement']:.2f}" if "rank_agreement" in found else "–"),
        "</details>",
    ]


def _tuning(answer: Figures) -> list[str]:
    """One line per arm, task and budget: what won, and out of how many trials."""
    rows = []
    for task, arms in answer["tasks"].items():
        for arm, by_budget in arms.items():
            for budget, winner in by_budget.items():
                mine = [
                    run
                    for run in answer["runs"]
                    if (run["task"], run["arm"], f"{run['budget']:g}") == (task, arm, budget)
                ]
                trials = {run["trial"] for run in mine}
                failed = {run["trial"] for run in mine if run["status"] != "done"}
                num = f"{len(trials)}" + (f", {len(failed)} failed" if failed else "")
                scores = [f"{winner['loss']:.4f}", f"{100 * winner['accuracy']:.1f}"]
                cost = f"{winner['steering_steps']:.1f}"
                won = _trial_text(winner["trial"])
                rows.append([task, budget, arm, won, *scores, num, cost])
    head = ["task", "rank", "arm", "won", "loss", "accuracy", "trials", "steps its decisions cost"]
    return [
        "What won on validation; loss in nats per item and accuracy in percent are means over the "
        "tuning seeds.",
        markdown(head, rows),
    ]


def _trial_text(trial: Raw) -> str:
    """A trial's settings in words: ``lr 0.01, early_lr_factor 0.3``."""
    return ", ".join(_leaves(trial))


def _leaves(raw: Raw, name: str = "") -> list[str]:
    found = []
    for key, value in raw.items():
        if isinstance(value, dict):
            found += _leaves(value, key)
        else:
            found.append(f"{name if key == 'kind' else key} {_number(value)}")
    return found


def _number(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _provenance(answer: Figures) -> str:
    runs = answer["runs"]
    items = {found.get("items") for arms in answer["tasks"].values() for found in arms.values()}
    left_out = answer["left_out"]
    parts = [
        f"seeds {_listed(run['seed'] for run in runs)}",
        f"budget of rank {_listed(run['budget'] for run in runs)}",
        *(f"{num:,} items per task and run" for num in sorted(items - {None})),
        f"{len(runs):,} runs, {answer['runs_s'] / 3600:.1f} h of training and decisions, "
        f"{answer['jobs']} at once on {answer['cpu']}",
        f"{answer['date'][:10]}, commit `{answer['commit']}`{_made_at(answer)}",
        f"Python {answer['python']}, torch {answer['versions']['torch']}, "
        f"peft {answer['versions']['peft']}",
        f"protocol `{answer['protocol_sha256']}`",
        f"{answer['budget_violations']} counts of live parameters above the budget",
        *([f"left out: {', '.join(left_out)}"] if left_out else []),
    ]
    name = f"science-{answer['preset']}.json"
    text = "; ".join(parts)
    return f"{text[0].upper()}{text[1:]}. Every run: [`{name}`](../benchmarks/results/{name})."


def _made_at(answer: Figures) -> str:
    """Commits that runs were made at, where not all at the result's."""
    commits = dict.fromkeys(run["commit"].removeprefix("commit ") for run in answer["runs"])
    others = [f"`{commit}`" for commit in commits if commit and commit != answer["commit"]]
    return f" (runs of {', '.join(others)} among them)" if others else ""


def _listed(numbers: Iterable[float]) -> str:
    """Distinct numbers in order; whole ones that follow each other as a range."""
    ordered = sorted(set(numbers))
    if len(ordered) > 2 and ordered == list(range(int(ordered[0]), int(ordered[-1]) + 1)):
        return f"{ordered[0]:g} to {ordered[-1]:g}"
    return " and ".join(f"{number:g}" for number in ordered)
