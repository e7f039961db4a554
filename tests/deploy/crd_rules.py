"""The CEL rules of CustomResourceDefinitions, evaluated as an API server does before it takes an object."""

import copy
from collections.abc import Iterator
from functools import cache
from typing import Any

import celpy
from celpy.celparser import CELParseError

ENVIRONMENT = celpy.Environment()


@cache
def program(rule: str) -> Any:
    return ENVIRONMENT.program(ENVIRONMENT.compile(rule))


def defaulted(schema: dict[str, Any], value: Any) -> Any:
    """The value with the schema's defaults filled in, which rules may rely on."""
    if isinstance(value, dict):
        out = dict(value)
        for name, child in schema.get("properties", {}).items():
            if name not in out and "default" in child:
                out[name] = copy.deepcopy(child["default"])
            if name in out:
                out[name] = defaulted(child, out[name])
        return out
    if isinstance(value, list):
        return [defaulted(schema.get("items", {}), item) for item in value]
    return value


def rules(schema: dict[str, Any], value: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any], Any]]:
    """Path, rule and value for each rule that speaks of a part of the value."""
    for rule in schema.get("x-kubernetes-validations", []):
        yield path, rule, value
    if isinstance(value, dict):
        extra = schema.get("additionalProperties")
        for name, child in value.items():
            below = schema.get("properties", {}).get(name, extra if isinstance(extra, dict) else {})
            yield from rules(below, child, f"{path}.{name}")
    elif isinstance(value, list):
        for number, child in enumerate(value):
            yield from rules(schema.get("items", {}), child, f"{path}[{number}]")


def broken(schema: dict[str, Any], item: dict[str, Any]) -> list[str]:
    """The rules that an object breaks; rules on changes (oldSelf) do not speak of a new object."""
    found = []
    for path, rule, value in rules(schema, defaulted(schema, item)):
        if "oldSelf" not in rule["rule"] and not holds(rule["rule"], value):
            found.append(f"{path}: {rule.get('message', rule['rule'])}")
    return found


def holds(rule: str, value: Any) -> bool:
    try:
        return bool(program(rule).evaluate({"self": celpy.json_to_cel(value)}))
    except (celpy.CELEvalError, CELParseError) as error:
        raise AssertionError(f"rule cannot be evaluated: {rule}: {error}") from error
