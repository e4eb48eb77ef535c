"""Layers x modules: what becomes of every module of an adapter, as tables small enough to be looked at."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from adaptlint.findings import SITE_STATES, SiteState, number_ranges, path_shape
from adaptlint.named_tuple import NamedTuple
from adaptlint.reporters.showing import counted, shown

MOST_LAYERS = 160  # columns; layers that are alike stand in one column where there are more
MOST_MODULES = 60  # rows
MOST_BYTES = 1_000_000  # of all tables, about
CELL_BYTES = 110  # of one cell with its tags
LONGEST = 100  # characters that a cell says
SIGNS = {"healthy": "\u2713", "missing": "\u2212", "mismatched": "\u2260", "unexpected": "+", "unchecked": "?"}
WORDS = {**{state: state for state in SITE_STATES}, "unchecked": "never checked"}
_WORST = ("mismatched", "missing", "unexpected", "unchecked", "healthy")

Counts = dict[str, int]


class Cell(NamedTuple):
    """One module in one layer: the worst state of what stands there, and all of it in words."""

    state: str
    said: str


class Strip(NamedTuple):
    """One stack of layers of one adapter: `layers` names the columns, `rows` has a cell or None for each of them."""

    adapter: str
    stack: str
    layers: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Cell | None, ...]], ...]
    left_out: str


class HeatStrip(NamedTuple):
    """Strips up to a size; `totals` counts all modules by state, in the order of SITE_STATES."""

    strips: tuple[Strip, ...]
    totals: tuple[tuple[str, int], ...]
    left_out: int


def heat_strip(sites: Iterable[SiteState]) -> HeatStrip:
    """Modules with one number in their path form a row of their stack; further numbers (experts) are counted in it."""
    stacks: dict[tuple[str, str], dict[str, dict[int | None, list[SiteState]]]] = {}
    totals = dict.fromkeys(SITE_STATES, 0)
    for site in sites:
        totals[site.state] += 1
        stack, layer, module = _cell(site.module)
        stacks.setdefault((site.adapter, stack), {}).setdefault(module, {}).setdefault(layer, []).append(site)
    strips: list[Strip] = []
    spent = 0
    for (adapter, stack), rows in stacks.items():
        strip = _strip(adapter, stack, rows)
        spent += _weight(strip)
        if spent < MOST_BYTES:
            strips.append(strip)
    present = tuple((state, number) for state, number in totals.items() if number)
    return HeatStrip(tuple(strips), present, len(stacks) - len(strips))


def _weight(strip: Strip) -> int:
    cells = [cell for _, row in strip.rows for cell in row]
    return 500 + sum(CELL_BYTES + len(escape(cell.said).encode()) if cell else 10 for cell in cells)


def _cell(path: str) -> tuple[str, int | None, str]:
    """Stack, layer and row of a module: ("model.layers", 3, "self_attn.q_proj"); ("", None, "lm_head")."""
    shape, numbers = path_shape(path)
    if not numbers or shape.startswith("*"):
        return "", None, shape
    stack, _, module = shape.partition(".*")
    return stack, numbers[0], module.removeprefix(".") or "(the layer itself)"


def _strip(adapter: str, stack: str, rows: dict[str, dict[int | None, list[SiteState]]]) -> Strip:
    names = list(rows)
    layers = sorted({layer for row in rows.values() for layer in row}, key=lambda n: -1 if n is None else n)
    columns = [(layer, tuple(_summed(rows[name].get(layer, ())) for name in names)) for layer in layers]
    folded = _folded(columns) if len(columns) > MOST_LAYERS else [([layer], cells) for layer, cells in columns]
    kept = folded[:MOST_LAYERS]
    heads = tuple(number_ranges(n for n in group if n is not None) or "all" for group, _ in kept)
    shown_names = names[:MOST_MODULES]
    table = tuple((shown(name), tuple(cells[n] for _, cells in kept)) for n, name in enumerate(shown_names))
    rest = [(len(folded) - len(kept), "group of layers"), (len(names) - len(shown_names), "module")]
    left_out = " and ".join(counted(number, noun) for number, noun in rest if number > 0)
    return Strip(shown(adapter), shown(stack), heads, table, left_out)


def _folded(
    columns: Sequence[tuple[int | None, tuple[Cell | None, ...]]],
) -> list[tuple[list[int | None], tuple[Cell | None, ...]]]:
    groups: dict[tuple[Cell | None, ...], list[int | None]] = {}
    for layer, cells in columns:
        groups.setdefault(cells, []).append(layer)
    return [(layers, cells) for cells, layers in groups.items()]


def _summed(sites: Sequence[SiteState]) -> Cell | None:
    if not sites:
        return None
    counts: Counts = {}
    for site in sites:
        counts[site.state] = counts.get(site.state, 0) + 1
    worst = next(state for state in _WORST if state in counts)
    note = next((site.note for site in sites if site.state == worst and site.note), "")
    many = ", ".join(f"{number} {WORDS[state]}" for state, number in counts.items()) if len(sites) > 1 else WORDS[worst]
    return Cell(worst, shown(f"{many}: {note}" if note else many)[:LONGEST])
