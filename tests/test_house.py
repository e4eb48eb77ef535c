"""The architecture's own tests: floors, sizes, reasons and pages, generated texts, and the wheel."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
import tomllib
import venv
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

import adaptlint
from adaptlint.catalogue import load_catalogue
from tests.conftest import ROOT
from tests.generated import TEXTS

PACKAGE = ROOT / "adaptlint"
SOURCES = sorted(PACKAGE.rglob("*.py"))
HEAVY = ("torch", "transformers")
HEAVY_ALLOWED = {  # and only behind a function call
    "bases/meta_build.py",
    "dataflow/kernels.py",
    "dataflow/prefix.py",
    "dataflow/trace.py",
    *(path.relative_to(PACKAGE).as_posix() for path in (PACKAGE / "replay" / "worker").glob("*.py")),
}
WARM_BANNED = (
    "torch",
    "transformers",
    "numpy",
    "networkx",
    "jinja2",
    "tabulate",
    "dataclasses",
    "importlib.metadata",
    "typing",
)
FILE_LINES, FUNCTION_LINES = 300, 40
REASON = re.compile(r"[a-z]+[a-z0-9]*(-[a-z0-9]+)+")
REASON_ROOMS = ("artefacts", "bases", "dialects", "graph", "runtimes", "settings")
# Words with a hyphen in those rooms that name something else: containers, codecs, kinds of links,
# PEFT's own words, types of models.
NOT_REASONS = {
    "all-linear",
    "bert-generation",
    "deberta-v2",
    "encoder-decoder",
    "sharded-safetensors",
    "symlink-dangling",
    "symlink-outside",
    "tied-tokens",
    "torch-legacy",
    "torch-zip",
    "utf-8",
    "xlm-roberta",
}


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def name_of(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def imports(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Imported module names with their column: 0 is the module's own level."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.col_offset) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module, node.col_offset


def test_imports_go_down_only() -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "from importlinter.cli import lint_imports_command; lint_imports_command()",
            "--no-cache",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_heavy_libraries_are_imported_in_few_places_and_inside_functions(path: Path) -> None:
    found = [(name, column) for name, column in imports(tree_of(path)) if name.split(".")[0] in HEAVY]
    if name_of(path) in HEAVY_ALLOWED:
        assert all(column > 0 for _, column in found)
    else:
        assert found == []


WORKER = sorted((PACKAGE / "replay" / "worker").glob("*.py"))


@pytest.mark.parametrize("path", WORKER, ids=name_of)
def test_worker_runs_where_nothing_else_of_us_is(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 9))
    assert not [name for name, _ in imports(tree) if name.split(".")[0] == "adaptlint"]


def test_checks_do_not_import_each_other() -> None:
    for path in (PACKAGE / "checks").rglob("*.py"):
        assert not [name for name, _ in imports(tree_of(path)) if name.startswith("adaptlint.checks")], path


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_files_and_functions_stay_small(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= FILE_LINES
    for node in ast.walk(tree_of(path)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            lines = (node.end_lineno or 0) - node.body[0].lineno + 1  # a long signature is no long function
            assert lines <= FUNCTION_LINES, node.name


def stated_reasons() -> set[str]:
    """Every kebab-case word that the rooms which state faults have in their code or tables."""
    found = set()
    for room in REASON_ROOMS:
        for path in (PACKAGE / room).rglob("*.py"):
            texts = (node.value for node in ast.walk(tree_of(path)) if isinstance(node, ast.Constant))
            found.update(text for text in texts if isinstance(text, str) and REASON.fullmatch(text))
    dialects = tomllib.loads((PACKAGE / "dialects" / "dialects.toml").read_text(encoding="utf-8"))["dialect"]
    settings = json.loads((PACKAGE / "settings" / "config.schema.json").read_text(encoding="utf-8"))["properties"]
    return (found | {dialect["reason"] for dialect in dialects}) - NOT_REASONS - set(settings)


def test_every_reason_is_claimed_by_exactly_one_page() -> None:
    claims = Counter(reason for rule in load_catalogue() for reason in rule.claim)
    assert [reason for reason, times in claims.items() if times > 1] == []
    assert sorted(stated_reasons() - set(claims)) == [], "stated in code, claimed by no page"
    assert sorted(set(claims) - stated_reasons()) == [], "claimed by a page, stated nowhere"


def test_every_page_has_a_claim_or_its_check() -> None:
    expected = set()
    for rule in load_catalogue():
        check = PACKAGE / "checks" / rule.family / f"{rule.name.replace('-', '_')}.py"
        if check.exists():
            expected.add(check)
        assert bool(rule.claim) != check.exists(), f"{rule.code}: a claim or {check}, not both"
    checks = {path for path in (PACKAGE / "checks").rglob("*.py") if path.name != "__init__.py"}
    assert checks == expected, "a check without its page"


def test_codes_and_names_are_unique() -> None:
    rules = load_catalogue()
    assert len({rule.code for rule in rules}) == len(rules) == len({rule.name for rule in rules})


@pytest.mark.parametrize("path", sorted(TEXTS))
def test_generated_text_is_fresh(path: str, request: pytest.FixtureRequest) -> None:
    wanted = TEXTS[path]()
    if request.config.getoption("--write-pages") and (ROOT / path).read_text(encoding="utf-8") != wanted:
        beside = ROOT / f"{path}.part"  # a page that is being read must not be seen half written
        beside.write_text(wanted, encoding="utf-8")
        beside.replace(ROOT / path)
    assert (ROOT / path).read_text(encoding="utf-8") == wanted, "stale: run `make pages`"


def test_version_is_the_project_file_s() -> None:
    assert adaptlint.__version__ == tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]


def tracked() -> list[Path]:
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in done.stdout.split("\0") if name and (ROOT / name).is_file()]


def test_repository_names_no_machine() -> None:
    private = re.compile(rb"/(?:home|root|Users|work|tmp/w)/[A-Za-z0-9._-]+|find-links\s*=|index-url\s*=")
    found = [path for path in tracked() if path != Path(__file__) and private.search(path.read_bytes())]
    assert found == []


def test_repository_stays_small() -> None:
    assert sum(path.stat().st_size for path in tracked()) < 30_000_000


def test_warm_check_imports_nothing_heavy(tmp_path: Path) -> None:
    from adaptlint.testing.demo import tell

    story = tell(str(ROOT / "fixtures" / "stories" / "pruned-adapter"), str(tmp_path))
    code = (
        "import sys\nfrom adaptlint.cli import run\nrun(['check', *sys.argv[1:]])\n"
        "print('\\n' + ' '.join(sorted(sys.modules)))"
    )
    command = [sys.executable, "-c", code, story.model, story.adapter]
    loaded: set[str] = set()
    for _ in range(2):  # the first may compile the tables
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        loaded = set(done.stdout.splitlines()[-1].split())
    assert "adaptlint.engine" in loaded
    assert sorted(loaded & set(WARM_BANNED)) == []


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of a virtual environment that has the wheel of this checkout and its plain dependencies."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "-qq", "--disable-pip-version-check"]
    subprocess.run([*pip, "wheel", "--no-deps", "-w", str(folder), str(ROOT)], check=True)
    venv.create(folder / "venv", with_pip=False, symlinks=True)
    python = folder / "venv" / "bin" / "python"
    (wheel,) = folder.glob("adaptlint-*.whl")
    install = ["install", "-c", str(ROOT / "constraints.txt"), str(wheel)]
    subprocess.run([*pip, "--python", str(python), *install], check=True)
    return python


def inside(python: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """adaptlint of that environment, run where the checkout cannot be seen."""
    settings = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    command = [str(python), "-m", "adaptlint", *arguments]
    return subprocess.run(command, cwd=python.parent, env=settings, capture_output=True, text=True, check=False)


def test_installed_wheel_finds_its_rules(installed: Path) -> None:
    listed = inside(installed, "rules", "--format", "json")
    assert listed.returncode == 0, listed.stderr
    codes = {rule.code for rule in load_catalogue()}
    told = json.loads(listed.stdout)
    rows = told["rules"] if isinstance(told, dict) else told
    assert {row["code"] for row in rows} == codes


def test_installed_wheel_checks_a_story_without_torch(installed: Path, tmp_path: Path) -> None:
    from adaptlint.testing.demo import tell

    story = tell(str(ROOT / "fixtures" / "stories" / "pruned-adapter"), str(tmp_path))
    page = tmp_path / "report.html"
    done = inside(installed, "check", story.model, story.adapter, "--format", "json", "--output", str(page))
    assert done.returncode == 1, done.stderr
    assert "AL303" in page.read_text(encoding="utf-8")
    assert json.loads(done.stdout)["verdicts"][0]["outcome"] == "fails"
