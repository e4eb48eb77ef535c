"""`adaptlint inspect --base`: what an adapter does on a base, as lines."""

from __future__ import annotations

from adaptlint.cli import output
from adaptlint.cli.inspect import tabulated
from adaptlint.graph.portrait import rows_of
from adaptlint.reporters.showing import shown
from adaptlint.runtimes.peft.sites import SiteRow, Sites

IDLE = {
    "scale-is-zero": "its scale is zero",
    "update-is-zero": "every update is zero",
    "prompt-never-applied": "no forward uses its virtual tokens",
}


def site_lines(sites: Sites) -> list[str]:
    """The share of modules that got all their tensors, the table, and what else there is to say."""
    total = len(sites.rows)
    lines = []
    if sites.problem:
        lines += output.prose(f"does not load: {sites.problem}", "  ", "    ")
    if total:
        lines.append(f"  trained    {sites.whole} of {total} adapted modules have all their tensors from the file")
    if sites.saved:
        lines.append(f"  saved too  {shown(', '.join(sites.saved))}")
    if sites.overwritten:
        lines.append(f"  overwrites {shown(', '.join(sites.overwritten))}")
    if sites.idle is not None:
        lines.append(f"  idle       it cannot change the output: {IDLE.get(sites.idle.reason, sites.idle.reason)}")
    elif not total and not sites.saved and not sites.problem:
        lines.append("  idle       it adapts no module")
    if total:
        lines += ["", *tabulated("rank x scale", rows_of({row.module: _cell(row) for row in sites.rows}, _joined))]
    return lines


def _cell(row: SiteRow) -> str:
    """ "8 x2" for rank 8 at scale 2; "0 of 2" where tensors are missing."""
    parts = [str(row.rank)] if row.rank else []
    parts += [f"x{row.scale:.3g}"] if row.scale is not None else []
    parts += [f"({row.arrived} of {row.own})"] if row.arrived < row.own else []
    return " ".join(parts) or "whole"


def _joined(cells: list[str]) -> str:
    return ", ".join(dict.fromkeys(cells))
