"""`adaptlint graph --compose --flow`: the drawing says what the check says, at any sizes, in every format."""

from __future__ import annotations

import json
import re
from math import prod
from pathlib import Path
from typing import Any

import networkx
import pytest

import adaptlint
from adaptlint import cli
from adaptlint.testing import build, read_recipe
from adaptlint.testing.demo import tell
from tests.conftest import ROOT
from tests.recipes import QUERIES

BASES = ROOT / "fixtures" / "bases"
STORIES = ROOT / "fixtures" / "stories"
SIZES = {"batch": 4, "seq": 9, "decoder_seq": 7}


def drawn(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    status = cli.run(["graph", *words])
    out, err = capsys.readouterr()
    assert (status, err) == (0, "")
    return out


def words_of(story: str, folder: Path, release: str, compose: str, *more: str) -> list[str]:
    """A command line over a story's model and adapters."""
    built = tell(str(STORIES / story), str(folder))
    given = [f"{name}={path}" for name, path in built.adapters]
    kind = {"llama-parallel": "LlamaModel", "t5-parallel": "T5Model"}[story]
    asked = ["--compose", compose, "--target", f"adapters=={release}", "--model-class", kind, "--flow"]
    return [built.model, *given, *asked, "--attn", "eager", *more]


def put_in(told: Any) -> Any:
    """Expressions with SIZES in the place of their symbols."""
    if isinstance(told, list):
        return [put_in(part) for part in told]
    if not isinstance(told, str):
        return told
    terms = [[SIZES.get(factor) or int(factor) for factor in term.split("*")] for term in told.split(" + ")]
    return sum(prod(factors) for factors in terms)


@pytest.mark.parametrize(
    ("story", "release", "compose"),
    [
        ("llama-parallel", "1.0.0", "Parallel(a, b)"),
        ("llama-parallel", "1.3.0", "Parallel(a, b)"),
        ("llama-parallel", "1.3.0", "Stack(a, b)"),
        ("llama-parallel", "1.3.0", "Average(a, b)"),
        ("t5-parallel", "1.0.0", "Parallel(a, b, c)"),
        ("t5-parallel", "1.3.0", "Parallel(Stack(a, b), c)"),
        ("t5-parallel", "1.3.0", "Stack(d, Parallel(a, b, c))"),
    ],
)
def test_symbols_stand_for_the_numbers_of_any_sizes(
    story: str, release: str, compose: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = words_of(story, tmp_path, release, compose, "--format", "json")
    sizes = [f"--{name.replace('_', '-')}={size}" for name, size in SIZES.items()]
    if story == "llama-parallel":
        del sizes[-1]
    free, fixed = json.loads(drawn(capsys, *words)), json.loads(drawn(capsys, *words, *sizes))
    assert "batch" in json.dumps(free["shapes"]["sites"])
    assert "batch" not in json.dumps(fixed["shapes"]["sites"])
    for one, other in zip(free["shapes"]["sites"], fixed["shapes"]["sites"], strict=True):
        assert {**one, "out": put_in(one["out"])} == other
    assert put_in([*free["shapes"]["outputs"].values()]) == [*fixed["shapes"]["outputs"].values()]
    edges = zip(free["composition"]["edges"], fixed["composition"]["edges"], strict=True)
    assert all(put_in(one["dims"]) == other["dims"] for one, other in edges)
    assert free["outcome"] == fixed["outcome"]


def test_it_is_the_report_of_the_check(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = words_of("llama-parallel", tmp_path, "1.0.0", "Parallel(a, b)", "--format", "json")
    told = json.loads(drawn(capsys, *words))
    built = tell(str(STORIES / "llama-parallel"), str(tmp_path))
    report = adaptlint.check(
        built.model,
        built.adapters,
        targets=["adapters==1.0.0"],
        model_class="LlamaModel",
        compose="Parallel(a, b)",
        attn="eager",
    ).to_dict()
    assert [told[name] for name in ("shapes", "composition")] == [report[name] for name in ("shapes", "composition")]
    assert told["outcome"] == report["verdicts"][0]["outcome"]


def test_the_tree_marks_both_sides_of_what_breaks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = drawn(capsys, *words_of("llama-parallel", tmp_path, "1.0.0", "Parallel(a, b)"))
    assert "  layers.0.self_attn.q_proj: lora of a, b -> (2*batch, seq, 4096)\n" in out
    assert "  layers.0.self_attn.k_proj: lora of no adapter -> (batch, seq, 1024)\n" in out
    assert "  !! RuntimeError at layers.0.self_attn: shape '[2, 6, 32, 128]' is invalid" in out
    assert "     (2*batch, seq, 4096) against (batch, seq, 32, 128)\n" in out


def test_every_format_has_the_same_boxes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = words_of("llama-parallel", tmp_path, "1.3.0", "Stack(a, Parallel(a, b))")
    xml = networkx.parse_graphml(drawn(capsys, *words, "--format", "graphml"))
    dot = drawn(capsys, *words, "--format", "dot")
    mermaid = drawn(capsys, *words, "--format", "mermaid")
    names = sorted(name for _, name in xml.nodes(data="name"))
    assert sorted(re.findall(r'^  n\d+ \[label="([^"]*)"', dot, re.MULTILINE)) == names
    assert sorted(re.findall(r'^  n\d+\["([^"]*)"\]$', mermaid, re.MULTILINE)) == names
    labels = sorted(said for *_, said in xml.edges(data="dims"))
    assert sorted(re.findall(r'^  n\d+ -> n\d+ \[label="([^"]*)"', dot, re.MULTILINE)) == labels
    assert sorted(re.findall(r'^  n\d+ -\.?->\|"([^"]*)"\| n\d+$', mermaid, re.MULTILINE)) == labels
    leaves = {at for at, kind in xml.nodes(data="kind") if kind == "adapter"}
    sites = {at for at, name in xml.nodes(data="name") if name.endswith("q_proj lora")}
    assert len(leaves) == 3
    assert {start for start, end in xml.edges if end in sites} == leaves


IN_PEFT = f'name = "a"\n{QUERIES}[others.b]\n'


def test_a_mixed_batch_of_peft_has_the_shapes_of_its_forward(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    peft, torch = pytest.importorskip("peft"), pytest.importorskip("torch")
    from tests.differential.folders import model_of

    built = build(read_recipe(IN_PEFT), str(tmp_path), str(BASES))
    names = {built.name: built.adapter, **dict(built.others)}
    given = [f"{name}={path}" for name, path in names.items()]
    asked = ["--target", "peft", "--compose", "BatchSplit(a, b, batch_sizes=[2, 1])", "--flow", "--seq", "7"]
    told = json.loads(drawn(capsys, built.model, *given, *asked, "--format", "json"))
    model = peft.PeftModel.from_pretrained(model_of(Path(built.model), "AutoModelForCausalLM"), built.adapter, "a")
    model.load_adapter(names["b"], "b")
    seen: list[list[int]] = []
    for name, module in model.named_modules():
        if name.endswith("q_proj"):
            module.register_forward_hook(lambda _, __, out: seen.append(list(out.shape)))
    with torch.no_grad():
        logits = model(torch.ones(3, 7, dtype=torch.long), adapter_names=["a", "a", "b"]).logits
    (site,) = told["shapes"]["sites"]
    assert (site["module"], site["adapters"]) == ("model.layers.{0-2}.self_attn.q_proj", ["a", "b"])
    assert seen == [*site["out"]] * 3
    assert told["shapes"]["outputs"] == {"logits": list(logits.shape)}
    assert [edge["dims"] for edge in told["composition"]["edges"]] == [[2], [1]]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--compose", "Parallel(a, b)"], "--compose needs --flow."),
        (["--flow", "--compose", "Paralel(a, b)"], "Paralel is no block"),
        (["--flow", "--compose", "Parallel(a, b)", "--target", "transformers"], "not for transformers."),
        (["--flow"], "an ADAPTER needs --compose."),
        (["--flow", "--mask", "none"], "--mask needs --compose."),
        (
            ["--flow", "--compose", "Stack(a)", "--model-class", "LlamaModel", "--decoder-seq", "3"],
            "no size 'decoder_seq'",
        ),
    ],
)
def test_usage_errors(words: list[str], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    built = tell(str(STORIES / "llama-parallel"), str(tmp_path))
    status = cli.run(["graph", built.model, f"a={built.adapter}", *words])
    out, err = capsys.readouterr()
    assert (status, out, says in err) == (2, "", True), err


def test_what_has_no_forward_says_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status = cli.run(["graph", *words_of("llama-parallel", tmp_path, "1.0.0", "Parallel(a, Fuse(a, b))")])
    out, err = capsys.readouterr()
    assert (status, out) == (3, "")
    assert "has no forward to draw" in err
    assert "Cannot nest" in err
    assert err.count("\n") == 1
