"""From a wish to a repaired copy, or to the reason why there is none."""

from __future__ import annotations

import os
import shutil

from adaptlint import tables
from adaptlint.artefacts import Malformed, open_folder
from adaptlint.bases import Base, BaseProblem
from adaptlint.drafts.draft import Draft
from adaptlint.drafts.words import RepairError
from adaptlint.engine.checking import base_for
from adaptlint.findings import Report
from adaptlint.graph import Adapter
from adaptlint.named_tuple import NamedTuple
from adaptlint.repair.keeping import Marks, beside, keep_new, marks_of, swap_in
from adaptlint.repair.planning import Plan, plan_for
from adaptlint.repair.proving import prove
from adaptlint.repair.situation import NAME, Question
from adaptlint.repair.writing import write_copy

NEVER = "repair/never.toml"
NAMED_BASE = "base_model_name_or_path"


class Wish(NamedTuple):
    """What is asked for. `output`: the new folder; `in_place`: the old one's place; neither of them: no writing."""

    adapter: str
    model: str | None = None
    targets: tuple[str, ...] = ("peft",)
    transformers: str | None = None
    unsafe: bool = False
    in_place: bool = False
    output: str | None = None
    offline: bool = True
    cache: bool = True


class Outcome(NamedTuple):
    """What came of it.

    `kept`: where the repaired adapter stands, "" if none was written; `backup`: where the old one stands, if it had
    to make room; `problem`: why a plan was not carried out; `left_out`: what is in no copy (links that lead elsewhere,
    devices); `held`: tensors whose bytes were held against the original; `checked`: the check of the copy.
    """

    plan: Plan
    model: str
    kept: str = ""
    backup: str = ""
    problem: str = ""
    left_out: tuple[str, ...] = ()
    held: int = 0
    checked: Report | None = None
    leftover: str = ""

    @property
    def report(self) -> Report:
        """The check of the adapter as it is now, or as it would be."""
        return self.checked or self.plan.after

    @property
    def never(self) -> tuple[tuple[str, str], ...]:
        """Findings that stay, by code, with the reason why no repair of them is ever made by itself."""
        codes = dict.fromkeys(finding.code for finding in self.report.findings)
        reasons = {code: row["because"] for row in tables.load()[NEVER]["never"] for code in row["codes"]}
        return tuple((code, reasons[code]) for code in codes if code in reasons)


def repair(wish: Wish) -> Outcome | Malformed:
    """Plan the repairs of an adapter and, if a place is given, write and prove them.

    Malformed where there is no folder. Raises RepairError where the copy cannot stand where it is wanted.
    """
    marks = marks_of(wish.adapter) if wish.in_place else {}
    folder = open_folder(wish.adapter)
    if isinstance(folder, Malformed):
        return folder
    question = question_of(wish)
    plan = plan_for(Draft(folder), question, wish.unsafe)
    done = Outcome(plan, question.model)
    place = wish.adapter if wish.in_place else wish.output
    if not plan.steps or place is None:
        return done
    refuse_place(wish)
    return _carried_out(done, question, os.path.abspath(place), marks if wish.in_place else None)


def _carried_out(done: Outcome, question: Question, place: str, marks: Marks | None) -> Outcome:
    """Write the copy, prove it, and let it stand at `place`; with the `marks` of an old folder there, in its place."""
    part = beside(place, "adaptlint")
    try:
        os.mkdir(part)
        ours = os.stat(part).st_ino
    except OSError as error:
        return done._replace(problem=f"nothing can be written beside {place}: {error.strerror}")
    try:
        left = write_copy(done.plan.draft, part)
        held, report = prove(done.plan, question, part)
        done = done._replace(held=held, checked=report, left_out=tuple(left))
        if marks is None:
            keep_new(part, place)
            return done._replace(kept=place)
        backup, leftover = swap_in(part, place, marks)
        return done._replace(kept=place, backup=backup, leftover=leftover)
    except RepairError as problem:
        return done._replace(problem=str(problem))
    except OSError as error:
        return done._replace(problem=f"the copy cannot be written: {error.strerror or error}")
    finally:
        if os.path.lexists(part) and os.stat(part).st_ino == ours:  # an unfinished copy; after a swap it is not ours
            shutil.rmtree(part, ignore_errors=True)


def question_of(wish: Wish) -> Question:
    """The base and the targets; without a base, the one that the config names, if it is at hand."""
    given = (Adapter(NAME, os.path.abspath(wish.adapter)),)
    model = wish.model
    if model is None:
        named = given[0].given.get(NAMED_BASE)
        model = named if isinstance(named, str) else ""
    base: Base | BaseProblem = BaseProblem("base-not-found", {"ref": "nothing"})
    if model:
        base = base_for(model, None, None, given, wish.offline, wish.cache)
    return Question(model, base, wish.targets, wish.transformers)


def refuse_place(wish: Wish) -> None:
    """Raise RepairError where a copy must not or cannot stand."""
    here = os.path.realpath(wish.adapter)
    if wish.in_place:
        _refuse_links(wish.adapter)
    if wish.output is None:
        return
    place = os.path.abspath(wish.output)
    parent = os.path.dirname(place)
    if os.path.lexists(place):
        raise RepairError(f"{wish.output} exists already; name a folder that does not")
    if not os.path.isdir(parent):
        raise RepairError(f"{wish.output}: the folder that it should lie in does not exist")
    if (os.path.realpath(parent) + os.sep).startswith(here + os.sep):
        raise RepairError(f"{wish.output} lies in {wish.adapter}, which is left alone")


def _refuse_links(adapter: str) -> None:
    """A folder of links (a snapshot of a hub cache) shares its files with others."""
    if os.path.islink(adapter.rstrip(os.sep)):
        raise RepairError(f"{adapter} is a link; name the folder that it leads to, or use --output")
    for root, folders, files in os.walk(adapter):
        for name in (*folders, *files):
            path = os.path.join(root, name)
            if os.path.islink(path) or not (os.path.isfile(path) or os.path.isdir(path)):
                raise RepairError(f"{path} is a link or no file; such a folder is not repaired in place, use --output")
