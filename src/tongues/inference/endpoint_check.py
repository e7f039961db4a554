"""Whether endpoints are there and know what is wanted of them: asked once, before anything is sent."""

from collections.abc import Callable, Sequence
from typing import Any

from tongues.core.errors import EngineUnavailableError
from tongues.core.languages import language
from tongues.core.recipe import EndpointSection
from tongues.inference.connections import trusted_authorities
from tongues.inference.endpoint import key_of

_TIMEOUT_S = 10.0


def problems_of(
    endpoints: Sequence[EndpointSection], ask: Callable[[EndpointSection], list[str]], kind: str
) -> list[str]:
    """All problems of all endpoints, one line each.

    Args:
        endpoints: each is asked.
        ask: gives its problems; a lookup that fails there means that something else answers at the address.
        kind: what is expected there, such as "LibreTranslate server".
    """
    problems = list[str]()
    for endpoint in endpoints:
        try:
            problems += ask(endpoint)
        except EngineUnavailableError as error:
            problems.append(error.line())
        except (KeyError, IndexError, TypeError, AttributeError):
            problems.append(f"{endpoint.base_url}: what answers there is no {kind}. Fix: check base_url")
    return problems


def fetch_json(endpoint: EndpointSection, path: str, headers: dict[str, str]) -> Any:
    """GET a JSON document.

    Args:
        endpoint: where.
        path: appended to its address.
        headers: with its key.

    Raises:
        EngineUnavailableError: nothing answers, or not with 200, or not with JSON.
    """
    import httpx

    key = key_of(endpoint)
    try:
        url = endpoint.base_url.rstrip("/") + path
        reply = httpx.get(url, headers=headers, timeout=_TIMEOUT_S, verify=trusted_authorities())
        reply.raise_for_status()
        return reply.json()
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        words = " ".join(str(error).split(" For more information")[0].split())
        raise EngineUnavailableError(
            f"no list comes from there ({words.replace(key, '***') if key else words})",
            where=endpoint.base_url,
            fix="start it, or check base_url and the variable that api_key_env names",
        ) from error
    except ValueError as error:
        raise EngineUnavailableError(
            "what answers there does not speak JSON", where=endpoint.base_url, fix="check base_url"
        ) from error


def missing_pair(where: str, source: str, target: str, there: str) -> str:
    """The line for a pair that a service does not know.

    Args:
        where: the service.
        source: BCP-47 code.
        target: BCP-47 code.
        there: what it knows.
    """
    names = f"{language(source).name} to {language(target).name}"
    return f"{where}: no pair {source}-{target} ({names}); {there}. Fix: another engine for this language"
