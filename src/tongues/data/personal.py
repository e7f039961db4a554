"""Personal data in texts: e-mail addresses, telephone, card and account numbers, IP addresses.

Found by shape, and by checksum where the kind has one (cards: Luhn; accounts: IBAN, ISO 13616), so
that ordinary numbers stay. Names and postal addresses are not found.
"""

import ipaddress
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

from tongues.core.records import Message, Record

_EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@(?:[\w-]{1,63}\.){1,8}[^\W\d_]{2,24}(?![\w-])")
_IBAN = re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b")
_CARD = re.compile(r"(?<![\w.,-])(?<!\d )\d(?:[ -]?\d){12,18}(?![\w-]| ?\d|[.,]\d)")
_ADDRESS = re.compile(
    r"(?<![\w.:])(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7})(?![\w:]|\.\d)"
)
_PHONE = re.compile(r"(?<![\w.,+-])(?:\+|00)[1-9](?:[ ./-]?\(?\d\)?){7,14}(?![\d-]|[.,]\d)")

_LEAST_PHONE_DIGITS = 8


def mask(text: str) -> tuple[str, Counter[str]]:
    """Replace personal data by a placeholder for its kind, such as "<EMAIL>".

    Returns:
        The text, and kind to number of replacements.
    """
    counts: Counter[str] = Counter()
    for kind, pattern, holds in _KINDS:
        text = pattern.sub(lambda found, k=kind, h=holds: _placed(found, k, h, counts), text)  # type: ignore[misc]
    return text, counts


def mask_record(record: Record) -> tuple[Record, Counter[str]]:
    """Mask all turns of a record, and the worse answer of a pair; its id follows the new text."""
    counts: Counter[str] = Counter()
    turns: list[Message] = []
    for message in record.messages:
        text, found = mask(message.content)
        counts += found
        turns.append(replace(message, content=text))
    meta = dict(record.meta)
    if worse := meta.get("rejected"):
        meta["rejected"], found = mask(worse)
        counts += found
    if not counts:
        return record, counts
    masked = Record.create(
        messages=tuple(turns),
        group=record.group,
        method=record.method,
        source=record.source,
        steps=record.steps,
        meta=meta,
    )
    return masked, counts


def _placed(found: re.Match[str], kind: str, holds: Callable[[str], bool], counts: Counter[str]) -> str:
    if not holds(found[0]):
        return found[0]
    counts[kind] += 1
    return f"<{kind}>"


def _is_card(text: str) -> bool:
    digits = [int(c) for c in reversed(text) if c.isdecimal()]
    doubled = (sum(divmod(2 * digit, 10)) for digit in digits[1::2])
    return len(set(digits)) > 1 and (sum(digits[::2]) + sum(doubled)) % 10 == 0


def _is_iban(text: str) -> bool:
    plain = text.replace(" ", "")
    number = "".join(str(int(c, 36)) for c in plain[4:] + plain[:4])
    return int(number) % 97 == 1


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return text.strip(":") != ""


def _is_phone(text: str) -> bool:
    return sum(c.isdecimal() for c in text) >= _LEAST_PHONE_DIGITS


_KINDS: tuple[tuple[str, re.Pattern[str], Callable[[str], bool]], ...] = (
    ("EMAIL", _EMAIL, bool),
    ("IBAN", _IBAN, _is_iban),
    ("CARD", _CARD, _is_card),
    ("IP", _ADDRESS, _is_address),
    ("PHONE", _PHONE, _is_phone),
)
