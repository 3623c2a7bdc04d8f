"""The vision-language models a run can fine-tune: their settings, torch-free; one file and one name each."""

from rankscope.models.vlms.settings import EmbeddedVlm

AnyVlm = EmbeddedVlm
