"""Adapter mode: every replica of one base model holds the same adapters, loaded while it serves."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import httpx

from tongues.core.errors import ServingError
from tongues.serving.http_client import http
from tongues.serving.revision import Revision, check_name

Holdings = Mapping[str, Mapping[str, str]]
"""Place to the names it holds, and under which address it serves each."""

BASE_NAME = "base"
_LOOK_S = 5.0
_LOAD_S = 120.0


class Servers(Protocol):
    """What the follower reconciles: servers at places, in adapter or in merged mode."""

    @property
    def places(self) -> Sequence[str]:
        """All places there should be."""

    def tend(self) -> None:
        """Start what should run and does not."""

    def holdings(self) -> Holdings:
        """What each place holds; a place that does not answer is left out."""

    def load(self, place: str, revision: Revision, folder: Path) -> None:
        """Have a place hold a revision; returns when it can answer.

        Raises:
            ServingError: it cannot be loaded.
        """

    def unload(self, place: str, name: str) -> None:
        """Have a place let go of a name.

        Raises:
            ServingError: it does not.
        """


class Replicas:
    """VLLM servers that somebody else keeps running, as in a pod, spoken to by the runtime LoRA API.

    Args:
        urls: their addresses, without /v1; reachable from here and from nowhere else.
        allowed: the only folder that adapters are loaded from.
    """

    def __init__(self, urls: Sequence[str], allowed: Path) -> None:
        self.urls, self.allowed = [url.rstrip("/") for url in urls], allowed.resolve()
        self._last: dict[str, dict[str, str]] = {}

    @property
    def places(self) -> Sequence[str]:
        """The replicas' addresses."""
        return self.urls

    def tend(self) -> None:
        """Nothing: Kubernetes restarts them."""

    def holdings(self) -> Holdings:
        """What every replica holds, as it says itself, so that a restart is seen."""
        for url in self.urls:
            try:
                reply = http().get(f"{url}/v1/models", timeout=_LOOK_S).raise_for_status().json()
                names = [card["id"] for card in reply["data"]]
                self._last[url] = {name: url for name in names if name != BASE_NAME}
            except httpx.ReadTimeout:
                continue  # busy, not gone: it still holds what it held
            except (httpx.HTTPError, ValueError, KeyError):
                self._last.pop(url, None)
        return {url: self._last[url] for url in self.urls if url in self._last}

    def load(self, place: str, revision: Revision, folder: Path) -> None:
        """Load one adapter; a name that is there already is as good."""
        self._check_allowed(revision, folder)
        asked = {"lora_name": revision.served_as, "lora_path": str(folder)}
        self._post(place, "load_lora_adapter", asked, fine="already been loaded")

    def unload(self, place: str, name: str) -> None:
        """Unload one adapter; a name that is gone already is as good."""
        self._post(place, "unload_lora_adapter", {"lora_name": name}, fine="cannot be found")

    def _check_allowed(self, revision: Revision, folder: Path) -> None:
        check_name(revision.model)
        if folder.resolve() != self.allowed / revision.served_as:
            raise ServingError(
                f"not {revision.served_as} below {self.allowed}, the only folder to load from",
                where=str(folder),
            )

    def _post(self, place: str, verb: str, body: dict[str, str], *, fine: str) -> None:
        try:
            reply = http().post(f"{place}/v1/{verb}", json=body, timeout=_LOAD_S)
        except httpx.HTTPError as error:
            raise ServingError(f"does not answer ({error or type(error).__name__})", where=place) from error
        if reply.status_code != httpx.codes.OK and fine not in reply.text:
            raise ServingError(f"{verb} {body['lora_name']}: {_said(reply)}", where=place, fix=_fix(reply))


def _said(reply: httpx.Response) -> str:
    try:
        return str(reply.json()["error"]["message"])[:300]
    except (ValueError, KeyError, TypeError):
        return f"status {reply.status_code}"


def _fix(reply: httpx.Response) -> str:
    if reply.status_code == httpx.codes.NOT_FOUND and "Not Found" in reply.text:
        return "start vLLM with --enable-lora and VLLM_ALLOW_RUNTIME_LORA_UPDATING=True"
    return ""
