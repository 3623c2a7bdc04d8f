"""Elastic LoRA on a stock peft model: adapters whose ranks can move while they train."""
