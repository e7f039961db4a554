"""Wordings of the user's turn.

"chat" leaves the format to the model's own chat template. The other four keep the layouts that
CrossIn (arXiv 2404.11932) trains on; their sentences are worded here.

    chat       instruction, line break, input
    alpaca     preamble, the three headings, and a trailing space after the last one
    cl_boost   the same; the preamble says that more than one language may occur
    gemma      instruction and input, a line break after each
    llama      Llama-2's [INST] and <<SYS>> marks around a system line and the turn

They stand inside the user's turn, which the chat template of the base model wraps once more. "llama"
is for a base whose template adds nothing of its own; where the marks are special tokens of the
tokenizer, tuning drops the rows with that reason.
"""

from tongues.core.recipe import PromptTemplate

_PREAMBLES = {
    ("alpaca", True): (
        "The instruction below describes a task, and the input gives its context. "
        "Write a response that completes the task."
    ),
    ("alpaca", False): "The instruction below describes a task. Write a response that completes the task.",
    ("cl_boost", True): (
        "The instruction below describes a task, in one or more languages, and the input gives its "
        "context, in one or more languages. Write a response that completes the task."
    ),
    ("cl_boost", False): (
        "The instruction below describes a task, in one or more languages. "
        "Write a response that completes the task."
    ),
}
_LLAMA_SYSTEM = "You are a careful assistant. Answer truthfully, and say so when you do not know."


def user_turn(
    instruction: str, input: str, template: PromptTemplate = "chat", *, preamble: str | None = None
) -> str:
    """Word the user's turn; an empty input leaves no trace of its own.

    Args:
        instruction: what is asked.
        input: what it is asked about; may be empty.
        template: the layout.
        preamble: takes the place of the layout's own opening line; None keeps that.
    """
    if template in ("alpaca", "cl_boost"):
        opening = _PREAMBLES[template, bool(input)] if preamble is None else preamble
        given = f"### Input:\n{input}\n\n" if input else ""
        return f"{opening}\n\n### Instruction:\n{instruction}\n\n{given}### Response:\n "
    turn = f"{instruction}\n{input}" if input else instruction
    if template == "llama":
        system = _LLAMA_SYSTEM if preamble is None else preamble
        return f"[INST] <<SYS>>\n{system}\n<</SYS>>\n\n{turn} [/INST]"
    opening = f"{preamble}\n\n" if preamble else ""
    return f"{opening}{turn}\n" if template == "gemma" else f"{opening}{turn}"
