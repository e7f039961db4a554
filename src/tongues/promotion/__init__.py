"""The gate, the registry and lineage."""
