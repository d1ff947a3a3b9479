"""What every benchmark returns: rows with a figure, a goal, a floor and a verdict."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Row:
    """One figure.

    Attributes:
        name: What was measured.
        figure: The value.
        unit: ``ns``, ``x``, ``%``; a ratio says against what in the name.
        goal: What we want, or None.
        floor: Where it counts as failed, or None.
        lower_is_better: False for ratios of the kind "cheaper than".
        note: How it was measured, spread, or what it stands beside.
    """

    name: str
    figure: float
    unit: str = "ns"
    goal: float | None = None
    floor: float | None = None
    lower_is_better: bool = True
    note: str = ""

    def reaches(self, bound: float | None) -> bool:
        """Whether the figure is on the right side of *bound*."""
        if bound is None:
            return True
        return self.figure <= bound if self.lower_is_better else self.figure >= bound

    @property
    def verdict(self) -> str:
        """Which of goal and floor is met; a dash where nothing was set."""
        if self.goal is None and self.floor is None:
            return "–"
        if not self.reaches(self.floor):
            return "**missed**"
        if self.reaches(self.goal):
            return "goal met"
        return "goal missed" if self.floor is None else "floor met"


@dataclass
class Table:
    """A titled list of rows, measured together, and plots of them (see ``plots``)."""

    title: str
    rows: list[Row] = field(default_factory=list)
    note: str = ""
    plots: list[Any] = field(default_factory=list)

    def floors_missed(self) -> int:
        """How many rows are on the wrong side of their floor."""
        return sum(not row.reaches(row.floor) for row in self.rows)

    def to_markdown(self) -> str:
        """The table as it stands in RESULTS.md."""
        lines = [f"## {self.title}", ""]
        if self.note:
            lines += [self.note, ""]
        lines += [
            "| what | figure | goal | floor | verdict | note |",
            "| --- | ---: | ---: | ---: | --- | --- |",
        ]
        for row in self.rows:
            sign = "≤" if row.lower_is_better else "≥"
            goal = "" if row.goal is None else f"{sign} {row.goal:g}"
            floor = "" if row.floor is None else f"{sign} {row.floor:g}"
            lines.append(
                f"| {row.name} | {row.figure:,.2f} {row.unit} | {goal} | {floor} "
                f"| {row.verdict} | {row.note} |",
            )
        for plot in self.plots:
            lines += ["", f"![{plot.title}](plots/{plot.name}.svg)"]
        return "\n".join([*lines, ""])
