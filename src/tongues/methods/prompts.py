"""Wordings of the user's turn.

"chat" leaves the format to the model's own chat template. "alpaca" and "cl_boost" keep the
layout that CrossIn (arXiv 2404.11932) trains on: preamble, the three headings, and a trailing
space after the last one; cl_boost's preamble says that more than one language may occur. The
preambles are worded here.
"""

from typing import Literal

Template = Literal["chat", "alpaca", "cl_boost"]

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


def user_turn(instruction: str, input: str, template: Template = "chat") -> str:
    """Word the user's turn; an empty input leaves no trace of its own.

    Args:
        instruction: what is asked.
        input: what it is asked about; may be empty.
        template: "chat" joins the two by a line break.
    """
    if template == "chat":
        return f"{instruction}\n{input}" if input else instruction
    preamble = _PREAMBLES[template, bool(input)]
    given = f"### Input:\n{input}\n\n" if input else ""
    return f"{preamble}\n\n### Instruction:\n{instruction}\n\n{given}### Response:\n "
