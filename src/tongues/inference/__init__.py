"""How models are asked: engines over HTTP, endpoints and their limits, budgets, the ledger of answers."""
