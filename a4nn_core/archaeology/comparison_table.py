"""A comparison as a table: for terminals, in Markdown, as a page, as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from a4nn_core.archaeology.comparison import LEAST_PAIRS, Field, Found, System, Value
from a4nn_core.archaeology.published import DETECTOR, DIFFERENCES, FIGURES
from a4nn_core.jsonable import Json, to_jsonable
from a4nn_core.precision import plus_minus
from a4nn_core.printable import html_text, markdown

HEADER = (
    *("system", "seeds", "test accuracy (%)", "≈", "MFLOPs", "parameters", "latency (ms)"),
    *("wall time", "device time", "epochs", "saved"),
)


def cells(system: System) -> list[str]:
    """The row of a system, in the order of ``HEADER``."""
    accuracy = system.accuracy
    return [
        system.name,
        str(len(system.found)),
        "-" if accuracy is None else plus_minus(accuracy.mean, system.accuracy_se_points),
        "≈" if system.alike else "",
        _number(system.value(lambda one: one.mflops), ".3g"),
        _number(system.value(lambda one: one.parameters), ",.0f"),
        _number(system.value(lambda one: one.latency_ms), ".3g"),
        _duration(system.value(lambda one: one.seconds)),
        _duration(system.value(lambda one: one.training_seconds)),
        _number(system.value(lambda one: one.epochs), ",.0f"),
        _number(system.value(lambda one: one.saved_percent), ".0f", " %"),
    ]


def published_cells(beam: str | None) -> list[list[str]]:
    """The rows of the published figures for a beam; none for other data."""
    rows = []
    for one in FIGURES:
        if one.beam == beam:
            row = dict.fromkeys(HEADER, "") | {
                "system": f"{one.system} (published)",
                "test accuracy (%)": f"{one.accuracy_percent:g}",
                "wall time": f"{one.hours:g} h",
            }
            rows.append([row[name] for name in HEADER])
    return rows


def remarks(fields: Sequence[Field]) -> list[str]:
    """What the numbers mean, and what they do not."""
    counts = {len(system.found) for one in fields for system in one.systems}
    every = [found for one in fields for system in one.systems for found in system.found]
    unfinished = dict.fromkeys(found.run for found in every if not found.ended)
    said = [
        "Of each run, the network with the best validation accuracy. Its test accuracy selected nothing: the "
        "mean over seeds ± its standard error, of test images and seeds together.",
        "≈ cannot be told from the first of its table: closer than 1.96 standard errors of the difference.",
    ]
    if counts == {1}:
        said.append("One seed each: how much another seed would change is not in the standard error.")
    elif max(counts) > 1:
        said.append("Behind other numbers, ± is the standard deviation between seeds.")
    if unfinished:
        said.append(f"Not ended, and counted as far as they are: {', '.join(unfinished)}.")
    for one in fields:
        said += [
            f"{one.data}: {d.first} less {d.second}: {d.points:+.2f} points over {d.seeds} common seeds, "
            f"p = {d.p:.2g} (Wilcoxon's signed ranks, two-sided, Holm)"
            for d in one.differences
        ]
    if max(counts) > 1 and not any(one.differences for one in fields):
        said.append(f"No test seed by seed: it needs {LEAST_PAIRS} seeds that two systems share.")
    if any(published_cells(one.beam) for one in fields):
        said += [DIFFERENCES, DETECTOR]
    return said


def as_markdown(fields: Sequence[Field]) -> str:
    """A heading and a table for each data set, and the remarks."""
    lines = []
    for one in fields:
        lines += [f"## {markdown(one.data)}", "", f"| {' | '.join(HEADER)} |"]
        lines.append("|---|" + "---:|" * (len(HEADER) - 1))
        rows = [*map(cells, one.systems), *published_cells(one.beam)]
        lines += [f"| {' | '.join(markdown(cell) for cell in row)} |" for row in rows]
        lines.append("")
    lines += [f"{markdown(words)}\n" for words in remarks(fields)]
    return "\n".join(lines)


_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #1f2430 }
body { max-width: 75em; margin: 2em auto; padding: 0 1em }
h1 { font-size: 1.5em } h2 { font-size: 1.15em; margin-top: 2em }
table { border-collapse: collapse; width: 100% }
th, td { padding: .35em .7em; text-align: right; border-bottom: 1px solid #e6e8ec; white-space: nowrap }
th { font-weight: 600; border-bottom: 2px solid #8a8f98 } th:first-child, td:first-child { text-align: left }
td:first-child { white-space: normal } p { max-width: 60em }
tr.published { color: #6b7078; font-style: italic }
"""


def as_html(fields: Sequence[Field], title: str) -> str:
    """One page that loads nothing."""
    parts = [
        f"<!doctype html><html lang='en'><meta charset='utf-8'><title>{html_text(title)}</title>",
        f"<style>{_STYLE}</style><h1>{html_text(title)}</h1>",
    ]
    for one in fields:
        head = "".join(f"<th>{html_text(name)}</th>" for name in HEADER)
        parts.append(f"<h2>{html_text(one.data)}</h2><table><thead><tr>{head}</tr></thead><tbody>")
        for row in map(cells, one.systems):
            parts.append(f"<tr>{_html_cells(row)}</tr>")
        for row in published_cells(one.beam):
            parts.append(f"<tr class='published'>{_html_cells(row)}</tr>")
        parts.append("</tbody></table>")
    parts += [f"<p>{html_text(words)}</p>" for words in remarks(fields)]
    return "\n".join([*parts, "</html>", ""])


def _html_cells(row: Sequence[str]) -> str:
    return "".join(f"<td>{html_text(cell)}</td>" for cell in row)


def as_json(fields: Sequence[Field]) -> Json:
    """Everything, with the mean and the standard error of each system's test accuracy."""
    made = []
    for one in fields:
        systems = []
        for system in one.systems:
            accuracy = system.accuracy
            systems.append(
                {
                    "name": system.name,
                    "test_accuracy_percent": None if accuracy is None else accuracy.mean,
                    "test_accuracy_se_points": system.accuracy_se_points,
                    "test_accuracy_deviation_points": None if accuracy is None else accuracy.deviation,
                    "alike": system.alike,
                    "found": [_of_found(found) for found in system.found],
                }
            )
        published = [asdict(figure) for figure in FIGURES if figure.beam == one.beam]
        made.append(
            {
                "data": one.data,
                "beam": one.beam,
                "systems": systems,
                "differences": [asdict(difference) for difference in one.differences],
                "published": published,
            }
        )
    return to_jsonable({"fields": made, "remarks": remarks(fields)})


def _of_found(found: Found) -> dict[str, object]:
    return {**asdict(found), "saved_percent": found.saved_percent}


def _number(value: Value | None, form: str, unit: str = "") -> str:
    if value is None:
        return "-"
    if not value.deviation:  # of what is the same for all seeds, there is no spread to show
        return f"{format(value.mean, form)}{unit}"
    spread = format(value.deviation, ".2g" if "g" in form else form)
    return f"{format(value.mean, form)} ± {spread}{unit}"


def _duration(value: Value | None) -> str:
    if value is None:
        return "-"
    units = (("h", 3600.0), ("min", 60.0), ("s", 1.0))
    unit, length = next((unit, length) for unit, length in units if value.mean >= length or length == 1)
    spread = f" ± {value.deviation / length:.2g}" if value.deviation else ""
    return f"{value.mean / length:.3g}{spread} {unit}"
