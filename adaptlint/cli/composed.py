"""`adaptlint graph --compose --flow`: a composition with the shapes along its edges, as the check of it tells them."""

from __future__ import annotations

import json

from adaptlint.cli import CommandLineError, NothingToSay
from adaptlint.cli.check import named, refuse_wrong_composition
from adaptlint.cli.waiting import Waiting
from adaptlint.hints import TYPE_CHECKING, Any
from adaptlint.reporters.showing import shown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from adaptlint.findings import Report

RUNTIME = "adapters"
PEFT = "peft"


def text_of(options: Mapping[str, Any], sizes: Mapping[str, int]) -> str:
    """The composition in one of the formats; NothingToSay with the reason where no forward of it was walked."""
    target, form = options["target"] or RUNTIME, options["form"]
    if target.partition("==")[0] not in (RUNTIME, PEFT):
        raise CommandLineError(f"--compose is drawn for {RUNTIME} and {PEFT}, not for {target}.")
    refuse_wrong_composition(options["compose"], (target,))
    with Waiting(f"following {options['compose']}"):
        report = _report(options, target, sizes)
    _refuse_size(report, sizes)
    if form == "json":
        return json.dumps(_document(report), indent=1)
    from adaptlint.runtimes.adapters import drawing

    if form == "tree":
        return "\n".join(shown(line) for line in drawing.tree(report))
    return "\n".join({"dot": drawing.dot, "graphml": drawing.graphml, "mermaid": drawing.mermaid}[form](report))


def _report(options: Mapping[str, Any], target: str, sizes: Mapping[str, int]) -> Report:
    """The check of the composition. NothingToSay where it ends before a forward."""
    from adaptlint.engine import check

    report = check(
        options["model"],
        [named(adapter) for adapter in options["adapters"]],
        targets=(target,),
        model_class=options["model_class"],
        task=options["task"],
        compose=options["compose"],
        fusions=options["fusion"],
        attn=options["attn"],
        mask=options["mask"],
        offline=options["offline"],
        cache=not options["no_cache"],
        batch=sizes.get("batch"),
        seq=sizes.get("seq"),
        decoder_seq=sizes.get("decoder_seq"),
        sites=target.partition("==")[0] == PEFT,
    )
    if target.partition("==")[0] == PEFT and report.composition is not None and report.verdicts[0].stage != "compose":
        from adaptlint.cli.composed_in_peft import with_shapes

        report = with_shapes(report, options, sizes)
    if report.shapes is None or report.composition is None:
        raise NothingToSay(shown(_why(report)))
    return report


def _why(report: Report) -> str:
    """Why there is nothing to draw, in the words of the finding that decides."""
    verdict = report.verdicts[0]
    decisive = next((finding for finding in report.findings if finding.fingerprint in verdict.why), None)
    if decisive is not None:
        return f"{report.subject.compose} has no forward to draw: {decisive.message} ({decisive.code})"
    return f"{report.subject.compose} has no forward to draw; `adaptlint check` says more."


def _refuse_size(report: Report, sizes: Mapping[str, int]) -> None:
    """A size that the forward does not have is a mistake of who asked for it."""
    inputs: Any = (report.shapes or {})["inputs"]
    if "decoder_seq" in sizes and not any(name.startswith("decoder") for name in inputs):
        raise CommandLineError(f"the forward of {report.subject.model_class} has no size 'decoder_seq'.")


def _document(report: Report) -> dict[str, object]:
    """What the JSON format holds: the parts of the check's own report, and how the forward ends."""
    verdict = report.verdicts[0].to_dict()
    kept = ("target", "version", "transformers", "outcome", "stage", "error")
    told = report.to_dict()
    return {
        "subject": told["subject"],
        **{name: verdict[name] for name in kept},
        "shapes": told["shapes"],
        "composition": told["composition"],
    }
