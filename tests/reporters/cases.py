"""Reports built by hand: the pruned adapter's story, a silent one, a clean one, and one full of hostile strings."""

from __future__ import annotations

from adaptlint.findings import (
    AdapterSubject,
    Finding,
    LedgerLine,
    Mismatch,
    Place,
    RaisedError,
    Report,
    StepResult,
    Subject,
    Verdict,
    Where,
)

WEIGHTS = "pruned/adapter_model.safetensors"
CONFIG = "pruned/adapter_config.json"
KEY = "base_model.model.model.layers.0.self_attn.q_proj.lora_B.weight"
EXCERPT = f'"{KEY}": {{"dtype": "F16", "shape": [1920, 12], "data_offsets": [0, 46080]}}'


def finding(**changes: object) -> Finding:
    """The pruned adapter's finding, with changes."""
    plain = Finding(
        code="AL302",
        name="adapter-of-a-pruned-base",
        severity="error",
        consequence="load-fails",
        message=(
            "lora_B of self_attn.q_proj has 1920 rows where the base has 5120 "
            "(40 layers: model.layers.{0-39}.self_attn.q_proj). 1920 = 15 heads x 128: "
            "the adapter was trained on a sibling of this base with 25 of 40 heads pruned."
        ),
        help="Load it on the pruned base that it was trained on; that base's own config.json says 5120 and is wrong.",
        adapter="default",
        module="model.layers.{0-39}.self_attn.q_proj",
        targets=("peft",),
        where=Where(WEIGHTS, (KEY,)),
        place=Place(1, 34, 41, 150),
        because=(
            (Where(WEIGHTS, (KEY,)), Place(1, 34, 41, 150), "the adapter's tensor is [1920, 12]"),
            (Where("llama-13b/config.json", ("hidden_size",)), Place(7, 3, 90, 110), "the base has 40 heads of 128"),
        ),
        facts={"rows": 1920, "base_rows": 5120, "head_dim": 128},
        excerpt=EXCERPT,
        fingerprint="f-pruned",
        decides=True,
    )
    return plain._replace(**changes)  # type: ignore[arg-type]


def verdict(**changes: object) -> Verdict:
    """The pruned adapter's verdict, with changes."""
    error = RaisedError("RuntimeError", f"size mismatch for {KEY}")
    plain = Verdict(
        target="peft",
        version="0.21.2",
        transformers="5.23.0",
        outcome="fails",
        stage="load",
        error=error,
        steps=(StepResult("load", "default", "fails", "load", error),),
        mismatched_keys=(Mismatch(KEY, (1920, 12), (5120, 12)),),
        why=("f-pruned",),
    )
    return plain._replace(**changes)  # type: ignore[arg-type]


def report(**changes: object) -> Report:
    """The pruned adapter's report, with changes."""
    adapter = AdapterSubject("default", "pruned", "peft", "lora", 12, 320)
    plain = Report(
        version="0.1.0",
        subject=Subject("llama-13b", "llama", "LlamaForCausalLM", "lock", (adapter,), ("peft",)),
        verdicts=(verdict(),),
        findings=(finding(),),
        ledger=(
            LedgerLine("AL101", "passed", 1),
            LedgerLine("AL302", "fired", 80),
            LedgerLine("AL401", "not-run", 0, "needs values"),
            LedgerLine("AL402", "not-run", 0, "needs values"),
        ),
        phases=(("read", 10.5), ("engine", 20.25)),
    )
    return plain._replace(**changes)  # type: ignore[arg-type]


def clean() -> Report:
    """Nothing wrong."""
    works = verdict(outcome="works", stage=None, error=None, steps=(), mismatched_keys=(), why=())
    return report(verdicts=(works,), findings=(), ledger=(LedgerLine("AL101", "passed", 1),))


def silent(warned: bool = False) -> Report:
    """Loads without an exception, half of it ignored; the finding about the base comes last in the report."""
    wrong = verdict(
        outcome="wrong",
        error=None,
        steps=(StepResult("load", "a", "wrong", "load"), StepResult("load", "b", "works")),
        ignored=("x.lora_A.weight", "x.lora_B.weight"),
        left_at_init=("y",),
        mismatched_keys=(),
        warned=warned,
        why=("f-silent",),
    )
    ignored = finding(
        code="AL201",
        name="tensors-nobody-reads",
        consequence="silently-wrong",
        message="2 tensors are ignored.",
        help="Rename them.",
        adapter="a",
        place=None,
        excerpt="",
        because=(),
        fingerprint="f-silent",
    )
    untidy = finding(code="AL102", severity="note", consequence="untidy", adapter="a", fingerprint="f-note", help="")
    base = finding(
        code="AL103", severity="warning", consequence="degraded", adapter="", where=None, fingerprint="f-base"
    )
    adapters = tuple(AdapterSubject(name, f"dir/{name}", "peft", None, None, 2) for name in ("a", "b"))
    subject = report().subject._replace(adapters=adapters)
    return report(subject=subject, verdicts=(wrong,), findings=(untidy, ignored, base._replace(place=None)))


EVIL = "a\x1b[31mred\x1b[0m\nAL000 fake \u202ereversed\u202c \u200bzero\x9b2J\ud800\U000e0041"


def hostile(evil: str = EVIL) -> Report:
    """Every string that a file can supply tries to leave its line."""
    bad = finding(
        message=f"module {evil} is odd",
        help=evil,
        adapter=evil,
        module=evil,
        where=Where(evil, (evil,)),
        because=((Where(evil, (evil, 0)), None, evil),),
        facts={evil: evil, "nan": float("nan"), "inf": [float("inf")], "huge": 10**6000},
        excerpt=evil,
    )
    adapters = (AdapterSubject(evil, evil, "peft", evil, 1, 1),)
    subject = report().subject._replace(adapters=adapters, model_ref=evil, model_class=evil)
    wrong = verdict(
        error=RaisedError(evil, evil), unexpected_keys=(evil,), steps=(StepResult("load", evil, "fails"),) * 2
    )
    ledger = (LedgerLine("AL302", "crashed", 0, evil), LedgerLine("AL303", "not-run", 0, evil))
    return report(subject=subject, verdicts=(wrong,), findings=(bad,), ledger=ledger)
