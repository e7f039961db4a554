"""What was spent on engines: added up per account, so that a budget holds over crashes and reruns."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Spent:
    """An amount of work that engines were asked for.

    Args:
        requests: requests, repeated tries included.
        characters: source characters sent.
        prompt_tokens: tokens in, as endpoints count them.
        completion_tokens: tokens out.
        cost: money, by the recipe's prices.
    """

    requests: int = 0
    characters: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float = 0.0

    @property
    def tokens(self) -> int:
        """Tokens in and out."""
        return self.prompt_tokens + self.completion_tokens

    def __add__(self, other: "Spent") -> "Spent":
        return Spent(
            self.requests + other.requests,
            self.characters + other.characters,
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            self.cost + other.cost,
        )
