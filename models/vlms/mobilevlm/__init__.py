"""MobileVLM and MobileVLM V2: CLIP, a lightweight projector and MobileLLaMA."""
