"""Somebody's own script that trains with peft's AdaLoRA, without Rankscope."""

import torch
from peft import AdaLoraConfig, PeftModel, get_peft_model

from tests.unit.tasks.scripts_trainer import LENGTH, VOCABULARY, base

INIT_RANK, STEPS = 4, 6


def pruned() -> PeftModel:
    """Six steps that prune from rank 4 everywhere to 2 on average; one module is left without."""
    settings = AdaLoraConfig(
        init_r=INIT_RANK,
        target_r=2,
        tinit=1,
        tfinal=1,
        deltaT=1,
        total_step=STEPS,
        target_modules=["q_proj", "up_proj"],
        task_type="CAUSAL_LM",
    )
    model = get_peft_model(base(), settings)
    assert isinstance(model, PeftModel)
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=0.05)
    tokens = torch.arange(4 * LENGTH).reshape(4, LENGTH) % VOCABULARY
    for step in range(STEPS):
        model(input_ids=tokens, labels=tokens).loss.backward()
        optimizer.step()
        model.base_model.update_and_allocate(step)  # type: ignore[operator]
        optimizer.zero_grad()
    return model
