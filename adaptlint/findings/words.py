"""Where something stands, what is at fault there, and what is said about it."""

from __future__ import annotations

from collections.abc import Mapping

from adaptlint.named_tuple import NamedTuple

SEVERITIES = ("error", "warning", "note")
CONSEQUENCES = ("load-fails", "silently-wrong", "degraded", "untidy")

Scalar = str | int | float | bool | None
Fact = Scalar | list[int] | list[str]
Route = tuple[str | int, ...]


class Where(NamedTuple):
    """A spot in a file: `route` walks the JSON keys and indexes down to it (a safetensors header is JSON too)."""

    file: str
    route: Route = ()


class Place(NamedTuple):
    """A `Where` made concrete: 1-based line and column, byte range [start_byte, end_byte) of the file."""

    line: int
    column: int
    start_byte: int
    end_byte: int


class Fault(NamedTuple):
    """One fact that is wrong, without prose: `reason` is the slug that a rule page claims."""

    reason: str
    adapter: str = ""
    module: str = ""
    at: Where | None = None
    facts: Mapping[str, Fact] = {}
    because: tuple[tuple[Where, str], ...] = ()
    target: str = ""
    decides: bool = False  # the verdict rests on it
    repair: str = ""  # "safe" or "unsafe" where `adaptlint fix` can undo it, as its page's `fix` says; "" where not


class Replay(NamedTuple):
    """What became of a prediction when the real library was run.

    `status` is not-run, confirmed, refuted or inconclusive; `observed` says what was seen, or why nothing was decided.
    """

    status: str = "not-run"
    device: str | None = None
    versions: Mapping[str, str] | None = None
    observed: str | None = None

    def to_dict(self) -> dict[str, object]:
        """The mark as the JSON report has it."""
        versions = None if self.versions is None else dict(self.versions)
        return {"status": self.status, "device": self.device, "versions": versions, "observed": self.observed}


class Finding(NamedTuple):
    """A fault in the voice of its rule page; field meanings as in docs/contract.md."""

    code: str
    name: str
    severity: str
    consequence: str
    message: str
    help: str
    adapter: str
    module: str
    targets: tuple[str, ...]
    where: Where | None
    place: Place | None
    because: tuple[tuple[Where, Place | None, str], ...]
    facts: Mapping[str, Fact]
    excerpt: str
    fingerprint: str
    decides: bool = False
    fix: tuple[str, str] | None = None  # (safe, unsafe or display, what `adaptlint fix` does or shows)
    replay: Replay = Replay()

    def to_dict(self) -> dict[str, object]:
        """The finding as the JSON report has it."""
        return {
            "code": self.code,
            "name": self.name,
            "severity": self.severity,
            "consequence": self.consequence,
            "message": self.message,
            "help": self.help,
            "adapter": self.adapter or None,
            "module": self.module or None,
            "targets": list(self.targets),
            "where": spot(self.where, self.place),
            "because": [{"where": spot(where, place), "note": note} for where, place, note in self.because],
            "facts": dict(self.facts),
            "excerpt": self.excerpt or None,
            "fix": None if self.fix is None else {"safety": self.fix[0], "summary": self.fix[1]},
            "fingerprint": self.fingerprint,
            "replay": self.replay.to_dict(),
        }


class Suppression(NamedTuple):
    """Why a finding is set aside: `by` is "ignore" or "baseline", `source` the file that says so."""

    by: str
    reason: str = ""
    expires: str = ""  # last day, as in 2030-12-31; "" for no end
    source: str = ""

    def to_dict(self) -> dict[str, object]:
        """The suppression as the JSON report has it."""
        return {
            "by": self.by,
            "reason": self.reason or None,
            "expires": self.expires or None,
            "source": self.source or None,
        }


class Suppressed(NamedTuple):
    """A finding that is counted and not told; the verdict may rest on it all the same."""

    finding: Finding
    suppression: Suppression

    def to_dict(self) -> dict[str, object]:
        """The finding as the JSON report has it, with its suppression."""
        return {**self.finding.to_dict(), "suppression": self.suppression.to_dict()}


def spot(where: Where | None, place: Place | None) -> dict[str, object] | None:
    """A `Where` and its `Place` as one JSON object; unknown positions are null."""
    if where is None:
        return None
    line, column, start, end = place or (None, None, None, None)
    return {
        "file": where.file,
        "route": list(where.route),
        "line": line,
        "column": column,
        "start_byte": start,
        "end_byte": end,
    }
