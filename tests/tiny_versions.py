"""Registered versions of tiny language adapters: made, published and registered as stages do."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.tiny_models import make_tiny_base
from tongues.core.comparison import Contamination, Exposure
from tongues.core.recipe import GateSection, RegistrySection
from tongues.core.recipe_file import load_recipe
from tongues.core.scores import Measurement, Scores
from tongues.evaluation.model import LocalModel
from tongues.evaluation.samples import Sample
from tongues.platform.model_versions import ModelVersion
from tongues.platform.tracking import Tracking
from tongues.promotion import registry
from tongues.promotion.evidence import Evidence
from tongues.promotion.gate import decide
from tongues.stages.recorded import write_recorded
from tongues.stages.weights import ADAPTER, MERGED, weights_sha256, weights_uri
from tongues.stages.workspace import Output, Report, Workspace
from tongues.tuning.adapter import export_adapter
from tongues.tuning.merge import merge

RECIPE = """
schema_version: 1
name: tiny
languages: [es]
source: {uri: rows.jsonl, dataset: tiny, licence: CC0-1.0}
base_model: {uri: base, name: Tiny, licence: MIT}
translation: {engine: {kind: apertium}}
dataset: {methods: [{method: direct}]}
evaluation: {suite: {choices_uri: choices.jsonl}}
registry: {model: tiny}
serving: {max_model_len: 512, precision: fp32}
"""
SEARCHED = Contamination(
    dataset_sha256="7" * 64,
    records=3,
    rule="r",
    exposures=tuple(
        Exposure(task=task, lang=lang, items=60, direct=0, translated=0)
        for task in ("choices", "open", "translation")
        for lang in ("en", "es")
    ),
)
SOUND = Evidence(
    parity=1.0, lineage_faults=(), base_licence="MIT", data_licences=("CC0-1.0",), contamination=SEARCHED
)
QUESTIONS = ("Good morning, how are you?", "one two three")


@dataclass(frozen=True)
class TinyVersions:
    """Makes versions in a workspace and an MLflow.

    Args:
        workspace: where the files go.
        tracking: where they are registered.
        scratch: local folder.
    """

    workspace: Workspace
    tracking: Tracking
    scratch: Path

    @property
    def recipe(self) -> Any:
        """The recipe behind all of them."""
        path = self.scratch / "recipe.yaml"
        path.write_text(RECIPE, encoding="utf-8")
        return load_recipe(path)

    def base(self, seed: int = 0) -> Output:
        """A base model; another seed gives another one."""

        def work(folder: Path) -> Report:
            make_tiny_base(folder, hidden_size=128, spread=0.2 + seed / 100)
            return Report()

        return self.workspace.finish("base", recipe=self.recipe, inputs={}, params=seed, work=work)

    def tuned(self, base: Output, seed: int, *, rank: int = 4) -> Output:
        """An adapter whose answers depend on its seed, with its merged weights."""

        def work(folder: Path) -> Report:
            import torch
            from peft import LoraConfig, get_peft_model
            from transformers import AutoModelForCausalLM

            torch.manual_seed(seed)
            config = LoraConfig(
                r=rank, target_modules=["q_proj", "v_proj", "down_proj"], init_lora_weights=False
            )
            model = get_peft_model(AutoModelForCausalLM.from_pretrained(base.folder), config)
            export_adapter(model, base.folder, folder / ADAPTER, base_name="Tiny")
            merge(base.folder, folder / ADAPTER, folder / MERGED)
            return Report()

        inputs: dict[str, Output | str] = {"base": base}
        return self.workspace.finish(
            "finetune", recipe=self.recipe, inputs=inputs, params=[seed, rank], work=work
        )

    def evaluated(self, tuned: Output, lang: str) -> Output:
        """What the merged weights answer, as evaluation computes and keeps it."""

        def work(folder: Path) -> Report:
            model = LocalModel(tuned.folder / MERGED, batch_rows=2)
            texts = model.generate(list(QUESTIONS), max_new_tokens=12)
            samples = [
                Sample("open", lang, str(n), question, "", text, guessed_lang=lang)
                for n, (question, text) in enumerate(zip(QUESTIONS, texts, strict=True))
            ]
            write_recorded(folder, samples)
            return Report()

        inputs: dict[str, Output | str] = {"candidate": tuned}
        return self.workspace.finish("evaluate", recipe=self.recipe, inputs=inputs, params=lang, work=work)

    def register(self, model: str, tuned: Output, base: Output, evaluation: Output) -> ModelVersion:
        """Register it as `tongues register` does."""
        tags = {
            "manifest_sha256": tuned.manifest.digest(),
            "model_uri": tuned.uri,
            "base_uri": base.uri,
            "evaluation_uri": evaluation.uri,
            "evaluation_sha256": evaluation.manifest.digest(),
        }
        run_id = self.tracking.start_run(f"{model}/{tuned.manifest.key}", name=model)
        return registry.register(
            self.tracking,
            model=model,
            uri=weights_uri(tuned),
            sha256=weights_sha256(tuned),
            run_id=run_id,
            tags=tags,
        )

    def version(self, model: str, seed: int, *, rank: int = 4, base: Output | None = None) -> ModelVersion:
        """A registered version of a language adapter, named after its language."""
        base = base or self.base()
        tuned = self.tuned(base, seed, rank=rank)
        return self.register(model, tuned, base, self.evaluated(tuned, model))

    def promote(self, version: ModelVersion) -> None:
        """Make it the champion, by the gate and with an entry in the journal."""
        champion = registry.champion(self.tracking, version.model)
        better, base = _scores("candidate", version.sha256, 0.6), _scores("base", "b" * 64, 0.5)
        decision = decide(better, base, GateSection(confidence=0.5), SOUND)
        before = champion.version if champion else None
        registry.promote(self.tracking, version.model, version.version, decision, expected_champion=before)


def _scores(role: Any, sha256: str, accuracy: float) -> Scores:
    values = {f"choices/{lang}/accuracy": accuracy for lang in ("en", "es")}
    values |= {"open/es/target_language_rate": 0.9, "translation/es/chrf": 40.0}
    return Scores(
        role=role,
        model=role,
        model_sha256=sha256,
        suite="quick",
        suite_sha256="5" * 64,
        source_lang="en",
        languages=("es",),
        measurements={name: Measurement(value=value, n=60) for name, value in values.items()},
    )


def tracking_at(url: str, scratch: Path) -> Tracking:
    """A connection to an MLflow server."""
    return Tracking(RegistrySection(model="tiny", tracking_uri=url), scratch)
