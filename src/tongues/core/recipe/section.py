"""What every section of a recipe is made of."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from tongues.core.digests import digest_value
from tongues.core.languages import languages, unknown_language

Share = Annotated[float, Field(ge=0, le=1)]
Weight = Annotated[float, Field(gt=0)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,49}$")]


class Section(BaseModel):
    """What every part of a recipe has in common: closed, immutable, digestible."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    def digest(self) -> str:
        """Digest of the section with all defaults resolved."""
        return digest_value(self.model_dump(mode="json"))


def known_language(code: str) -> str:
    """The code, if the table of languages has it; ValueError with the nearest one if not."""
    if code not in languages():
        raise ValueError(unknown_language(code))
    return code


def known_languages(weights: dict[str, float]) -> dict[str, float]:
    """The weights, if the table of languages has all their keys; ValueError with all that it lacks."""
    if problems := [unknown_language(code) for code in weights if code not in languages()]:
        raise ValueError("; ".join(problems))
    return weights
