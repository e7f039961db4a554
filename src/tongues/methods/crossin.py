"""CrossIn: cross-lingual instruction mixing (arXiv 2404.11932).

    mode    instruction       input                     answer        draws
    base    en                en                        en            without replacement
    en2x    en                en + "\\n[L]"              L             L, row
    x2en    L                 L + "\\n[en]"              en            L, row
    x2x     Lin               Lin + "\\n[Lout]"          Lout          Lin, Lout, row
    trans   a fixed request   the instruction in L      same in en    L, row

The tag in brackets is the language of the answer as BCP-47 code. Languages are drawn uniformly;
for x2x both are drawn independently, the source language among them and equal pairs allowed (the
paper does not state it; default). Rows are drawn uniformly and with replacement among the groups
that exist in the languages of the draw, so the duplicates that come of it are left to dedup.
Modes are concatenated in the order of the table; whoever trains shuffles.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, combinations_with_replacement

from tongues.core.errors import PreflightError
from tongues.core.languages import language
from tongues.core.recipe import CrossInMethod
from tongues.core.records import AlignedRow, Message, Record
from tongues.core.store import AlignedStore
from tongues.methods.draws import draw, draw_without_replacement
from tongues.methods.prompts import Template, user_turn


def build(
    store: AlignedStore, section: CrossInMethod, *, languages: Sequence[str], source_lang: str, seed: int
) -> Iterator[Record]:
    """Emit the drawn records of all modes; each is named "crossin/MODE".

    Args:
        store: every item in every language.
        section: draws per mode and the wording of the user's turn.
        languages: BCP-47 codes to teach.
        source_lang: BCP-47 code of the originals, the paper's English.
        seed: the recipe's seed.

    Raises:
        PreflightError: base asks for more groups than there are, or a language has none.
    """
    mixer = _Mixer(store, tuple(sorted(languages)), source_lang, seed, section.template)
    if problems := mixer.problems(section):
        raise PreflightError(problems, where="dataset.methods (crossin)")
    return chain(
        mixer.base(section.base),
        map(mixer.en2x, range(section.en2x)),
        map(mixer.x2en, range(section.x2en)),
        map(mixer.x2x, range(section.x2x)),
        map(mixer.trans, range(section.trans)),
    )


@dataclass(frozen=True, slots=True)
class _Mixer:
    """Makes the record of a mode and a draw index; the two and the seed say all about it."""

    store: AlignedStore
    languages: tuple[str, ...]
    source_lang: str
    seed: int
    template: Template
    shared: dict[frozenset[str], list[str]] = field(default_factory=dict)

    def base(self, rows: int) -> Iterator[Record]:
        """Mode 0: the English pair as it is."""
        groups = self.groups(self.source_lang)
        for group in draw_without_replacement(groups, rows, self.seed, "crossin/base"):
            row = self.store.get(group, self.source_lang)
            user = self.user(row.instruction, row.input, row.lang)
            yield self.record("base", [row], user, row.output, row.lang)

    def en2x(self, index: int) -> Record:
        """Mode 1: English instruction, answer in a drawn language."""
        lang = draw(self.languages, self.seed, "crossin/en2x", index, "language")
        return self.crossed("en2x", index, self.source_lang, lang)

    def x2en(self, index: int) -> Record:
        """Mode 2: instruction in a drawn language, English answer."""
        lang = draw(self.languages, self.seed, "crossin/x2en", index, "language")
        return self.crossed("x2en", index, lang, self.source_lang)

    def x2x(self, index: int) -> Record:
        """Instruction and answer language drawn independently, the source language among them."""
        options = sorted({*self.languages, self.source_lang})
        asked = draw(options, self.seed, "crossin/x2x", index, "instruction language")
        answered = draw(options, self.seed, "crossin/x2x", index, "answer language")
        return self.crossed("x2x", index, asked, answered)

    def trans(self, index: int) -> Record:
        """Mode 3: the instruction, and nothing else of the item, translated into English."""
        lang = draw(self.languages, self.seed, "crossin/trans", index, "language")
        foreign, english = self.rows("trans", index, lang, self.source_lang)
        request = f"Translate the following sentence into {language(self.source_lang).name}."
        user = self.user(request, foreign.instruction, self.source_lang)
        return self.record("trans", [foreign, english], user, english.instruction, self.source_lang)

    def crossed(self, mode: str, index: int, asked: str, answered: str) -> Record:
        """Instruction and input in one language, the tag, and the answer in another."""
        question, answer = self.rows(mode, index, asked, answered)
        user = self.user(question.instruction, f"{question.input}\n[{answered}]", asked)
        return self.record(mode, [question, answer], user, answer.output, answered)

    def rows(self, mode: str, index: int, asked: str, answered: str) -> tuple[AlignedRow, AlignedRow]:
        """One drawn item in two languages."""
        group = draw(self.groups(asked, answered), self.seed, f"crossin/{mode}", index, "row")
        return self.store.get(group, asked), self.store.get(group, answered)

    def groups(self, *langs: str) -> list[str]:
        """Groups that exist in all the languages; computed once, for draws are many."""
        key = frozenset(langs)
        if key not in self.shared:
            self.shared[key] = self.store.groups(*sorted(key))
        return self.shared[key]

    def record(self, mode: str, rows: Sequence[AlignedRow], user: Message, answer: str, lang: str) -> Record:
        """A record from the rows it is made of, the user's turn, and the answer in its language."""
        return Record.create(
            messages=(user, Message("assistant", answer, lang)),
            group=rows[0].group,
            method=f"crossin/{mode}",
            source=rows[0].source,
            steps=tuple(dict.fromkeys(step for row in rows for step in row.steps)),
            meta={"category": rows[0].category},
        )

    def user(self, instruction: str, input: str, lang: str) -> Message:
        """The user's turn; its language is that of the instruction."""
        return Message("user", user_turn(instruction, input, self.template), lang)

    def problems(self, section: CrossInMethod) -> list[str]:
        """What the store cannot give, with numbers, per language."""
        there = len(self.groups(self.source_lang))
        short = section.base - there
        base = (
            f"{self.source_lang}: base asks for {section.base} groups, the store has {there}: {short} too few"
        )
        missing = [
            f"{' and '.join(sorted(set(pair)))}: {draws} draws are asked for, 0 groups exist in "
            f"{'both' if len(set(pair)) > 1 else 'it'}: at least 1 too few"
            for pair, draws in self.draws_by_pair(section).items()
            if draws and not self.groups(*pair)
        ]
        return ([base] if short > 0 else []) + missing

    def draws_by_pair(self, section: CrossInMethod) -> dict[tuple[str, str], int]:
        """Language pairs that may be drawn, with the draws of the modes that may draw them."""
        crossed = section.en2x + section.x2en + section.trans
        everyone = sorted({*self.languages, self.source_lang})
        pairs = dict.fromkeys(combinations_with_replacement(everyone, 2), section.x2x)
        for lang in self.languages:
            first, second = sorted((lang, self.source_lang))
            pairs[first, second] += crossed
        return pairs
