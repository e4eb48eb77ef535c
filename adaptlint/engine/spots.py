"""From `Where` to `Place`: positions are looked up only when a finding is made."""

from __future__ import annotations

from adaptlint.artefacts import Document, Folder, Malformed, TensorFile
from adaptlint.bases import Base
from adaptlint.findings import Place, Where
from adaptlint.graph import Scene


class Spots:
    """The opened files of a scene, by path."""

    __slots__ = ("scene",)

    def __init__(self, scene: Scene) -> None:
        self.scene = scene

    def file(self, path: str) -> Document | TensorFile | Malformed | None:
        """The opened file under this path, if the scene has one."""
        base = self.scene.base
        if isinstance(base, Base):
            for opened in (base.config_file, base.headers, base.header_problem):
                if opened is not None and opened.path == path:
                    return opened
        for adapter in self.scene.adapters:
            if isinstance(adapter.folder, Folder):
                for known in adapter.folder.opened():
                    if known.path == path:
                        return known
        return None

    def place(self, where: Where | None) -> Place | None:
        """Line, column and bytes of a spot, or None where the file has no such route."""
        if where is None:
            return None
        opened = self.file(where.file)
        if isinstance(opened, Malformed):
            return opened.place
        return opened.place(where.route) if opened is not None and where.route else None

    def excerpt(self, where: Where | None) -> str:
        """The source text at a spot, on one line."""
        if where is None:
            return ""
        opened = self.file(where.file)
        if isinstance(opened, Malformed):
            return opened.excerpt
        return opened.excerpt(where.route) if opened is not None and where.route else ""
