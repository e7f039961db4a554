"""The loss over the steps, as a picture that any browser shows."""

import json
import statistics
from collections.abc import Sequence
from html import escape

LOSS_PLOT = "loss.svg"
_WIDTH, _HEIGHT, _MARGIN = 720, 300, 48
_SMOOTHED = 9
"""Steps whose median the second line shows."""


def loss_plot(log: str, title: str) -> str:
    """Draw a training's log.

    Args:
        log: content of ``training-log.jsonl``; at least one line.
        title: stands above.
    """
    losses = [float(json.loads(line)["loss"]) for line in log.splitlines()]
    low, high = min(losses), max(losses)
    half = _SMOOTHED // 2
    smooth = [statistics.median(losses[max(i - half, 0) : i + half + 1]) for i in range(len(losses))]
    labels = (
        _text(_MARGIN, 20, f"{title}: nats per trained token, {losses[0]:.3f} to {losses[-1]:.3f}"),
        _text(4, _MARGIN + 4, f"{high:.2f}"),
        _text(4, _HEIGHT - _MARGIN + 4, f"{low:.2f}"),
        _text(_MARGIN, _HEIGHT - 16, "step 1"),
        _text(_WIDTH - _MARGIN - 40, _HEIGHT - 16, f"step {len(losses)}"),
    )
    lines = _line(losses, low, high, "#bbb") + _line(smooth, low, high, "#1f5a99")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
        f'font-family="sans-serif" font-size="12">\n'
        f'<rect width="100%" height="100%" fill="white"/>\n{"".join(labels)}{lines}</svg>\n'
    )


def _line(losses: Sequence[float], low: float, high: float, colour: str) -> str:
    across, down = _WIDTH - 2 * _MARGIN, _HEIGHT - 2 * _MARGIN
    points = " ".join(
        f"{_MARGIN + across * i / max(len(losses) - 1, 1):.1f},"
        f"{_MARGIN + down * (high - loss) / ((high - low) or 1):.1f}"
        for i, loss in enumerate(losses)
    )
    return f'<polyline fill="none" stroke="{colour}" stroke-width="1.5" points="{points}"/>\n'


def _text(x: int, y: int, text: str) -> str:
    return f'<text x="{x}" y="{y}">{escape(text)}</text>\n'
