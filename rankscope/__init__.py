"""Rankscope: rank-scheduled LoRA fine-tuning of vision-language models, watched live."""
