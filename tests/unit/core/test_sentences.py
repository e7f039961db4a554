import pytest
from hypothesis import given
from hypothesis import strategies as st

from tongues.core.errors import RecipeError
from tongues.core.languages import languages
from tongues.core.sentences import cut_at_spaces, split_sentences

STOPS = ".!?…。！？।॥؟۔።፧။།៕։;\u037e"
HOSTILE = st.text(
    st.one_of(
        st.sampled_from(list(STOPS + "\"'”»)（（ \t\n\r\u2028\x85\u200d\u202e\u0301\0aA1é你क")),
        st.characters(),
        st.characters(categories=["Cs"]),
    )
)


@pytest.mark.parametrize(
    ("lang", "sentences"),
    [
        ("en", ["Dr. Smith paid 3.5 dollars to J. R. Jones. ", "He left, e.g. at 5 p.m. on foot. ", "Why?"]),
        ("en", ['"Really?" he asked. ', '"It was... odd." ', "(No!) ", "Yes  "]),
        ("en", ["1. Wash the rice. ", "2. Boil it.\n\n", "Serve. "]),
        ("en", ["... ? Well! ", "No... ?! ... "]),
        ("es", ["¿Qué pasa? ", "¡Nada! ", "El Sr. Ruiz vino a las 3.15. ", "«Adiós.» ", "Fin"]),
        ("de", ["Das ist z. B. gut. ", "Am 3. Mai 2010 kam er. ", "Ende"]),
        ("fr", ["Où est M. Dupont ? ", "Il dort. "]),
        ("ru", ["А. С. Иванов жил в г. Туле. ", "Он ушёл."]),
        ("el", ["Τι κάνεις; ", "Καλά. ", "Ναι"]),
        ("hy", ["Բարև։ ", "Ինչպե՞ս ես։"]),
        ("ar", ["كيف حالك؟ ", "أنا بخير. ", "شكرا"]),
        ("ur", ["آپ کیسے ہیں؟ ", "میں ٹھیک ہوں۔ ", "شکریہ"]),
        ("hi", ["यह घर है। ", "वह बड़ा है॥ ", "क्या?"]),
        ("am", ["ሰላም ነው። ", "እንዴት ነህ፧ ", "ደህና"]),
        ("my", ["နေကောင်းလား။ ", "ကောင်းပါတယ်။"]),
        ("km", ["សួស្តី។ ", "អ្នកសុខសប្បាយទេ?"]),
        ("zh-Hans", ["你好。", "你是谁？", "“我不知道！”", "他说3.5元!", "好"]),
        ("ja", ["こんにちは。", "元気ですか？", "はい"]),
        ("ko", ["안녕하세요. ", "네. ", "알겠습니다."]),
        ("th", ["สวัสดีครับ ผมชื่อสมชาย"]),
    ],
)
def test_split_sentences_of_a_script_ends_at_its_stops(lang: str, sentences: list[str]) -> None:
    assert split_sentences("".join(sentences), lang) == sentences


@given(HOSTILE, st.sampled_from(["en", "el", "de", "zh-Hans", "th", "ar", "hi"]))
def test_split_sentences_joined_are_the_text_and_none_is_empty(text: str, lang: str) -> None:
    sentences = split_sentences(text, lang)
    assert "".join(sentences) == text
    assert all(sentences)
    if any(map(str.isalnum, text)):
        assert all(any(map(str.isalnum, sentence)) for sentence in sentences)


@given(HOSTILE, st.integers(1, 50))
def test_cut_at_spaces_joined_is_the_text_in_pieces_no_longer_than_their_words_need(
    text: str, longest: int
) -> None:
    pieces = cut_at_spaces(text, longest)
    assert "".join(pieces) == text
    assert all(pieces)
    assert all(len(piece) <= longest or len(piece.split()) <= 1 or piece[:1].isspace() for piece in pieces)


def test_split_sentences_knows_every_language_of_the_table() -> None:
    text = "One two three! " * 2
    assert {lang: len(split_sentences(text, lang)) for lang in languages()} == dict.fromkeys(languages(), 2)


def test_split_sentences_of_an_unknown_language_names_the_problem() -> None:
    with pytest.raises(RecipeError, match="unknown language 'zz'"):
        split_sentences("Text.", "zz")


def test_split_sentences_of_long_thai_cuts_at_spaces_only() -> None:
    text = "สวัสดีครับผมชื่อสมชาย " * 40
    sentences = split_sentences(text, "th")
    assert "".join(sentences) == text
    assert max(map(len, sentences)) <= 200
    assert all(sentence.endswith(" ") for sentence in sentences)


@pytest.mark.timeout(30)
@pytest.mark.parametrize("unit", ["!", "! ", '."', "J. ", " "])
def test_split_sentences_takes_time_in_proportion_to_the_text(unit: str) -> None:
    text = unit * (1_000_000 // len(unit))
    assert "".join(split_sentences(text, "en")) == text
