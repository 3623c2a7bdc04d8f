"""The answer processor of EvalAI, by which TextVQA makes answers comparable, with its quirks.

Source: ``EvalAIAnswerProcessor`` of facebookresearch/mmf, from the official VQA evaluation; LLaVA's
``m4c_evaluator.py`` and lmms-eval carry the same. Left out is what cannot happen there: commas
between digits (all commas are gone by then), and contractions with capitals or with "'s".
"""

import re
from collections.abc import Mapping

_PUNCTUATION = ';/[]"{}()=+\\_-><@`!'
# Meant to spare the point of a decimal number; the official look-behind is misspelt and holds
# everywhere, so only what follows decides.
_FULL_STOP = re.compile(r"\.(?!\d)")
# The official call hands a flag, whose value is 32, to the parameter that counts replacements.
_MAX_FULL_STOPS = 32
_ARTICLES = frozenset({"a", "an", "the"})
_DIGITS: Mapping[str, str] = {
    "none": "0",
    "zero": "0",
    "one": "1",
    "two": "2",
    "three": "3",
    "four": "4",
    "five": "5",
    "six": "6",
    "seven": "7",
    "eight": "8",
    "nine": "9",
    "ten": "10",
}
# What people write for each contraction. Not all entries are sound ("somebodyd", "hes" but not
# "shes"); they are the official ones.
_SPELLINGS: Mapping[str, str] = {
    "ain't": "aint",
    "aren't": "arent",
    "can't": "cant",
    "could've": "couldve",
    "couldn't": "couldnt",
    "couldn't've": "couldn'tve couldnt've",
    "didn't": "didnt",
    "doesn't": "doesnt",
    "don't": "dont",
    "hadn't": "hadnt",
    "hadn't've": "hadnt've hadn'tve",
    "hasn't": "hasnt",
    "haven't": "havent",
    "he'd": "hed",
    "he'd've": "hed've he'dve",
    "he's": "hes",
    "how'd": "howd",
    "how'll": "howll",
    "how's": "hows",
    "isn't": "isnt",
    "it'd": "itd",
    "it'd've": "itd've it'dve",
    "it'll": "itll",
    "ma'am": "maam",
    "mightn't": "mightnt",
    "mightn't've": "mightnt've mightn'tve",
    "might've": "mightve",
    "mustn't": "mustnt",
    "must've": "mustve",
    "needn't": "neednt",
    "not've": "notve",
    "o'clock": "oclock",
    "oughtn't": "oughtnt",
    "'ow's'at": "'ows'at",
    "shan't": "shant",
    "she'd've": "shed've she'dve",
    "should've": "shouldve",
    "shouldn't": "shouldnt",
    "shouldn't've": "shouldnt've shouldn'tve",
    "somebodyd": "somebody'd",
    "somebody'd've": "somebodyd've somebody'dve",
    "somebody'll": "somebodyll",
    "somebody's": "somebodys",
    "someone'd": "someoned",
    "someone'd've": "someoned've someone'dve",
    "someone'll": "someonell",
    "someone's": "someones",
    "something'd": "somethingd",
    "something'd've": "somethingd've something'dve",
    "something'll": "somethingll",
    "that's": "thats",
    "there'd": "thered",
    "there'd've": "thered've there'dve",
    "there're": "therere",
    "there's": "theres",
    "they'd": "theyd",
    "they'd've": "theyd've they'dve",
    "they'll": "theyll",
    "they're": "theyre",
    "they've": "theyve",
    "'twas": "twas",
    "wasn't": "wasnt",
    "we'd've": "wed've we'dve",
    "we've": "weve",
    "weren't": "werent",
    "what'll": "whatll",
    "what're": "whatre",
    "what's": "whats",
    "what've": "whatve",
    "when's": "whens",
    "where'd": "whered",
    "where's": "wheres",
    "where've": "whereve",
    "who'd": "whod",
    "who'd've": "whod've who'dve",
    "who'll": "wholl",
    "who's": "whos",
    "who've": "whove",
    "why'll": "whyll",
    "why're": "whyre",
    "why's": "whys",
    "won't": "wont",
    "would've": "wouldve",
    "wouldn't": "wouldnt",
    "wouldn't've": "wouldnt've wouldn'tve",
    "y'all": "yall",
    "y'all'll": "yall'll y'allll",
    "y'all'd've": "yall'd've y'alld've y'all'dve",
    "you'd": "youd",
    "you'd've": "youd've you'dve",
    "you'll": "youll",
    "you're": "youre",
    "you've": "youve",
}
_CONTRACTIONS: Mapping[str, str] = {
    spelling: contraction
    for contraction, spellings in _SPELLINGS.items()
    for spelling in spellings.split()
}


def processed(answer: str) -> str:
    """An answer without what makes no difference: case, punctuation, articles, number words."""
    text = answer.lower().replace(",", "").replace("?", "").replace("'s", " 's").strip()
    text = text.replace("\n", " ").replace("\t", " ").strip()
    words = (_DIGITS.get(word, word) for word in _without_punctuation(text).lower().split())
    return " ".join(_CONTRACTIONS.get(word, word) for word in words if word not in _ARTICLES)


def _without_punctuation(text: str) -> str:
    """A mark beside a space anywhere in the text vanishes throughout, another becomes a space."""
    left = text
    for mark in _PUNCTUATION:
        beside_space = f"{mark} " in text or f" {mark}" in text
        left = left.replace(mark, "" if beside_space else " ")
    return _FULL_STOP.sub("", left, count=_MAX_FULL_STOPS)
