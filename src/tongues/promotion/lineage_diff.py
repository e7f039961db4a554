"""What differs between two models, and what changed first: rows, base, recipe or code."""

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from tongues.promotion.lineage import LEDGER, Link

Kind = Literal["rows", "base", "recipe", "code", "content"]
_ABSENT = "(absent)"


class Change(BaseModel):
    """One difference that does not follow from another one further up.

    Args:
        stage: where it enters, such as "prepare" or "finetune".
        kind: "rows" or "base" for a file from outside, "recipe" for a key, "code" for the version of
            tongues, "content" where equal work came out differently.
        what: the recipe's key, or the name of the input.
        before: in the first model.
        after: in the second.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    stage: str
    kind: Kind
    what: str
    before: str
    after: str

    @property
    def sentence(self) -> str:
        """The same for people."""
        return f"{self.stage}: {self.kind} {self.what}: {self.before} -> {self.after}"


def differences(
    before: Link, after: Link, recipes: tuple[Mapping[str, Any], Mapping[str, Any]]
) -> list[Change]:
    """Compare two chains link by link, from the source rows on.

    Args:
        before: the tuned model's link.
        after: that of the other one.
        recipes: both resolved recipes as JSON values.

    Returns:
        The changes in the order in which their stages work; the first is what changed first. What only
        follows from them is left out.
    """
    pairs = list(_pairs(before, after, set()))
    keys = list(_recipe_changes(*recipes))
    changes = [change for old, new in pairs for change in _own_changes(old, new, keys)]
    return list(dict.fromkeys(changes))


def _pairs(old: Link, new: Link, seen: set[tuple[str, str]]) -> Iterator[tuple[Link, Link]]:
    """Links of one name in both chains, inputs before what is made of them."""
    if (old.digest, new.digest) in seen or old.digest == new.digest:
        return
    seen.add((old.digest, new.digest))
    others = {link.name: link for link in new.inputs}
    for link in old.inputs:
        if link.name in others and link.name != LEDGER:  # it follows from rows, engine and recipe
            yield from _pairs(link, others[link.name], seen)
    yield old, new


def _own_changes(old: Link, new: Link, keys: list[tuple[str, str, str]]) -> Iterator[Change]:
    was, now = old.manifest, new.manifest
    if was is None or now is None:
        kind: Kind = "base" if old.name == "base" else "rows"
        yield Change(stage="source", kind=kind, what=old.name, before=old.digest[:12], after=new.digest[:12])
        return
    if was.code_version != now.code_version:
        yield _change(was.stage, "code", "tongues", was.code_version, now.code_version)
    if was.params_sha256 != now.params_sha256:
        own = [key for key in keys if key[0].split(".")[0] in _SECTIONS.get(was.stage, ())]
        for key, left, right in own or [("parameters", was.params_sha256[:12], now.params_sha256[:12])]:
            yield _change(was.stage, "base" if was.stage == "base" else "recipe", key, left, right)
    for name in sorted(({link.name for link in old.inputs} ^ {link.name for link in new.inputs}) - {LEDGER}):
        here = {link.name: link.digest[:12] for link in old.inputs}
        there = {link.name: link.digest[:12] for link in new.inputs}
        yield _change(was.stage, "rows", f"input {name}", here.get(name, _ABSENT), there.get(name, _ABSENT))
    if was.key == now.key and was.content_sha256 != now.content_sha256:
        yield _change(was.stage, "content", "of equal work", was.content_sha256[:12], now.content_sha256[:12])


_SECTIONS = {
    "prepare": ("source",),
    "base": ("base_model",),
    "translate": ("translation", "languages", "source"),
    "gather": ("translation", "languages"),
    "generate": ("generation", "dataset", "seed"),
    "assemble": ("dataset", "languages", "seed", "evaluation"),
    "finetune": ("tuning", "seed", "languages"),
}
"""The sections of the recipe that a stage reads."""


def _change(stage: str, kind: Kind, what: str, before: str, after: str) -> Change:
    return Change(stage=stage, kind=kind, what=what, before=before, after=after)


def _recipe_changes(old: Any, new: Any, path: str = "") -> Iterator[tuple[str, str, str]]:
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in dict.fromkeys([*old, *new]):
            inner = f"{path}.{key}" if path else str(key)
            yield from _recipe_changes(old.get(key, _ABSENT), new.get(key, _ABSENT), inner)
    elif old != new:
        yield path, str(old), str(new)
