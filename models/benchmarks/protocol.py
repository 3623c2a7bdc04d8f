"""How LLaVA-1.5 and MobileVLM ask: two ways to want short answers, within a model's own template.

Greedy decoding (temperature 0, one beam). Source: conversation ``v1`` in ``llava/conversation.py``
and ``mobilevlm/conversation.py`` (system, " USER: ", " ASSISTANT:"), the suffixes in LLaVA's
``docs/Evaluation.md``, the lengths and the end of an answer in ``eval/model_vqa_*.py`` of both.
"""

END_OF_ANSWER = "</s>"

SHORT_ANSWER = "Answer the question using a single word or phrase."
OPTION_LETTER = "Answer with the option's letter from the given choices directly."

SHORT_MAX_NEW_TOKENS = 128
CHOICE_MAX_NEW_TOKENS = 1024


def answer_in(generated: str) -> str:
    """What counts as the answer of newly generated text: without its end mark and outer space."""
    return generated.strip().removesuffix(END_OF_ANSWER).strip()
