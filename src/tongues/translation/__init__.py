"""Engines, ledger and the loop that fills the aligned store."""
