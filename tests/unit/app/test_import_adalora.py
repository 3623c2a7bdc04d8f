"""``rankscope import-adalora`` on a checkpoint that peft itself wrote."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
from peft import AdaLoraConfig, PeftModel

from rankscope.storage.database import open_database
from rankscope.storage.run_page import run_page
from tests.unit.app.conftest import Call
from tests.unit.tasks.scripts_adalora import INIT_RANK, STEPS, pruned


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[PeftModel, Path]:
    model = pruned()
    folder = tmp_path_factory.mktemp("adalora")
    with pytest.warns(UserWarning, match="invalid shape"):  # one module was pruned to nothing
        model.save_pretrained(str(folder))
    return model, folder


@pytest.mark.usefixtures("empty_home")
def test_a_checkpoint_becomes_a_run_whose_map_shows_the_ranks_that_peft_kept(
    trained: tuple[PeftModel, Path],
    answer_of: Callable[..., Any],
    call: Call,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("RANKSCOPE_HOME", str(tmp_path))
    model, folder = trained
    answer = answer_of("import-adalora", str(folder), "--name", "from peft", "--json")
    kept = cast("AdaLoraConfig", model.peft_config["default"]).rank_pattern
    assert kept is not None
    expected = {key.rpartition(".lora_E")[0]: sum(mask) for key, mask in kept.items()}
    assert answer["ranks"] == expected

    engine = open_database(f"sqlite:///{tmp_path}/rankscope.db")
    page = run_page(engine, answer["run"])
    engine.dispose()
    assert page["ranks"] == [expected[str(module["name"])] for module in page["modules"]]
    assert page["max_rank"] == INIT_RANK
    run = page["run"]
    assert (run["status"], run["origin"], run["name"]) == ("done", "external", "from peft")
    assert (run["step"], run["num_steps"], run["scheduler"]) == (STEPS, STEPS, "adalora")

    again = answer_of("import-adalora", str(folder), "--json")
    assert again["run"] == answer["run"]
    code, said, _ = call("show", answer["run"])
    assert code == 0
    assert "imported" in said


@pytest.mark.usefixtures("empty_home")
def test_another_folder_is_refused_in_one_line(call: Call, tmp_path: Path) -> None:
    code, _, complained = call("import-adalora", str(tmp_path))
    assert code == 2
    assert complained.startswith("error: FOLDER must hold adapter_config.json")
    assert len(complained.splitlines()) == 1
