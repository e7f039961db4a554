"""Refusals and remarks of a model about its own work, in place of or beside a translation."""

import re

_APOLOGY = r"\b(?:sorry|apologi[sz]e|apologies|afraid|regret|forgive|unfortunately|excuse)\b"
_INABILITY = r"\b(?:can(?:'|’)?t|cannot|can not|unable|not able|won(?:'|’)t|could(?:n(?:'|’)t| not))\b"
_MACHINE = r"\b(?:AI|artificial intelligence|language model|assistant|chatbot|bot)\b"
_TRANSLATION = r"\btranslat|\bversion\b"

_KINDS: list[tuple[str, str, str]] = [
    (
        "refusal",
        rf"{_APOLOGY}|{_INABILITY}|{_MACHINE}",
        r"\b(?:I(?:'|’)?m sorry,? but|I (?:can(?:'|’)?t|cannot|am unable to|(?:'|’)m unable to) "
        r"(?:help|assist|translate|provide|fulfil|comply|do that)|as an AI\b|as a (?:large )?language model)"
        r"|\bcomo (?:una? )?(?:modelo de (?:lenguaje|linguagem|linguaxe)|IA\b)"
        r"|\bcom a (?:model de llenguatge|IA\b)"
        r"|\ben tant qu(?:e modèle de langage|'IA)|\bals (?:KI|Sprachmodell)\b|\bcome modello linguistico"
        r"|\bno puedo (?:ayudar|traducir|cumplir)|\bno puc (?:ajudar|traduir)|\bnon podo (?:axudar|traducir)"
        r"|\bnão posso (?:ajudar|traduzir)|\bje ne peux pas (?:vous aider|traduire)"
        r"|\bkann ich (?:nicht|leider nicht) (?:helfen|übersetzen)",
    ),
    (
        "meta-comment",
        _TRANSLATION,
        r"^\W{0,4}(?:(?:sure|certainly|of course|okay|ok)\b[^\n]{0,40})?\bhere(?: is|(?:'|’)s) "
        r"(?:the|your|my|a) [^\n:]{0,60}translat|^\W{0,4}translat(?:ion|ed text)\b[^\n]{0,40}:"
        r"|\bnote: (?:the|this|i) [^\n]{0,40}translat|\bi (?:have|(?:'|’)ve) translated\b"
        r"|\b(?:aquí (?:está|tienes|tiene)|aquí (?:tens|teniu)|aquí tes|voici|hier ist|ecco|aqui está) "
        r"[^\n:]{0,20}(?:tradu|traduc|Übersetz|traduz)",
    ),
]
_COMPILED = [
    (reason, re.compile(excuse, re.IGNORECASE), re.compile(remark, re.IGNORECASE | re.MULTILINE))
    for reason, excuse, remark in _KINDS
]


def find_meta_comment(source: str, translated: str) -> tuple[str, str] | None:
    """Find a refusal or a remark that the source does not account for.

    Args:
        source: what was translated, in English for the excuses to be seen.
        translated: the translation.

    Returns:
        The reason ("refusal" or "meta-comment") and the words seen; None if there is none, or
        the source itself apologises, declines, or speaks of machines or of translating.
    """
    for reason, excuse, remark in _COMPILED:
        found = remark.search(translated)
        if found and not excuse.search(source):
            return reason, found.group()[:80]
    return None
