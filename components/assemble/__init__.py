"""The component `assemble`."""
