"""The HTML report in a real browser: opened, filtered, followed, copied, printed, heard and photographed.

`make html-browser` installs Chromium where it can, asks for every combination, and writes docs/screenshots.
"""

from __future__ import annotations

import os
import shutil
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from adaptlint.reporters import Background, Style, render
from adaptlint.testing.demo import tell
from tests.cli.running import adaptlint as run
from tests.conftest import ROOT
from tests.reporters import cases
from tests.reporters.browsing import DESKTOP, NARROW, PHONE, Visit, browser, chromium
from tests.reporters.hostile import FRAGMENTS
from tests.reporters.test_html import STORIES, evil_report, many, story

if TYPE_CHECKING:
    from playwright.sync_api import Browser

ALL = os.environ.get("HTML_BROWSER") == "all"
MANY = 10_000 if ALL else 600
SCREENSHOTS = ROOT / "docs" / "screenshots"
LOOKS = [(size, scheme) for size in (DESKTOP, PHONE, NARROW) for scheme in ("light", "dark")]
LISTENED = [(name, *look) for name in ("story", "broken", "hostile") for look in LOOKS]
SAMPLED = [("broken", DESKTOP, "light"), ("hostile", PHONE, "dark")]
pytestmark = pytest.mark.skipif(chromium() is None, reason="no Chromium on the PATH: `make html-browser` installs it")


@pytest.fixture(scope="module")
def opened() -> Iterator[Browser]:
    with browser() as started:
        yield started


class Pages:
    """Reports as files, each written when it is first asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __getitem__(self, name: str) -> Path:
        path = self.folder / f"{name}.html"
        if not path.exists():
            text = getattr(self, f"_{name}")(self.folder / name)
            path.write_text(text)
        return path

    def _story(self, folder: Path) -> str:
        """Eight layers too many, told by the real command line."""
        return self._told("surplus-layers", folder)

    def _pruned(self, folder: Path) -> str:
        return self._told("pruned-adapter", folder)

    def _told(self, name: str, folder: Path) -> str:
        built = tell(str(STORIES / name), str(folder))
        model = built.model
        if os.path.isfile(model):
            model = shutil.copy(model, folder)
        run("check", os.path.relpath(model, folder), "adapter", "--output", "report.html", cwd=folder)
        return (folder / "report.html").read_text()

    def _broken(self, folder: Path) -> str:
        """A composition whose forward raises."""
        return render(story("t5-parallel", folder, targets=["adapters==1.0.0"]), "html", Style(here=str(folder)))

    def _hostile(self, folder: Path) -> str:
        evil = "".join(FRAGMENTS) + "<img src=x onerror=alert(2)><svg onload=alert(3)>"
        return render(evil_report(evil), "html", Style(), Background({}, evil))

    def _many(self, folder: Path) -> str:
        return render(many(MANY, cases.finding().message), "html")


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Pages:
    return Pages(tmp_path_factory.mktemp("pages"))


@pytest.mark.parametrize("name", ["story", "pruned", "broken", "hostile", "many"] if ALL else ["hostile"])
def test_opened_without_network_and_without_complaint(name: str, opened: Browser, pages: Pages) -> None:
    with Visit(opened, pages[name]) as visit:
        assert visit.requests == [visit.url]
        assert visit.said == []
        assert visit.dialogs == []
        assert visit.page.locator("h1").is_visible()
        assert visit.page.evaluate("document.documentElement.lang") == "en"


@pytest.mark.parametrize(("name", "size", "scheme"), LISTENED if ALL else SAMPLED)
def test_axe_finds_no_serious_violation(
    name: str, size: tuple[int, int], scheme: str, opened: Browser, pages: Pages
) -> None:
    from axe_playwright_python.sync_playwright import Axe

    with Visit(opened, pages[name], size, color_scheme=scheme) as visit:
        visit.page.evaluate("for (const details of document.querySelectorAll('details')) details.open = true")
        found: list[dict[str, Any]] = Axe().run(visit.page).response["violations"]
        assert [(each["id"], each["nodes"][0]["html"]) for each in found] == []


@pytest.mark.parametrize("size", [DESKTOP, PHONE, NARROW] if ALL else [NARROW])
@pytest.mark.parametrize("name", ["pruned", "broken", "hostile"] if ALL else ["broken", "hostile"])
def test_the_page_is_never_wider_than_the_screen(
    name: str, size: tuple[int, int], opened: Browser, pages: Pages
) -> None:
    with Visit(opened, pages[name], size) as visit:
        assert visit.page.evaluate("document.documentElement.scrollWidth") <= size[0]


def test_filtered_by_words_and_severity(opened: Browser, pages: Pages) -> None:
    with Visit(opened, pages["many"]) as visit:
        page, count = visit.page, visit.page.locator("#count")
        assert count.text_content() == f"{MANY} of {MANY} findings shown"
        page.keyboard.press("/")
        page.keyboard.type("AL307 block_")
        assert count.text_content() == f"{sum(n % 90 == 7 for n in range(MANY))} of {MANY} findings shown"
        page.locator("#words").fill("")
        page.locator("[name=severity][value=error]").uncheck()
        page.locator("[name=severity][value=note]").uncheck()
        assert count.text_content() == f"{MANY // 3} of {MANY} findings shown"
        assert page.locator("[data-severity=error]:visible").count() == 0
        page.locator("#words").fill("no such words at all")
        assert page.locator("[data-severity]:visible").count() == 0


def test_followed_from_the_verdict_to_its_finding_and_by_a_link_from_outside(opened: Browser, pages: Pages) -> None:
    with Visit(opened, pages["pruned"]) as visit:
        visit.page.locator(".verdicts a").first.click()
        article = visit.page.locator("article:target")
        assert article.locator("h3").text_content().endswith("AL303 adapter-of-pruned-base")
        link = visit.page.url
        visit.page.locator("#words").fill("nothing has this")
        assert not article.is_visible()
        visit.page.goto("about:blank")
        visit.page.goto(link)
        assert visit.page.locator("article:target").is_visible()
        visit.page.goto(visit.url + "#rule-AL303")
        assert visit.page.get_by_text("This is peft#1746").is_visible()


def test_deep_links_work_in_a_full_report(opened: Browser, pages: Pages) -> None:
    with Visit(opened, pages["many"]) as visit:
        for number in (0, MANY // 2, MANY - 1):
            visit.page.goto(f"{visit.url}#f-{number:016x}")
            box = visit.page.locator(":target").bounding_box()
            assert box is not None
            assert -5 <= box["y"] < DESKTOP[1]


def test_copied_with_one_click(opened: Browser, pages: Pages) -> None:
    with Visit(opened, pages["pruned"], permissions=["clipboard-read", "clipboard-write"]) as visit:
        visit.page.get_by_role("button", name="Copy the command").click()
        visit.page.get_by_role("button", name="Copied.").wait_for()
        assert visit.page.evaluate("navigator.clipboard.readText()") == (
            "adaptlint check llama-2-13b.lock.json adapter"
        )
        assert visit.page.locator("[role=status]").text_content() == "Copied."


def test_keyboard_alone(opened: Browser, pages: Pages) -> None:
    with Visit(opened, pages["story"]) as visit:
        visit.page.keyboard.press("Tab")
        assert visit.page.evaluate("document.activeElement.className") == "skip"
        visit.page.keyboard.press("Enter")
        assert visit.page.url.endswith("#findings")
        visit.page.keyboard.press("Tab")
        assert visit.page.evaluate("document.activeElement.id") == "words"
        visit.page.locator("article summary").first.focus()
        visit.page.keyboard.press("Enter")
        assert visit.page.locator("article dl.facts").first.is_visible()


def test_heard_by_a_screen_reader(opened: Browser, pages: Pages) -> None:
    """The accessibility tree names landmarks, the table's heads, and says what a sign means."""
    with Visit(opened, pages["story"]) as visit:
        page = visit.page
        for role in ("banner", "navigation", "main", "search", "contentinfo"):
            assert page.get_by_role(role).count() == 1  # type: ignore[arg-type]
        assert page.get_by_role("columnheader", name="39", exact=True).count() == 1
        assert page.get_by_role("cell", name="unexpected").count() == 16
        assert page.get_by_role("article").first.get_attribute("aria-labelledby")
    with Visit(opened, pages["broken"]) as visit:
        assert visit.page.get_by_role("img", name="The composition as a tree").count() == 1


def test_everything_is_there_without_javascript(opened: Browser, pages: Pages) -> None:
    with Visit(opened, pages["pruned"], java_script_enabled=False) as visit:
        assert not visit.page.locator("#filter").is_visible()
        assert visit.page.locator("button:visible").count() == 0
        visit.page.locator(".verdicts a").first.click()
        assert visit.page.locator("article:target").is_visible()
        visit.page.locator("article summary").first.click()
        assert visit.page.locator("article dl.facts").first.is_visible()
        assert visit.page.locator("table.strip td.mismatched").count() == 160


def test_printed_whole_and_in_light_colours(opened: Browser, pages: Pages) -> None:
    with Visit(opened, pages["pruned"], color_scheme="dark") as visit:
        visit.page.emulate_media(media="print")
        assert visit.page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        assert visit.page.locator("nav:visible, form:visible, button:visible").count() == 0
        assert visit.page.pdf().startswith(b"%PDF")
        assert visit.page.evaluate("[...document.querySelectorAll('details')].every((details) => details.open)")


def test_hostile_names_are_inert(opened: Browser, pages: Pages) -> None:
    with Visit(opened, pages["hostile"]) as visit:
        page = visit.page
        assert page.locator("img, iframe, object, embed, base, link").count() == 0
        assert page.locator("script").count() == 1
        assert page.evaluate("[...document.querySelectorAll('a')].every((a) => a.getAttribute('href')[0] === '#')")
        assert page.evaluate(
            "[...document.querySelectorAll('*')].every((e) => !e.getAttributeNames().some((n) => /^on/.test(n)))"
        )
        assert "<script>alert(1)</script>" in page.locator("article").first.inner_text()
        assert visit.dialogs == []


def test_what_is_not_ours_is_not_obeyed(opened: Browser, pages: Pages) -> None:
    """Were there a hole in the escaping, the policy would still hold."""
    with Visit(opened, pages["story"]) as visit:
        visit.page.evaluate(
            """() => {
              const script = document.createElement("script");
              script.textContent = "window.obeyed = true";
              document.body.append(script);
              const image = "<img src='https://evil.example/x.png' onerror='window.obeyed = true'>";
              document.body.insertAdjacentHTML("beforeend", image);
            }"""
        )
        visit.page.wait_for_timeout(200)
        assert visit.page.evaluate("window.obeyed") is None
        assert any("Content Security Policy" in text for text in visit.said)


SHOTS = [
    ("pruned", "desktop", DESKTOP, "light", "header"),
    ("pruned", "phone", PHONE, "dark", "header"),
    ("story", "modules", DESKTOP, "light", "#modules"),
    ("broken", "composition", DESKTOP, "light", "#composition"),
]


@pytest.mark.parametrize(("name", "what", "size", "scheme", "at"), SHOTS if ALL else SHOTS[:2])
def test_photographed(
    name: str,
    what: str,
    size: tuple[int, int],
    scheme: str,
    at: str,
    opened: Browser,
    pages: Pages,
    tmp_path: Path,
) -> None:
    """Every picture shows something; `make html-browser` keeps them."""
    folder = SCREENSHOTS if ALL else tmp_path
    folder.mkdir(exist_ok=True)
    path = folder / f"report-{what}.png"
    with Visit(opened, pages[name], size, color_scheme=scheme) as visit:
        if at == "header":
            visit.page.screenshot(path=path)
        else:
            visit.page.locator(at).screenshot(path=path)
        assert visit.page.locator(at).is_visible()
    content = path.read_bytes()
    width, height = struct.unpack(">II", content[16:24])
    assert content.startswith(b"\x89PNG")
    assert width <= size[0]
    assert height > 100
    assert 5_000 < len(content) < 200_000
