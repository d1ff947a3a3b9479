"""Plots of the results as small SVG files: bars, and lines on two logarithmic axes."""

import html
import math
from dataclasses import dataclass

WIDTH, BAR, LEFT, PAD = 820, 22, 300, 14
INK, FAINT, OURS, OTHERS = "#222", "#ccc", "#d1495b", "#8d99ae"
COLOURS = ("#d1495b", "#00798c", "#edae49", "#30638e", "#66a182", "#8d99ae")
STYLE = "font-family='sans-serif' font-size='12'"


def _frame(width, height, body):
    return (
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {width} {height}' "
        f"{STYLE}>\n<rect width='100%' height='100%' fill='#fff'/>\n"
        + "\n".join(body)
        + "\n</svg>\n"
    )


def _text(x, y, text, anchor="start", weight="normal"):
    return (
        f"<text x='{x:.1f}' y='{y:.1f}' fill='{INK}' text-anchor='{anchor}' "
        f"font-weight='{weight}'>{html.escape(text)}</text>"
    )


def _line(x1, y1, x2, y2, *, colour=FAINT, width=1):
    return (
        f"<line x1='{x1:.1f}' y1='{y1:.1f}' x2='{x2:.1f}' y2='{y2:.1f}' "
        f"stroke='{colour}' stroke-width='{width}'/>"
    )


def _number(value):
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


@dataclass(frozen=True)
class Bars:
    """Horizontal bars on a logarithmic axis; those of probekit stand out."""

    name: str
    title: str
    figures: "dict[str, float]"
    unit: str = ""

    def to_svg(self):
        shown = sorted(self.figures.items(), key=lambda pair: pair[1])
        low = math.floor(math.log10(max(min(v for _, v in shown) * 0.6, 0.1)))
        high = math.ceil(math.log10(max(v for _, v in shown) * 1.01))
        room = WIDTH - LEFT - 110

        def at(value):
            share = (math.log10(max(value, 10**low)) - low) / max(high - low, 1)
            return LEFT + room * share

        height = 44 + BAR * len(shown) + PAD
        body = [_text(PAD, 20, self.title, weight="bold")]
        body += [
            _line(at(10**power), 32, at(10**power), height - PAD)
            for power in range(low, high + 1)
        ]
        for index, (name, value) in enumerate(shown):
            y = 38 + index * BAR
            colour = OURS if "probekit" in name else OTHERS
            body.append(_text(LEFT - 8, y + 13, name, "end"))
            body.append(
                f"<rect x='{LEFT}' y='{y}' width='{max(at(value) - LEFT, 2):.1f}' "
                f"height='{BAR - 6}' fill='{colour}'/>"
            )
            body.append(_text(at(value) + 6, y + 13, f"{_number(value)} {self.unit}"))
        return _frame(WIDTH, height, body)


@dataclass(frozen=True)
class Lines:
    """How figures grow: line name → {x: y}, both axes logarithmic."""

    name: str
    title: str
    lines: "dict[str, dict[float, float]]"
    x_label: str = ""
    unit: str = ""

    def to_svg(self):
        xs = [x for line in self.lines.values() for x in line]
        ys = [max(y, 1e-9) for line in self.lines.values() for y in line.values()]
        left, right, top, bottom = 70, WIDTH - 200, 40, 300
        x_low, x_high = math.log10(min(xs)), math.log10(max(xs))
        y_low = math.floor(math.log10(min(ys)))
        y_high = math.ceil(math.log10(max(ys) * 1.01))

        def at(x, y):
            across = (math.log10(x) - x_low) / max(x_high - x_low, 1e-9)
            up = (math.log10(max(y, 1e-9)) - y_low) / max(y_high - y_low, 1)
            return left + (right - left) * across, bottom - (bottom - top) * up

        body = [_text(PAD, 20, self.title, weight="bold")]
        for power in range(y_low, y_high + 1):
            _, y = at(min(xs), 10.0**power)
            body += [_line(left, y, right, y)]
            body += [
                _text(left - 6, y + 4, f"{_number(10.0**power)} {self.unit}", "end")
            ]
        for x in sorted(set(xs)):
            place, _ = at(x, 10.0**y_low)
            body += [_line(place, top, place, bottom)]
            body += [_text(place, bottom + 16, _number(x), "middle")]
        body.append(_text((left + right) / 2, bottom + 34, self.x_label, "middle"))
        for index, (name, line) in enumerate(self.lines.items()):
            colour = COLOURS[index % len(COLOURS)]
            places = [at(x, y) for x, y in sorted(line.items())]
            path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
            body.append(
                f"<polyline points='{path}' fill='none' stroke='{colour}' "
                "stroke-width='2'/>"
            )
            y = top + 8 + 18 * index
            body.append(_line(right + 14, y, right + 34, y, colour=colour, width=3))
            body.append(_text(right + 40, y + 4, name))
        return _frame(WIDTH, bottom + 46, body)


def write(folder, plots):
    """Write each plot as ``<name>.svg``; take away those of earlier runs."""
    folder.mkdir(exist_ok=True)
    for old in folder.glob("*.svg"):
        old.unlink()
    for plot in plots:
        (folder / f"{plot.name}.svg").write_text(plot.to_svg(), encoding="utf-8")
