"""Refusals and remarks of a model about its own work, in place of or beside a translation.

A model refuses in English, in the language it was to write, or in the source's, so these are
looked for. Nothing is a refusal whose source apologises, declines, or speaks of machines itself.
"""

import re
from functools import cache

_REFUSALS = {
    "en": (
        r"i(['’]m| am) sorry,? but",
        r"i (can['’]?t|cannot|can not|won['’]t) (help|assist|translate|provide|fulfil|comply|do that|answer)",
        r"i( am|['’]m) (not able|unable) to (help|assist|translate|provide|fulfil|comply|answer)",
        r"as an (ai|artificial intelligence)\b",
        r"as a (large )?language model",
        r"i['’]?a?m (just )?an ai\b",
    ),
    "es": (
        r"lo siento,? (pero )?no p(uedo|odría)",
        r"no puedo (ayudar|traducir|cumplir|proporcionar)",
        r"como (un |una )?(modelo de lenguaje|ia\b|inteligencia artificial)",
    ),
    "fr": (
        r"(je suis )?désolée?,? (mais )?je ne p(eux|uis)",
        r"je ne peux pas (vous aider|t['’]aider|traduire|fournir)",
        r"en tant qu(e modèle|['’](ia\b|intelligence artificielle))",
    ),
    "de": (
        r"(es )?tut mir leid,? (aber )?(ich kann|das kann ich)",
        r"kann ich (leider )?nicht (helfen|übersetzen)",
        r"ich kann (dir|ihnen|dabei|das) (leider )?nicht",
        r"als (ki|sprachmodell|künstliche intelligenz)\b",
    ),
    "pt": (
        r"(desculpe|lamento|sinto muito),? (mas )?(eu )?não posso",
        r"não posso (ajudar|traduzir|fornecer)",
        r"como (um |uma )?(modelo de linguagem|ia\b|inteligência artificial)",
    ),
    "it": (
        r"mi dispiace,? (ma )?non posso",
        r"non posso (aiutar|tradurre|fornire)",
        r"(come|in quanto) (un['’]? ?|una )?(modello linguistico|ia\b|intelligenza artificiale)",
    ),
    "ca": (
        r"ho sento,? (però )?no puc",
        r"no puc (ajudar|traduir|proporcionar)",
        r"com a (model de llengua(tge)?|ia\b|intel·ligència artificial)",
    ),
    "gl": (
        r"síntoo,? (pero )?non podo",
        r"non podo (axudar|traducir|proporcionar)",
        r"como (un |unha )?(modelo de linguaxe|ia\b|intelixencia artificial)",
    ),
    "nl": (
        r"het spijt me,? (maar )?ik kan",
        r"ik kan (u |je )?(hier(bij|mee) )?niet (helpen|vertalen)",
        r"als (een )?(ai\b|taalmodel)",
    ),
    "pl": (
        r"przykro mi,? ale nie mogę",
        r"nie mogę (pomóc|przetłumaczyć)",
        r"jako (model językowy|sztuczna inteligencja|ai\b)",
    ),
    "ro": (
        r"îmi pare rău,? dar nu pot",
        r"nu pot (să (te|vă) ajut|traduce)",
        r"ca (model lingvistic|(o )?inteligență artificială)",
    ),
    "sv": (
        r"(jag är )?ledsen,? men jag kan",
        r"jag kan (tyvärr )?inte (hjälpa|översätta)",
        r"som (en )?(ai\b|språkmodell)",
    ),
    "eo": (
        r"mi bedaŭras,? sed mi ne povas",
        r"mi ne povas (helpi|traduki)",
        r"kiel (lingva modelo|artefarita inteligento)",
    ),
    "ru": (
        r"(извините|простите|к сожалению),? (но )?я не могу",
        r"не могу (помочь|перевести)",
        r"как (языковая модель|искусственный интеллект|ии\b)",
        r"я (всего лишь )?(языковая модель|ии\b)",
    ),
    "uk": (
        r"(вибачте|на жаль),? (але )?я не можу",
        r"не можу (допомогти|перекласти)",
        r"як (мовна модель|штучний інтелект)",
    ),
    "tr": (
        r"üzgünüm,? (ama |ancak )?.{0,40}(edemem|yapamam|çeviremem)",
        r"bir (yapay zek[aâ]|dil modeli) olarak",
    ),
    "id": (
        r"maaf,? (tetapi |tapi )?saya tidak (bisa|dapat)",
        r"sebagai (model bahasa|(sebuah )?(ai\b|kecerdasan buatan))",
    ),
    "ms": (
        r"maaf,? (tetapi |tapi )?saya tidak (boleh|dapat)",
        r"sebagai (model bahasa|(sebuah )?(ai\b|kecerdasan buatan))",
    ),
    "vi": (
        r"xin lỗi,? (nhưng )?tôi không thể",
        r"tôi không thể (giúp|dịch)",
        r"(là|với tư cách là) (một )?(mô hình ngôn ngữ|trí tuệ nhân tạo)",
    ),
    "sw": (
        r"samahani,? (lakini )?siwezi",
        r"siwezi (kusaidia|kutafsiri)",
        r"kama (modeli ya lugha|akili (bandia|mnemba))",
    ),
    "zh": (
        r"(对不起|抱歉|很抱歉|對不起)，?(但)?我(不能|无法|無法)",
        r"我(不能|无法|無法)(帮助|协助|翻译|幫助|協助|翻譯)",
        r"(作为|作為)(一个|一個)?(人工智能|人工智慧|AI|语言模型|語言模型|大型语言模型)",
    ),
    "ja": (
        r"(申し訳(ありません|ございません)|すみません)(が)?、?.{0,20}(できません|いたしかねます)",
        r"(AI|言語モデル|人工知能)(として|なので|ですので)",
    ),
    "ko": (
        r"죄송(합니다|하지만)(만)?,? .{0,30}(수 없습니다|드릴 수 없)",
        r"(AI|언어 모델|인공지능)(로서|이기 때문에)",
    ),
    "ar": (
        r"(آسف|أعتذر|عذرًا|عذراً)،? (ولكن(ني)? |لكن(ني)? )?لا (أستطيع|يمكنني)",
        r"لا (أستطيع|يمكنني) (مساعدت|ترجمة)",
        r"(بصفتي|كوني|باعتباري) (نموذج|ذكاء)",
    ),
    "fa": (
        r"(متأسفم|متاسفم|ببخشید)،? (اما |ولی )?(من )?نمی[\u200c ]?توانم",
        r"به عنوان (یک )?(مدل زبانی|هوش مصنوعی)",
    ),
    "hi": (
        r"(क्षमा करें|माफ़ करें|माफ करें|मुझे खेद है),? .{0,60}(नहीं कर सकत|असमर्थ)",
        r"(एआई|AI|भाषा मॉडल) (भाषा मॉडल )?के रूप में",
    ),
    "bn": (
        r"দুঃখিত,? .{0,60}(পারছি না|পারব না|পারি না)",
        r"(এআই|AI|ভাষা মডেল) হিসেবে",
    ),
    "th": (
        r"ขอ(โทษ|อภัย).{0,20}ไม่สามารถ",
        r"ฉันไม่สามารถ(ช่วย|แปล)",
        r"ในฐานะ(ที่เป็น)?(โมเดลภาษา|แบบจำลองภาษา|AI|ปัญญาประดิษฐ์)",
    ),
}
"""Language subtag to what a model says there when it declines, or speaks of itself as a machine."""
_REFUSING_SOURCE = (
    r"\b(?:sorry|apologi[sz]e|apologies|afraid|regret|forgive|unfortunately|excuse)\b"
    r"|\b(?:can['’]?t|cannot|can not|unable|not able|won['’]t|could(?:n['’]t| not))\b"
    r"|\b(?:ai|artificial intelligence|language model|assistant|chatbot|bot)\b"
)
_REMARK = (
    r"^\W{0,4}((sure|certainly|of course|okay|ok)\b[^\n]{0,40})?"
    r"\bhere( is|['’]s) (the|your|my|a) [^\n:]{0,60}translat",
    r"^\W{0,4}translat(ion|ed text)\b[^\n]{0,40}:",
    r"\bnote: (the|this|i) [^\n]{0,40}translat",
    r"\bi (have|['’]ve) translated\b",
    r"\b(aquí (está|tienes|tiene|tens|teniu)|aquí tes|voici|hier ist|ecco|aqui está) "
    r"[^\n:]{0,20}(tradu|traduc|übersetz)",
    r"\b(вот|oto|här är|hier is) [^\n:]{0,20}(перевод|tłumacz|översätt|vertal)",
    r"^\W{0,4}(以下是|这是|這是)[^\n：:]{0,12}(翻译|翻譯|译文|譯文)",
    r"^\W{0,4}以下(は|が)[^\n：:]{0,12}(翻訳|訳文)",
)
_REMARKING_SOURCE = r"\btranslat|\bversion\b|tradu|übersetz|перевод|翻[译譯訳]"
_UNSPACED = frozenset({"zh", "ja", "th"})
_END_CHARS = 20_000
_FLAGS = re.IGNORECASE | re.MULTILINE


def find_meta_comment(
    source: str, translated: str, source_lang: str = "en", target_lang: str = "en"
) -> tuple[str, str] | None:
    """Find a refusal or a remark that the source does not account for.

    Args:
        source: what was translated.
        translated: the translation.
        source_lang: BCP-47 code.
        target_lang: BCP-47 code.

    Returns:
        The reason ("refusal" or "meta-comment") and the words seen; None if there is none, or
        the source itself apologises, declines, or speaks of machines or of translating.
    """
    refusal = _refusal(frozenset({"en", _subtag(source_lang), _subtag(target_lang)}))
    source, translated = _ends(source), _ends(translated)
    for reason, remark, excuse in (
        ("refusal", refusal, _EXCUSES[0]),
        ("meta-comment", _REMARKS, _EXCUSES[1]),
    ):
        found = remark.search(translated)
        if found and not remark.search(source) and not excuse.search(source):
            return reason, found.group()[:80]
    return None


def _ends(text: str) -> str:
    """Where a model speaks for itself: before and behind what it was asked for."""
    return text if len(text) <= 2 * _END_CHARS else f"{text[:_END_CHARS]}\n{text[-_END_CHARS:]}"


def _subtag(lang: str) -> str:
    return lang.split("-", 1)[0]


@cache
def _refusal(langs: frozenset[str]) -> re.Pattern[str]:
    """Starts at a word's beginning where the script has spaces, so that few places are tried."""
    parts = [phrase for lang in sorted(langs) for phrase in _REFUSALS.get(lang, ())]
    unspaced = [phrase for lang in sorted(langs & _UNSPACED) for phrase in _REFUSALS[lang]]
    return re.compile("|".join([rf"\b(?:{'|'.join(parts)})", *unspaced]), _FLAGS)


_REMARKS = re.compile("|".join(_REMARK), _FLAGS)
_EXCUSES = re.compile(_REFUSING_SOURCE, _FLAGS), re.compile(_REMARKING_SOURCE, _FLAGS)
