"""`adaptlint inspect`: what an adapter is, without its base."""

from __future__ import annotations

import click

from adaptlint.cli import NOTHING_CHECKED, output
from adaptlint.cli.problem import explained
from adaptlint.cli.waiting import Waiting
from adaptlint.findings import fold_paths
from adaptlint.hints import TYPE_CHECKING
from adaptlint.reporters.showing import shown, width_of

if TYPE_CHECKING:
    from adaptlint.artefacts import Malformed
    from adaptlint.graph.portrait import Portrait, Row
    from adaptlint.runtimes.peft.sites import Sites

_FIELDS = ("task_type", "base_model_name_or_path", "r", "lora_alpha", "use_rslora", "use_dora", "rank_pattern")
_HUB_FIELDS = ("name", "model_type", "model_class", "model_name", "hidden_size", "version", "adapter_names")
_GAP = 4  # between columns, and what tabulate leaves around a heading
_MORE_FIELDS = ("alpha_pattern", "target_modules", "exclude_modules", "modules_to_save", "bias", "peft_version")


@click.command("inspect")
@click.argument("adapter")
@click.option("--base", "model", metavar="MODEL", help="Show what it does at every module of this base.")
@click.option("--values", type=click.Choice(["none", "sample", "full"]), default="none", help="Read values.  [none]")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", help="[text]")
def command(adapter: str, model: str | None, values: str, form: str) -> int:
    """Say what ADAPTER is: method, targets, ranks, effective scale, tensors, dtypes, size.

    With --base also what PEFT makes of it there: rank and scale of every adapted module, and how many of its tensors
    come from the file.
    """
    from adaptlint.artefacts import Malformed, open_folder
    from adaptlint.engine.inspecting import portrait_of

    folder = open_folder(adapter)
    if isinstance(folder, Malformed):
        click.echo(said(folder), err=True)
        return NOTHING_CHECKED
    found = portrait_of(folder)
    if found is None:
        click.echo(f"{shown(adapter)}: no adapter_config.json and no adapter_model file in here", err=True)
        return NOTHING_CHECKED
    sites = None
    if model is not None:
        from adaptlint.engine.inspecting import inspect_on

        with Waiting(f"reading {model}"):
            sites = inspect_on(model, adapter, values=values)
    output.say(as_json(found, sites) if form == "json" else as_text(found, sites))
    for problem in found.problems:
        click.echo(said(problem), err=True)
    return NOTHING_CHECKED if found.problems else 0


def said(problem: Malformed) -> str:
    """A file that cannot be read, with its place, in one line."""
    at = f":{problem.place.line}:{problem.place.column}" if problem.place else ""
    return shown(f"{problem.path}{at}: it {explained(problem.reason, problem.facts)}")


def as_json(found: Portrait, sites: Sites | None) -> str:
    """The portrait as one JSON object; what the adapter does on a base stands under "sites"."""
    import json

    from adaptlint.reporters.json import spellable

    config = {name: found.config[name] for name in (*_FIELDS, *_MORE_FIELDS, *_HUB_FIELDS) if name in found.config}
    document = {
        "path": found.path,
        "format": found.format,
        "method": found.method,
        "config": spellable(config),
        "scale": spellable(found.scale),
        "tensors": found.tensors,
        "bytes": found.bytes,
        "dtypes": found.dtypes,
        "files": found.files,
        "ranks": found.ranks,
        "other_tensors": found.others,
        "fits": found.fits,
        "problems": [{"path": problem.path, "reason": problem.reason} for problem in found.problems],
    }
    if sites is not None:
        document["sites"] = {
            "modules": {row.module: spellable(row._asdict()) for row in sites.rows},
            "whole": sites.whole,
            "saved": sites.saved,
            "overwritten": sites.overwritten,
            "idle": sites.idle.reason if sites.idle else None,
            "problem": sites.problem,
        }
    return json.dumps(document, indent=2) + "\n"


def as_text(found: Portrait, sites: Sites | None) -> str:
    """The portrait as a list of facts and a layers x modules table: of ranks, or of what it does on a base."""
    lines = [shown(found.path)]
    for name, value in _facts(found):
        lines.append(f"  {name:<10} {shown(value)}")
    if sites is not None:
        from adaptlint.cli.sites import site_lines

        lines += ["", *site_lines(sites)]
    elif found.ranks:
        lines += ["", *_table(found)]
    if found.others:
        title = "adapted" if found.format.startswith("adapterhub") else "other tensors"
        lines += ["", title, *(f"  {shown(name)}" for name in found.others)]
    return "\n".join(lines) + "\n"


def _facts(found: Portrait) -> list[tuple[str, str]]:
    config = found.config
    variants = [name for flag, name in (("use_dora", "DoRA"), ("use_rslora", "rsLoRA")) if config.get(flag) is True]
    facts = [("format", found.format), ("method", " ".join([found.method or "not said", *variants]))]
    labels = {
        "task_type": "task",
        "base_model_name_or_path": "base",
        "target_modules": "targets",
        "exclude_modules": "excluded",
        "modules_to_save": "saved too",
        "r": "rank",
        "rank_pattern": "ranks",
        "lora_alpha": "alpha",
        "alpha_pattern": "alphas",
        "peft_version": "peft",
        "name": "name",
        "model_class": "saved from",
        "version": "saved by",
        "adapter_names": "fuses",
    }
    facts += [(label, _value(config[name])) for name, label in labels.items() if config.get(name) not in (None, {}, [])]
    if found.scale is not None:
        formula = "alpha / sqrt(rank)" if config.get("use_rslora") else "alpha / rank"
        varies = "; others by rank_pattern or alpha_pattern" if _patterned(config) else ""
        facts.append(("scale", f"{found.scale:g} = {formula}{varies}"))
    dtypes = ", ".join(f"{count} {dtype}" for dtype, count in found.dtypes.items())
    facts.append(("tensors", f"{found.tensors}" + (f" ({dtypes}), {found.bytes:,} bytes" if dtypes else "")))
    facts += [("fits", found.fits)] if found.fits else []
    return facts + [("file", f"{name}, {size:,} bytes") for name, size in found.files.items()]


def _patterned(config: dict[str, object]) -> bool:
    return bool(config.get("rank_pattern") or config.get("alpha_pattern"))


def _value(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(fold_paths(str(item) for item in value))
    if isinstance(value, dict):
        return ", ".join(f"{key}: {item}" for key, item in value.items())
    return str(value)


def _table(found: Portrait) -> list[str]:
    from adaptlint.graph.portrait import rank_rows

    return tabulated("rank of", rank_rows(found.ranks))


def tabulated(corner: str, rows: list[Row]) -> list[str]:
    """Rows of layers under columns of modules; several tables one below the other where one would be too wide."""
    from tabulate import tabulate

    columns = list(dict.fromkeys(module for row in rows for module in row.cells))
    lines: list[str] = []
    for some in _side_by_side(columns, rows, output.style().width - max(width_of(corner), _widest(rows)) - _GAP):
        cells = [[shown(row.layers), *(row.cells.get(column, "") for column in some)] for row in rows]
        headers = [corner, *map(shown, some)]
        lines += [*([""] if lines else []), *str(tabulate(cells, headers, disable_numparse=True)).split("\n")]
    return lines


def _widest(rows: list[Row]) -> int:
    return max((width_of(shown(row.layers)) for row in rows), default=0)


def _side_by_side(columns: list[str], rows: list[Row], width: int) -> list[list[str]]:
    """The columns parted into groups that fit beside one another; a group has one at least."""
    groups: list[list[str]] = []
    free = 0
    for column in columns:
        needed = max(width_of(text) for text in (shown(column), *(row.cells.get(column, "") for row in rows))) + _GAP
        if not groups or needed > free:
            groups.append([])
            free = width
        groups[-1].append(column)
        free -= needed
    return groups
