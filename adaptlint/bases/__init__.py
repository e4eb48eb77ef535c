"""The base model's modules and parameter shapes, from the first source that has them."""

from adaptlint.bases.base import Base, BaseProblem, Overlay
from adaptlint.bases.lock import write_lock
from adaptlint.bases.module import Module
from adaptlint.bases.source import load_base
from adaptlint.bases.versions import installed_versions

__all__ = ["Base", "BaseProblem", "Module", "Overlay", "installed_versions", "load_base", "write_lock"]
