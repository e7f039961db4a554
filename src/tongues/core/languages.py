"""The one table of languages: BCP-47 code, English name, script, FLORES-200 code, resource tier, direction.

Codes follow BCP-47 (RFC 5646); a script subtag stands only where one language is written in
two scripts. FLORES codes follow the FLORES-200 list (arXiv 2207.04672, table 1); "-" marks a
language that is not in it. Scripts are ISO 15924.

Tiers follow the classes of Joshi et al. 2020 (ACL, "The State and Fate of Linguistic Diversity and
Inclusion in the NLP World"; the list that goes with the paper): high is class 5, mid is 3 and 4, low is
0 to 2 and what the list does not name. sPhinX samples by tier and does not publish its own
(arXiv 2407.09879), so this basis is ours.

The 132 languages of MITS (arXiv 2311.10797: those that Google Cloud Translation offered, Chinese
counted once) are this table without English and Asturian. The paper on sPhinX names few of its 51
languages; those it names are here.
"""

import difflib
from dataclasses import dataclass
from functools import cache
from typing import Literal

from tongues.core.errors import RecipeError

UNDETERMINED = "und"
"""BCP-47's own code for a text whose language is not known."""

_RIGHT_TO_LEFT = frozenset({"Arab", "Hebr", "Thaa", "Syrc", "Nkoo"})
_WITHOUT_SPACES = frozenset({"Hans", "Hant", "Jpan", "Thai", "Laoo", "Khmr", "Mymr", "Tibt"})

_HIGH = frozenset(["ar", "de", "en", "es", "fr", "ja", "zh-Hans", "zh-Hant"])
_CLASS_4 = "ca cs eu fa fi hi hr hu it ko nl pl pt ru sr sv tr vi"
_CLASS_3 = "af be bg bn bs ceb da el et fil gl he id ka kk la lt lv ms ro sk sl ta th uk ur uz"
_MID = frozenset(f"{_CLASS_4} {_CLASS_3}".split())

_TABLE = """
af Afrikaans Latn afr_Latn|ak Twi Latn aka_Latn|am Amharic Ethi amh_Ethi|ar Arabic Arab arb_Arab
as Assamese Beng asm_Beng|ast Asturian Latn ast_Latn|ay Aymara Latn ayr_Latn|az Azerbaijani Latn azj_Latn
be Belarusian Cyrl bel_Cyrl|bg Bulgarian Cyrl bul_Cyrl|bho Bhojpuri Deva bho_Deva|bm Bambara Latn bam_Latn
bn Bengali Beng ben_Beng|bs Bosnian Latn bos_Latn|ca Catalan Latn cat_Latn|ceb Cebuano Latn ceb_Latn
ckb Kurdish_(Sorani) Arab ckb_Arab|co Corsican Latn -|cs Czech Latn ces_Latn|cy Welsh Latn cym_Latn
da Danish Latn dan_Latn|de German Latn deu_Latn|doi Dogri Deva -|dv Dhivehi Thaa -|ee Ewe Latn ewe_Latn
el Greek Grek ell_Grek|en English Latn eng_Latn|eo Esperanto Latn epo_Latn|es Spanish Latn spa_Latn
et Estonian Latn est_Latn|eu Basque Latn eus_Latn|fa Persian Arab pes_Arab|fi Finnish Latn fin_Latn
fil Filipino Latn tgl_Latn|fr French Latn fra_Latn|fy Frisian Latn -|ga Irish Latn gle_Latn
gd Scottish_Gaelic Latn gla_Latn|gl Galician Latn glg_Latn|gn Guarani Latn grn_Latn|gom Konkani Deva -
gu Gujarati Gujr guj_Gujr|ha Hausa Latn hau_Latn|haw Hawaiian Latn -|he Hebrew Hebr heb_Hebr
hi Hindi Deva hin_Deva|hmn Hmong Latn -|hr Croatian Latn hrv_Latn|ht Haitian_Creole Latn hat_Latn
hu Hungarian Latn hun_Latn|hy Armenian Armn hye_Armn|id Indonesian Latn ind_Latn|ig Igbo Latn ibo_Latn
ilo Ilocano Latn ilo_Latn|is Icelandic Latn isl_Latn|it Italian Latn ita_Latn|ja Japanese Jpan jpn_Jpan
jv Javanese Latn jav_Latn|ka Georgian Geor kat_Geor|kk Kazakh Cyrl kaz_Cyrl|km Khmer Khmr khm_Khmr
kn Kannada Knda kan_Knda|ko Korean Kore kor_Hang|kri Krio Latn -|ku Kurdish_(Kurmanji) Latn kmr_Latn
ky Kyrgyz Cyrl kir_Cyrl|la Latin Latn -|lb Luxembourgish Latn ltz_Latn|lg Luganda Latn lug_Latn
ln Lingala Latn lin_Latn|lo Lao Laoo lao_Laoo|lt Lithuanian Latn lit_Latn|lus Mizo Latn lus_Latn
lv Latvian Latn lvs_Latn|mai Maithili Deva mai_Deva|mg Malagasy Latn plt_Latn|mi Maori Latn mri_Latn
mk Macedonian Cyrl mkd_Cyrl|ml Malayalam Mlym mal_Mlym|mn Mongolian Cyrl khk_Cyrl
mni-Mtei Meiteilon_(Manipuri) Mtei -|mr Marathi Deva mar_Deva|ms Malay Latn zsm_Latn
mt Maltese Latn mlt_Latn|my Burmese Mymr mya_Mymr|ne Nepali Deva npi_Deva|nl Dutch Latn nld_Latn
no Norwegian Latn nob_Latn|nso Sepedi Latn nso_Latn|ny Chichewa Latn nya_Latn|oc Occitan Latn oci_Latn
om Oromo Latn gaz_Latn|or Odia Orya ory_Orya|pa Punjabi Guru pan_Guru|pl Polish Latn pol_Latn
ps Pashto Arab pbt_Arab|pt Portuguese Latn por_Latn|qu Quechua Latn quy_Latn|ro Romanian Latn ron_Latn
ru Russian Cyrl rus_Cyrl|rw Kinyarwanda Latn kin_Latn|sa Sanskrit Deva san_Deva|sd Sindhi Arab snd_Arab
si Sinhala Sinh sin_Sinh|sk Slovak Latn slk_Latn|sl Slovenian Latn slv_Latn|sm Samoan Latn smo_Latn
sn Shona Latn sna_Latn|so Somali Latn som_Latn|sq Albanian Latn als_Latn|sr Serbian Cyrl srp_Cyrl
st Sesotho Latn sot_Latn|su Sundanese Latn sun_Latn|sv Swedish Latn swe_Latn|sw Swahili Latn swh_Latn
ta Tamil Taml tam_Taml|te Telugu Telu tel_Telu|tg Tajik Cyrl tgk_Cyrl|th Thai Thai tha_Thai
ti Tigrinya Ethi tir_Ethi|tk Turkmen Latn tuk_Latn|tr Turkish Latn tur_Latn|ts Tsonga Latn tso_Latn
tt Tatar Cyrl tat_Cyrl|ug Uyghur Arab uig_Arab|uk Ukrainian Cyrl ukr_Cyrl|ur Urdu Arab urd_Arab
uz Uzbek Latn uzn_Latn|vi Vietnamese Latn vie_Latn|xh Xhosa Latn xho_Latn|yi Yiddish Hebr ydd_Hebr
yo Yoruba Latn yor_Latn|zh-Hans Chinese_(Simplified) Hans zho_Hans
zh-Hant Chinese_(Traditional) Hant zho_Hant|zu Zulu Latn zul_Latn
"""


@dataclass(frozen=True, slots=True)
class Language:
    """One language as written in one script.

    Args:
        code: BCP-47.
        name: English name, as a user reads it.
        script: ISO 15924.
        flores: FLORES-200 code, or "" where the list has none.
    """

    code: str
    name: str
    script: str
    flores: str

    @property
    def direction(self) -> str:
        """ "rtl" or "ltr", as HTML's ``dir`` takes it."""
        return "rtl" if self.script in _RIGHT_TO_LEFT else "ltr"

    @property
    def tier(self) -> Literal["high", "mid", "low"]:
        """How much text and data there is in the language; see the module for the basis."""
        return "high" if self.code in _HIGH else "mid" if self.code in _MID else "low"

    @property
    def has_spaces(self) -> bool:
        """Whether words are divided by spaces in this script."""
        return self.script not in _WITHOUT_SPACES


@cache
def languages() -> dict[str, Language]:
    """All languages by code, in alphabetical order of their codes."""
    cells = (cell.split() for line in _TABLE.strip().splitlines() for cell in line.split("|"))
    rows = (
        Language(code, name.replace("_", " "), script, "" if flores == "-" else flores)
        for code, name, script, flores in cells
    )
    return {row.code: row for row in sorted(rows, key=lambda row: row.code)}


def language(code: str) -> Language:
    """Look a language up.

    Args:
        code: BCP-47, as in the table; "zh" is refused because it leaves the script open.

    Raises:
        RecipeError: the code is not in the table; names the nearest ones.
    """
    try:
        return languages()[code]
    except KeyError:
        raise RecipeError([unknown_language(code)]) from None


def unknown_language(code: str) -> str:
    """Say that a code is unknown, with the nearest codes or the code of that English name."""
    by_name = {row.name.lower(): row.code for row in languages().values()}
    if hit := by_name.get(code.lower()):
        return f"unknown language {code!r}; write its BCP-47 code, {hit!r}"
    near = [c for c in languages() if c.startswith(f"{code.lower()}-")]
    near = near or difflib.get_close_matches(code.lower(), languages(), n=3, cutoff=0.5)
    hint = f"did you mean {', '.join(map(repr, near))}? " if near else ""
    return f"unknown language {code!r}; {hint}`tongues recipe languages` lists all {len(languages())}"
