"""A whole row to a chat engine and back: what it is asked, and what counts as an answer.

The engine decides for each field and translates in one call. Its answer is believed where it can be
verified: it has the shape of `RowAnswer`, it translates something, and what it says it kept really
stands in the row and in the translation.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from tongues.core.digests import canonical_json
from tongues.inference.engine import Outcome, encodable, failed
from tongues.inference.json_answer import excerpt
from tongues.translation.segments import FIELDS

MALFORMED = "malformed-answer"
NOTHING_TRANSLATED = "nothing-translated"

_MIN_KEPT_LETTERS = 2
_MAX_CLAIMS = 100
_MARK = re.compile(r"Xq\d+q", re.IGNORECASE)
"""What stands for a protected span, as the prompt says too; its letters are no words."""


Action = Literal["translate", "keep"]


class FieldAnswer(BaseModel):
    """What becomes of one field."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    action: Action
    text: str


class FieldAnswers(BaseModel):
    """All three fields; one that was not asked for is kept."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    instruction: FieldAnswer
    input: FieldAnswer
    output: FieldAnswer


class RowAnswer(BaseModel):
    """What a chat engine says of a row.

    `skip` is the reason why the row cannot be translated, or empty. `kept` are parts of translated
    fields that were left in the source language on purpose.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    skip: str
    fields: FieldAnswers
    kept: list[str]

    def keeps(self, name: str) -> bool:
        """Whether a field stays as it is."""
        return self._field(name).action == "keep"

    def text_of(self, name: str) -> str:
        """A translated field, marks included; empty where the field stays."""
        return self._field(name).text

    def _field(self, name: str) -> FieldAnswer:
        field: FieldAnswer = getattr(self.fields, name)
        return field


def row_request(fields: Mapping[str, str]) -> str:
    """The one text that an engine is sent for a row.

    Args:
        fields: masked texts by the names of the fields that are to be translated.
    """
    return canonical_json(dict(fields)).decode()


def parse_row_answer(text: str) -> RowAnswer:
    """The answer that an engine's outcome holds.

    Raises:
        pydantic.ValidationError: the text did not come from `read_row_answer`.
    """
    return RowAnswer.model_validate_json(text)


def row_schema() -> dict[str, Any]:
    """JSON schema of a `RowAnswer`, for structured output: every key required, none beside them.

    Written out rather than generated, because its digest is part of what the ledger keys on.
    """
    action = {"type": "string", "enum": list(get_args(Action))}
    field = _object({"action": action, "text": {"type": "string"}})
    kept = {"type": "array", "items": {"type": "string"}}
    return _object(
        {"skip": {"type": "string"}, "fields": _object(dict.fromkeys(FIELDS, field)), "kept": kept}
    )


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def read_row_answer(request: str, content: Any) -> Outcome:
    """Judge what a model answered.

    Args:
        request: what it was sent, from `row_request`.
        content: what it said; a text, or whatever came in its place.

    Returns:
        An outcome whose text is a `RowAnswer` as canonical JSON; or a failure: "malformed-answer" where
        it is no such JSON, or a field to translate comes back empty or with dots in place of text;
        "nothing-translated" where every field is kept; "not-unicode".
    """
    if not isinstance(content, str):
        return failed(MALFORMED, "no text came back")
    if not encodable(content):
        return failed("not-unicode", "lone surrogate in the answer")
    try:
        said = RowAnswer.model_validate_json(content)
    except ValidationError as error:
        return failed(MALFORMED, f"{_first_problem(error)}: {excerpt(content)}")
    return _settled(json.loads(request), said)


def _settled(asked: dict[str, str], said: RowAnswer) -> Outcome:
    if said.skip.strip():
        return _outcome(said.skip, {}, [])
    translated = {name: said.text_of(name) for name in asked if asked[name].strip() and not said.keeps(name)}
    for name, text in translated.items():
        if not text.strip():
            return failed(MALFORMED, f"{name} is to be translated but empty")
        if _has_dots(text) and not _has_dots(asked[name]):
            return failed(MALFORMED, f"{name} has dots in place of text: {excerpt(text)}")
    if not translated:
        return failed(NOTHING_TRANSLATED, "the model keeps every field", permanent=True)
    framed = {name: _framed(asked[name], text) for name, text in translated.items()}
    return _outcome("", framed, _believed(said.kept, asked, framed))


def _outcome(skip: str, translated: Mapping[str, str], kept: list[str]) -> Outcome:
    if any("\0" in text for text in (skip, *translated.values())):
        return failed("not-unicode", "a NUL in the answer")
    fields = {
        name: {"action": "translate" if name in translated else "keep", "text": translated.get(name, "")}
        for name in FIELDS
    }
    return Outcome(canonical_json({"skip": excerpt(skip), "fields": fields, "kept": kept}).decode())


def _has_dots(text: str) -> bool:
    """Whether text is left out; a weak model repeats the dots of the prompt's example."""
    return "..." in text or "…" in text


def _framed(source: str, text: str) -> str:
    """The text with the white space that the source begins and ends with."""
    bare = source.strip()
    head, tail = source[: source.index(bare)], source[source.index(bare) + len(bare) :]
    return f"{head}{text.strip()}{tail}"


def _believed(kept: list[str], asked: Mapping[str, str], translated: Mapping[str, str]) -> list[str]:
    """The parts that were kept indeed.

    A claim hides text from the checks, so it is believed only for whole words that stand on both sides;
    and none is believed if a field comes back as it was, or if nothing of it would be left to check.
    """
    claims = sorted(set(map(str.strip, kept[:_MAX_CLAIMS])), key=lambda claim: (-len(claim), claim))
    pairs = [(asked[name], text) for name, text in translated.items()]
    standing = [
        claim
        for claim in claims
        if sum(map(str.isalpha, _MARK.sub("", claim))) >= _MIN_KEPT_LETTERS
        and any(_stands(claim, source) and _stands(claim, text) for source, text in pairs)
    ]
    echoed = any(source.strip() == text.strip() for source, text in pairs)
    return [] if echoed or not all(_rests(standing, pairs)) else standing


def _stands(claim: str, text: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(claim)}(?!\w)", text) is not None


def _rests(claims: list[str], pairs: list[tuple[str, str]]) -> Iterator[str]:
    """The letters of each field, on either side, that no claim covers."""
    for pair in pairs:
        for text in pair:
            rest = _MARK.sub(" ", text)
            for claim in claims:
                rest = rest.replace(claim, " ")
            yield "".join(filter(str.isalpha, rest))


def _first_problem(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    return f"{'.'.join(map(str, first['loc'])) or 'answer'}: {first['msg']}"
