"""Which run decides what: for each verdict the cheapest one, and the next where that leaves something open."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from adaptlint.bases import Base, BaseProblem
from adaptlint.findings import Asked, Finding, Report, Verdict
from adaptlint.hints import Any
from adaptlint.named_tuple import NamedTuple
from adaptlint.replay import sizes
from adaptlint.replay.remade import remade
from adaptlint.replay.shrink import one_layer, tiny

SMALL = 30_000_000
"""A base of at most so many parameters is run whole: nothing cheaper decides more, and little is cheaper."""
SCALES = ("load", "layer", "tiny", "full")
LIBRARIES = ("peft", "adapters", "transformers")
CONDITIONS = ("attn", "batch", "seq", "decoder_seq", "mask")
COMPUTED = frozenset({"set", "delete", "combine", "hotswap", "disable", "merge", "save", "forward", "compose"})
"""Stages that no load on meta reaches."""


class Settings(NamedTuple):
    """What the user allows: bytes, seconds for one run; `scale` is "" for the planner's choice."""

    device: str = "cpu"
    dtype: str = "float32"
    memory: int = 4_000_000_000
    timeout: float = 600.0
    scale: str = ""
    all: bool = False
    full: bool = False
    invariants: tuple[int, ...] = ()  # their numbers, 1 to 10


class Run(NamedTuple):
    """One child process: a verdict's library, at one scale; `config` is the base's as it is run."""

    verdict: int  # its place in the report
    library: str
    version: str
    scale: str
    config: Mapping[str, Any]
    model_class: str
    device: str
    dtype: str
    cost: sizes.Cost
    layer: int = 0  # which one is kept, at the scale "layer"
    words: Sequence[int] = (0, 0)  # the vocabulary's size, and what is left of it
    weights: str = ""  # the folder of the base's own weights
    remade: Sequence[Mapping[str, Any]] = ()  # each adapter as it is for a tiny base: config, sizes by tensor

    @property
    def label(self) -> str:
        """What is run, in a line."""
        what = {
            "load": "loads without numbers",
            "layer": f"layer {self.layer} at its real sizes",
            "tiny": "a tiny model of the same architecture"
            + (", the adapter made to its sizes" if self.remade else ""),
            "full": "the whole model" + (" with its weights" if self.weights else ""),
        }[self.scale]
        return f"{self.library} {self.version}: {what}, {self.dtype} on {self.device}"


class Passed(NamedTuple):
    """A verdict that is not run, and why."""

    verdict: int
    reason: str


def plan(report: Report, base: Base | BaseProblem, settings: Settings) -> list[Run | Passed]:
    """The runs for every verdict that is flagged (with `settings.all`: for every verdict), cheapest first."""
    planned: list[Run | Passed] = []
    for number, verdict in enumerate(report.verdicts):
        flagged = [finding for finding in report.findings if decides(finding, verdict)]
        if not flagged and not settings.all:
            planned.append(Passed(number, "nothing is flagged; --all runs it all the same"))
        elif isinstance(base, BaseProblem):
            planned.append(Passed(number, "the base is not known, so there is nothing to load an adapter onto"))
        elif verdict.target not in LIBRARIES:
            planned.append(Passed(number, f"{verdict.target} cannot be run by a replay; {', '.join(LIBRARIES)} can"))
        else:
            planned += _runs(report, number, verdict, flagged, base, settings)
    return planned


def decides(finding: Finding, verdict: Verdict) -> bool:
    """True for a finding that a run of this verdict's library can confirm or refute."""
    if verdict.target not in finding.targets and finding.targets:
        return False
    return finding.fingerprint in verdict.why or finding.code in CHECKED_APART


CHECKED_APART = ("AL205", "AL401", "AL402", "AL404", "AL540", "AL541")
"""Rules whose findings a run sees although the verdict does not rest on them."""


def _runs(
    report: Report, number: int, verdict: Verdict, flagged: Sequence[Finding], base: Base, settings: Settings
) -> list[Run | Passed]:
    asked = report.subject.asked or Asked(report.subject.model_ref)
    blank = Run(
        number, verdict.target, verdict.version, "", base.config, asked.model_class or base.model_class or "AutoModel",
        settings.device, settings.dtype, sizes.Cost(0, 0.0),
    )  # fmt: skip
    if base.asked and not asked.model_class:
        blank = blank._replace(model_class=base.model_class or base.asked)
    if base.source == "headers" or base.disagreements:
        return [Passed(number, "the base's weights are not of the sizes that its config says, so it cannot be built")]
    usual = _scales(report, verdict, base, settings)
    scales = [settings.scale] if settings.scale else usual
    layer = _layer_of(flagged)
    found: list[Run | Passed] = []
    refused = "no scale decides it"
    for scale in scales:
        run = _at(blank._replace(layer=layer), scale, report, base, asked, settings)
        if isinstance(run, str):
            refused = run
            if scale == settings.scale == "tiny":  # what decides it all the same
                found.append(Passed(number, run))
                scales += [each for each in usual if each != scale]
        elif run.cost.memory > settings.memory:
            refused = f"{run.label} takes about {gigabytes(run.cost.memory)}, more than --memory allows"
        else:
            found.append(run)
    return found or [Passed(number, refused)]


def _scales(report: Report, verdict: Verdict, base: Base, settings: Settings) -> list[str]:
    """The scales to try, in this order, until everything is decided."""
    if settings.device == "meta":
        return ["load"]
    if settings.full or sizes.parameters(base) <= SMALL:
        return ["full"]
    if verdict.target == "adapters":
        computed = report.subject.compose is not None or verdict.stage in COMPUTED
        return ["layer", "tiny"] if computed else ["load", "layer"]
    last = ["tiny"] if base.source == "shipped" else []  # else the small base would have to be built here first
    computed = verdict.stage in COMPUTED or (composes(report, verdict) and verdict.stage != "load")
    return ["layer", *last] if computed else ["load", "layer", *last]


def composes(report: Report, verdict: Verdict) -> bool:
    """Whether a run of PEFT plays a composition."""
    return report.subject.compose is not None and verdict.target == "peft"


def _layer_of(flagged: Sequence[Finding]) -> int:
    """The first layer that a finding is about."""
    for finding in flagged:
        text = str(finding.facts.get("layers", ""))
        digits = text.partition(",")[0].partition("-")[0]
        if digits.isascii() and digits.isdecimal():
            return int(digits)
    return 0


def _at(run: Run, scale: str, report: Report, base: Base, asked: Asked, settings: Settings) -> Run | str:
    """The run at one scale, or why there is none."""
    config: Mapping[str, Any] | None = base.config
    count = sizes.parameters(base)
    if scale == "layer":
        config, count = one_layer(base.config, run.layer), sizes.layer_parameters(base)
        if config is None:
            return "its config does not say how many layers it has, so no single layer can be built"
    elif scale == "tiny" and run.library != "adapters":
        made = remade(report, report.verdicts[run.verdict], base)
        if isinstance(made, str):
            return made
        config, count = made.config, sizes.parameters(made.base)
        run = run._replace(remade=made.adapters)
    elif scale == "tiny":
        config, count = tiny(base.config, asked.seq or 0), SMALL // 10
        if config is None:
            return "a tiny model of it cannot be made"
    models = {"adapters": 3, "peft": 1 + (len(report.subject.adapters) > 1)}.get(run.library, 1)
    models += 1 if composes(report, report.verdicts[run.verdict]) else 0  # what an expression means is computed apart
    models += 2 if settings.invariants else 0  # a second model beside the one that is measured, and one to merge into
    own = run.config.get("dtype") or run.config.get("torch_dtype") if run.dtype == "auto" else run.dtype
    spent = sizes.cost(count, str(own), models, adapter_bytes(report), scale == "load")
    weights = _weights(asked.model) if scale == "full" and settings.full else ""
    if weights:  # they are mapped while they are copied
        spent = spent._replace(memory=spent.memory + _largest(weights))
    if scale == "load":
        run = run._replace(device="meta")
    words = [size for each in (base.config, config or {}) if isinstance(size := each.get("vocab_size"), int)]
    return run._replace(
        scale=scale, config=config or {}, cost=spent, weights=weights, words=words if len(words) == 2 else [0, 0]
    )


def _weights(model: str) -> str:
    """The base's folder where it has weights that can be read without unpickling."""
    held = ("model.safetensors", "model.safetensors.index.json")
    return model if any(os.path.exists(os.path.join(model, name)) for name in held) else ""


def _largest(folder: str) -> int:
    """The size of the largest file of weights in a folder."""
    with os.scandir(folder) as entries:
        return max((entry.stat().st_size for entry in entries if entry.name.endswith(".safetensors")), default=0)


def adapter_bytes(report: Report) -> int:
    """The size of the largest files of the adapters together."""
    total = 0
    for adapter in report.subject.adapters:
        try:
            with os.scandir(adapter.path) as entries:
                total += max((entry.stat().st_size for entry in entries if entry.is_file()), default=0)
        except OSError:
            continue
    return total


def gigabytes(size: int) -> str:
    """Bytes for people."""
    return f"{size / 1e9:.1f} GB"
