"""The vision-language models a run can fine-tune; their settings are free of torch."""

from rankscope.models.vlms.settings import EmbeddedVlm

__all__ = ["AnyVlm", "EmbeddedVlm"]

AnyVlm = EmbeddedVlm
