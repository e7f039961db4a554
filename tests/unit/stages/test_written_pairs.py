"""Pairs that a chat model writes, from the recipe to the splits."""

from written_answers import MODEL, Asked, WritingEndpoint

from tongues.core.records import Record
from tongues.core.shards import read_shards
from tongues.stages.assemble import SPLITS, assemble
from tongues.stages.gather import gather
from tongues.stages.generate import generate
from tongues.stages.given import read_recipe

METHODS = "[{method: okapi, rows_per_language: 6, answers: 2}, {method: sdrrl, switched: 0}]"


def spoken(asked: Asked):
    if "points" in asked.system:
        return {name: 9 if "good" in text else 2 for name, text in asked.fields.items() if name != "question"}
    if asked.is_translation:
        return f"{asked.user.split()[0]}, dicho así"
    return f"{'good' if asked.seed == 1 else 'bad'} {asked.user}"


def test_pairs_and_own_answers_reach_the_splits_with_the_worse_answer_beside_them(
    folder, workspace, source, translated
):
    with WritingEndpoint(spoken) as endpoint:
        text = (folder / "recipe.yaml").read_text().replace(
            "methods: [{method: direct, english_rows: 5}, {method: crossin, en2x: 10, x2x: 10}]",
            f"methods: {METHODS}\n  near_duplicates: null",
        )  # fmt: skip
        engine = f"{{kind: openai, model: {MODEL}, endpoints: [{{base_url: '{endpoint.base_url}'}}]}}"
        (folder / "recipe.yaml").write_text(f"{text}\ngeneration: {{engine: {engine}}}\n")
        given = read_recipe(str(folder / "recipe.yaml"))
        store = gather(given, workspace, source, [translated("es"), translated("ca")])
        written = generate(given, workspace, store)
        dataset = assemble(given, workspace, store, written)
    rows = [Record.from_row(row) for split in SPLITS for row in read_shards(dataset.folder / split)]
    pairs = [record for record in rows if record.method == "okapi"]
    assert len(pairs) == 2 * 6
    for pair in pairs:
        question = pair.messages[0].content
        assert (pair.answer.content, pair.meta["rejected"]) == (f"good {question}", f"bad {question}")
        assert pair.meta["scores"] == "1:9,2:2"
    own = [record for record in rows if record.method == "sdrrl/target-target"]
    assert {record.lang for record in own} == {"es", "ca"}
    assert {record.answer.content for record in own} == {"bad, dicho así"}
