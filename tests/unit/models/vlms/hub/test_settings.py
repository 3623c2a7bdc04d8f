"""What can be chosen about a model of the hub, and what cannot."""

import subprocess
import sys

import pytest
from pydantic import ValidationError

from rankscope.models.vlms.hub.settings import HubVlm


def test_settings_survive_a_round_trip() -> None:
    settings = HubVlm(source="owner/name", revision="v1", precision="nf4", max_picture_pixels=10**6)
    assert HubVlm.model_validate_json(settings.model_dump_json()) == settings


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("source", ""),
        ("precision", "int4"),
        ("max_length", 15),
        ("max_answer_tokens", 0),
        ("max_picture_pixels", 783),
        ("trust_remote_code", True),
        ("kind", "embedded"),
    ],
)
def test_what_is_out_of_bounds_or_unknown_is_refused(key: str, value: object) -> None:
    """783 pixels are less than one visual token of Qwen2-VL, 28 x 28 = 784."""
    with pytest.raises(ValidationError, match=key):
        HubVlm.model_validate({"source": "owner/name", key: value})


def test_every_setting_is_described() -> None:
    fields = HubVlm.model_fields
    assert all(field.description for name, field in fields.items() if name != "kind")


def test_settings_need_no_torch() -> None:
    code = (
        "import sys; import rankscope.models.vlms.hub.settings; "
        "sys.exit(any(m in sys.modules for m in ('torch', 'transformers', 'tokenizers')))"
    )
    assert subprocess.run([sys.executable, "-P", "-c", code], check=False).returncode == 0
