"""Who comes in, who may do what, and who is refused."""

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
    with stack:
        add_account(stack.engine, "ada", PASSWORD, "operator")
        add_account(stack.engine, "vic", PASSWORD, "viewer")
        stack.stop("web")  # accounts are read at the start at the latest
        stack.start_web()
        yield stack


def sign_in(page: Page, name: str, password: str = PASSWORD) -> None:
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()


def test_a_stranger_is_led_to_the_sign_in_page_and_back_to_what_was_wanted(visits: Visits) -> None:
    page = visits.page("/workers")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    sign_in(page, "ada")
    expect(page).to_have_url(lambda url: url.endswith("/workers"))
    expect(page.get_by_role("banner").get_by_text("ada")).to_be_visible()


def test_a_wrong_password_is_said_beside_the_field_and_the_name_stays(visits: Visits) -> None:
    page = visits.page("/")
    sign_in(page, "ada", "wrong horse battery")
    field = page.get_by_label("Password")
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(field).to_have_accessible_description("This name and password do not belong together.")
    expect(page.get_by_label("Name")).to_have_value("ada")
    visits.complaints.clear()  # the browser reports the 401 itself


def test_signing_out_ends_it(visits: Visits) -> None:
    page = visits.page("/")
    sign_in(page, "ada")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    page.goto("/")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
