"""A budget is hard: whatever calls are under way, their worst cases together never pass it."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tongues.core.errors import BudgetError
from tongues.core.recipe import BudgetSection
from tongues.inference.budget import Budget
from tongues.inference.spending import Spent


async def _calls(budget: Budget, worst: list[int], real: list[int]) -> tuple[int, int]:
    """Run calls side by side; returns how many were made and the most that could have been spent."""
    peak = done = under_way = 0

    async def call(at_most: int, spent: int) -> None:
        nonlocal peak, done, under_way
        async with budget.hold(Spent(requests=at_most)):
            under_way += at_most
            peak = max(peak, budget.spent.requests + under_way)
            await asyncio.sleep(0)
            budget.spend(Spent(requests=spent))
            under_way -= at_most
            done += 1

    await asyncio.gather(*map(call, worst, real), return_exceptions=True)
    return done, peak


@settings(deadline=None)
@given(
    limit=st.integers(1, 60),
    calls=st.lists(st.tuples(st.integers(1, 9), st.integers(0, 9)), max_size=30),
)
def test_budget_never_lets_the_worst_case_pass_it(limit, calls):
    worst = [at_most for at_most, _ in calls]
    real = [min(spent, at_most) for at_most, spent in calls]
    budget = Budget(BudgetSection(requests=limit))
    done, peak = asyncio.run(_calls(budget, worst, real))
    assert peak <= limit
    assert budget.spent.requests <= limit
    # What was left undone would not have fitted any more.
    assert done == len(calls) or budget.spent.requests + max(worst) > limit


def test_budget_counts_what_was_spent_before_a_crash():
    budget = Budget(BudgetSection(tokens=100), spent=Spent(prompt_tokens=90))

    async def call() -> None:
        async with budget.hold(Spent(prompt_tokens=5, completion_tokens=6)):
            pass

    with pytest.raises(BudgetError, match=r"90 of 100 tokens.*Fix: raise it"):
        asyncio.run(call())


def test_budget_is_shared_out_over_jobs():
    budget = Budget(BudgetSection(cost=1.0), share=0.25)

    async def call(cost: float) -> None:
        async with budget.hold(Spent(cost=cost)):
            budget.spend(Spent(cost=cost))

    asyncio.run(call(0.2))
    with pytest.raises(BudgetError, match=r"translation\.budget\.cost"):
        asyncio.run(call(0.1))


def test_budget_without_limits_holds_nobody_up():
    budget = Budget(BudgetSection())
    done, _ = asyncio.run(_calls(budget, [10**9] * 50, [10**9] * 50))
    assert done == 50
