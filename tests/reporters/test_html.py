"""The HTML report as a file: what it holds, that it loads nothing, how large it gets."""

from __future__ import annotations

import base64
import hashlib
import re
import shlex
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from lxml import html
from markdown_it import MarkdownIt

import adaptlint
from adaptlint.findings import SITE_STATES, AdapterSubject, Finding, Report, SiteState, Verdict
from adaptlint.reporters import Background, Style, render
from adaptlint.reporters.heat_strip import heat_strip
from adaptlint.reporters.showing import shown
from adaptlint.testing.demo import story_recipe, tell
from adaptlint.testing.recipes import build, read_recipe
from tests.cli.running import adaptlint as run
from tests.conftest import ROOT
from tests.reporters import cases
from tests.reporters.hostile import FRAGMENTS, hostile_texts
from tests.reporters.schemas import strict
from tests.reporters.test_sarif import BASES, RECIPE

STORIES = ROOT / "fixtures" / "stories"


def story(name: str, folder: Path, **asked: object) -> Report:
    """A story's report as the HTML report wants it."""
    built = tell(str(STORIES / name), str(folder))
    check = dict(story_recipe(str(STORIES / name)).check)
    return adaptlint.check(built.model, built.adapters, sites=True, **{**check, **asked})  # type: ignore[arg-type]


def parsed(page: str) -> html.HtmlElement:
    return html.document_fromstring(page)


def evil_report(evil: str) -> Report:
    drawn = {
        "nodes": [
            {"id": "0", "kind": evil, "adapter": evil, "module": None},
            {"id": "site", "kind": "site", "module": evil},
        ],
        "edges": [{"from": "0", "to": "site", "dims": [[evil, 2], [3]], "conflict": evil}],
    }
    sites = tuple(SiteState(evil, f"{evil}.layers.{n}.{evil}", state, evil) for n, state in enumerate(SITE_STATES))
    shapes = {"inputs": {evil: [evil]}, "outputs": {evil: [evil, 4]}}
    return cases.hostile(evil)._replace(composition=drawn, sites=sites, shapes=shapes)


def test_one_file_that_loads_nothing(tmp_path: Path) -> None:
    built = build(read_recipe(RECIPE), str(tmp_path), bases=str(BASES))
    done = run("check", built.model, "adapter", "--output", "report.html", cwd=tmp_path)
    assert done.returncode == 1
    page = (tmp_path / "report.html").read_text()
    root = parsed(page)
    ids = [element.attrib["id"] for element in root.iter() if "id" in element.attrib]
    assert len(ids) == len(set(ids))
    for element in root.iter():
        assert not {"src", "srcset", "style", "action", "data"} & set(element.attrib)
        assert not any(name.startswith("on") for name in element.attrib)
        if "href" in element.attrib:
            assert element.attrib["href"].removeprefix("#") in ids
    assert "url(" not in page
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", page.partition("<main>")[0])


def test_the_policy_names_what_is_in_the_file_and_nothing_else() -> None:
    root = parsed(render(cases.report(), "html"))
    policy = root.xpath("//meta[@http-equiv='Content-Security-Policy']/@content")[0]
    rules = {part.split()[0]: part.split()[1:] for part in policy.split(";")}
    assert rules["default-src"] == rules["base-uri"] == rules["form-action"] == ["'none'"]
    for name, tag in (("style-src", "style"), ("script-src", "script")):
        (element,) = root.iter(tag)
        digest = base64.b64encode(hashlib.sha256(element.text.encode()).digest()).decode()
        assert rules[name] == [f"'sha256-{digest}'"]


def test_equal_reports_give_equal_bytes() -> None:
    assert render(cases.silent(), "html") == render(cases.silent()._replace(phases=(("read", 3.0),)), "html")


def test_verdicts_stand_first_and_in_one_sentence() -> None:
    root = parsed(render(cases.silent(), "html"))
    (said,) = root.xpath("//ul[@class='verdicts']/li/p[1]")
    text = "peft 0.21.2 (transformers 5.23.0): SILENTLY WRONG at load: nothing is raised, but 2 tensors of the"
    assert said.text_content().startswith(text)
    assert said.find("strong").text == "SILENTLY WRONG"
    assert root.xpath("//ul[@class='verdicts']//a/@href") == ["#f-f-silent"]
    assert "missing" not in root.findtext(".//title")


def test_the_title_has_the_names_that_people_know() -> None:
    """PEFT's `default` is nobody's name for an adapter: its folder is."""
    root = parsed(render(cases.report(), "html"))
    assert root.xpath("string(//h1)") == "What will happen to pruned"
    assert root.findtext(".//title") == "adaptlint: pruned FAILS"
    assert parsed(render(cases.silent(), "html")).xpath("string(//h1)") == "What will happen to a, b"


def test_findings_have_both_witnesses_and_the_words_of_their_page(tmp_path: Path) -> None:
    built = build(read_recipe(RECIPE), str(tmp_path), bases=str(BASES))
    run("check", built.model, "adapter", "--output", "report.html", "--output", "report.json", cwd=tmp_path)
    root = parsed((tmp_path / "report.html").read_text())
    report = strict((tmp_path / "report.json").read_text())
    articles = root.xpath("//article")
    assert {article.attrib["id"] for article in articles} == {f"f-{f['fingerprint']}" for f in report["findings"]}
    for finding in report["findings"]:
        (article,) = root.xpath(f"//article[@id='f-{finding['fingerprint']}']")
        text = " ".join(article.text_content().split())
        assert " ".join(finding["message"].split()) in text
        assert len(article.xpath(".//ul[@class='witnesses']/li")) == len(finding["because"])
        assert all(witness["note"] in text for witness in finding["because"])
        assert "Not run on real hardware." in text
    assert "Each LoRA factor carries its rank" in root.get_element_by_id("rule-AL301").text_content()


def test_every_module_has_its_cell(tmp_path: Path) -> None:
    report = story("surplus-layers", tmp_path)
    root = parsed(render(report, "html"))
    (table,) = root.xpath("//table[@class='strip']")
    layers = [cell.text for cell in table.xpath("./thead/tr/th")][1:]
    assert layers == [str(n) for n in range(40)]
    for row in table.xpath("./tbody/tr"):
        states = [cell.attrib["class"] for cell in row.xpath("./td")]
        assert states == ["healthy"] * 32 + ["unexpected"] * 8
        assert [cell.find("i").text for cell in row.xpath("./td")] == states
    assert [" ".join(item.text_content().split()) for item in root.xpath("//ul[@class='legend']/li")] == [
        "\u2713 healthy: 64",
        "+ unexpected: 16",
    ]


@pytest.mark.parametrize(
    ("name", "states"),
    [
        ("pruned-adapter", {"mismatched": 160}),
        ("depth-pruned", {"healthy": 64, "missing": 16}),
        ("prefix-off-by-one", {"missing": 80, "unexpected": 80}),
    ],
)
def test_modules_of_the_founding_stories(name: str, states: dict[str, int], tmp_path: Path) -> None:
    assert dict(heat_strip(story(name, tmp_path).sites).totals) == states


def test_what_was_never_reached_is_never_checked(tmp_path: Path) -> None:
    report = story("pruned-adapter", tmp_path, targets=["vllm"])
    assert {site.state for site in report.sites} == {"unchecked"}
    assert len(report.sites) == 160


def test_modules_of_hub_adapters(tmp_path: Path) -> None:
    report = story("t5-parallel", tmp_path, targets=["adapters==1.3.0"], compose="Parallel(a, b)")
    assert {(site.adapter, site.state) for site in report.sites} == {(name, "healthy") for name in "abcde"}


def test_sites_stay_out_of_the_json_report(tmp_path: Path) -> None:
    report = story("surplus-layers", tmp_path)
    assert report.to_dict() == report._replace(sites=()).to_dict()


def test_experts_are_counted_in_one_cell_and_the_worst_shows() -> None:
    sites = [
        SiteState("a", f"m.layers.{n}.experts.{e}.up", "healthy" if e else "missing") for n in (0, 1) for e in range(64)
    ]
    (strip,) = heat_strip(sites).strips
    ((name, cells),) = strip.rows
    assert name == "experts.*.up"
    assert [cell and (cell.state, cell.said) for cell in cells] == [("missing", "1 missing, 63 healthy")] * 2


def test_the_composition_is_drawn_with_its_conflict(tmp_path: Path) -> None:
    report = story("t5-parallel", tmp_path, targets=["adapters==1.0.0"])
    root = parsed(render(report, "html"))
    (drawing,) = root.iter("svg")
    assert len(drawing.xpath(".//rect")) == len(report.composition["nodes"]) + 1  # type: ignore[index]
    (broken,) = drawing.xpath(".//text[contains(@class, 'conflict')]")
    assert broken.text_content() == "\u2717 [1, 12, 700, 140] and [1, 12, 140, 140]"
    row = root.xpath("//tr[@class='conflict']")[0].text_content()
    assert "must match the size of tensor b" in row


def test_sizes_along_the_edges_may_be_symbols(tmp_path: Path) -> None:
    asked = {"compose": "Parallel(a, b)", "batch": None, "seq": None, "decoder_seq": None}
    report = story("t5-parallel", tmp_path, targets=["adapters==1.3.0"], **asked)
    labels = [text.text_content() for text in parsed(render(report, "html")).xpath("//svg//text[@class='dims']")]
    assert "[batch, seq]" in labels
    assert "[2*batch, decoder_seq, 768]" in labels


def test_the_command_makes_the_report_again(tmp_path: Path) -> None:
    built = build(read_recipe(RECIPE), str(tmp_path), bases=str(BASES))
    options = ["--target", "peft==0.10.0", "--seq", "4", "--ignore", "AL1", "--values", "full"]
    run("check", built.model, "odd name=adapter", *options, "--output", "r.html", "--output", "a.json", cwd=tmp_path)
    command = parsed((tmp_path / "r.html").read_text()).get_element_by_id("command").text_content()
    name, *arguments = shlex.split(command)
    assert name == "adaptlint"
    run(*arguments, "--output", "b.json", cwd=tmp_path)
    first, second = (strict((tmp_path / f"{n}.json").read_text()) for n in "ab")
    assert {**first, "timing": 0} == {**second, "timing": 0}


def test_the_issue_can_be_posted() -> None:
    root = parsed(render(cases.silent(), "html", Style(), Background({}, "adaptlint check base adapter")))
    body = root.get_element_by_id("issue-1").text_content()
    page = html.fromstring(f"<main>{MarkdownIt('commonmark', {'html': True}).render(body)}</main>")
    assert [head.text for head in page.findall(".//h3")] == ["What happens", "Why", "How to see it"]
    assert "AL201 tensors-nobody-reads" in page.text_content()
    assert page.findtext(".//pre/code").strip() == "adaptlint check base adapter"
    assert root.get_element_by_id("title-1").text_content().startswith("a: SILENTLY WRONG with peft 0.21.2")


def test_what_was_not_checked_has_its_reason() -> None:
    rows = parsed(render(cases.report(), "html")).xpath("//section[@id='checked']//tbody/tr")
    assert [[" ".join(cell.text_content().split()) for cell in row] for row in rows[:3]] == [
        ["not run (2)", "needs values", "AL401 AL402"],
        ["fired (1)", "", "AL302"],
        ["passed (1)", "", "AL101"],
    ]


SEEN = {"status": "confirmed", "device": "H100", "versions": {"peft": "0.21.2"}, "observed": "RuntimeError"}


class ReplayedFinding(Finding):  # type: ignore[misc]
    """A finding that a run confirmed, and that can be repaired."""

    __slots__ = ()

    def to_dict(self) -> dict[str, object]:
        return {**super().to_dict(), "replay": SEEN, "fix": {"safety": "safe", "summary": "renames 4 keys"}}


class ReplayedVerdict(Verdict):  # type: ignore[misc]
    __slots__ = ()

    def to_dict(self) -> dict[str, object]:
        return {**super().to_dict(), "replay": SEEN}


def test_observations_of_a_replay_are_shown() -> None:
    finding, verdict = ReplayedFinding(*cases.finding()), ReplayedVerdict(*cases.verdict())
    root = parsed(render(cases.report(findings=(finding,), verdicts=(verdict,)), "html"))
    said = "status: confirmed; device: H100; versions.peft: 0.21.2; observed: RuntimeError"
    article = root.xpath("//article")[0].text_content()
    assert said in article
    assert "Not run" not in article
    assert "safe: renames 4 keys (adaptlint fix)" in article
    assert root.xpath("//p[@class='replay']")[0].text == f"Replayed: {said}"


@given(hostile_texts)
@example("".join(FRAGMENTS))
@example("{{ 7*7 }}{% include 'x' %}</style></script><svg onload=x()>")
@settings(max_examples=25, deadline=None)
def test_hostile_names_are_text(evil: str) -> None:
    root = parsed(render(evil_report(evil), "html", Style(), Background({}, evil)))
    harmless = parsed(render(evil_report("harmless name"), "html", Style(), Background({}, "x")))
    assert [element.tag for element in root.iter("script", "style", "img", "iframe", "svg", "title", "form")] == [
        element.tag for element in harmless.iter("script", "style", "img", "iframe", "svg", "title", "form")
    ]
    names = {name for element in harmless.iter() if isinstance(element.tag, str) for name in element.attrib}
    assert {name for element in root.iter() if isinstance(element.tag, str) for name in element.attrib} <= names
    assert {href[:1] for href in root.xpath("//@href")} == {"#"}
    told = " ".join(root.xpath("//article/p")[-1].text_content().split())
    assert told == " ".join(shown(f"module {evil} is odd").split())


def many(number: int, message: str, block: str = "block") -> Report:
    findings = tuple(
        cases.finding(
            code=f"AL{300 + n % 90}",
            message=f"{message} {n}",
            module=f"model.layers.{n % 80}.{block}_{n}.q_proj",
            fingerprint=f"{n:016x}",
            severity=("error", "warning", "note")[n % 3],
        )
        for n in range(number)
    )
    sites = tuple(
        SiteState(name, f"m.layers.{layer}.w{row}", "mismatched", message)
        for name in "abcdefgh"
        for layer in range(60)
        for row in range(30)
    )
    adapters = tuple(AdapterSubject(f"a{n}", f"dir/{n}", "peft", "LORA", 8, 4) for n in range(500))
    subject = cases.report().subject._replace(adapters=adapters)
    return cases.report(findings=findings, sites=sites, subject=subject)


def test_ten_thousand_findings_fit_and_every_one_has_its_link() -> None:
    message = cases.finding().message
    report = many(10_000, message)
    page = render(report, "html")
    assert len(page.encode()) < 5_000_000
    ids = set(re.findall(r'id="(f-[0-9a-f]{16})"', page))
    (said,) = re.findall(r"(\d+) more findings are not in this file", page) or ["0"]
    assert len(ids) + int(said) == 10_000
    assert len(ids) == 10_000


def test_the_budget_holds_for_the_longest_texts() -> None:
    page = render(many(6_000, "<&>\u20ac" * 1500, "<&>" * 900), "html")
    assert len(page.encode()) < 5_000_000
    assert "more findings are not in this file" in page
