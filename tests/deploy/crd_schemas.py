"""Strict JSON schemas of custom resources, made from their CustomResourceDefinitions."""

from functools import cache
from typing import Any

import crd_rules
import yaml
from chart_objects import CRDS
from jsonschema import Draft4Validator

YamlLoader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def strict(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema as an API server with strict field validation reads it: unknown fields are errors."""
    if schema.get("x-kubernetes-int-or-string"):
        return {"type": ["integer", "string"]}
    out = dict(schema)
    if "properties" in schema:
        out["properties"] = {name: strict(child) for name, child in schema["properties"].items()}
        if not schema.get("x-kubernetes-preserve-unknown-fields"):
            out.setdefault("additionalProperties", False)
    for keyword in ("items", "additionalProperties"):
        if isinstance(schema.get(keyword), dict):
            out[keyword] = strict(schema[keyword])
    if schema.get("nullable") and "type" in schema:
        out["type"] = [schema["type"], "null"]
    return out


@cache
def definition(api_version: str, kind: str) -> dict[str, Any] | None:
    """The schema of a kind; None where there is no definition of it."""
    group, version = api_version.split("/")
    for file in CRDS.glob(f"*/{group}_{kind.lower()}s.yaml"):
        for served in yaml.load(file.read_text(), Loader=YamlLoader)["spec"]["versions"]:
            if served["name"] == version:
                found: dict[str, Any] = served["schema"]["openAPIV3Schema"]
                return found
    return None


@cache
def validator(api_version: str, kind: str) -> Draft4Validator | None:
    """The strict validator of a kind; None where there is no definition of it."""
    found = definition(api_version, kind)
    if found is None:
        return None
    schema = strict(found)
    schema["properties"]["metadata"] = {"type": "object"}
    return Draft4Validator(schema)


def problems(item: dict[str, Any]) -> list[str]:
    """What is wrong with a custom resource; a kind without a definition is wrong too."""
    check, schema = (one(item["apiVersion"], item["kind"]) for one in (validator, definition))
    if check is None or schema is None:
        return [f"no definition of {item['apiVersion']} {item['kind']}"]
    wrong = [f"{'.'.join(map(str, error.path))}: {error.message}" for error in check.iter_errors(item)]
    return wrong or crd_rules.broken(schema, item)
