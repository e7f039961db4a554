"""The worked examples of docs/methods.md are what the builders make of the items it shows."""

import re
from pathlib import Path

import pytest
from pydantic import TypeAdapter
from ruamel.yaml import YAML

from tongues.core.recipe import MethodSection
from tongues.core.records import AlignedRow, Record, Source
from tongues.core.store import AlignedStore
from tongues.methods.registry import builder, methods

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


def store() -> AlignedStore:
    def row(number: int, at: int, lang: str) -> AlignedRow:
        texts = {field: pair[at] for field, pair in items()[number].items()}
        fields = (texts["instruction"], texts.get("input", ""), texts["answer"])
        return AlignedRow(f"g{number}", lang, *fields, (), "", SOURCE, (), {}, None)

    return AlignedStore(
        [row(n, at, lang) for n in range(len(items())) for at, lang in enumerate(("en", "es"))]
    )


def shown(record: Record) -> str:
    return "".join(f"[{m.role} {m.lang}]\n{m.content}\n" for m in record.messages)


def test_methods_page_shows_an_example_of_every_method() -> None:
    assert {name for name, _, _ in EXAMPLES} >= {"direct", "sphinx", "taco", "crossin", "qalign"}
    assert {name for name, _, _ in EXAMPLES} <= methods().keys()
    assert [sorted(item) for item in items()] == [
        ["answer", "input", "instruction"],
        ["answer", "instruction"],
    ]


@pytest.mark.parametrize(("name", "section", "text"), EXAMPLES, ids=[name for name, _, _ in EXAMPLES])
def test_methods_page_example_is_what_the_builder_makes(name: str, section: str, text: str) -> None:
    parsed = TypeAdapter(MethodSection).validate_python(YAML(typ="safe").load(section))
    made = [
        record
        for seed in range(9)
        for record in builder(name)(store(), parsed, languages=("es",), source_lang="en", seed=seed)
    ]
    assert text in {shown(record) for record in made}
