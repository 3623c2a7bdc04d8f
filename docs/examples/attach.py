"""Move the LoRA ranks of a Trainer of your own, and watch them on a running Rankscope.

    python docs/examples/attach.py --url http://127.0.0.1:7860

The model is a Llama of two layers with random weights and the texts are made up, so this needs no
download; put your own model, data and Trainer in their place. Of Rankscope there is one line.
"""

import argparse
import os
from pathlib import Path

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from torch import Tensor
from torch.utils.data import Dataset
from transformers import LlamaConfig, LlamaForCausalLM, Trainer, TrainingArguments

import rankscope

WORDS, LENGTH = 64, 24


class Texts(Dataset[dict[str, Tensor]]):
    """Made-up texts: every word is followed by the same next one, now and then by another."""

    def __init__(self, num_texts: int, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        follower = torch.randperm(WORDS, generator=torch.Generator().manual_seed(0))
        words = torch.randint(WORDS, (num_texts, LENGTH), generator=generator)
        for place in range(1, LENGTH):
            is_regular = torch.rand(num_texts, generator=generator) < 0.8
            regular = follower[words[:, place - 1]]
            words[:, place] = torch.where(is_regular, regular, words[:, place])
        self._words = words

    def __len__(self) -> int:
        return len(self._words)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        return {"input_ids": self._words[index], "labels": self._words[index]}


def base_model() -> LlamaForCausalLM:
    """Your pretrained model."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=WORDS,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=LENGTH,
        pad_token_id=None,
    )
    return LlamaForCausalLM(config)


def main() -> None:
    """Train, save, and see that stock peft loads the same function."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--url", help="A running Rankscope; without it nothing is sent.")
    parser.add_argument("--token", default=os.environ.get("RANKSCOPE_TOKEN"))
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--out", type=Path, default=Path("attached"))
    given = parser.parse_args()

    targets = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    lora = LoraConfig(r=4, lora_alpha=8, target_modules=targets, task_type="CAUSAL_LM")
    model = get_peft_model(base_model(), lora)
    arguments = TrainingArguments(
        output_dir=str(given.out),
        max_steps=given.steps,
        per_device_train_batch_size=8,
        gradient_accumulation_steps=2,
        learning_rate=1e-2,
        save_strategy="no",
        report_to=[],
    )
    trainer = Trainer(model=model, args=arguments, train_dataset=Texts(2000, seed=1))

    attached = rankscope.attach(
        trainer,
        scheduler="hydra",
        probe=Texts(200, seed=2),
        url=given.url,
        token=given.token,
        name="attach example",
        data="made-up texts",
    )
    print(f"page: {attached.page}", flush=True)

    trainer.train()
    model.save_pretrained(str(given.out / "adapter"))

    again = PeftModel.from_pretrained(base_model(), str(given.out / "adapter"))
    words = Texts(4, seed=3)[0]["input_ids"][None]
    with torch.no_grad():
        expected = model.eval().cpu()(input_ids=words).logits
        difference = (again.eval()(input_ids=words).logits - expected).abs().max()
    print(f"run: {attached.run_id} {attached.ended}")
    print(f"parameters: {attached.live_params()} of {attached.budget}")
    print(f"largest difference of logits after reloading: {float(difference):.1e}")


if __name__ == "__main__":
    main()
