"""The shapes of a composition in PEFT, for `adaptlint graph --compose --flow --target peft`.

PEFT replicates no rows and adds to what a layer gives: shapes are those of the base's own forward.
"""

from __future__ import annotations

from adaptlint.cli import CommandLineError, NothingToSay
from adaptlint.cli.flow import DEFAULT_BACKEND
from adaptlint.hints import TYPE_CHECKING, Any
from adaptlint.reporters.showing import shown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from adaptlint.findings import Report


def with_shapes(report: Report, options: Mapping[str, Any], sizes: Mapping[str, int]) -> Report:
    """The report with `shapes`; NothingToSay without a forward of the base, or where no adapter stands at a layer."""
    from adaptlint.dataflow.flow import SizeError, flow
    from adaptlint.dataflow.flow_problem import FlowProblem
    from adaptlint.runtimes.adapters.composing import implied_sizes
    from adaptlint.runtimes.adapters.composition import read_composition

    setup = read_composition(options["compose"], in_peft=True)
    asked = {**{name: size for name, size in implied_sizes(setup).items() if name == "batch"}, **sizes}
    names: dict[str, list[str]] = {}
    for state in report.sites:
        if state.adapter in setup.names() and state.state != "missing":
            names.setdefault(state.module, []).append(state.adapter)
    if not names:
        raise NothingToSay(shown(f"{report.subject.compose} has no layer to draw: none of its adapters stands at one."))
    try:
        found = flow(
            options["model"],
            model_class=report.subject.model_class,
            attn=options["attn"] or DEFAULT_BACKEND,
            sizes=asked,
            offline=options["offline"],
            cache=not options["no_cache"],
        )
    except SizeError as problem:
        raise CommandLineError(str(problem)) from problem
    except FlowProblem as problem:
        raise NothingToSay(shown(f"{report.subject.compose} has no forward to draw: {problem}")) from problem
    return report._replace(
        shapes={"inputs": found.inputs, "outputs": found.outputs, "sites": _sites(report, names, found.modules)}
    )


def _sites(
    report: Report, names: Mapping[str, list[str]], modules: Mapping[str, list[list[int | str]]]
) -> list[dict[str, object]]:
    """The adapted layers with who stands there and what each gives, equal ones as one path."""
    from adaptlint.findings import fold_paths

    methods = {adapter.name: (adapter.method or "adapter").lower() for adapter in report.subject.adapters}
    grouped: dict[tuple[Any, ...], list[str]] = {}
    for module, own in names.items():
        kind = " and ".join(dict.fromkeys(methods[name] for name in own))
        gives = tuple(tuple(shape) for shape in modules.get(module, ()))
        grouped.setdefault((kind, tuple(own), gives), []).append(module)
    return [
        {"module": path, "kind": kind, "adapters": [*own], "out": [list(shape) for shape in gives]}
        for (kind, own, gives), paths in grouped.items()
        for path in fold_paths(dict.fromkeys(paths))
    ]
