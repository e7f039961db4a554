"""How records are built from the aligned store: one module per method, one registry."""
