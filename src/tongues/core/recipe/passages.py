"""Recipe sections: native texts, for methods that write from them."""

import re

from pydantic import field_validator

from tongues.core.recipe.section import known_language
from tongues.core.recipe.source import SourceFile

_HUB = re.compile(r"hf://[\w.-]+/[\w.-]+(/[\w.-]+)?@[^@/]+")


class PassageFile(SourceFile):
    """Texts that were written in their language, not translated into it."""

    uri: str
    """Parquet, JSONL or plain text (.txt, with or without WikiExtractor's doc marks), or a folder of such
    files: a path relative to the recipe, file:// or s3://; or hf://ORG/NAME/CONFIG@REVISION, of which the
    split "train" is read."""
    lang: str
    """BCP-47 code of the language they are written in."""
    title: str = "title"
    """Column of the title; it may be missing."""
    text: str = "text"
    """Column of the text."""

    _lang = field_validator("lang")(known_language)

    @field_validator("uri")
    @classmethod
    def _pinned(cls, uri: str) -> str:
        if uri.startswith("hf://") and not _HUB.fullmatch(uri):
            raise ValueError(f"{uri!r} is no hub address; write hf://ORG/NAME/CONFIG@REVISION")
        return uri
