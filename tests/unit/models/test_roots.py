"""What runs name stays below the roots of the machine."""

from pathlib import Path

import pytest

from rankscope.models.roots import Roots


@pytest.fixture
def roots(tmp_path: Path) -> Roots:
    (tmp_path / "models" / "own").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "models" / "link").symlink_to(tmp_path / "elsewhere")
    return Roots(data=tmp_path / "data", models=tmp_path / "models", cache=tmp_path / "cache")


def test_a_folder_is_found_by_its_name_below_the_root_or_its_whole_path(roots: Roots) -> None:
    own = roots.models / "own"
    assert roots.model_folder("own") == own
    assert roots.model_source("own") == roots.model_source(str(own)) == str(own)


def test_what_is_no_folder_here_is_an_id_of_the_hub(roots: Roots) -> None:
    assert roots.model_source("somebody/something") == "somebody/something"


@pytest.mark.parametrize("name", ["../elsewhere", "link", "/etc", "./none", "~"])
def test_what_leads_elsewhere_is_refused(roots: Roots, name: str) -> None:
    with pytest.raises(ValueError, match=r"must lie below the models root .*; put it there"):
        roots.model_source(name)
