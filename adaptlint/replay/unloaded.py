"""What an adapter's file and its base say about findings where the load itself raised, and nothing arrived anywhere."""

from __future__ import annotations

from collections.abc import Sequence

from adaptlint.findings import Finding, fold_paths, unfold_path
from adaptlint.named_tuple import NamedTuple

LISTED = 3
CUT = " more"  # how a list ends that was too long for a record


class Files(NamedTuple):
    """The tensors of an adapter's file, those without numbers or of zeros, and the modules of the base."""

    tensors: tuple[str, ...] = ()
    nonfinite: tuple[str, ...] = ()
    all_zero: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()


def by_files(finding: Finding, files: Files, kind: str) -> tuple[str, str] | None:
    """Status and what was seen for a finding of one kind; None where the files do not tell.

    Kinds are "left" (a parameter that nothing is for), "ignored" (a tensor that nothing takes), "nonfinite", "zero".
    """
    modules = [path for part in finding.module.split(", ") if part for path in unfold_path(part)]
    if not modules or finding.module.endswith(CUT) or not files.tensors or files.tensors[-1].endswith(CUT):
        return None
    shown = ", ".join(fold_paths(modules)[:LISTED])
    if kind in ("nonfinite", "zero"):
        found = among(modules, files.nonfinite if kind == "nonfinite" else files.all_zero)
        what = "hold values that are no numbers" if kind == "nonfinite" else "are zero"
        if found:
            return "confirmed", f"in the file {', '.join(fold_paths(found)[:LISTED])} {what}"
        return "refuted", f"in the file no tensors of {shown} {what}"
    if kind == "ignored" and not among(modules, files.tensors):
        return "refuted", f"the file has no tensor of {shown}"
    known = files.modules and not files.modules[-1].endswith(CUT)
    if kind == "left" and known and not among(modules, files.modules) and not among(modules, files.tensors):
        return "refuted", f"neither the base nor the file has {shown}"
    return None


def among(modules: Sequence[str], names: Sequence[str]) -> list[str]:
    """The names that are of one of the modules."""
    return [name for name in names if any(f".{module}." in f".{name}." for module in modules)]
