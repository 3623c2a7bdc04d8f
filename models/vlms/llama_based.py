"""What the models written here share: a Llama speaks, and pictures become tokens of its input."""

from torch import nn
from transformers import GenerationMixin, LlamaForCausalLM, PreTrainedModel
from typing_extensions import override


class LlamaBasedVlm(PreTrainedModel, GenerationMixin):  # type: ignore[no-untyped-call]
    """Its subclasses make ``language_model`` and splice pictures into what it reads."""

    base_model_prefix = ""
    main_input_name = "input_ids"
    _supports_sdpa = True
    language_model: LlamaForCausalLM

    @override
    def get_input_embeddings(self) -> nn.Module:
        return self.language_model.get_input_embeddings()

    @override
    def set_input_embeddings(self, value: nn.Module) -> None:
        self.language_model.set_input_embeddings(value)

    @override
    def get_output_embeddings(self) -> nn.Module:
        head: nn.Module = self.language_model.lm_head
        return head
