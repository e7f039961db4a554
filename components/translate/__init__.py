"""The component `translate`."""
