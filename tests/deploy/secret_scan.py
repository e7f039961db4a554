"""Finds secrets in text: what must never stand in a rendered object."""

import math
import re
from collections import Counter
from collections.abc import Iterator

KNOWN = {
    "AWS access key": re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"),
    "private key": re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----"),
    "Hugging Face token": re.compile(r"\bhf_[A-Za-z0-9]{30,}\b"),
    "GitHub token": re.compile(r"\bgh[pousr]_[A-Za-z0-9]{36,}\b"),
    "OpenAI-style key": re.compile(r"\bsk-[A-Za-z0-9_-]{20,}\b"),
    "JSON web token": re.compile(r"\beyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{10,}"),
    "password in a URL": re.compile(r"\b[a-z][a-z0-9+]*://[^/\s:@$]+:[^/\s:@$]+@"),
}
RANDOM = re.compile(r"\b[A-Za-z0-9+/=_]{32,}\b")
DIGEST = re.compile(r"^(sha256:)?[0-9a-f]{64}$|^(.)\2+$")
RANDOM_BITS = 4.3


def found(text: str) -> Iterator[str]:
    """What looks like a secret, named by its kind and never shown whole."""
    for kind, pattern in KNOWN.items():
        yield from (f"{kind}: {match[0][:6]}..." for match in pattern.finditer(text))
    for match in RANDOM.finditer(text):
        if not DIGEST.match(match[0]) and bits_per_character(match[0]) > RANDOM_BITS:
            yield f"random text: {match[0][:6]}..."


def bits_per_character(text: str) -> float:
    shares = [count / len(text) for count in Counter(text).values()]
    return -sum(share * math.log2(share) for share in shares)
