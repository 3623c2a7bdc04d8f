"""Sizes of MobileVLM and MobileVLM V2 and of their parts; free of torch.

Sources: MobileVLM (Chu et al. 2023, arXiv 2312.16886, tables 2 and 3), MobileVLM V2 (Chu et al.
2024, arXiv 2402.03766, section 3); CLIP ViT-L/14 at 336 px (Radford et al. 2021, arXiv 2103.00020).
"""

from typing import Any, Literal

from rankscope.models.vlms.settings import MobileVlmSize

ProjectorKind = Literal["ldpnet", "ldpnetv2"]
"""The official names: LDP of MobileVLM, LDPv2 of MobileVLM V2."""

CLIP_L_14_336: dict[str, Any] = {
    "image_size": 336,
    "patch_size": 14,
    "hidden_size": 1024,
    "intermediate_size": 4096,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "projection_dim": 768,
}
_MOBILELLAMA: dict[str, Any] = {
    "vocab_size": 32_000,
    "max_position_embeddings": 2048,
    "rms_norm_eps": 1e-6,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
MOBILELLAMA_1_4B: dict[str, Any] = _MOBILELLAMA | {
    "hidden_size": 2048,
    "intermediate_size": 5632,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
}
MOBILELLAMA_2_7B: dict[str, Any] = _MOBILELLAMA | {
    "hidden_size": 2560,
    "intermediate_size": 6912,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
}

SIZES: dict[MobileVlmSize, tuple[ProjectorKind, dict[str, Any]]] = {
    "v1_1.7b": ("ldpnet", MOBILELLAMA_1_4B),
    "v1_3b": ("ldpnet", MOBILELLAMA_2_7B),
    "v2_1.7b": ("ldpnetv2", MOBILELLAMA_1_4B),
    "v2_3b": ("ldpnetv2", MOBILELLAMA_2_7B),
}
"""Projector and language model by the published model's name."""

VISION_FEATURE_LAYER = -2
"""Which of CLIP's hidden states the projector gets: what enters the last layer."""
