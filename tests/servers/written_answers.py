"""The loopback endpoint as a chat model that writes what a test says, and a desk that asks it."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from typing import Any

from openai_faults import MODEL, Choose, FaultyEndpoint

from tongues.core.ports import Passage
from tongues.core.recipe import BudgetSection, EndpointSection, OpenAIEngine
from tongues.core.records import AlignedRow, Source, Step
from tongues.core.store import AlignedStore
from tongues.data.language_id import RestrictedIdentifier
from tongues.data.passages import passage_id
from tongues.inference.budget import Budget
from tongues.inference.ledger import Ledger
from tongues.inference.writer import Writer
from tongues.methods.writing import Desk

SOURCE = Source("tiny", "1", "tiny.jsonl:1", "CC0-1.0")
TRANSLATED = Step("translate", "apertium", "pair", "", "p")


@dataclass(frozen=True)
class Asked:
    """One request as a test sees it."""

    system: str
    user: str
    seed: int | None

    @property
    def is_translation(self) -> bool:
        return self.system.startswith("Translate the user's message")

    @property
    def fields(self) -> dict[str, str]:
        """Of a user's message that is a JSON object."""
        found: dict[str, str] = json.loads(self.user)
        return found


Say = Callable[[Asked], Any]
"""From a request to the answer: a text as it is, anything else as JSON."""


class WritingEndpoint(FaultyEndpoint):
    """The server.

    Args:
        say: what the model answers.
        choose: which fault each request meets, by its number and its JSON; none when absent.
    """

    def __init__(self, say: Say, choose: Choose | None = None) -> None:
        super().__init__(choose)
        self.say = say

    @property
    def asked(self) -> list[Asked]:
        """All requests in order of arrival."""
        return [Asked(**json.loads(_text_of(body))) for body in self.requests]

    @property
    def handler(self) -> type[BaseHTTPRequestHandler]:
        """What answers."""

        def respond(handler: Any, text: str) -> None:
            said = self.say(Asked(**json.loads(text)))
            handler._answer(said if isinstance(said, str) else json.dumps(said))
            with self.lock:
                self.acknowledged[text] += 1

        members = {"_ok": respond, "_text_of": lambda handler, body: _text_of(body)}
        return type("WritingHandler", (super().handler,), members)


def _text_of(body: Any) -> str:
    said = {message["role"]: message["content"] for message in body["messages"]}
    return json.dumps({"system": said.get("system", ""), "user": said["user"], "seed": body.get("seed")})


def desk_at(
    endpoint: FaultyEndpoint,
    ledger: Ledger,
    rows: Iterable[AlignedRow] = (),
    *,
    lang: str = "es",
    languages: Sequence[str] = ("es",),
    passages: Iterable[Passage] = (),
    seed: int = 1,
) -> Desk:
    """A desk whose writer asks an endpoint; waits are short, so that retries take milliseconds."""
    address = EndpointSection(base_url=endpoint.base_url, max_in_flight=8)
    engine = OpenAIEngine(kind="openai", endpoints=(address,), model=MODEL, timeout_s=5.0, retries=2)
    writer = Writer(engine, ledger, Budget(BudgetSection()), lang, first_wait_s=0.01)
    texts = list(passages)

    def of(code: str) -> Iterator[Passage]:
        return (passage for passage in texts if passage.source.dataset == code)

    return Desk(AlignedStore(rows), writer, lang, languages, "en", seed, RestrictedIdentifier(), passages=of)


def row(group: str, lang: str, instruction: str, input: str = "", output: str = "Yes.") -> AlignedRow:
    """One item in one language."""
    steps = () if lang == "en" else (TRANSLATED,)
    return AlignedRow(group, lang, instruction, input, output, (), "cat", SOURCE, steps, {}, None)


def passage(text: str, lang: str = "es", title: str = "", row: str = "texts.jsonl:1") -> Passage:
    """One native text; its dataset is named as its language."""
    return Passage(
        passage_id(text),
        passage_id(f"An article with {text}"),
        title,
        text,
        Source(lang, "1", row, "CC0-1.0"),
    )
