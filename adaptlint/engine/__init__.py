"""The only place where rules meet scenes."""

from adaptlint.engine.checking import check

__all__ = ["check"]
