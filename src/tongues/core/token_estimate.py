"""How many tokens a text may have, where no tokenizer is at hand."""

import math


def estimated_tokens(text: str, bytes_per_token: float) -> int:
    """Tokens by the size of the text in UTF-8.

    Args:
        text: any text.
        bytes_per_token: UTF-8 bytes in one token, above 0.
    """
    return math.ceil(len(text.encode("utf-8", "replace")) / bytes_per_token)
