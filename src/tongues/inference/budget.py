"""A hard budget: no call is begun that could overstep it, and what was spent before a crash counts."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tongues.core.errors import BudgetError
from tongues.core.recipe import BudgetSection
from tongues.inference.spending import Spent


class Budget:
    """What may be spent on one job.

    Near its end fewer calls are under way at a time, since each is reckoned at its worst; a call
    that turns out cheaper gives the rest back.

    Args:
        limits: of the whole run.
        share: the job's part of them, above 0 and at most 1.
        spent: what the job has cost in earlier tries.
        account: what the job is called in the ledger.
    """

    def __init__(
        self, limits: BudgetSection, *, share: float = 1.0, spent: Spent | None = None, account: str = ""
    ) -> None:
        self._limits = {
            name: None if (limit := getattr(limits, name)) is None else limit * share
            for name in ("cost", "requests", "tokens")
        }
        self.account = account
        self.spent = spent or Spent()
        self._reserved = Spent()
        self._under_way = 0
        self._settled = asyncio.Condition()

    @asynccontextmanager
    async def hold(self, at_most: Spent) -> AsyncIterator[None]:
        """Reserve what a call may cost while it is under way; waits while others hold too much.

        Raises:
            BudgetError: the call could overstep the budget and nothing under way can free any of it.
        """
        async with self._settled:
            while self._oversteps(at_most) and self._under_way:
                await self._settled.wait()
            if over := self._oversteps(at_most):
                raise self._reached(over)
            self._reserved, self._under_way = self._reserved + at_most, self._under_way + 1
        try:
            yield
        finally:
            async with self._settled:
                self._reserved, self._under_way = self._reserved + _minus(at_most), self._under_way - 1
                self._settled.notify_all()

    def spend(self, spent: Spent) -> None:
        """Count what a call has cost."""
        self.spent += spent

    def _oversteps(self, at_most: Spent) -> str:
        """The name of the limit that would be passed; empty if none."""
        worst = self.spent + self._reserved + at_most
        passed = (n for n, limit in self._limits.items() if limit is not None and getattr(worst, n) > limit)
        return next(passed, "")

    def _reached(self, name: str) -> BudgetError:
        limit, spent = self._limits[name], getattr(self.spent, name)
        return BudgetError(
            f"the next request could pass the job's share: {spent:g} of {limit:g} {name} spent",
            where=f"translation.budget.{name}",
            fix="raise it and run again: what was answered is in the ledger and is not paid for twice",
        )


def _minus(spent: Spent) -> Spent:
    return Spent(
        -spent.requests, -spent.characters, -spent.prompt_tokens, -spent.completion_tokens, -spent.cost
    )
