"""What a tuned model answers with, as its recipe says or as its methods taught it."""

from tongues.core.recipe import Recipe, TacoMethod
from tongues.core.taco_format import request_line
from tongues.evaluation.chains import PLAIN, AnswerFormat, Worded
from tongues.methods.prompts import user_turn


def answer_format(recipe: Recipe) -> AnswerFormat:
    """The format that a recipe's model answers with: what `evaluation.answer_format` says, else the methods'.

    A chain is asked for in the very words that the model was tuned on, by the first method "taco", or by
    the defaults of that method where a recipe asks for chains without it.
    """
    taught = [section for section in recipe.dataset.methods if isinstance(section, TacoMethod)]
    kind = recipe.evaluation.answer_format or ("taco" if taught else "plain")
    if kind == "plain":
        return PLAIN
    section = taught[0] if taught else TacoMethod(method="taco")

    def word(prompt: str, lang: str) -> Worded:
        line = request_line(lang, recipe.source.lang)
        preamble = line if section.system_line == "preamble" else None
        turn = user_turn(prompt, "", section.template, preamble=preamble)
        return line if section.system_line == "message" else "", turn

    return AnswerFormat("taco", recipe.source.lang, word)
