"""One function per stage: the one door for CLI, components and tests."""
