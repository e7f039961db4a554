"""The component `vary`."""
