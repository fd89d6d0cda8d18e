"""Charts as SVG: panels of lines over a grid, one below the other, legible in light and in dark. Scales come from figures.py."""
import math
from xml.sax.saxutils import escape

STYLE = """
svg { --paper: #ffffff; --ink: #1f2328; --soft: #59636e; --grid: #d1d9e0; --one: #0969da; --two: #bc4c00; --three: #59636e }
@media (prefers-color-scheme: dark) {
  svg { --paper: #0d1117; --ink: #f0f6fc; --soft: #9198a1; --grid: #2f3742; --one: #4493f8; --two: #f0883e; --three: #9198a1 }
}
text { font: 13px system-ui, 'Segoe UI', 'DejaVu Sans', sans-serif; fill: var(--ink) }
.title { font-size: 17px; font-weight: 600 } .soft { fill: var(--soft); font-size: 12px }
.paper { fill: var(--paper) } .grid { stroke: var(--grid) } .axis { stroke: var(--soft) }
.line { fill: none; stroke-width: 2 } .dashed { stroke-dasharray: 6 4 }
.one { stroke: var(--one) } .two { stroke: var(--two) } .three { stroke: var(--three) } .dot { fill: var(--paper); stroke-width: 2 }
"""
WIDTH, LEFT, RIGHT = 760, 76, 24
COLOURS = ("one", "two", "three")


class Axis:
    """A scale between its first and its last tick; `ticks` are pairs of a value and its label."""

    def __init__(self, title, ticks, logarithmic=False):
        self.title, self.ticks = title, ticks
        self.place = math.log10 if logarithmic else float

    def share(self, value):
        """0 at the first tick, 1 at the last."""
        low, high = self.place(self.ticks[0][0]), self.place(self.ticks[-1][0])
        return (self.place(value) - low) / (high - low)


class Series:
    """Points (x, y), or (x, y, least, greatest), joined by a line."""

    def __init__(self, name, points, dots=False, dashed=False):
        self.name, self.points, self.dots, self.dashed = name, points, dots, dashed


def panel(x_axis, y_axis, series, top, height):
    """One chart, whose plot lies between `top` and `top + height`. Its legend stands above."""
    def x(value):
        return LEFT + x_axis.share(value) * (WIDTH - LEFT - RIGHT)

    def y(value):
        return top + height - y_axis.share(value) * height

    bottom = top + height
    parts, legend = [f'<text class="soft" x="{LEFT}" y="{top - 12}">{escape(y_axis.title)}</text>'], WIDTH - RIGHT
    for value, label in y_axis.ticks:
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(value):.1f}" y2="{y(value):.1f}"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y(value) + 4:.1f}" text-anchor="end">{escape(label)}</text>')
    for value, label in x_axis.ticks:
        parts.append(f'<line class="grid" x1="{x(value):.1f}" x2="{x(value):.1f}" y1="{top}" y2="{bottom}"/>')
        parts.append(f'<text x="{x(value):.1f}" y="{bottom + 19}" text-anchor="middle">{escape(label)}</text>')
    parts.append(f'<line class="axis" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{bottom}" y2="{bottom}"/>')
    parts.append(f'<text class="soft" x="{(LEFT + WIDTH - RIGHT) / 2}" y="{bottom + 40}" text-anchor="middle">'
                 f'{escape(x_axis.title)}</text>')
    for colour, line in reversed(list(zip(COLOURS, series))):
        kind = f'{colour}{" dashed" if line.dashed else ""}'
        path = " ".join(f"{x(point[0]):.1f},{y(point[1]):.1f}" for point in line.points)
        parts.append(f'<polyline class="line {kind}" points="{path}"/>')
        for point in line.points if line.dots else ():
            if len(point) > 2:
                parts.append(f'<line class="line {colour}" x1="{x(point[0]):.1f}" x2="{x(point[0]):.1f}" '
                             f'y1="{y(point[2]):.1f}" y2="{y(point[3]):.1f}"/>')
            parts.append(f'<circle class="dot {colour}" cx="{x(point[0]):.1f}" cy="{y(point[1]):.1f}" r="4"/>')
        if len(series) > 1:
            # From the right; seven units to a letter are enough for any of the fonts.
            legend -= 7 * len(line.name) + 46
            parts.append(f'<line class="line {kind}" x1="{legend}" x2="{legend + 22}" y1="{top - 16}" y2="{top - 16}"/>')
            parts.append(f'<text x="{legend + 28}" y="{top - 12}">{escape(line.name)}</text>')
    return "\n".join(parts)


def document(title, notes, panels, height=230):
    """The whole picture: a title, lines of notes, and panels (x axis, y axis, series) from top to bottom."""
    first = 74 + 18 * len(notes)
    below = first + len(panels) * (height + 92) - 30
    text = [f'<text class="title" x="{LEFT - 52}" y="32">{escape(title)}</text>']
    text += [f'<text class="soft" x="{LEFT - 52}" y="{54 + 18 * index}">{escape(note)}</text>'
             for index, note in enumerate(notes)]
    body = [panel(*one, first + index * (height + 92), height) for index, one in enumerate(panels)]
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {below}" width="{WIDTH}" height="{below}" role="img">',
        f"<title>{escape(title)}</title>", f"<style>{STYLE}</style>",
        f'<rect class="paper" width="{WIDTH}" height="{below}" rx="6"/>', *text, *body, "</svg>", ""])
