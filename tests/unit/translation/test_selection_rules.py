"""The shipped rules on wordings that they mean and, more important, on those that they do not."""

import re

import pytest
from ruamel.yaml import YAML

from tongues.core.recipe import SelectionSection, TranslationSection
from tongues.core.records import Source, SourceRow
from tongues.translation.selection import Selector
from tongues.translation.selection_rules import shipped_rules

SOURCE = Source("tests", "1", "tests:1", "Apache-2.0")
SELECTOR = Selector(SelectionSection(decider="rules"))
BARE, PROSE, LABEL = "recieved -> received", 'The right form is "mice", an old plural.', "Formal"


def decide(instruction: str, output: str = BARE, input: str = "", category: str = ""):
    row = SourceRow.create(
        instruction=instruction, input=input, output=output, source=SOURCE, category=category
    )
    return SELECTOR.decide(row)


MEANT = [
    ("Translate the sentence into Finnish.", BARE, "translation"),
    (
        "You are a guide. Please translate this sign from Welsh to English for the visitors.",
        BARE,
        "translation",
    ),
    ("Could you translate: I would like a coffee, into Brazilian Portuguese?", BARE, "translation"),
    ("How do you say 'good night' in Greek?", BARE, "translation"),
    ("What is the Turkish word for bread?", BARE, "translation"),
    ("What's the Turkish word for 'bread'?", 'The Turkish word is "ekmek".', "translation-explained"),
    ("Translate this letter into another language.", BARE, "translation"),
    ("Fix the spelling mistakes in this note.", BARE, "spelling"),
    ("Which word in this line is misspelled?", PROSE, "spelling-explained"),
    ("Proofread the letter below.", BARE, "spelling"),
    ("Correct the grammar of this sentence.", BARE, "grammar"),
    ("Tell me if the sentence is grammatical.", BARE, "grammar"),
    ("Insert the missing commas.", BARE, "grammar"),
    ("Fill the gap with the correct preposition.", PROSE, "grammar-explained"),
    ("Change the verb to the past tense.", BARE, "word-forms"),
    ("Give the plural of 'mouse'.", PROSE, "word-forms-explained"),
    ("Turn this into the passive voice.", BARE, "word-forms"),
    ("Conjugate the verb 'to be'.", BARE, "word-forms"),
    ("List five synonyms for happy.", BARE, "synonyms"),
    ("What are the antonyms of 'cold'?", BARE, "synonyms"),
    ("Find three words that rhyme with 'light'.", BARE, "rhyme"),
    ("How many vowels are there in the word 'banana'?", "Three", "letters"),
    ("Count the number of words in the following sentence.", "7", "letters"),
    ("Find an anagram of 'listen'.", "silent", "letters"),
    ("Write the word 'stop' backwards.", "pots", "letters"),
    ("Is this word a palindrome?", "Yes", "letters"),
    ("What does the acronym 'NASA' stand for?", BARE, "acronyms"),
    ("Identify the part of speech of each word.", BARE, "parts-of-speech"),
    ("Which word is the verb in this sentence?", PROSE, "parts-of-speech-explained"),
    ("Rewrite the notice in plain English.", BARE, "wording"),
    ("Suggest a better word for the one in bold.", BARE, "wording"),
    ("In which language is this written?", "Basque", "language-identification"),
    ("What language is this?", "Basque", "language-identification"),
    ("Identify the language of the text.", "Basque", "language-identification"),
    ("Classify the tone of this email.", LABEL, "text-classification"),
    ("Tell me if the comment is sarcastic.", "Yes", "text-classification"),
    ("Is this English review kind or unkind?", "It is unkind.", "english-text"),
    ("Write a limerick about a cat.", BARE, "wordplay"),
    ("Please compose a short haiku on rain.", BARE, "wordplay"),
    ("Tell me a knock-knock joke.", BARE, "wordplay"),
    ("Make a tongue twister with the letter S.", BARE, "wordplay"),
    ("Create an acrostic from the name ROSE.", BARE, "wordplay"),
    ("Write a rhyming poem about the sea.", BARE, "rhyming-verse"),
    ("Write a poem about the sea that rhymes.", BARE, "rhyming-verse"),
    ("Explain the idiom 'piece of cake'.", BARE, "idioms"),
    ("Name three animals that start with the letter B.", BARE, "letter-order"),
    ("Put these words in alphabetical order.", BARE, "letter-order"),
    ("Write a function that counts the vowels in a string.", BARE, "programs"),
    ("Write a Python program that tells whether a word is a palindrome.", BARE, "programs"),
    ("Translate the question into SQL.", BARE, "programs"),
    ("Translate the sentence into an algebraic equation.", BARE, "programs"),
    ("Rewrite the equation for x.", BARE, "programs"),
]


@pytest.mark.parametrize(("instruction", "output", "rule"), MEANT, ids=[m[0][:40] for m in MEANT])
def test_shipped_rule_takes_the_task_it_means(instruction, output, rule):
    assert decide(instruction, output).decided_by == f"rule:{rule}"


NOT_MEANT = [
    "Translate the graph by 3 units to the right.",
    "Translate the triangle and reflect it.",
    "How does this loss translate to French exporters of cheese?",
    "Explain how passion translates into French cooking.",
    "You are a translator at a summit. Advise the two countries.",
    "You are a wizard. Identify the spell that heals a dragon and fix its effects.",
    "Mediate a tense negotiation between two kingdoms.",
    "Describe a singular form of courage.",
    "Explain the past and the present of Rome.",
    "How many words per minute can she type if she types 300 words in 5 minutes?",
    "How many letters did the postman bring on Monday?",
    "Anna writes 4 letters with 9 pages each. Find the number of pages.",
    "Describe the universe in three verses.",
    "Who invented the crossword puzzle?",
    "You are a haiku master. Explain why patience matters.",
    "Tell a story about a boy who wanted to write a limerick.",
    "What language is spoken in Brazil?",
    "Which languages should a diplomat learn?",
    "Classify these animals as mammals or birds.",
    "Begin with the letter that your friend sent, then continue the tale.",
    "Write a story that begins with a storm.",
    "Fix the broken pipe. What do I need?",
    "Check the tyre pressure and correct it.",
    "Give me a word of advice.",
    "What is the meaning of life?",
    "Explain to me why the subject of history is important.",
    "What is the object of the game of chess?",
    "Reverse the car into the garage: which steps are there?",
    "You are an English teacher. Plan a lesson.",
    "Write an essay about English kings.",
    "Analyse the emotions of Hamlet in an essay.",
    "Schreibe ein Haiku über den Sommer.",
    "Tell me the rhyme and reason of this law.",
    "Which parts of the speech moved the crowd?",
    "Find a better way to store wine.",
    "How many characters are in the play?",
    "Sort the numbers from small to large.",
]


@pytest.mark.parametrize("instruction", NOT_MEANT)
def test_shipped_rules_leave_other_tasks_alone(instruction):
    assert decide(
        instruction, "A long answer of more than ten words that talks about the thing at length."
    ) == (decide("Name a colour.", "Blue is one."))


def test_translation_keeps_source_and_answer_and_the_quoted_source():
    decision = decide("Translate 'I am here' into Greek.", "Είμαι εδώ")
    assert (decision.translate, decision.protect) == ({"instruction"}, ("'I am here'",))
    assert decide("Translate into Greek: I am here").protect == (": I am here",)
    assert decide("Translate into Greek:", input="I am here").protect == ()


def test_operand_task_answered_in_prose_translates_the_prose_around_the_operand():
    decision = decide('What is the plural of "mouse"?', 'The plural of "mouse" is "mice".')
    assert decision.translate == {"instruction", "output"}
    assert decision.protect == ('"mouse"', '"mice"')


@pytest.mark.parametrize(
    ("instruction", "output"),
    [
        ("Change the sentence to the past tense.", 'He said "go" and went.'),
        ("Correct the spelling.", 'Then he shouted "Run!" and received a medal.'),
        ("Rewrite the notice in plain English.", 'The word "shall" was dropped: you must pay.'),
        ("Translate into Spanish.", 'Ella dijo "hola" y se fue.'),
    ],
)
def test_operand_task_answer_that_only_holds_speech_is_no_explanation(instruction, output):
    assert decide(instruction, output, "He says.").translate == {"instruction"}


def test_text_classification_keeps_text_and_labels():
    decision = decide("Classify the tone of this email as formal, casual or rude.", "Casual", "Hey there!")
    assert (decision.translate, decision.protect) == ({"instruction"}, ("formal, casual or rude",))


def test_text_classification_of_a_discussion_is_no_label():
    long = "The tone is warm at first and then, after the second paragraph, becomes colder and colder."
    assert decide("Analyze the tone of the letter.", long).decided_by == "direct"


ROW = re.compile(r"^\| `([a-z-]+)` \| (\w+) \| (\w+) \| (\w+) \| (\w+) \| (\w+) \|", re.MULTILINE)


def test_docs_table_is_what_the_shipped_rules_do(repository):
    page = (repository / "docs" / "selective-translation.md").read_text(encoding="utf-8")
    told = [match.groups() for match in ROW.finditer(page)]

    def cells(rule):
        yes = {True: "yes", False: "no"}
        actions = ("skip",) * 3 if rule.skip else (rule.instruction, rule.input, rule.output)
        return (rule.name, *actions, yes[rule.keep_quoted], yes[rule.keep_labels])

    assert told == [cells(rule) for rule in shipped_rules()]


def test_docs_recipes_are_valid_and_their_own_rules_do_what_they_say(repository):
    page = (repository / "docs" / "selective-translation.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```yaml\n(.*?)```", page, flags=re.DOTALL)
    parts = [YAML(typ="safe").load(block)["translation"] for block in blocks]
    selections = [SelectionSection.model_validate(part["selection"]) for part in parts]
    assert [selection.decider for selection in selections] == ["rules", "rules", "model"]
    for part in parts:
        TranslationSection.model_validate({"engine": {"kind": "apertium"}} | part)
    own = Selector(selections[1])
    proverb = SourceRow.create(instruction="Make up a proverb.", input="", output="Rain wets.", source=SOURCE)
    trivia = SourceRow.create(
        instruction="Capital of Peru?", input="", output="Lima", source=SOURCE, category="trivia"
    )
    assert own.decide(proverb).skip
    assert own.decide(trivia).translate == {"instruction", "input"}
