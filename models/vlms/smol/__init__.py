"""A pretrained mobile vision-language model from PyPI: EfficientNet-Lite0 and SmolLM2-135M."""
