"""What a person may say about data of their own."""

import json

import pytest
from pydantic import BaseModel, ValidationError

from rankscope.models.data.files.settings import FileData, HubData


def test_settings_survive_json_and_are_frozen() -> None:
    data = FileData(path="llava/train.json", image_root="coco", broken_rows="leave_out")
    assert FileData.model_validate(json.loads(data.model_dump_json())) == data
    assert data.family == "files:llava/train.json"
    assert HubData(id="owner/name.v1").family == "hub:owner/name.v1"
    with pytest.raises(ValidationError, match="frozen"):
        data.path = "other.json"  # type: ignore[misc]


@pytest.mark.parametrize("path", ["/etc/passwd", "../x.json", "a/../../x.json", "a\0.json", ""])
def test_a_path_that_leads_out_is_refused_at_the_edge(path: str) -> None:
    for key in ("path", "image_root") if path else ("path",):
        with pytest.raises(ValidationError, match=f"{key}\n"):
            FileData.model_validate({"path": "x.json", key: path})


@pytest.mark.parametrize(
    "name", ["name", "../name", "owner/../name", "/etc/passwd", "owner/.hidden", "a/b/c", "json"]
)
def test_a_data_set_of_the_hub_has_an_owner_and_a_name(name: str) -> None:
    with pytest.raises(ValidationError, match="id\n"):
        HubData(id=name)


def test_parts_may_not_leave_train_empty() -> None:
    FileData.model_validate({"path": "x.json", "split": {"test_fraction": 0.5}})
    with pytest.raises(ValidationError, match=r"must not exceed 0.9 .*, got 1.03; lower one"):
        FileData.model_validate(
            {"path": "x.json", "split": {"test_fraction": 0.5, "probe_fraction": 0.5}}
        )


def test_a_column_without_effect_is_refused() -> None:
    columns = {"columns": {"question": "Frage"}}
    assert FileData.model_validate({"path": "x.csv", **columns}).columns.question == "Frage"
    with pytest.raises(ValidationError, match=r"columns.question has no effect with format llava;"):
        FileData.model_validate({"path": "x.json", "format": "llava", **columns})


def test_every_setting_is_described_and_every_number_bounded() -> None:
    def check(model: type[BaseModel]) -> None:
        for name, info in model.model_fields.items():
            inner = info.annotation
            if isinstance(inner, type) and issubclass(inner, BaseModel):
                check(inner)
            elif name != "kind":
                assert info.description, name
                assert inner not in (int, float) or len(info.metadata) >= 2, name

    check(FileData)
    check(HubData)


def test_people_are_first_asked_where_their_data_are() -> None:
    assert next(iter(FileData.model_fields)) == "path"
    assert next(iter(HubData.model_fields)) == "id"
