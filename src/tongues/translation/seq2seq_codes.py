"""How translation models name languages: one token per language, which the tokenizer must know.

flores    spa_Latn    NLLB-200 (arXiv 2207.04672): in front of the source, first in the answer
bcp47     __es__      M2M-100 (arXiv 2010.11125): the same places
madlad    <2es>       MADLAD-400 (arXiv 2309.04662): only the target, in front of the source
"""

from collections.abc import Callable
from typing import Literal

from tongues.core.languages import language

Naming = Literal["flores", "madlad", "bcp47"]

_OLD_CODES = {"he": "iw", "yi": "ji", "id": "in", "fil": "tl", "no": "nb", "jv": "jw", "zh-Hans": "zh"}
"""Other codes under which models know a language."""


def language_token(lang: str, naming: Naming, is_known: Callable[[str], bool]) -> str | None:
    """The token that stands for a language; None where the model has none.

    Args:
        lang: BCP-47 code.
        naming: the model's way to name languages.
        is_known: whether the tokenizer has a token.
    """
    return next((token for token in _tokens(lang, naming) if is_known(token)), None)


def _tokens(lang: str, naming: Naming) -> list[str]:
    if naming == "flores":
        flores = language(lang).flores
        return [flores] if flores else []
    codes = [lang, lang.replace("-", "_"), *([_OLD_CODES[lang]] if lang in _OLD_CODES else [])]
    return [f"<2{code}>" if naming == "madlad" else f"__{code}__" for code in codes]
