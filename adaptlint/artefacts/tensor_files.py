"""Files that hold tensors, whichever container: what they declare, without their data."""

from __future__ import annotations

import os

from adaptlint.artefacts.documents import Document, read_json
from adaptlint.artefacts.opening import open_regular, read_at
from adaptlint.artefacts.positions import Positions
from adaptlint.artefacts.safetensors_header import METADATA, Header, read_header
from adaptlint.artefacts.words import LIMITS, Malformed, TensorRow, refusal, short
from adaptlint.findings import Place, Route

INDEX_SUFFIX = ".index.json"
TORCH_NAMES = (".bin", ".pt", ".pth", ".ckpt")


class TensorFile:
    """A safetensors header, several joined by an index, or a statically read torch checkpoint.

    container   "safetensors", "sharded-safetensors", "torch-zip" or "torch-legacy"
    tensors     name -> row, in file order; of repeated names the last, as the library has it
    metadata    `__metadata__` of a safetensors header
    duplicates  names that stand more than once
    others      keys of a torch checkpoint that hold no tensor
    data_start  the byte of the file that the rows' offsets count from
    parts       the shards of a sharded file, in the index's order
    turned      tensors of a torch checkpoint whose bytes lie in another order of axes than their shape says
    """

    __slots__ = (
        "_header",
        "_homes",
        "_positions",
        "container",
        "data_start",
        "duplicates",
        "metadata",
        "others",
        "parts",
        "path",
        "tensors",
        "turned",
    )

    def __init__(
        self,
        path: str,
        container: str,
        tensors: dict[str, TensorRow],
        metadata: dict[str, str] | None = None,
        duplicates: tuple[str, ...] = (),
        others: tuple[str, ...] = (),
        data_start: int = 0,
        header: bytes = b"",
        parts: tuple[TensorFile, ...] = (),
        homes: dict[str, TensorFile] | None = None,
        turned: frozenset[str] = frozenset(),
    ) -> None:
        self.path, self.container, self.tensors = path, container, tensors
        self.metadata: dict[str, str] = metadata or {}
        self.duplicates, self.others, self.data_start, self.parts = duplicates, others, data_start, parts
        self._header, self._homes = header, homes or {}
        self.turned = turned
        self._positions: Positions | None = None

    def home(self, name: str) -> TensorFile:
        """The file that holds the tensor `name`: a shard, else this one."""
        return self._homes.get(name, self)

    def place(self, route: Route) -> Place | None:
        """Line and column within the header's JSON, and bytes of the file, of the entry at `route`.

        Routes are `(tensor,)`, `("__metadata__", key)` and what lies inside an entry. None where the container has
        no header; for a sharded file the place is in `home(tensor)`.
        """
        found = self._find(route)
        if found is None:
            return None
        positions, start, end = found
        return positions.place(start, end)

    def excerpt(self, route: Route) -> str:
        """The entry's own JSON text, on one line, cut to 160 characters."""
        found = self._find(route)
        if found is not None:
            return found[0].cut(found[1], found[2])
        row = self.tensors.get(str(route[0])) if len(route) == 1 else None
        return "" if row is None else short(f"{route[0]}: {row.dtype} {list(row.shape)}")

    def _find(self, route: Route) -> tuple[Positions, int, int] | None:
        if not route:
            return None
        home = self.home(str(route[0]))
        if not home._header:
            return None
        if home._positions is None:
            home._positions = Positions(home._header.decode(), 8)
        span = home._positions.find(route)
        return None if span is None else (home._positions, span.key_start, span.value_end)


def read_tensors(path: str) -> TensorFile | Malformed:
    """The tensor file at `path`: by its name as the libraries choose (.safetensors, .bin ...), else by first bytes."""
    if path.endswith(INDEX_SUFFIX):
        return read_sharded(path)
    if path.endswith(".safetensors"):
        return read_safetensors(path)
    if not path.endswith(TORCH_NAMES):
        descriptor = open_regular(path)
        if isinstance(descriptor, Malformed):
            return descriptor
        head = read_at(descriptor, 0, 9)
        os.close(descriptor)
        if head[8:9] == b"{":
            return read_safetensors(path)
    from adaptlint.artefacts.torch_checkpoint import read_checkpoint

    return read_checkpoint(path)


def read_safetensors(path: str) -> TensorFile | Malformed:
    """One safetensors file; only its header is read."""
    header = read_header(path)
    if not isinstance(header, Header):
        return header
    return TensorFile(
        path,
        "safetensors",
        header.rows,
        header.metadata,
        header.duplicates,
        data_start=header.data_start,
        header=header.raw,
    )


def read_sharded(path: str, names: frozenset[str] | None = None) -> TensorFile | Malformed:
    """The shards that an index (`{"weight_map": {tensor: file}}`) names, joined.

    `names` are the files that may be opened; without it, what lies beside the index. A shard's name with a folder
    in it is refused: an index has no business elsewhere.
    """
    index = read_json(path)
    if not isinstance(index, Document):
        return index
    weight_map = index.value.get("weight_map") if isinstance(index.value, dict) else None
    if not isinstance(weight_map, dict) or not all(type(shard) is str for shard in weight_map.values()):
        return refusal(path, "index-without-weight-map")
    shards = tuple(dict.fromkeys(weight_map.values()))
    if len(shards) > LIMITS.shards:
        return refusal(path, "too-many-shards", shards=len(shards), limit=LIMITS.shards)
    parts: dict[str, TensorFile] = {}
    for shard in shards:
        if os.path.basename(shard) != shard or shard in ("", ".", ".."):
            return refusal(path, "shard-outside-folder", shard=short(shard))
        beside = os.path.join(os.path.dirname(path), shard)
        part = refusal(beside, "missing-file") if names is not None and shard not in names else read_tensors(beside)
        if isinstance(part, Malformed):
            return part
        parts[shard] = part
    return joined(path, weight_map, parts)


def joined(path: str, weight_map: dict[str, str], parts: dict[str, TensorFile]) -> TensorFile | Malformed:
    """Shards as one file. Tensors that no index entry names stay out, as the loaders leave them."""
    for name, shard in weight_map.items():
        if name not in parts[shard].tensors:
            return refusal(path, "shard-lacks-tensor", tensor=short(name), shard=short(shard))
    return TensorFile(
        path,
        "sharded-safetensors",
        {name: parts[shard].tensors[name] for name, shard in weight_map.items()},
        {key: value for part in parts.values() for key, value in part.metadata.items()},
        parts=tuple(parts.values()),
        homes={name: parts[shard] for name, shard in weight_map.items()},
    )


__all__ = ["METADATA", "TensorFile", "read_safetensors", "read_sharded", "read_tensors"]
