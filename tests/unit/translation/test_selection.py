"""Who decides, in which order, and what holds for every decision."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tongues.core.recipe import SelectionRule, SelectionSection
from tongues.core.records import Source, SourceRow
from tongues.translation.segments import FIELDS
from tongues.translation.selection import EVERYTHING, Decision, Selector
from tongues.translation.selection_rules import shipped_rules

SOURCE = Source("tests", "1", "tests:1", "Apache-2.0")
SPELLING = "Correct the spelling of this sentence."
WORDS = st.sampled_from(
    [
        *(
            "Translate this into French:",
            '"cat"',
            "'dog'",
            "words that rhyme",
            "Write a haiku",
            "the spelling",
        ),
        *("yes or no", "positive, negative", "«a»", "Classify the text"),
    ]
)
TEXTS = st.one_of(
    st.text(st.characters(), max_size=40),
    st.lists(st.one_of(WORDS, st.text(max_size=4)), max_size=12).map(" ".join),
)
KEEPS = st.none() | st.lists(st.sampled_from(FIELDS), unique=True).map(tuple)
ROWS = st.builds(
    SourceRow.create,
    instruction=TEXTS,
    input=TEXTS,
    output=TEXTS,
    source=st.just(SOURCE),
    category=st.sampled_from(["", "classification", "poem"]),
    keep=KEEPS,
    skip=st.sampled_from(["", "", "a pun"]),
)
SELECTORS = st.sampled_from([Selector(SelectionSection(decider=d)) for d in ("direct", "rules", "model")])


def rules(*own: SelectionRule, shipped: bool = True) -> Selector:
    return Selector(SelectionSection(decider="rules", rules=own, shipped_rules=shipped))


def row(instruction: str, output: str = "Yes.", input: str = "", **more) -> SourceRow:
    return SourceRow.create(instruction=instruction, input=input, output=output, source=SOURCE, **more)


@given(ROWS, SELECTORS)
def test_decide_is_total_repeats_itself_and_names_only_fields(item, selector):
    decision = selector.decide(item)
    assert decision == selector.decide(item)
    assert decision.translate <= set(FIELDS)
    assert bool(decision.skip) == (not decision.translate) or item.keep is not None
    fields = [getattr(item, name) for name in decision.translate]
    assert all(part and any(part in text for text in fields) for part in decision.protect)
    assert len(set(decision.protect)) == len(decision.protect)


@given(ROWS, SELECTORS)
def test_decide_a_rows_own_word_always_wins(item, selector):
    decision = selector.decide(item)
    if item.skip:
        assert decision == Decision(frozenset(), (), item.skip, "row")
    elif item.keep is not None:
        assert decision == Decision(frozenset(FIELDS) - set(item.keep), (), "", "row")
    else:
        assert decision.decided_by != "row"


def test_decide_empty_keep_translates_everything_whatever_the_rules_say():
    item = row("Write a limerick about a cat.", keep=())
    assert rules().decide(item) == Decision(frozenset(FIELDS), (), "", "row")
    assert rules().decide(row("Write a limerick about a cat.")).skip


@pytest.mark.parametrize("decider", ["direct", "model"])
def test_decide_without_rules_translates_everything(decider):
    selector = Selector(SelectionSection(decider=decider))
    assert selector.decide(row(SPELLING, "She received it.", "She recieved it.")) == Decision(
        frozenset(FIELDS), decided_by=decider
    )


def test_decide_the_recipes_rules_come_before_the_shipped_ones():
    own = SelectionRule(name="all-of-it", pattern="spelling")
    item = row(SPELLING, "She received it.", "She recieved it.")
    assert rules().decide(item).decided_by == "rule:spelling"
    assert rules(own).decide(item) == Decision(frozenset(FIELDS), decided_by="rule:all-of-it")


def test_decide_without_shipped_rules_leaves_the_rest_direct():
    assert rules(shipped=False).decide(row(SPELLING)) == EVERYTHING


def test_decide_a_rule_needs_all_its_conditions():
    own = SelectionRule(
        name="quiz", categories=("quiz", "trivia"), pattern="capital", answer_pattern=r"^\w+$", output="keep"
    )
    selector = rules(own, shipped=False)
    fits = row("What is the CAPITAL of Peru?", "Lima", category="trivia")
    assert selector.decide(fits).translate == {"instruction", "input"}
    for other in (
        row("What is the capital of Peru?", "Lima", category="geography"),
        row("What is the largest city of Peru?", "Lima", category="quiz"),
        row("What is the capital of Peru?", "It is Lima.", category="quiz"),
    ):
        assert selector.decide(other) == EVERYTHING


def test_decide_rules_with_one_pattern_are_tried_in_order():
    first = SelectionRule(name="short", pattern="define", answer_pattern=r"^\w+$", output="keep")
    second = SelectionRule(name="long", pattern="define", input="keep")
    selector = rules(first, second, shipped=False)
    assert selector.decide(row("Define it.", "Red")).decided_by == "rule:short"
    assert selector.decide(row("Define it.", "A colour.")).decided_by == "rule:long"


def test_decide_labels_stay_in_the_instruction_and_as_the_answer():
    item = row("Is the mood happy, sad or calm?", "Sad.", "The rain fell.", category="classification")
    decision = rules().decide(item)
    assert decision == Decision(
        frozenset({"instruction", "input"}), ("happy, sad or calm",), "", "rule:classification"
    )


def test_decide_an_answer_that_is_no_label_is_translated():
    item = row("Is the mood happy, sad or calm?", "Rather gloomy.", category="classification")
    assert rules().decide(item) == Decision(frozenset(FIELDS), decided_by="rule:classification")


def test_decide_quotes_of_fields_that_stay_are_not_protected_again():
    decision = rules().decide(row("Correct the spelling.", '"received"', 'She said "recieved".'))
    assert (decision.translate, decision.protect) == ({"instruction"}, ())


def test_decide_labels_of_an_input_that_stays_keep_the_answer_and_protect_nothing():
    item = row("Classify the tone of the text.", "casual", "Hey!\nLabels: formal, casual, rude")
    decision = rules().decide(item)
    assert (decision.translate, decision.protect) == ({"instruction"}, ())


def test_decide_skip_says_which_rule_and_why():
    decision = rules().decide(row("Write a haiku about summer."))
    assert (decision.translate, decision.decided_by) == (frozenset(), "rule:wordplay")
    assert decision.skip == "wordplay: the task lives from its language"


def test_identity_changes_with_whatever_changes_decisions():
    rule = SelectionRule(name="quiz", pattern="capital", output="keep")
    sections = [
        SelectionSection(),
        SelectionSection(decider="model"),
        SelectionSection(decider="rules"),
        SelectionSection(decider="rules", shipped_rules=False),
        SelectionSection(decider="rules", rules=(rule,)),
        SelectionSection(decider="rules", rules=(rule.model_copy(update={"pattern": "capitals"}),)),
        SelectionSection(decider="rules", rules=(rule.model_copy(update={"output": "translate"}),)),
    ]
    assert len({Selector(section).identity for section in sections}) == len(sections)
    assert Selector(sections[4]).identity == Selector(sections[4]).identity
    # Rules that are not used change nothing.
    assert Selector(SelectionSection(rules=(rule,))).identity == Selector(sections[0]).identity


def test_decide_a_megabyte_of_hostile_instruction_is_searched_at_its_head_only():
    tail = row("x" * 1_000_000 + " Write a haiku about summer.")
    assert rules().decide(tail) == EVERYTHING
    head = row("Write a haiku about summer. " + "Write a " * 200_000)
    assert rules().decide(head).skip


def test_shipped_rules_have_names_of_their_own():
    names = [rule.name for rule in shipped_rules()]
    assert len(set(names)) == len(names)
