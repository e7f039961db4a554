"""Registered versions made by hand, without a model: files as the stages leave them, in milliseconds."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tongues.core.recipe_file import load_recipe
from tongues.platform.model_versions import ModelVersion
from tongues.stages.recorded import RECORDED_NAME
from tongues.stages.workspace import Output, Report, Workspace

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
"""
LORA = ("base_model.model.layers.0.q_proj.lora_A.weight", "base_model.model.layers.0.q_proj.lora_B.weight")


def safetensors(names: tuple[str, ...], seed: int) -> bytes:
    """A file of that format with one number per tensor."""
    spans = {name: [4 * n, 4 * n + 4] for n, name in enumerate(names)}
    header = json.dumps(
        {n: {"dtype": "F32", "shape": [1], "data_offsets": span} for n, span in spans.items()}
    )
    return len(header).to_bytes(8, "little") + header.encode() + seed.to_bytes(4, "little") * len(names)


@dataclass
class HandMade:
    """Makes versions in a workspace.

    Args:
        place: the workspace.
        scratch: local folder.
    """

    place: Workspace
    scratch: Path
    recipe: Any = field(init=False)

    def __post_init__(self) -> None:
        path = self.scratch / "recipe.yaml"
        path.write_text(RECIPE, encoding="utf-8")
        self.recipe = load_recipe(path)

    def base(self, name: str = "one") -> Output:
        """A base model, with one added token."""

        def work(folder: Path) -> Report:
            (folder / "config.json").write_text(json.dumps({"name": name}))
            (folder / "model.safetensors").write_bytes(safetensors(("w",), 1))
            self._tokenizer(folder, "<s>")
            return Report()

        return self.place.finish("base", recipe=self.recipe, inputs={}, params=name, work=work)

    @staticmethod
    def _tokenizer(folder: Path, *tokens: str) -> None:
        added = [{"id": n, "content": token} for n, token in enumerate(tokens)]
        (folder / "tokenizer.json").write_text(json.dumps({"added_tokens": added}))

    def tuned(
        self,
        seed: int = 1,
        *,
        base: str = "one",
        tensors: tuple[str, ...] = LORA,
        tokens: tuple[str, ...] = ("<s>",),
        **config: Any,
    ) -> Output:
        """A tuned model; its adapter's config as asked for."""

        def work(folder: Path) -> Report:
            adapter, merged = folder / "adapter", folder / "merged"
            for made in (adapter, merged):
                made.mkdir()
            whole = {"peft_type": "LORA", "r": 4, "base_model_name_or_path": "Tiny"} | config
            (adapter / "adapter_config.json").write_text(json.dumps(whole))
            (adapter / "adapter_model.safetensors").write_bytes(safetensors(tensors, seed))
            self._tokenizer(adapter, *tokens)
            (merged / "model.safetensors").write_bytes(safetensors(("w",), seed))
            (merged / "config.json").write_text("{}")
            return Report()

        params = [seed, base, list(tensors), list(tokens), config]
        inputs: dict[str, Output | str] = {"base": self.base(base)}
        return self.place.finish("finetune", recipe=self.recipe, inputs=inputs, params=params, work=work)

    def evaluated(self, tuned: Output, lang: str = "es") -> Output:
        """Its evaluation, which recorded what the stand-in server says: the digest of the weights."""
        said = tuned.manifest.files["adapter/adapter_model.safetensors"][:12]
        recorded = [{"lang": lang, "prompt": "Hello?", "answer": said, "answered_in": lang}]

        def work(folder: Path) -> Report:
            (folder / RECORDED_NAME).write_text(json.dumps(recorded))
            return Report()

        inputs: dict[str, Output | str] = {"candidate": tuned}
        return self.place.finish("evaluate", recipe=self.recipe, inputs=inputs, params=lang, work=work)

    def tags(self, tuned: Output, *, base: str = "one") -> dict[str, str]:
        """The tags it is registered with."""
        evaluation = self.evaluated(tuned)
        return {
            "tongues.manifest_sha256": tuned.manifest.digest(),
            "tongues.model_uri": tuned.uri,
            "tongues.base_uri": self.base(base).uri,
            "tongues.evaluation_uri": evaluation.uri,
            "tongues.evaluation_sha256": evaluation.manifest.digest(),
        }

    def version(self, tuned: Output, *, base: str = "one") -> ModelVersion:
        """As the registry would return it."""
        return ModelVersion("es", 1, f"{tuned.uri}/merged", "f" * 64, "", self.tags(tuned, base=base))
