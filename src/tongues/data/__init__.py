"""Sources, protected spans, checks, dedup and splits."""
