"""Models as they come out of loading, and checkpoints that cannot be loaded."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from huggingface_hub import constants
from safetensors.torch import load_file, save_file

from rankscope.models.lora.elastic import ElasticLora
from rankscope.models.lora.inventory import find_modules
from rankscope.models.vlms.hub.loading import load_hub
from rankscope.models.vlms.hub.meta import hub_linears
from rankscope.models.vlms.hub.settings import Precision
from tests.helpers.tiny_vlms import TINY_FAMILIES
from tests.unit.models.vlms.hub.conftest import CPU, ONE, SMALL, Tiny, settings_of


@pytest.fixture
def copied(tiny_folder: Callable[[str], Path], tmp_path: Path) -> Callable[[str], Path]:
    """A family's checkpoint to be damaged."""

    def copy(family: str) -> Path:
        return shutil.copytree(tiny_folder(family), tmp_path / family)

    return copy


@pytest.mark.parametrize("family", TINY_FAMILIES)
def test_a_model_comes_frozen_and_generates_plainly(
    family: str, tiny: Callable[[str], Tiny]
) -> None:
    vlm = tiny(family)
    assert not vlm.model.training
    assert not any(parameter.requires_grad for parameter in vlm.model.parameters())
    generation = vlm.model.generation_config
    assert generation is not None
    assert generation.eos_token_id == list(vlm.processor.end_ids)
    assert generation.pad_token_id == vlm.processor.pad_id
    assert generation.repetition_penalty in (None, 1.0)  # Qwen's own is 1.05
    assert not generation.do_sample


@pytest.mark.parametrize("family", TINY_FAMILIES)
def test_half_precision_takes_the_same_batches(
    family: str, tiny_folder: Callable[[str], Path]
) -> None:
    model, processor = load_hub(settings_of(tiny_folder(family), precision="bf16"), CPU)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.bfloat16}
    inventory = find_modules(model, "q_proj|qkv", frozenset({"vision", "language"}))
    ranks = {module.name: 2 for module in inventory.modules}
    elastic = ElasticLora(model, inventory, ranks, scale=2.0, seed=0)
    elastic.peft_model(**processor.training_batch([ONE, SMALL])).loss.backward()
    for name in ranks:
        grad = elastic.parameters_of(name)[1].grad
        assert grad is not None
        assert grad.dtype == torch.float32
        assert float(grad.abs().max()) > 0, name


@pytest.mark.parametrize("precision", ["nf4", "int8"])
def test_quantised_weights_need_a_gpu(
    precision: Precision, tiny_folder: Callable[[str], Path]
) -> None:
    settings = settings_of(tiny_folder("llava"), precision=precision)
    with pytest.raises(ValueError, match=rf"{precision} must have a CUDA device, got cpu; use bf1"):
        load_hub(settings, CPU)


def test_the_context_is_not_exceeded(tiny_folder: Callable[[str], Path]) -> None:
    settings = settings_of(tiny_folder("llava"), max_length=4097)
    with pytest.raises(ValueError, match=r"the model's context of 4096 tokens, got 4097; lower it"):
        load_hub(settings, CPU)


def test_a_folder_is_read_without_asking_the_hub(
    tiny_folder: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    settings = settings_of(tiny_folder("qwen2_vl"))
    load_hub(settings, CPU)
    hub_linears(settings)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (
            ["tokenizer.json"],
            r"must come with a tokenizer \(tokenizer.json\) that can be used, got",
        ),
        (["preprocessor_config.json"], r"come with a picture processor \(preprocessor_config.json"),
        (
            ["chat_template.json"],
            r"must come with a chat template \(chat_template.jinja\), got none",
        ),
    ],
)
def test_a_file_that_is_missing_is_told(
    names: list[str], message: str, copied: Callable[[str], Path]
) -> None:
    folder = copied("qwen2_vl")
    for name in names:
        (folder / name).unlink()
    with pytest.raises(ValueError, match=message):
        load_hub(settings_of(folder), CPU)


@pytest.mark.parametrize("name", ["tokenizer.json", "preprocessor_config.json"])
def test_a_file_that_is_broken_is_told(name: str, copied: Callable[[str], Path]) -> None:
    folder = copied("llava")
    (folder / name).write_text("{")
    with pytest.raises(ValueError, match=rf"must come with .*{name}.* that can be used, got"):
        load_hub(settings_of(folder), CPU)


def test_a_tokenizer_of_another_model_is_told(copied: Callable[[str], Path]) -> None:
    folder = copied("qwen2_vl")
    shutil.copy(copied("internvl") / "tokenizer.json", folder)
    with pytest.raises(
        ValueError, match=r"agree on the token that stands for a picture, got '<\|im"
    ):
        load_hub(settings_of(folder), CPU)


def test_weights_that_are_cut_short_are_told(copied: Callable[[str], Path]) -> None:
    folder = copied("llava")
    content = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(content[:-1000])
    with pytest.raises(ValueError, match=r"must be those that its config.json tells, got"):
        load_hub(settings_of(folder), CPU)


def test_weights_of_another_size_are_told(copied: Callable[[str], Path]) -> None:
    folder = copied("llava")
    config = json.loads((folder / "config.json").read_text())
    config["text_config"]["hidden_size"] = 64
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match=r"must be those that its config.json tells, got"):
        load_hub(settings_of(folder), CPU)


def test_weights_that_are_missing_are_named(copied: Callable[[str], Path]) -> None:
    folder = copied("llava")
    tensors = load_file(folder / "model.safetensors")
    gone = next(name for name in tensors if "multi_modal_projector.linear_1.weight" in name)
    del tensors[gone]
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ValueError, match=r"got none for .*multi_modal_projector.linear_1.weight;"):
        load_hub(settings_of(folder), CPU)


def test_a_tokenizer_without_an_end_is_refused(copied: Callable[[str], Path]) -> None:
    folder = copied("idefics3")
    told = json.loads((folder / "tokenizer_config.json").read_text())
    del told["eos_token"]
    told["tokenizer_class"] = "PreTrainedTokenizerFast"
    (folder / "tokenizer_config.json").write_text(json.dumps(told))
    with pytest.raises(ValueError, match=r"a token that ends a text \(eos_token\), got none"):
        load_hub(settings_of(folder), CPU)


def test_without_a_token_for_padding_the_end_pads(copied: Callable[[str], Path]) -> None:
    folder = copied("llava")
    told = json.loads((folder / "tokenizer_config.json").read_text())
    del told["pad_token"]
    (folder / "tokenizer_config.json").write_text(json.dumps(told))
    model, processor = load_hub(settings_of(folder), CPU)
    assert processor.pad_id == processor.tokenizer.eos_token_id
    batch = processor.training_batch([ONE, SMALL])
    assert int((batch["labels"] == processor.pad_id).sum()) == 2  # the ends, not the padding
    with torch.no_grad():
        assert torch.isfinite(model(**batch).loss)


def test_the_inventory_of_a_model_needs_neither_weights_nor_tokenizer(
    copied: Callable[[str], Path],
) -> None:
    folder = copied("internvl")
    settings = settings_of(folder)
    before = hub_linears(settings)
    for name in ("model.safetensors", "tokenizer.json", "preprocessor_config.json"):
        (folder / name).unlink()
    after = hub_linears(settings)
    assert (after.modules, after.params_by_part) == (before.modules, before.params_by_part)
    assert before.total_params > sum(module.d_in * module.d_out for module in before.modules)


def test_a_models_own_code_loads_it_where_the_operator_allows_that(
    copied: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path / "m"))
    monkeypatch.syspath_prepend(str(tmp_path / "m"))
    folder = copied("llava")
    (folder / "configuration_own.py").write_text(
        "from transformers import LlavaConfig\n"
        "class OwnConfig(LlavaConfig):\n"
        "    model_type = 'own_llava'\n"
    )
    (folder / "modeling_own.py").write_text(
        "from transformers import LlavaForConditionalGeneration\n"
        "from .configuration_own import OwnConfig\n"
        "class OwnModel(LlavaForConditionalGeneration):\n"
        "    config_class = OwnConfig\n"
    )
    config = json.loads((folder / "config.json").read_text())
    weights = load_file(folder / "model.safetensors")
    weights["lm_head.weight"] = weights.pop("language_model.lm_head.weight")  # as OwnModel calls it
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    config["model_type"] = "own_llava"
    config["auto_map"] = {
        "AutoConfig": "configuration_own.OwnConfig",
        "AutoModelForImageTextToText": "modeling_own.OwnModel",
    }
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match=r"own code is not run unless the operator"):
        load_hub(settings_of(folder), CPU)
    model, processor = load_hub(settings_of(folder), CPU, allow_remote_code=True)
    assert type(model).__name__ == "OwnModel"
    with torch.no_grad():
        assert torch.isfinite(model(**processor.training_batch([ONE])).loss)
    linears = hub_linears(settings_of(folder), allow_remote_code=True)
    assert linears.total_params == sum(p.numel() for p in model.parameters())
