"""The component `serve`."""
