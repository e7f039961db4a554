"""The component `gather`."""
