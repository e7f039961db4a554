"""The chain of TaCo (arXiv 2311.10797): how it is asked for, written and read back.

    Instruction in English: <instruction> ,
                            Response in English: <response> ,
                            Response in Nepali: <answer>

Labels, their order and the language's English name are the authors' own. Their data puts a blank and
a comma before each line break and 24 blanks after it, their models' answers a full stop and a line
break; whoever reads takes both, and plain line breaks too.
"""

import re
from typing import Literal

from tongues.core.languages import language

Layout = Literal["released", "plain"]

_SEPARATORS: dict[Layout, str] = {"released": " ,\n" + 24 * " ", "plain": "\n"}


def request_line(lang: str, source_lang: str = "en") -> str:
    """The line that asks for the chain.

    Args:
        lang: BCP-47 code of the instruction and of the answer.
        source_lang: BCP-47 code of the language in between.
    """
    own, between = language(lang).name, language(source_lang).name
    return (
        f"Translate the following instructions from {own} to {between}, formulate a response in {between}, "
        f"and then translate that response back into {own}."
    )


def write_chain(
    instruction: str,
    response: str,
    answer: str,
    *,
    lang: str,
    source_lang: str = "en",
    layout: Layout = "released",
) -> str:
    """Write the chain in the order of its labels.

    Args:
        instruction: in the source language, with its input.
        response: in the source language.
        answer: in `lang`.
        lang: BCP-47 code of the answer.
        source_lang: BCP-47 code of the other two.
        layout: what stands between the three.
    """
    own, between = language(lang).name, language(source_lang).name
    return _SEPARATORS[layout].join(
        (
            f"Instruction in {between}: {instruction}",
            f"Response in {between}: {response}",
            f"Response in {own}: {answer}",
        )
    )


def read_answer(text: str, lang: str) -> str | None:
    """The last segment of a chain: what the user is to see, and all that is judged.

    Args:
        text: what the model wrote.
        lang: BCP-47 code of the answer that was asked for.

    Returns:
        What follows the last label of that language, or None for a format failure: no such label, or
        nothing behind it. A label at the start of a line outranks one within a line.
    """
    label = rf"Response in {re.escape(language(lang).name)}[^\S\n]*[:：]"
    found = list(re.finditer(rf"^[^\S\n]*{label}", text, re.MULTILINE | re.IGNORECASE))
    found = found or list(re.finditer(label, text, re.IGNORECASE))
    return text[found[-1].end() :].strip() or None if found else None
