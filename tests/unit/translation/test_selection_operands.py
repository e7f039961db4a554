"""Quoted parts, operands after a colon, lists of options."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tongues.translation.operands import after_colon, options, quoted

QUOTES = "\"'“”‘’„«»‹›「」『』"
TEXTS = st.text(alphabet=st.one_of(st.sampled_from(f"{QUOTES} :,/\nor"), st.characters()), max_size=60)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ('The word "is" is a verb.', ['"is"']),
        ("Spell 'cat' and 'dog'.", ["'cat'", "'dog'"]),
        ("“Open the door”, she said.", ["“Open the door”"]),
        ("Say ‘don’t go’ aloud.", ["‘don’t go’"]),
        ("Was heißt „Haus“ hier?", ["„Haus“"]),
        ("Que veut dire « maison » ici ?", ["« maison »"]),
        ("「家」は何ですか。『本』は?", ["「家」", "『本』"]),
        ('מה פירוש המילה "cat" כאן', ['"cat"']),
        ('("a")', ['"a"']),
    ],
)
def test_quoted_finds_parts_with_their_marks(text, parts):
    assert quoted(text) == parts


@pytest.mark.parametrize(
    "text",
    [
        "It's Anna's book, isn't it? The dogs' bowls and the cats' beds.",
        "Rock ’n’ roll of the ’90s isn’t the children’s choice.",
        "'Twas a cold night, and the travellers' fire was out.",
        'A 44.5" screen and a 6\' 2" door',
        'Half of it is "open\nand this is the next line" here',
        'no closing " mark here, and again " none',
        "\"\" and '' and «»",
        f'"{"long " * 50}"',
        "«»„“",
    ],
)
def test_quoted_takes_no_apostrophe_and_nothing_unclosed_or_endless(text):
    assert quoted(text) == []


def test_quoted_nested_marks_give_the_outer_part():
    assert quoted("Correct “he said ‘go’ twice” now") == ["“he said ‘go’ twice”"]
    assert quoted("""Correct "it is Anna's 'new' book" now""") == ["""\"it is Anna's 'new' book\""""]


def test_quoted_of_a_story_full_of_dialogue_stops():
    assert len(quoted('"Yes," he said. ' * 1_000)) == 40


@given(TEXTS)
def test_quoted_parts_stand_in_the_text_on_one_line(text):
    for part in quoted(text):
        assert part in text
        assert len(part.splitlines()) == 1
        assert 3 <= len(part) <= 202


@pytest.mark.parametrize("unit", ['"', "'a ", "'a'b", " '", "“", "«a", "a: ", "or a/", "yes or ", 'a "b" '])
def test_a_megabyte_of_marks_takes_a_moment(unit):
    text = unit * (1_000_000 // len(unit))
    started = time.process_time()
    quoted(text)
    after_colon(text)
    options(text, "yes")
    assert time.process_time() - started < 4


@pytest.mark.parametrize(
    ("instruction", "operand"),
    [
        ("Correct this: she go home", [": she go home"]),
        ("Correct the sentence.\nSentence:\nShe go home.\n", [":\nShe go home."]),
        ("Translate to Basque: Note: I am here.", [": I am here."]),
        ("Meet at 10:30 and read https://example.org/a", []),
        ("Answer in three parts:", []),
        ("Compute: 3 + 4", []),
        ('Correct: "she go home". Say why.', []),
        (f"Summarise: {'word ' * 500}", []),
        ("", []),
    ],
)
def test_after_colon_is_what_the_instruction_ends_with(instruction, operand):
    assert after_colon(instruction) == operand


@pytest.mark.parametrize(
    ("text", "answer", "kept"),
    [
        ("Is it positive, negative or mixed?", "Mixed.", ["positive, negative or mixed"]),
        ("Yes or no?", "no", ["Yes or no"]),
        ('Output "ethical" or "not ethical".', "not ethical", ['"ethical"', '"not ethical"']),
        ("Is it ethical or not? Output 'good' or 'bad'.", "good", ["'good'", "'bad'"]),
        ("Select A, B, C, or D.", "D", ["A, B, C, or D"]),
        ("Labels: sport, world news, art. Choose.", "World news, art", ["sport, world news, art"]),
        ("Answer true/false.", "FALSE", ["true/false"]),
        ("Hot or cold? Answer hot, cold or mild.", "cold", ["hot, cold or mild"]),
    ],
)
def test_options_keeps_the_whole_list_that_the_answer_is_from(text, answer, kept):
    assert options(text, answer) == kept


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("Is it positive, negative or mixed?", "It is mixed."),
        ("Is it positive, negative or mixed?", "neutral"),
        ("Is the behaviour ethical or not?", "ethical"),
        ("Is the review positive?", "positive"),
        ("Say 'yes'.", "yes"),
        ("Label: sport", "sport"),
        ("Yes or no?", "yes " * 50),
        ("Yes or no?", " .\n"),
        ("", "yes"),
    ],
)
def test_options_of_an_answer_that_is_no_choice_are_none(text, answer):
    assert options(text, answer) == []


@given(TEXTS, TEXTS)
def test_options_stand_in_the_text(text, answer):
    assert all(part in text for part in options(text, answer))
