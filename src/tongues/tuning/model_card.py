"""The model card: what somebody who is handed the weights alone needs to know, in Markdown.

Its head is YAML in the names model hubs read. Equal runs write equal cards: no date, no rate, no place on
a disk but that of the data. Scores are measured later, from these very files, and stand in the copy of the
card that the registry keeps.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tongues.core.languages import language
from tongues.core.recipe import TuningSection
from tongues.tuning.result import TuningResult

CARD_NAME = "README.md"
_FEW_ROWS = 1000
_VARIANTS = {"standard": "LoRA", "rslora": "rsLoRA", "dora": "DoRA"}


@dataclass(frozen=True, slots=True)
class CardFacts:
    """What the card says besides the training itself.

    Args:
        base_name: the base model.
        base_licence: SPDX identifier; the tuned weights stand under it too.
        data_licence: SPDX expression of the training data.
        data_card: where the data's own card stands.
        data_sha256: digest of the data's content.
        rows: language of the answer to training records.
        is_adapter: whether the folder holds an adapter, and not full weights.
    """

    base_name: str
    base_licence: str
    data_licence: str
    data_card: str
    data_sha256: str
    rows: dict[str, int]
    is_adapter: bool


def model_card(
    facts: CardFacts, section: TuningSection, stages: Sequence[Mapping[str, Any]], result: TuningResult
) -> str:
    """The card of one folder of weights.

    Args:
        facts: origin of base and data.
        section: the recipe's tuning section.
        stages: name, kind, records, adapter, learning_rate, steps and tokens of each stage.
        result: the whole training.
    """
    parts = [_head(facts), _what(facts, section), _languages(facts), _training(section, stages, result)]
    parts += [_losses(result), _data(facts), _limits(facts, section)]
    return "\n".join(parts)


def with_results(card: str, summary: str) -> str:
    """The card with the evaluation's summary, Markdown as well, at its end."""
    return f"{card}\n## Evaluation\n\n{summary.strip()}\n"


def _head(facts: CardFacts) -> str:
    values = {
        "license": facts.base_licence.lower(),
        "base_model": facts.base_name,
        "library_name": "peft" if facts.is_adapter else "transformers",
        "pipeline_tag": "text-generation",
    }
    lines = [f"{key}: {_yaml(value)}" for key, value in values.items()]
    lines += ["language:", *(f"- {_yaml(lang)}" for lang in facts.rows), "tags:", f"- {_yaml('tongues')}"]
    return "\n".join(["---", *lines, "---", ""])


def _yaml(value: str) -> str:
    """Quoted: Norwegian is "no", and unquoted that is false."""
    return json.dumps(value, ensure_ascii=False)


def _what(facts: CardFacts, section: TuningSection) -> str:
    names = ", ".join(language(lang).name for lang in facts.rows)
    form = f"An adapter for {facts.base_name}" if facts.is_adapter else f"{facts.base_name}, tuned"
    how = _VARIANTS[section.lora.variant] if section.mode == "lora" else "full fine-tuning"
    return f"# {facts.base_name} in {names}\n\n{form} with {how} to answer in {names}.\n"


def _languages(facts: CardFacts) -> str:
    rows = [f"| {language(lang).name} | `{lang}` | {count} |" for lang, count in facts.rows.items()]
    return "\n".join(
        ["## Languages", "", "| language | code | training records |", "|---|---|---|", *rows, ""]
    )


def _training(section: TuningSection, stages: Sequence[Mapping[str, Any]], result: TuningResult) -> str:
    lora = section.lora
    shape = (
        f"rank {lora.r}, alpha {lora.alpha}, dropout {lora.dropout}, layers {_layers(lora.target_modules)}"
    )
    facts = [
        f"- mode: {_VARIANTS[lora.variant] + ', ' + shape if section.mode == 'lora' else 'all weights'}",
        f"- weights that learnt: {result.trainable_parameters:,}",
        f"- frozen weights in 4 bits (NF4): {'yes' if section.quantise == 'nf4' else 'no'}",
        f"- precision: {result.precision}; scheduler: {section.scheduler}; "
        f"rows per step: {section.batch_rows * section.accumulation_steps}; "
        f"longest row: {section.max_seq_tokens} tokens",
        f"- loss on the answer only: {result.label_tokens:,} of {result.tokens:,} tokens",
    ]
    head = ["| stage | loss | records | steps | tokens | peak learning rate |", "|---|---|---|---|---|---|"]
    rows = [
        f"| {s['name']} | {_loss_name(s['kind'])} | {s['records']} | {s['steps']} | {s['tokens']:,} "
        f"| {s['learning_rate']:g} |"
        for s in stages
    ]
    return "\n".join(["## Training", "", *facts, "", *head, *rows, ""])


def _loss_name(kind: str) -> str:
    return "preference (DPO)" if kind == "preference" else "next token"


def _layers(modules: str | Sequence[str]) -> str:
    return modules if isinstance(modules, str) else ", ".join(modules)


def _losses(result: TuningResult) -> str:
    langs = [lang for lang in result.validation_loss if lang != "all"]
    if not langs:
        return "No rows were set aside for validation.\n"
    rows = [
        f"| {lang} | {result.validation_loss_before[lang]:.3f} | {result.validation_loss[lang]:.3f} |"
        for lang in [*sorted(langs), "all"]
    ]
    head = [
        "Validation loss, nats per token of the answer:",
        "",
        "| language | base | tuned |",
        "|---|---|---|",
    ]
    return "\n".join([*head, *rows, ""])


def _data(facts: CardFacts) -> str:
    return "\n".join(
        [
            "## Data",
            "",
            f"[Card of the training data]({facts.data_card}), content sha256 `{facts.data_sha256}`, "
            f"licence {facts.data_licence}. Base model: {facts.base_name}, licence {facts.base_licence}.",
            "",
        ]
    )


def _limits(facts: CardFacts, section: TuningSection) -> str:
    few = [language(lang).name for lang, count in facts.rows.items() if count < _FEW_ROWS]
    lines = ["- Translated rows carry the translator's errors; the data's card says what was checked."]
    if few:
        lines.append(
            f"- Fewer than {_FEW_ROWS} records: {', '.join(few)}. So few teach a model to answer in a "
            "language, hardly to know more in it."
        )
    lines += [
        "- Conversations longer than the longest row above were not seen in tuning.",
        "- Nothing here was tuned or tested for safety; what the base model does wrong, it may still do.",
        "- Made for the chat template beside the weights; other prompts give other answers.",
    ]
    if facts.is_adapter and section.lora.variant == "dora":
        lines.append("- A DoRA adapter: vLLM serves it only merged.")
    return "\n".join(["## Limits", "", *lines, ""])
