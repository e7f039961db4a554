"""Suites, metrics, scoring and the report."""
