"""The example of the documentation against a live server: watched, interrupted, complete."""

import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

import rankscope
from rankscope.storage.accounts import add_account
from rankscope.storage.choices import Role
from rankscope.storage.run_page import run_page
from rankscope.storage.tokens import create_token
from rankscope.tasks.remote import RemoteError
from tests.helpers.stack import Stack
from tests.unit.tasks.scripts_trainer import adapted, trainer_of

ROOT = Path(__file__).parents[3]
EXAMPLE = ROOT / "docs" / "examples" / "attach.py"
NUM_STEPS = 60
PATIENCE_S = 200.0
"""The example imports torch and transformers on cores that others use too."""
T = TypeVar("T")


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """A server with accounts and no worker: nothing of what is told here is trained by it."""
    # not tmp_path: a Unix socket's path must be short
    with tempfile.TemporaryDirectory(prefix="rankscope-at-") as home:
        made = Stack(Path(home), num_slots=0)
        with made:
            add_account(made.engine, "ada", "correct horse battery", "operator")
            yield made


def token(stack: Stack, role: Role) -> str:
    return create_token(stack.engine, owner="ada", role=role).plaintext


def start_example(stack: Stack, out: Path) -> "subprocess.Popen[str]":
    arguments = ("--url", stack.url, "--out", str(out), "--steps", str(NUM_STEPS))
    return subprocess.Popen(
        [sys.executable, "-P", str(EXAMPLE), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=stack.command.environment | {"RANKSCOPE_TOKEN": token(stack, "operator")},
    )


def wait_for(look: Callable[[], T | None], complaint: str) -> T:
    deadline = time.monotonic() + PATIENCE_S
    while not (seen := look()):
        assert time.monotonic() < deadline, complaint
        time.sleep(0.1)
    return seen


def test_an_attached_run_is_watched_survives_an_outage_and_ends_complete(
    stack: Stack, tmp_path: Path
) -> None:
    with (
        start_example(stack, tmp_path / "out") as example,
        rankscope.client(stack.url, token(stack, "viewer")) as watching,
    ):

        def has_begun() -> str | None:
            runs = watching.runs(status=["running"], q="attach example")
            return None if runs.empty or runs["step"][0] < 1 else str(runs["id"][0])

        run = wait_for(has_begun, "the run never began")
        stack.kill("web")
        time.sleep(1)
        stack.start_web()
        said, complained = example.communicate(timeout=PATIENCE_S)
        assert example.returncode == 0, complained
        row = watching.run(run)
        steps, ranks = watching.curves(run), watching.ranks(run)

    assert (row["status"], row["step"], row["origin"]) == ("done", NUM_STEPS, "external")
    assert row["max_live_params"] <= row["budget_params"]
    assert steps["step"].tolist() == list(range(1, NUM_STEPS + 1))
    assert steps["loss"].notna().all()
    assert ranks.index[0] == 0
    assert len(ranks) > 1
    assert len(ranks.columns) == 14
    page = run_page(stack.engine, run)
    assert page["ranks"] == ranks.iloc[-1].tolist()
    assert any(form["kind"] == "apply" and form["moves"] for form in page["decisions"])
    assert f"page: {stack.url}/run?run={run}" in said
    difference = re.search(r"difference of logits after reloading: (\S+)", said)
    assert difference is not None
    assert float(difference.group(1)) < 1e-5


def test_a_stranger_is_refused_before_anything_is_trained(stack: Stack, tmp_path: Path) -> None:
    for given, complaint in (
        (None, r"\(401\): this needs a signed-in person"),
        ("rks_wrong", r"\(401\): this needs a signed-in person"),
        (token(stack, "viewer"), r"\(403\): this needs the role operator, ada is viewer"),
    ):
        trainer = trainer_of(adapted(), tmp_path)
        with pytest.raises(RemoteError, match=complaint):
            rankscope.attach(trainer, "uniform", url=stack.url, token=given)
        assert "train" not in trainer.__dict__


def test_a_client_submits_and_a_stranger_reads_nothing(stack: Stack) -> None:
    config = {"name": "by a program", "data": {"kind": "scenes", "task": "textures"}}
    with rankscope.client(stack.url, token(stack, "operator")) as client:
        runs = client.submit(config, seeds=[0, 1])
        assert client.submit(ROOT / "configs" / "demo.yaml")
        assert sorted(client.runs(q="by a program")["id"]) == sorted(runs)
        assert client.run(runs[0])["config"]["name"] == "by a program"
        assert client.ranks(runs[0]).empty
        with pytest.raises(RemoteError, match=r"data\.kind must be one of"):
            client.submit({"data": {"kind": "no such"}})
    with (
        rankscope.client(stack.url) as stranger,
        pytest.raises(RemoteError, match=r"\(401\): this needs a signed-in person"),
    ):
        stranger.runs()
