"""The page Benchmarks: evaluations in every state, their figures, and the form that starts one."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from rankscope.models.benchmarks.files import located
from rankscope.storage.benchmark_answers import Attempt, StoredAnswer
from rankscope.storage.benchmark_figures import stored_score
from rankscope.storage.evaluations import get_evaluation
from rankscope.storage.queue import claim_next
from rankscope.storage.tables import BenchmarkEvaluation
from rankscope.tasks import client
from tests.browser.visits import NARROW, Visits
from tests.helpers.pope_files import write_pope
from tests.helpers.stack import Stack

LABELS = {"yes": "no", "no": "yes"}


@pytest.fixture(scope="module")
def stack(short_home: Path) -> Iterator[Stack]:
    write_pope(short_home / "data" / "pope", 4)
    with Stack(short_home, num_slots=0) as stack:
        yield stack


def begun(stack: Stack) -> Attempt:
    """An evaluation of twelve items that a worker has taken."""
    wish = client.wish_of({"model": {"kind": "embedded"}, "suite": "pope", "folder": "pope"})
    client.add_evaluation(stack.engine, stack.settings, wish, origin="queue", owner="ada")
    claim = claim_next(
        stack.engine, ["default"], worker_id="w", lease_s=600, job=BenchmarkEvaluation
    )
    assert claim is not None
    attempt = Attempt(stack.engine, *claim, lease_s=600)
    attempt.say("running")
    return attempt


def answer(stack: Stack, attempt: Attempt, *, num_right: int, num_answered: int = 12) -> None:
    """Answer the first items, so many of them rightly; with all twelve it is done."""
    config = get_evaluation(stack.engine, attempt.evaluation_id).parsed()
    benchmark = located(config.benchmark, stack.settings.roots.data)
    items = benchmark.items()
    said = [item.gold[0] if i < num_right else LABELS[item.gold[0]] for i, item in enumerate(items)]
    rows = [
        StoredAnswer(i, item.key, item.group, said[i], None)
        for i, item in enumerate(items[:num_answered])
    ]
    attempt.add(rows, duration_s=3.0)
    if num_answered == len(items):
        answers = {item.key: word for item, word in zip(items, said, strict=True)}
        score = benchmark.score_items(items, answers)
        attempt.finish(stored_score(score), score.item_scores)


def test_an_evaluation_is_started_from_the_form_and_cancelled(visits: Visits) -> None:
    page = visits.page("/benchmarks", viewport=NARROW)
    expect(page.get_by_role("heading", name="Nothing was evaluated yet")).to_be_visible()
    page.get_by_label("Model", exact=True).select_option("embedded")
    page.get_by_label("Folder of its files").fill("../secret")
    page.get_by_role("button", name="Evaluate").click()
    refusal = page.get_by_role("alert").filter(has_text="It was not started")
    expect(refusal).to_contain_text("must lie below the data root")
    visits.forgive("422")
    page.get_by_label("Folder of its files").fill("pope")
    expect(page.locator(".command")).to_contain_text("rankscope eval MODEL.yaml --suite pope")
    page.get_by_role("button", name="Evaluate").click()
    row = page.get_by_role("table", name="Evaluations").locator("tbody tr")
    expect(row).to_contain_text("base model embedded")
    expect(row).to_contain_text("queued")
    page.get_by_role("button", name="Cancel").click()
    expect(row).to_contain_text("stopped")
    expect(page.get_by_text("Stopped with 0 of 12 items answered")).to_be_visible()
    page.get_by_role("button", name="Resume").click()
    expect(row).to_contain_text("queued")
    page.get_by_role("button", name="Cancel").click()
    expect(row).to_contain_text("stopped")


def test_figures_states_and_the_difference_are_shown_and_the_address_keeps_them(
    visits: Visits, stack: Stack
) -> None:
    """Nine and six of twelve right: accuracy 75 %, and 25 points between the two."""
    good, bad, failed, running = (begun(stack) for _ in range(4))
    answer(stack, good, num_right=9)
    answer(stack, bad, num_right=6)
    answer(stack, failed, num_right=2, num_answered=2)
    failed.end("failed", "pope item random/3: a picture must be <b>whole</b>; fetch it anew")
    answer(stack, running, num_right=6, num_answered=6)
    page = visits.page(f"/benchmarks?id={good.evaluation_id}")
    figures = page.get_by_role("region", name="POPE of base model embedded")
    expect(figures).to_contain_text("75.0")
    by_category = figures.get_by_role("table", name="By category")
    expect(by_category.locator("tbody tr")).to_have_count(3)
    expect(figures).to_contain_text("instead of the official 8,910")
    page.get_by_role("button", name="Wrong ones").click()
    wrong = page.get_by_role("region", name="Answers").locator("tbody tr")
    expect(wrong).to_have_count(3)
    table = page.get_by_role("table", name="Evaluations")
    for attempt in (good, bad):
        table.locator(f'tr[data-key="{attempt.evaluation_id}"]').get_by_role(
            "button", name="Compare"
        ).click()
    difference = page.get_by_role("region", name="Is the difference real?")
    expect(difference).to_contain_text("+25.0 points")
    expect(difference).to_contain_text("Better in 3, worse in 0")
    expect(page).to_have_url(re.compile(f"with={good.evaluation_id}&with={bad.evaluation_id}"))
    page.reload()
    expect(difference).to_contain_text("+25.0 points")
    table.locator(f'tr[data-key="{failed.evaluation_id}"]').get_by_role(
        "button", name="POPE", exact=True
    ).click()
    expect(page.get_by_text("must be <b>whole</b>").last).to_be_visible()
    expect(page.get_by_role("button", name="Resume")).to_be_visible()
    table.locator(f'tr[data-key="{running.evaluation_id}"]').get_by_role(
        "button", name="POPE", exact=True
    ).click()
    expect(page.get_by_text("6 of 12 items answered")).to_be_visible()
    expect(page.get_by_text("2.0 items/s, ETA 0:03")).to_be_visible()
    page.goto("/workers")
    expect(page.get_by_role("region", name="Evaluations")).to_contain_text("base model embedded")
