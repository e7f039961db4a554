"""What tests of several rooms share: rows, a ledger, and the loopback endpoint as an engine."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tongues.core.recipe import EndpointSection, OpenAIEngine
from tongues.core.records import Source, SourceRow
from tongues.inference.ledger import Ledger
from tongues.translation.openai_chat import OpenAIChat

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "servers"))

import openai_faults

Connect = Callable[..., OpenAIChat]


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(tmp_path / "ledger.sqlite") as opened:
        yield opened


@pytest.fixture
def connect() -> Connect:
    """Build an engine for one or more endpoints; waits are short, so that retries take milliseconds."""

    def build(*endpoints: openai_faults.FaultyEndpoint, concurrency: int = 8, **settings) -> OpenAIChat:
        settings = {"timeout_s": 5.0, "retries": 2} | settings
        names = EndpointSection.model_fields.keys() & settings.keys()
        limits = {"max_in_flight": concurrency} | {name: settings.pop(name) for name in names}
        addresses = tuple(EndpointSection(base_url=each.base_url, **limits) for each in endpoints)
        model = settings.pop("model", openai_faults.MODEL)
        section = OpenAIEngine(kind="openai", endpoints=addresses, model=model, **settings)
        return OpenAIChat(section, first_wait_s=0.01)

    return build


@pytest.fixture
def make_row() -> Callable[..., SourceRow]:
    def make(instruction: str, output: str = "Yes.", input: str = "", protect: tuple[str, ...] = ()):
        source = Source("tests", "1", "tests:1", "Apache-2.0")
        return SourceRow.create(
            instruction=instruction, input=input, output=output, source=source, protect=protect
        )

    return make
