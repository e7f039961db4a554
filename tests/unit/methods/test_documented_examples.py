"""The worked examples of docs/methods.md are what builders and authors make of the items it shows."""

import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter
from ruamel.yaml import YAML
from written_answers import Asked, WritingEndpoint, desk_at, passage

from tongues.core.recipe import MethodSection
from tongues.core.records import AlignedRow, Record, Source
from tongues.core.store import AlignedStore
from tongues.inference.ledger import Ledger
from tongues.methods.registry import author, builder, methods

PAGE = (Path(__file__).parents[3] / "docs" / "methods.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^## (\w+)$.*?^```yaml\n(.*?)^```\n\n^```text\n(.*?)^```$", PAGE, re.M | re.S)
CELLS = re.compile(r"^\| (instruction|input|answer) \| (.+?) \| (.+?) \|$", re.M)
SOURCE = Source("page", "1", "methods.md:1", "Apache-2.0")


def items() -> list[dict[str, tuple[str, str]]]:
    found: list[dict[str, tuple[str, str]]] = []
    for field, english, spanish in CELLS.findall(PAGE):
        found += [{}] if field == "instruction" else []
        found[-1][field] = (english, spanish)
    return found


def rows() -> list[AlignedRow]:
    def row(number: int, at: int, lang: str) -> AlignedRow:
        texts = {field: pair[at] for field, pair in items()[number].items()}
        fields = (texts["instruction"], texts.get("input", ""), texts["answer"])
        return AlignedRow(f"g{number}", lang, *fields, (), "", SOURCE, (), {}, None)

    return [row(n, at, lang) for n in range(len(items())) for at, lang in enumerate(("en", "es"))]


def store() -> AlignedStore:
    return AlignedStore(rows())


def shown(record: Record) -> str:
    turns = [(m.role, m.content) for m in record.messages]
    turns += [("rejected", record.meta["rejected"])] if "rejected" in record.meta else []
    langs = [*(m.lang for m in record.messages), record.lang]
    return "".join(f"[{role} {lang}]\n{text}\n" for (role, text), lang in zip(turns, langs, strict=False))


def test_methods_page_shows_an_example_of_every_method() -> None:
    built = {"direct", "sphinx", "taco", "crossin", "qalign", "ultralink"}
    assert {name for name, _, _ in EXAMPLES} >= built | {"sdrrl", "reverse", "okapi"}
    assert {name for name, _, _ in EXAMPLES} <= methods().keys()
    assert [sorted(item) for item in items()] == [
        ["answer", "input", "instruction"],
        ["answer", "instruction"],
    ]


def section_of(text: str) -> Any:
    return TypeAdapter(MethodSection).validate_python(YAML(typ="safe").load(text))


BUILT = [example for example in EXAMPLES if author(section_of(example[1])) is None]
WRITTEN = [example for example in EXAMPLES if example[0] in ("sdrrl", "reverse", "okapi")]


@pytest.mark.parametrize(("name", "section", "text"), BUILT, ids=[name for name, _, _ in BUILT])
def test_methods_page_example_is_what_the_builder_makes(name: str, section: str, text: str) -> None:
    parsed = section_of(section)
    made = [
        record
        for seed in range(9)
        for record in builder(name)(store(), parsed, languages=("es",), source_lang="en", seed=seed)
        if isinstance(record, Record)
    ]
    assert text in {shown(record) for record in made}


def model(asked: Asked) -> Any:
    """One that says what stands on the page; sampled a second time, it does not know."""
    known = [(questions(item), item["answer"]) for item in items()]
    if asked.is_translation:
        pairs = [pair for both in known for pair in both] + [("I do not know.", "No lo sé.")]
        return next(pair[pair[0] == asked.user] for pair in pairs if asked.user in pair)
    if "points" in asked.system:
        right = {answer[0] for _, answer in known}
        return {name: 10 if text in right else 1 for name, text in asked.fields.items() if name != "question"}
    if "Grade" in asked.system:
        return {"quality": 5, "diversity": 5}
    if asked.system:
        return {"instruction": next(question[0] for question, answer in known if answer[0] == asked.user)}
    if (asked.seed or 1) > 1:
        return "No lo sé."
    return next(a[q.index(asked.user)] for q, a in known if asked.user in q)


def questions(item: dict[str, tuple[str, str]]) -> tuple[str, str]:
    english, spanish = (
        "\n".join(item[f][at] for f in ("instruction", "input") if f in item) for at in (0, 1)
    )
    return english, spanish


@pytest.mark.parametrize(("name", "section", "text"), WRITTEN, ids=[name for name, _, _ in WRITTEN])
def test_methods_page_example_is_what_the_author_writes(
    name: str, section: str, text: str, ledger: Ledger
) -> None:
    parsed, natives = section_of(section), [passage(item["answer"][1]) for item in items()]
    write = author(parsed)
    assert write is not None
    with WritingEndpoint(model) as endpoint:
        made = list(write(parsed, desk_at(endpoint, ledger, rows(), passages=natives)))
    assert text in {shown(one) for one in made if isinstance(one, Record)}
