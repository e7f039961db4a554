"""Code switching by whole sentences: a text that stands in two languages, in both of them at once."""

from collections.abc import Sequence

from tongues.core.sentences import split_sentences
from tongues.methods.draws import draw_without_replacement


def switched(
    question: tuple[str, str],
    original: tuple[str, str],
    langs: tuple[str, str],
    share: float,
    *name: str | int,
) -> tuple[str, str] | None:
    """A question with some of its sentences in the other language.

    Sentences are switched where both versions of a field have as many; a field for which that does not
    hold counts as one. Sentences that are the same in both do not count.

    Args:
        question: instruction and input.
        original: the same in the other language.
        langs: BCP-47 codes of the two.
        share: of the sentences that are switched, at least one and never all.
        name: what identifies the draw.

    Returns:
        Instruction and input; None if there are not two sentences to choose from.
    """
    fields = [_aligned(*texts, langs) for texts in zip(question, original, strict=True)]
    places = [
        f"{at} {n}" for at, units in enumerate(fields) for n, unit in enumerate(units) if unit[0] != unit[1]
    ]
    if len(places) < 2:
        return None
    count = min(max(round(share * len(places)), 1), len(places) - 1)
    taken = set(draw_without_replacement(places, count, *name))
    first, second = (
        "".join(_put(units, n, f"{at} {n}" in taken) for n in range(len(units)))
        for at, units in enumerate(fields)
    )
    return first, second


def _aligned(text: str, other: str, langs: tuple[str, str]) -> list[tuple[str, str]]:
    ours, theirs = split_sentences(text, langs[0]), split_sentences(other, langs[1])
    return list(zip(ours, theirs, strict=True)) if len(ours) == len(theirs) else [(text, other)]


def _put(units: Sequence[tuple[str, str]], at: int, other: bool) -> str:
    """One sentence, with the white space that the question has behind it; between scripts, one blank."""
    text, instead = units[at]
    if not other:
        return text
    space = text[len(text.rstrip()) :] or (" " if at + 1 < len(units) else "")
    return instead.rstrip() + space
