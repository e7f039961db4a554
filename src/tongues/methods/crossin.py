"""CrossIn: cross-lingual instruction mixing (arXiv 2404.11932).

    mode    instruction       input                     answer        draws
    base    en                en                        en            without replacement
    en2x    en                en + "\\n[L]"              L             L, row
    x2en    L                 L + "\\n[en]"              en            L, row
    x2x     Lin               Lin + "\\n[Lout]"          Lout          Lin, Lout, row
    trans   a fixed request   the instruction in L      same in en    L, row

The tag in brackets is the language of the answer: its two or three letters, as the authors write
[en], [zh], [vi] and [es]; the whole BCP-47 code only where the recipe has a language in two scripts.

One draw is a language and a row, uniform and with replacement among the items that exist in both
languages. It gives one record in each of en2x, x2en and trans, as in the authors' script: draw 7 of
each mode is the same item in the same language. For x2x, which that script does not build, both
languages are drawn independently, the source language among them and equal pairs allowed (default,
the paper does not state it). Equal draws are left to dedup.
Modes are concatenated in the order of the table; whoever trains shuffles.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain, combinations_with_replacement, groupby
from operator import itemgetter

from tongues.core.languages import language
from tongues.core.recipe import CrossInMethod
from tongues.core.records import AlignedRow, Message, Record
from tongues.core.store import AlignedStore
from tongues.methods.demand import refuse
from tongues.methods.draws import draw, draw_without_replacement
from tongues.methods.pairs import pair
from tongues.methods.prompts import user_turn


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
    mixer = _Mixer(store, section, tuple(sorted(languages)), source_lang, seed)
    refuse(mixer.problems(), "crossin")
    return chain(
        mixer.base(),
        map(mixer.en2x, range(section.en2x)),
        map(mixer.x2en, range(section.x2en)),
        mixer.x2x(),
        map(mixer.trans, range(section.trans)),
    )


def tags(languages: Sequence[str]) -> dict[str, str]:
    """The tag of each language, with its brackets.

    Args:
        languages: all codes of the recipe, the source language's too; their order does not count.
    """
    scripts = Counter(_subtag(code) for code in set(languages))
    return {code: f"[{code if scripts[_subtag(code)] > 1 else _subtag(code)}]" for code in languages}


def _subtag(code: str) -> str:
    return code.split("-", maxsplit=1)[0]


@dataclass(frozen=True)
class _Mixer:
    """Makes the record of a mode and a draw index; the two and the seed say all about it."""

    store: AlignedStore
    section: CrossInMethod
    languages: tuple[str, ...]
    source_lang: str
    seed: int
    shared: dict[frozenset[str], list[str]] = field(default_factory=dict)

    def base(self) -> Iterator[Record]:
        """Mode 0: the English pair as it is."""
        groups = self.base_groups()
        rows = len(groups) if self.section.base is None else self.section.base
        for group in draw_without_replacement(groups, rows, self.seed, "crossin/base"):
            row = self.store.get(group, self.source_lang)
            yield pair(row, "crossin/base", self.section.template)

    def en2x(self, index: int) -> Record:
        """Mode 1: English instruction, answer in a drawn language."""
        foreign, english = self.drawn(index)
        return self.crossed("en2x", english, foreign)

    def x2en(self, index: int) -> Record:
        """Mode 2: instruction in a drawn language, English answer."""
        foreign, english = self.drawn(index)
        return self.crossed("x2en", foreign, english)

    def x2x(self) -> Iterator[Record]:
        """Instruction and answer language drawn independently, the source language among them.

        Sorted by languages: of all the pairs there may be, one has its groups in memory.
        """
        drawn = sorted((self.language_pair(index), index) for index in range(self.section.x2x))
        for (asked, answered), draws in groupby(drawn, key=itemgetter(0)):
            groups = self.groups(asked, answered)
            for _, index in draws:
                group = draw(groups, self.seed, "crossin/x2x", index, "row")
                rows = self.store.get(group, asked), self.store.get(group, answered)
                yield self.crossed("x2x", *rows)

    def language_pair(self, index: int) -> tuple[str, str]:
        """The languages of question and answer of a draw of x2x."""
        name = (self.seed, "crossin/x2x", index)
        asked = draw(self.everyone, *name, "instruction language")
        return asked, draw(self.everyone, *name, "answer language")

    def trans(self, index: int) -> Record:
        """Mode 3: the instruction, and nothing else of the item, translated into English."""
        foreign, english = self.drawn(index)
        request = f"Translate the following sentence into {language(self.source_lang).name}."
        user = self.user(request, foreign.instruction, self.source_lang)
        answer = Message("assistant", english.instruction, self.source_lang)
        return self.record("trans", (foreign, english), user, answer)

    def drawn(self, index: int) -> tuple[AlignedRow, AlignedRow]:
        """The item of a draw in the drawn language and in English; the modes share it."""
        lang = draw(self.languages, self.seed, "crossin", index, "language")
        group = draw(self.groups(lang, self.source_lang), self.seed, "crossin", index, "row")
        return self.store.get(group, lang), self.store.get(group, self.source_lang)

    def crossed(self, mode: str, question: AlignedRow, answer: AlignedRow) -> Record:
        """Instruction and input in one language, the tag, and the answer in another."""
        tagged = f"{question.input}\n{self.tags[answer.lang]}"
        user = self.user(question.instruction, tagged, question.lang)
        return self.record(mode, (question, answer), user, Message("assistant", answer.output, answer.lang))

    def record(self, mode: str, rows: Sequence[AlignedRow], user: Message, answer: Message) -> Record:
        """A record from the rows it is made of and its two turns."""
        return Record.create(
            messages=(user, answer),
            group=rows[0].group,
            method=f"crossin/{mode}",
            source=rows[0].source,
            steps=tuple(dict.fromkeys(step for row in rows for step in row.steps)),
            meta={"category": rows[0].category},
        )

    def user(self, instruction: str, input: str, lang: str) -> Message:
        """The user's turn; its language is that of the instruction."""
        return Message("user", user_turn(instruction, input, self.section.template), lang)

    @cached_property
    def everyone(self) -> list[str]:
        """The languages that x2x draws from, in an order that repeats."""
        return sorted({*self.languages, self.source_lang})

    @cached_property
    def tags(self) -> dict[str, str]:
        """The tag of each of them."""
        return tags(self.everyone)

    def groups(self, *langs: str) -> list[str]:
        """Groups that exist in all the languages; those of each language with the source are kept."""
        key = frozenset(langs)
        if self.source_lang not in key:
            return self.store.groups(*sorted(key))
        if key not in self.shared:
            self.shared[key] = self.store.groups(*sorted(key))
        return self.shared[key]

    def base_groups(self) -> list[str]:
        """Groups that base draws from."""
        wanted, groups = self.section.base_categories, self.groups(self.source_lang)
        if not wanted:
            return groups
        return [group for group in groups if self.store.get(group, self.source_lang).category in wanted]

    def problems(self) -> list[str]:
        """What the store cannot give, with numbers, per language."""
        missing = [
            f"{' and '.join(pair)}: {draws} draws are asked for, 0 groups exist in "
            f"{'both' if len(pair) > 1 else 'it'}: at least 1 too few"
            for pair, draws in self.draws_by_languages().items()
            if draws and not self.groups(*pair)
        ]
        return [self.base_problem(), *missing]

    def base_problem(self) -> str:
        """By how much base falls short, or nothing."""
        if self.section.base == 0:
            return ""
        there, asked = len(self.base_groups()), self.section.base
        short = (asked or 1) - there
        kinds = f" of {', '.join(self.section.base_categories)}" if self.section.base_categories else ""
        head = f"{self.source_lang}: base asks for {'all' if asked is None else asked} groups{kinds}"
        return f"{head}, the store has {there}: {short} too few" if short > 0 else ""

    def draws_by_languages(self) -> Mapping[tuple[str, ...], int]:
        """Sets of languages that may be drawn, with the draws of the modes that may draw them."""
        crossed = self.section.en2x + self.section.x2en + self.section.trans
        pairs = combinations_with_replacement(self.everyone, 2)
        draws = dict.fromkeys((tuple(sorted(set(pair))) for pair in pairs), self.section.x2x)
        for lang in self.languages:
            draws[tuple(sorted((lang, self.source_lang)))] += crossed
        return draws
