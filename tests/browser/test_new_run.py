"""New run in the browser: a model's modules, data of one's own, and what is wrong with either."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.browser.visits import NARROW, Visits
from tests.helpers.stack import Stack

READ_MS = 250_000
"""A process imports torch, on two cores that other tests share."""


@pytest.fixture(scope="module")
def stack(short_home: Path) -> Iterator[Stack]:
    offline = {"HF_HUB_OFFLINE": "1", "RANKSCOPE_MAX_UPLOAD_MB": "1"}
    with Stack(short_home, num_slots=0, environment=offline) as stack:
        yield stack


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two rows that the embedded model takes, one of them with markup; one without its picture."""
    folder = tmp_path_factory.mktemp("rows")
    Image.new("RGB", (64, 48), "red").save(folder / "red.png")
    told = [
        {"image": "red.png", "question": "what color is north", "answer": "red"},
        {"image": "red.png", "question": "<img src=x onerror=alert(1)>", "answer": "red"},
        {"image": "none.png", "question": "what color is north", "answer": "red"},
    ]
    (folder / "own.jsonl").write_text("\n".join(map(json.dumps, told)))
    return folder


def test_a_pattern_shows_what_it_matches_while_it_is_typed(visits: Visits) -> None:
    page = visits.page("/new")
    total = page.get_by_text(re.compile("linear modules get adapters"))
    expect(total).to_have_text(re.compile("^42 of 56 linear modules get adapters: 13.056 param"))
    page.get_by_role("textbox", name="Targets").fill("q_proj|down_proj")
    expect(total).to_have_text(re.compile("^12 of 56"))
    page.get_by_role("radiogroup", name="Projector").get_by_text("in full").click()
    expect(page.get_by_role("table").first).to_contain_text(
        re.compile("Projector.*trained in full")
    )
    page.get_by_role("radiogroup", name="Language model").get_by_text("frozen").click()
    alert = page.locator("#field-parts .field-problem")
    expect(alert).to_contain_text("at least one")
    expect(page.get_by_role("button", name="Launch", exact=True)).to_have_attribute(
        "aria-disabled", "true"
    )


def test_sent_files_are_checked_and_shown_with_tokens_mask_and_broken_rows(
    visits: Visits, rows: Path
) -> None:
    page = visits.page("/new", viewport=NARROW)
    page.get_by_role("radio", name=re.compile("^Files")).check()
    page.get_by_text("Send files to the server").click()
    page.get_by_label("Into folder").fill("set")
    page.get_by_label("Files to send").set_input_files([rows / "own.jsonl", rows / "red.png"])
    expect(page.get_by_role("textbox", name="Path")).to_have_value("uploads/set/own.jsonl")
    samples = page.get_by_role("list", name="Samples of the data set")
    expect(samples).to_contain_text("<img src=x onerror=alert(1)>")
    page.get_by_role("button", name="Check the data").click()
    broken = page.get_by_role("region", name="Broken rows")
    expect(broken).to_contain_text("row 3", timeout=READ_MS)
    expect(broken).to_contain_text("none.png")
    scored = page.locator("mark.is-scored", has_text="red </s>")
    expect(scored).to_have_attribute("title", "2 tokens, count towards the loss")
    expect(page.get_by_text("The model cannot take this row")).to_be_visible()
    expect(page.get_by_role("region", name="Lengths of rows")).to_contain_text("tokens a row")
    page.get_by_label("Files to send").set_input_files(rows / "own.jsonl")
    expect(page.get_by_text("a file is never replaced")).to_be_visible()
    visits.forgive("409")  # browsers complain of every refusal


def test_a_model_that_is_out_of_reach_says_so_beside_its_field(visits: Visits) -> None:
    page = visits.page("/new?preset=t3_agent")
    expect(page.get_by_text("This model cannot be read")).to_be_visible(timeout=READ_MS)
    problem = page.locator("#field-model-hub-source .field-problem")
    expect(problem).to_contain_text("hf download Qwen/Qwen2-VL-7B-Instruct")
    expect(page.get_by_role("button", name="Try again")).to_be_visible()
    visits.forgive("422")  # the preset's data are not there either
