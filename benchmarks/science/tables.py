"""A result's figures as Markdown: accuracies in percent, differences in points."""

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.science.results import BASELINE, CHALLENGER

Figures = Mapping[str, Any]


def tables_of(answer: Figures) -> str:
    """All tables of a preset that compares arms."""
    parts = [main_table(answer)]
    if any(figures["is_charged"] for figures in answer["arms"].values()):
        parts += ["Equal wall-clock:", wall_clock_table(answer)]
    return "\n\n".join(parts)


def main_table(answer: Figures) -> str:
    """Every arm at equal steps."""
    tasks = list(answer["tasks"])
    head = ["arm", *tasks, "mean", f"gain over {BASELINE}", f"{CHALLENGER} less this arm", "p"]
    hydra = answer["arms"].get(CHALLENGER, {})
    rows = []
    for arm, figures in answer["arms"].items():
        if figures["is_charged"]:
            continue
        by_task = [_accuracy(answer["tasks"][task][arm]) for task in tasks]
        gain = "–" if "relative_gain_vs_uniform" not in figures else gain_text(figures)
        name = f"{arm} †" if figures["over_budget"] else arm
        mean = f"{100 * figures['accuracy']:.1f}"
        rows.append([name, *by_task, mean, gain, *_against(hydra, figures["key"])])
    return markdown(head, rows)


def wall_clock_table(answer: Figures) -> str:
    """The challenger with its decisions' cost taken off its steps, or given to a rival."""
    head = ["comparison at equal wall-clock", "difference", "p"]
    rows = []
    for arm, figures in answer["arms"].items():
        if not figures["is_charged"]:
            continue
        for other, theirs in answer["arms"].items():
            if f"vs_{theirs['key']}" in figures and not theirs["is_charged"]:
                rows.append([f"{arm} less {other}", *_against(figures, theirs["key"])])
        hydra = answer["arms"].get(CHALLENGER, {})
        if f"vs_{figures['key']}" in hydra:
            rows.append([f"{CHALLENGER} less {arm}", *_against(hydra, figures["key"])])
    return markdown(head, rows)


def cost_table(answer: Figures) -> str:
    """What every arm held and took, means over tasks."""
    head = ["arm", "live at most, of the budget", "training s", "decisions s", "share"]
    rows = []
    for arm in answer["arms"]:
        mine = [task[arm] for task in answer["tasks"].values()]
        train_s, steering_s = (
            sum(figures[key] for figures in mine) / len(mine) for key in ("train_s", "steering_s")
        )
        live = max(figures["max_live_share"] for figures in mine)
        share = steering_s / train_s if train_s else 0.0
        rows.append(
            [arm, f"{live:.3f}", f"{train_s:.1f}", f"{steering_s:.2f}", f"{100 * share:.1f} %"]
        )
    return markdown(head, rows)


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def points_text(value: float, interval: Sequence[float]) -> str:
    """A difference of accuracies with its interval, in points (percent of one)."""
    low, high = (100 * bound for bound in interval)
    return f"{100 * value:+.1f} [{low:+.1f}, {high:+.1f}]"


def gain_text(figures: Figures) -> str:
    """The gain over the baseline with its interval, in percent of the baseline's accuracy."""
    low, high = (100 * bound for bound in figures["ci95"])
    return f"{100 * figures['relative_gain_vs_uniform']:+.1f} % [{low:+.1f}, {high:+.1f}]"


def _against(figures: Figures, key: str) -> list[str]:
    if f"vs_{key}" not in figures:
        return ["–", "–"]
    corrected = f"vs_{key}_p_holm"
    p = figures[corrected if corrected in figures else f"vs_{key}_p"]
    mark = "" if corrected in figures else " *"
    return [points_text(figures[f"vs_{key}"], figures[f"vs_{key}_ci95"]), f"{p:.2g}{mark}"]


def _accuracy(figures: Figures) -> str:
    half = (figures["ci95"][1] - figures["ci95"][0]) / 2
    return f"{100 * figures['accuracy']:.1f} ± {100 * half:.1f}"
