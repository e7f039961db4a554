"""What a model answers with: plain text, or TaCo's chain, of which only the last segment counts.

Open questions, translations, questions about a text and word problems are scored on what `read` returns.
Multiple choice is scored by likelihood, in the same way for every model and without a chain: the options
stand for themselves as the end of a sentence or the answer to a question. A chain would have to be generated
first, options after different chains would not be comparable, and the base model, which knows no chain,
would be asked something else. So it says what a model knows, not how it answers.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from tongues.core.taco_format import read_answer

Worded = tuple[str, str]
"""The system message, "" for none, and the user's turn."""
Word = Callable[[str, str], Worded]
"""From a prompt and the BCP-47 code of its answer to what the model is told."""


@dataclass(frozen=True)
class AnswerFormat:
    """How a model is asked, and where in its text the answer stands.

    Args:
        kind: "plain", or "taco" for the chain.
        source_lang: BCP-47 code of the language in between, in which no chain is asked for.
        word: words the request for a chain.
    """

    kind: Literal["plain", "taco"] = "plain"
    source_lang: str = ""
    word: Word = lambda prompt, _: ("", prompt)

    def chained(self, lang: str) -> bool:
        """Whether an answer in this language is the end of a chain."""
        return self.kind == "taco" and lang != self.source_lang

    def worded(self, prompt: str, lang: str) -> Worded:
        """What the model is told for a prompt."""
        return self.word(prompt, lang) if self.chained(lang) else ("", prompt)

    def read(self, text: str, lang: str) -> str | None:
        """What counts of a text: its last segment, or all of it.

        Returns:
            The answer; None for a format failure, that is, a chain without its last label or with
            nothing behind it.
        """
        return read_answer(text, lang) if self.chained(lang) else text


PLAIN = AnswerFormat()
