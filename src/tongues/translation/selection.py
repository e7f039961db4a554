"""Selective translation: what of a row is translated, and what stays because its language is the task.

    row         the row's own `keep` or `skip` outranks everything
    rules       the recipe's rules, then the shipped ones; the first that matches decides
    otherwise   every field is translated, which is also all that the decider "direct" does

With the decider "model" nothing is decided here beyond what rows say of themselves: the chat engine
decides while it translates (see `tongues.translation.selective_chat`).
Source: selective translation as sPhinX describes it (arXiv 2407.09879); its prompt and rules are not
public, these are ours.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import groupby

from tongues.core.digests import digest_value
from tongues.core.recipe import SelectionRule, SelectionSection
from tongues.core.records import SourceRow
from tongues.translation import operands
from tongues.translation.segments import FIELDS
from tongues.translation.selection_rules import shipped_rules

_VERSION = 1
"""Of how operands and options are found: a change there changes decisions, and must change this."""
_HEAD_CHARS = 8_000
"""A pattern is looked for this far into instruction and answer: a task is worded where it begins."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of one row.

    Args:
        translate: of "instruction", "input", "output"; the others are copied as they are.
        protect: exact substrings of translated fields that stay, beside `row.protect`.
        skip: why the row is not translated at all; empty if it is.
        decided_by: "direct", "rule:NAME", "row" or "model".
    """

    translate: frozenset[str]
    protect: tuple[str, ...] = ()
    skip: str = ""
    decided_by: str = "direct"


EVERYTHING = Decision(frozenset(FIELDS))
"""Direct translation: all fields of the row."""


class Selector:
    """Decides row by row, without network and always in the same way.

    Args:
        section: the recipe's `translation.selection`.
    """

    def __init__(self, section: SelectionSection) -> None:
        rules: tuple[SelectionRule, ...] = ()
        if section.decider == "rules":
            rules = section.rules + (shipped_rules() if section.shipped_rules else ())
        # Rules in a row that share a pattern share its search too.
        groups = groupby(rules, key=lambda rule: rule.pattern or "")
        self._groups = [(_search(pattern), [_Compiled(rule) for rule in group]) for pattern, group in groups]
        self._otherwise = (
            Decision(EVERYTHING.translate, decided_by="model") if section.decider == "model" else EVERYTHING
        )
        self._identity = digest_value([_VERSION, section.decider, [r.model_dump(mode="json") for r in rules]])

    @property
    def identity(self) -> str:
        """Digest of all that decisions depend on: equal identities decide alike."""
        return self._identity

    def decide(self, row: SourceRow) -> Decision:
        """Decide what of a row is translated."""
        if row.skip:
            return Decision(frozenset(), skip=row.skip, decided_by="row")
        if row.keep is not None:
            return Decision(EVERYTHING.translate - set(row.keep), decided_by="row")
        rule = self._first_match(row)
        return self._otherwise if rule is None else _by_rule(rule, row)

    def _first_match(self, row: SourceRow) -> SelectionRule | None:
        for is_in, rules in self._groups:
            if is_in(row.instruction):
                for compiled in rules:
                    if compiled.matches(row):
                        return compiled.rule
        return None


class _Compiled:
    """A rule whose pattern has been found: what is left of its conditions."""

    def __init__(self, rule: SelectionRule) -> None:
        self.rule = rule
        self._is_answer = _search(rule.answer_pattern or "")

    def matches(self, row: SourceRow) -> bool:
        category_fits = not self.rule.categories or row.category in self.rule.categories
        return category_fits and self._is_answer(row.output)


def _search(pattern: str) -> Callable[[str], bool]:
    """Whether a pattern is found in a text, whatever the case of its letters."""
    compiled = re.compile(pattern, re.IGNORECASE)
    return lambda text: compiled.search(text, 0, _HEAD_CHARS) is not None


def _by_rule(rule: SelectionRule, row: SourceRow) -> Decision:
    by = f"rule:{rule.name}"
    if rule.skip:
        return Decision(frozenset(), skip=f"{rule.name}: the task lives from its language", decided_by=by)
    labels = [*operands.options(row.instruction, row.output), *operands.options(row.input, row.output)]
    labels = labels if rule.keep_labels else []
    translate = frozenset(name for name in FIELDS if getattr(rule, name) == "translate")
    # An answer out of the list that stays is itself one of its options: nothing of it is left to translate.
    translate -= {"output"} if labels else set()
    stays = [*(_operands(rule, row, translate) if rule.keep_quoted else ()), *labels]
    return Decision(translate, _standing_in(row, translate, stays), decided_by=by)


def _operands(rule: SelectionRule, row: SourceRow, translate: frozenset[str]) -> Iterable[str]:
    for name in FIELDS:
        if name in translate:
            yield from operands.quoted(getattr(row, name))
    if rule.input == "keep" and not row.input.strip():
        # The operand that other rows have in their input stands in the instruction here.
        yield from operands.after_colon(row.instruction)


def _standing_in(row: SourceRow, translate: frozenset[str], stays: Iterable[str]) -> tuple[str, ...]:
    """Each once, and only what stands in a field that is translated."""
    fields = [getattr(row, name) for name in FIELDS if name in translate]
    return tuple(part for part in dict.fromkeys(stays) if any(part in text for text in fields))
