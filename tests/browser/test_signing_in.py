"""Who comes in, who may do what, and who is refused."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from rankscope.storage.accounts import add_account
from tests.browser.visits import Visits
from tests.helpers.stack import Stack

PASSWORD = "correct horse battery"  # noqa: S105


@pytest.fixture(scope="module")
def stack(short_home: Path) -> Iterator[Stack]:
    stack = Stack(short_home, num_slots=0)
    stack.create_database()
    add_account(stack.engine, "ada", PASSWORD, "operator")
    add_account(stack.engine, "vic", PASSWORD, "viewer")
    with stack:
        yield stack


def sign_in(page: Page, name: str, password: str = PASSWORD) -> None:
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()


def test_a_stranger_is_led_to_the_sign_in_page_and_back_to_what_was_wanted(visits: Visits) -> None:
    page = visits.page("/workers")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    sign_in(page, "ada")
    expect(page).to_have_url(re.compile(r"/workers$"))
    expect(page.get_by_role("banner").get_by_text("ada")).to_be_visible()


def test_a_wrong_password_is_said_beside_the_field_and_the_name_stays(visits: Visits) -> None:
    page = visits.page("/")
    sign_in(page, "ada", "wrong horse battery")
    field = page.get_by_label("Password")
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(field).to_have_accessible_description("This name and password do not belong together.")
    expect(page.get_by_label("Name")).to_have_value("ada")
    visits.forgive(r"status of 401")


def test_signing_out_ends_it(visits: Visits) -> None:
    page = visits.page("/")
    sign_in(page, "ada")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    page.goto("/")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    # the rest of a page that somebody left while it was loading, and what it asked meanwhile
    visits.forgive(r"/assets/|401 .*/api/runs")


def test_a_viewer_reads_but_cannot_launch(visits: Visits) -> None:
    page = visits.page("/new")
    sign_in(page, "vic")
    launch = page.get_by_role("button", name="Launch", exact=True)
    expect(launch).to_have_attribute("aria-disabled", "true")
    expect(page.get_by_text("Launching needs the role operator; you are viewer.")).to_be_visible()
    refused = page.request.post("/api/runs", data={"config": {}})
    assert refused.status == 403
    assert "operator" in refused.json()["message"]


def test_an_expired_or_altered_cookie_leads_back_to_the_sign_in_page(
    visits: Visits, stack: Stack
) -> None:
    page = visits.page("/workers")
    sign_in(page, "ada")
    expect(page.get_by_role("heading", name="Workers", level=1)).to_be_visible()
    (cookie,) = page.context.cookies()
    name, value = cookie.get("name", ""), cookie.get("value", "")
    page.context.clear_cookies()  # what a browser does with an expired one
    page.goto("/workers")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    assert page.request.get("/api/runs").status == 401
    altered = value[:-4] + ("AAAA" if value[-4:] != "AAAA" else "BBBB")
    page.context.add_cookies([{"name": name, "value": altered, "url": stack.url}])
    assert page.request.get("/api/runs").status == 401
    visits.forgive(r"status of 401", r"WebSocket")


def test_a_foreign_origin_is_refused_with_a_clear_answer(visits: Visits) -> None:
    page = visits.page("/")
    sign_in(page, "ada")
    refused = page.request.post(
        "/api/runs", data={"config": {}}, headers={"Origin": "https://evil.example"}
    )
    assert refused.status == 403
    assert "the Origin must be this server's own" in refused.json()["message"]
