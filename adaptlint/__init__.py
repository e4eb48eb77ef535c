"""Says before any GPU run what a runtime will do with an adapter: load, fail, or be silently wrong."""

from __future__ import annotations

from adaptlint.hints import TYPE_CHECKING

if TYPE_CHECKING:
    from adaptlint.dataflow.flow import Flow, flow
    from adaptlint.engine import check
    from adaptlint.engine.live import check_live
    from adaptlint.findings import Finding, Report

__version__ = "0.1.0"
__all__ = ["Finding", "Flow", "Report", "__version__", "check", "check_live", "flow"]

_HOMES = {
    "Finding": "adaptlint.findings",
    "Flow": "adaptlint.dataflow.flow",
    "Report": "adaptlint.findings",
    "check": "adaptlint.engine",
    "check_live": "adaptlint.engine.live",
    "flow": "adaptlint.dataflow.flow",
}


def __getattr__(name: str) -> object:
    """Names of the face are imported on first use, so that `import adaptlint` costs nothing."""
    if name in _HOMES:
        from importlib import import_module

        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'adaptlint' has no attribute {name!r}")
