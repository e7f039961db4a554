"""Folders that come with tongues: recipes with their data, compiled pipelines."""

from pathlib import Path

from tongues.core.errors import RecipeError


def shipped_folder(name: str) -> Path:
    """A folder that the wheel carries inside the package and a checkout at its top level.

    Raises:
        RecipeError: neither is there.
    """
    package = Path(__file__).resolve().parents[1]
    checkout = package.parents[1] / ("pipelines/compiled" if name == "compiled" else name)
    for folder in (package / name, checkout):
        if folder.is_dir():
            return folder
    raise RecipeError([f"this installation carries no {name}"], where=str(package), fix="reinstall tongues")
