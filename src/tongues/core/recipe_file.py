"""Load a recipe from YAML 1.2, with every problem named at once.

YAML 1.2 is what keeps ``no`` Norwegian and ``1e-4`` a number; yes/no/on/off are text there, so
a switch written that way is refused by name instead of being misread.
"""

import difflib
import io
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from tongues.core.errors import RecipeError
from tongues.core.recipe import SCHEMA_VERSION, Recipe

_SWITCH_WORDS = {"yes": "true", "on": "true", "no": "false", "off": "false"}


def load_recipe(path: Path) -> Recipe:
    """Read, resolve and validate a recipe file.

    Relative ``uri`` values stay as written, so that a recipe has the same digest on every machine;
    `located` makes them absolute where they are used.

    Raises:
        RecipeError: the file is missing, is not YAML, or does not validate; lists every problem.
    """
    if not path.is_file():
        raise RecipeError(
            ["no such file"], where=str(path), fix="`tongues recipe ls` lists the shipped recipes"
        )
    return parse_recipe(path.read_bytes(), where=str(path))


def parse_recipe(content: bytes, *, where: str) -> Recipe:
    """Validate a recipe's bytes; see `load_recipe`."""
    document = _read_yaml(content, where)
    version = document.get("schema_version", SCHEMA_VERSION)
    if version != SCHEMA_VERSION:
        raise RecipeError(
            [f"schema_version is {version!r}; this tongues reads {SCHEMA_VERSION}"],
            where=where,
            fix="upgrade tongues, or write the recipe for this version",
        )
    try:
        return Recipe.model_validate(document)
    except ValidationError as error:
        problems = [_explain(item) for item in _worth_telling(error.errors(include_url=False))]
        raise RecipeError(problems, where=where) from None


def located(recipe: Recipe, base: str) -> Recipe:
    """The recipe with every relative URI made absolute.

    Args:
        recipe: as loaded.
        base: folder or ``s3://`` prefix that the recipe file stands in.
    """
    return Recipe.model_validate(_locate(recipe.model_dump(mode="json"), base))


def dump_recipe(recipe: Recipe) -> str:
    """The resolved recipe, every default written out, as YAML that loads to an equal recipe."""
    return as_yaml(recipe.model_dump(mode="json"))


def as_yaml(value: Any) -> str:
    """A JSON value as YAML, in its own order."""
    stream = io.StringIO()
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    yaml.dump(value, stream)
    return stream.getvalue()


def _read_yaml(content: bytes, where: str) -> dict[str, Any]:
    try:
        document = YAML(typ="safe", pure=True).load(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise RecipeError([f"not UTF-8 (byte {error.start})"], where=where, fix="save it as UTF-8") from None
    except MarkedYAMLError as error:
        line = f"{where}:{error.problem_mark.line + 1}" if error.problem_mark else where
        raise RecipeError([f"not YAML: {error.problem}"], where=line) from None
    except YAMLError as error:
        raise RecipeError([f"not YAML: {error}"], where=where) from None
    if not isinstance(document, dict):
        raise RecipeError(["the file does not hold a mapping of keys to values"], where=where)
    return document


def _worth_telling(items: list[Any]) -> list[Any]:
    """Leave out "too short" for a list whose own items are wrong: it only repeats them."""
    paths = [item["loc"] for item in items]
    return [
        item
        for item in items
        if item["type"] != "too_short"
        or not any(len(p) > len(item["loc"]) and p[: len(item["loc"])] == item["loc"] for p in paths)
    ]


def _locate(value: Any, base: str, key: str = "") -> Any:
    if isinstance(value, dict):
        return {k: _locate(v, base, str(k)) for k, v in value.items()}
    if isinstance(value, list):
        return [_locate(v, base, key) for v in value]
    if not _is_relative(value, key):
        return value
    return f"{base.rstrip('/')}/{value}" if "://" in base else str((Path(base) / value).resolve())


def relative_uris(recipe: Recipe) -> list[str]:
    """The files that a recipe names relative to itself, each once, in order of their names."""
    found: set[str] = set()

    def walk(value: Any, key: str = "") -> None:
        if isinstance(value, dict):
            for name, inner in value.items():
                walk(inner, str(name))
        elif isinstance(value, list):
            for inner in value:
                walk(inner, key)
        elif _is_relative(value, key):
            found.add(value)

    walk(recipe.model_dump(mode="json"))
    return sorted(found)


def _is_relative(value: Any, key: str) -> bool:
    names_a_place = isinstance(value, str) and key.endswith("uri") and key != "tracking_uri"
    return names_a_place and "://" not in value and not value.startswith("/")


def _explain(item: Any) -> str:
    """One pydantic error as one line: key path, value, allowed set, nearest spelling."""
    path = _key_path(item["loc"])
    kind, context, value = item["type"], item.get("ctx", {}), item.get("input")
    if kind == "extra_forbidden":
        return f"{path}: unknown key{_nearest(item['loc'])}"
    if kind == "missing":
        return f"{path}: missing; {_about(item['loc'])}"
    if kind.startswith("bool") and str(value).lower() in _SWITCH_WORDS:
        return f"{path}: {value!r} is text in YAML 1.2; write {_SWITCH_WORDS[str(value).lower()]}"
    if kind == "union_tag_invalid":
        tag = context["discriminator"].strip("'")
        return f"{path}.{tag}: {context['tag']!r} is not one of {context['expected_tags']}"
    if kind == "value_error":
        return f"{path}: {context['error']}"
    return f"{path}: {item['msg'][0].lower()}{item['msg'][1:]}, got {value!r}"


def _key_path(location: tuple[str | int, ...]) -> str:
    return ".".join(str(part) for part in _without_tags(location)) or "recipe"


def _without_tags(location: tuple[str | int, ...]) -> list[str | int]:
    """Pydantic puts the tag of a union's branch into the path; a reader's file has no such key."""
    model: Any = Recipe
    path: list[str | int] = []
    for part in location:
        branches = _branches(model)
        if part in branches:
            model = branches[str(part)]
            continue
        path.append(part)
        model = _step(model, part)
    return path


def _step(model: Any, part: str | int) -> Any:
    if isinstance(part, int):
        return next((a for a in get_args(model) if a is not Ellipsis), None)
    fields = getattr(model, "model_fields", {})
    return fields[part].annotation if part in fields else None


def _members(annotation: Any) -> list[Any]:
    """The section classes inside an annotation, through tuple, Annotated and union."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [member for part in get_args(annotation) for member in _members(part)]


def _branches(annotation: Any) -> dict[str, Any]:
    members = _members(annotation)
    tags = {}
    for member in members if len(members) > 1 else []:
        for name in ("kind", "method"):
            if name in member.model_fields:
                tags[get_args(member.model_fields[name].annotation)[0]] = member
    return tags


def _section(location: tuple[str | int, ...]) -> Any:
    model: Any = Recipe
    for part in location[:-1]:
        branches = _branches(model)
        model = branches[str(part)] if part in branches else _step(model, part)
    members = _members(model)
    return members[0] if len(members) == 1 else None


def _nearest(location: tuple[str | int, ...]) -> str:
    section = _section(location)
    if section is None:
        return ""
    known = list(section.model_fields)
    near = difflib.get_close_matches(str(location[-1]), known, n=1)
    return f"; did you mean {near[0]!r}?" if near else f"; known keys: {', '.join(known)}"


def _about(location: tuple[str | int, ...]) -> str:
    section = _section(location)
    field = section.model_fields.get(str(location[-1])) if section else None
    about = (field.description if field else None) or "it has no default"
    return about.splitlines()[0]
