"""Translation by any OpenAI-compatible chat endpoint; see `tongues.inference.chat` for its faults.

An answer with more lines than the segment has is a failed segment too.
"""

from tongues.inference.chat import Chat, ChatMessage
from tongues.inference.chat_answer import read_answer
from tongues.inference.engine import Outcome
from tongues.translation.prompts import chat_messages, prompt_digest


class OpenAIChat(Chat):
    """The engine: one chat request per segment.

    An engine that says something else or reads the answer otherwise overrides `messages_of`,
    `response_format`, `prompt_sha256` and `read`.
    """

    op = "translate"

    def supports(self, source: str, target: str) -> bool:
        """Any pair: what a model cannot do, the checks find."""
        return source != target

    def pairs(self) -> list[tuple[str, str]]:
        """Empty: any pair."""
        return []

    def messages_of(self, text: str, source: str, target: str) -> list[ChatMessage]:
        """What the model is told; what never changes for a language pair stands first."""
        return chat_messages(text, source, target)

    def prompt_sha256(self, source: str, target: str) -> str:
        """Digest of everything in `messages_of` and `response_format` that is not the text."""
        return prompt_digest(source, target)

    def read(self, text: str, body: str, content_type: str) -> Outcome:
        """Turn the body of a 200 answer into an outcome; see `chat_answer.read_answer`."""
        return read_answer(text, body, content_type)
