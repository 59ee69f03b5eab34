"""Charts as SVG, drawn here: no script, no library, no style of their own; colours come from classes.

What it does: lays out stacked bars.
Not its job: colours, numbers in words; each chart stands beside a table or sentence that says the same.
Raises: nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

WIDTH, HEIGHT, FOOT = 1200, 180, 24
GAP = 0.25
COLOURS = {"passed": "#6f9fd0", "stopped": "#c4443a"}
"""For paper; on a screen the classes decide."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar: what stands below it, and its pieces from below, each with the name of its class and its value."""

    label: str
    pieces: tuple[tuple[str, int], ...]


def bars(shown: Sequence[Bar], height: int = HEIGHT) -> Markup:
    """Stacked bars on one scale from 0; 1200 units wide, `height` units high above their labels."""
    highest = max((sum(value for _, value in bar.pieces) for bar in shown), default=0) or 1
    step = WIDTH / max(len(shown), 1)
    drawn = Markup("").join(_bar(bar, number * step, step, height / highest, height) for number, bar in enumerate(shown))
    return Markup('<svg class="chart" viewBox="0 0 {} {}" role="img" aria-hidden="true" focusable="false">{}</svg>').format(
        WIDTH, height + FOOT, drawn
    )


def _bar(bar: Bar, left: float, step: float, scale: float, foot: int) -> Markup:
    top = float(foot)
    drawn = Markup("")
    for name, value in bar.pieces:
        height = value * scale
        # What is there at all can be seen, however little it is.
        height = max(height, 2.0) if value else 0.0
        top -= height
        drawn += Markup('<rect class="{}" fill="{}" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}"/>').format(
            name, COLOURS.get(name, "#888888"), left + step * GAP / 2, top, step * (1 - GAP), height
        )
    said = ", ".join(f"{value:,} {name}" for name, value in bar.pieces)
    label = Markup('<text x="{:.1f}" y="{}" text-anchor="middle" font-size="14" fill="#57606a">{}</text>').format(
        left + step / 2, foot + FOOT - 6, bar.label
    )
    return Markup("<g><title>{}: {}</title>{}{}</g>").format(escape(bar.label), said, drawn, label)
