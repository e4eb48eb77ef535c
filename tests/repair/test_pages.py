"""Examples of the rule pages, repaired: nothing gets worse, promises are kept, a second repair finds nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from adaptlint.repair import Outcome, Wish, repair
from adaptlint.repair.situation import worse
from adaptlint.testing import Recipe, build, read_recipe
from tests.generated import is_proved
from tests.repair.cases import files_of
from tests.test_rules import BASES, EXAMPLES, TARGET, TRANSFORMERS, target_of


def plain(recipe: Recipe) -> bool:
    """One PEFT adapter without conditions on a base that needs no build."""
    strange = recipe.hub or recipe.others or recipe.without or recipe.adapter or recipe.beside
    return not strange and not recipe.check.keys() - {"targets", "transformers"} and is_proved(recipe)


PLAIN = [row for row in EXAMPLES if plain(read_recipe(row.values[1]))]
LOUD = [row for row in PLAIN if "bad" in str(row.id)]


def repaired(recipe: Recipe, folder: Path, unsafe: bool) -> tuple[Outcome, str]:
    built = build(recipe, str(folder), str(BASES))
    before = files_of(built.adapter)
    target = target_of(recipe) if "targets" in recipe.check else TARGET
    release = recipe.check.get("transformers", TRANSFORMERS)
    outcome = repair(Wish(built.adapter, built.model, (target,), release, unsafe, output=str(folder / "fixed")))
    assert isinstance(outcome, Outcome)
    assert files_of(built.adapter) == before
    again = repair(Wish(outcome.kept, built.model, (target,), release, unsafe)) if outcome.kept else outcome
    assert isinstance(again, Outcome)
    assert not outcome.kept or again.plan.steps == ()
    return outcome, built.model


@pytest.mark.parametrize(("page", "text"), LOUD[::3])
def test_nothing_gets_worse(page: Path, text: str, tmp_path: Path) -> None:
    outcome, _ = repaired(read_recipe(text), tmp_path, unsafe=True)
    assert outcome.problem == ""
    assert bool(outcome.kept) == bool(outcome.plan.steps) == (tmp_path / "fixed").exists()
    assert worse(outcome.plan.before, outcome.report) == ""
    told = {finding.code for finding in outcome.plan.before.findings if finding.fix}
    assert {code for step in outcome.plan.steps if step.safety == "safe" for code in step.about} <= told


PROMISING = [row for row in PLAIN if "\nfix = " in row.values[0].read_text(encoding="utf-8")]


@pytest.mark.parametrize(("page", "text"), PROMISING)
@pytest.mark.parametrize("unsafe", [False, True])
def test_what_a_finding_promises_is_kept(page: Path, text: str, unsafe: bool, tmp_path: Path) -> None:
    outcome, _ = repaired(read_recipe(text), tmp_path, unsafe)
    promised: dict[str, Any] = {f.code: f.fix for f in outcome.plan.before.findings if f.fix}
    kept = {code for code, fix in promised.items() if fix[0] == "safe" or (unsafe and fix[0] == "unsafe")}
    assert not kept & {finding.code for finding in outcome.report.findings}


def test_some_examples_promise_something() -> None:
    assert {row.values[0].name[:5] for row in PROMISING} == {
        "AL004",
        "AL013",
        "AL014",
        "AL015",
        "AL022",
        "AL023",
        "AL102",
        "AL106",
        "AL107",
        "AL114",
        "AL120",
        "AL140",
        "AL201",
        "AL202",
        "AL203",
    }
