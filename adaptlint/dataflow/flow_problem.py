"""That there is no graph of a forward, apart from what looks for one: a warm check names it and imports no more."""

from __future__ import annotations


class FlowProblem(Exception):
    """There is no graph; the text is one sentence for a reader."""
