"""The base model's modules and parameter shapes, from the first source that has them."""

from adaptlint.bases.base import Base, BaseProblem, Overlay
from adaptlint.bases.module import Module
from adaptlint.bases.source import load_base
from adaptlint.bases.transforms import Transform, rename_key, split_transforms
from adaptlint.bases.versions import installed_versions

__all__ = [
    "Base",
    "BaseProblem",
    "Module",
    "Overlay",
    "Transform",
    "installed_versions",
    "load_base",
    "rename_key",
    "split_transforms",
    "write_lock",
]


def write_lock(base: Base, path: str) -> None:
    """Write the base's shape lock to `path`, whole or not at all; equal bases give equal bytes. Raises OSError."""
    from adaptlint.bases.lock import lock_text
    from adaptlint.tables import write_atomic

    write_atomic(path, lock_text(base).encode("utf-8", "surrogatepass"))
