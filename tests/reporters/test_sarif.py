"""SARIF: what its schema cannot say, from real checks through the real command line."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import adaptlint
from adaptlint.reporters import Background, RulePage, Style, render
from adaptlint.testing.recipes import build, read_recipe
from tests.cli.running import adaptlint as run
from tests.conftest import ROOT
from tests.reporters import cases
from tests.reporters.schemas import SARIF, strict

BASES = ROOT / "fixtures" / "bases"
MULTITOOL = ROOT / ".node" / "node_modules" / "@microsoft" / "sarif-multitool-linux" / "Sarif.Multitool"
RECIPE = """
base = "tiny-llama"
[config]
r = 4
target_modules = ["q_proj"]
lora_alpa = 16
[[tensors]]
modules = "model.layers.{0-2}.self_attn.q_proj"
rank = 8
in = 32
out = 32
"""


def log_of(folder: Path, *options: str) -> dict[str, Any]:
    built = build(read_recipe(RECIPE), str(folder), bases=str(BASES))
    arguments = ["check", built.model, "adapter", "--format", "sarif", *options]
    done = run(*arguments, cwd=folder)
    assert done.returncode == 1
    log: dict[str, Any] = strict(done.stdout)
    jsonschema.Draft4Validator(SARIF).validate(log)
    return log


def results(log: dict[str, Any]) -> dict[str, Any]:
    return {result["ruleId"]: result for result in log["runs"][0]["results"]}


def test_bytes_lead_to_the_entry_of_the_header(tmp_path: Path) -> None:
    place = results(log_of(tmp_path))["AL301"]["locations"][0]["physicalLocation"]
    assert place["artifactLocation"] == {"uri": "adapter/adapter_model.safetensors", "uriBaseId": "%SRCROOT%"}
    region = place["region"]
    content = (tmp_path / place["artifactLocation"]["uri"]).read_bytes()
    entry = content[region["byteOffset"] : region["byteOffset"] + region["byteLength"]]
    ((key, row),) = json.loads(b"{" + entry + b"}").items()
    assert (key.rpartition("self_attn.")[2], row["shape"]) == ("q_proj.lora_A.weight", [8, 32])


def test_witnesses_lie_in_the_config_at_their_line(tmp_path: Path) -> None:
    witness = results(log_of(tmp_path))["AL301"]["relatedLocations"][0]
    place = witness["physicalLocation"]
    lines = (tmp_path / place["artifactLocation"]["uri"]).read_text().split("\n")
    region = place["region"]
    assert lines[region["startLine"] - 1][region["startColumn"] - 1 :].startswith('"r": 4')


def test_fingerprints_do_not_know_lines_and_places(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "elsewhere" / "b").mkdir(parents=True)
    first = log_of(tmp_path / "a")
    build(read_recipe(RECIPE), str(tmp_path / "elsewhere" / "b"), bases=str(BASES))
    config = tmp_path / "elsewhere" / "b" / "adapter" / "adapter_config.json"
    config.write_text(config.read_text().replace("{", "{\n\n\n", 1))
    done = run("check", str(BASES / "tiny-llama"), "adapter", "--format", "sarif", cwd=config.parent.parent)
    second = strict(done.stdout)
    prints = [{code: each["partialFingerprints"] for code, each in results(log).items()} for log in (first, second)]
    assert prints[0] == prints[1] != {}
    lines = [results(log)["AL301"]["relatedLocations"][0]["physicalLocation"]["region"] for log in (first, second)]
    assert lines[1]["startLine"] == lines[0]["startLine"] + 3


def test_rules_bring_their_pages(tmp_path: Path) -> None:
    run_ = log_of(tmp_path)["runs"][0]
    rule = next(rule for rule in run_["tool"]["driver"]["rules"] if rule["id"] == "AL301")
    assert rule["name"] == "RankDisagreesWithConfig"
    assert rule["shortDescription"]["text"] == "A tensor's rank is not the config's"
    assert rule["help"]["markdown"].startswith("## What it looks for\n\nEach LoRA factor carries its rank")
    assert "recipe" not in rule["help"]["markdown"]
    assert run_["invocations"][0]["commandLine"].startswith("adaptlint check ")
    assert "--format" not in run_["invocations"][0]["commandLine"]


def test_what_was_not_checked_is_told(tmp_path: Path) -> None:
    told = log_of(tmp_path)["runs"][0]["invocations"][0]["toolExecutionNotifications"]
    said = [each["message"]["text"] for each in told if each["descriptor"]["id"] == "not-run"]
    assert any("tensor values were not asked for" in text and "AL401" in text for text in said)
    assert told[0]["message"]["text"].startswith("peft ")


def many(number: int, layers: int = 40) -> adaptlint.Report:
    """A report of `number` findings in few modules of many layers."""
    findings = tuple(
        cases.finding(
            module=f"model.layers.{n % layers}.m{n // layers}",
            fingerprint=f"{n:016x}",
            severity="note" if n % 3 else "error",
        )
        for n in range(number)
    )
    return cases.report(findings=findings)


def test_layers_are_folded_where_there_are_more_than_are_shown() -> None:
    log = strict(render(many(12_000), "sarif"))
    found = log["runs"][0]["results"]
    assert len(found) <= 5_000
    assert sum(len(result["locations"]) for result in found) == 12_000
    assert "more like this are told with it" in found[0]["message"]["text"]


def test_what_is_left_out_is_the_least_severe_and_told() -> None:
    log = strict(render(many(9_000, layers=1), "sarif"))
    run_ = log["runs"][0]
    assert [result["level"] for result in run_["results"]].count("error") == 3_000
    assert len(run_["results"]) == 5_000
    assert run_["invocations"][0]["toolExecutionNotifications"][-1]["message"]["text"].startswith("4000 findings")


def test_paths_outside_the_folder_are_whole_and_quoted() -> None:
    finding = cases.finding(where=cases.Where("/else where/ä#%/x.json", ("a",)), because=())
    log = strict(render(cases.report(findings=(finding,)), "sarif", Style(here="/work")))
    place = log["runs"][0]["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]
    assert place == {"uri": "file:///else%20where/%C3%A4%23%25/x.json"}


@pytest.mark.skipif(not MULTITOOL.exists(), reason="Microsoft's SARIF Multitool is not there: `make sarif-multitool`")
@pytest.mark.parametrize("name", ["report", "silent", "hostile"])
def test_the_multitool_finds_no_error(name: str, tmp_path: Path) -> None:
    """Rules of the format and of GitHub's code scanning, by their own validator."""
    path = tmp_path / "log.sarif"
    pages = {"AL302": RulePage("AL302", "n", "shape", "Title", "error", "load-fails", "## A\n\nText.\n")}
    path.write_text(render(getattr(cases, name)(), "sarif", Style(), Background(pages, "adaptlint check a b")))
    done = subprocess.run(
        [str(MULTITOOL), "validate", str(path), "--rule-kind", "Sarif;Ghas", "--level", "Error"],
        env={**os.environ, "DOTNET_SYSTEM_GLOBALIZATION_INVARIANT": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Analysis completed successfully" in done.stdout, done.stdout + done.stderr
    assert ": error " not in done.stdout, done.stdout
