"""Endpoints: local vLLM, and what talks to them."""
