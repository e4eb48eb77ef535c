"""What stands for tensors, storages and calls while a torch pickle is read without being executed."""

from __future__ import annotations

from functools import cache

from adaptlint.artefacts.torch_archive import CheckpointError
from adaptlint.artefacts.torch_globals import BYTES, DTYPES, STORAGES
from adaptlint.artefacts.words import BITS
from adaptlint.findings import Fact
from adaptlint.hints import Any
from adaptlint.named_tuple import NamedTuple

REBUILD = "torch._utils._rebuild_"


class Global(NamedTuple):
    """A name that the pickle mentions and torch takes."""

    path: str


class Storage(NamedTuple):
    """Bytes that tensors share: their dtype, key in the file, elements, and the element at which a view begins."""

    dtype: str
    key: str
    elements: int
    first: int = 0
    bound: int = -1  # bytes that it can never outgrow; -1 where torch may grow it


class Tensor(NamedTuple):
    """A tensor as its rebuild call describes it; offset and strides in elements; no storage for a meta tensor."""

    dtype: str
    shape: tuple[int, ...]
    storage: Storage | None = None
    offset: int = 0
    strides: tuple[int, ...] = ()


class Thing(NamedTuple):
    """The result of an allowed call that makes no tensor we know."""

    path: str


class Ordered(dict[Any, Any]):
    """An OrderedDict or Counter, which torch lets a pickle fill and build; a plain dict it only fills."""


def beyond(what: str) -> CheckpointError:
    """A pickle that this reader does not follow; what torch does with it is not known here."""
    return CheckpointError("pickle-not-understood", None, what=what[:160])


def called(path: str, args: Any) -> Any:
    """What an allowed function makes of `args`."""
    if type(args) is not tuple:
        raise beyond(f"arguments of {path}")
    if path.startswith(REBUILD) or path == "torch.nn.parameter.Parameter":
        return rebuilt(path.rpartition(".")[2], args)
    if path in ("collections.OrderedDict", "collections.Counter"):
        if args and not (path.endswith("Dict") and type(args[0]) is list):
            raise beyond(path)
        made = Ordered()
        for pair in args[0] if args else ():
            if type(pair) not in (list, tuple) or len(pair) != 2:
                raise beyond(path)
            put(made, pair[0], pair[1])
        return made
    if path == "torch.Size":
        return tuple(args[0]) if args and type(args[0]) in (list, tuple) else ()
    if path == "torch._tensor._rebuild_from_type_v2" and len(args) == 4 and isinstance(args[0], Global):
        return called(args[0].path, args[1])
    return Thing(path)


def rebuilt(function: str, args: tuple[Any, ...]) -> Any:
    """The tensor that one of torch's rebuild functions makes."""
    arity = ARITY.get(function)
    if arity is not None:
        if len(args) not in arity:
            raise beyond(function)
        storage, offset, shape, strides = args[:4]
        if not isinstance(storage, Storage) or type(offset) is not int or not (sizes(shape) and sizes(strides)):
            raise beyond(function)
        dtype = storage.dtype
        if function == "_rebuild_tensor_v3":
            dtype = dtype_of(args[6]) if len(args) > 6 else ""
        if not dtype or len(shape) != len(strides) or offset < 0:
            raise beyond(function)
        tensor = Tensor(dtype, tuple(shape), storage, offset, tuple(strides))
        needs = bytes_needed(tensor)
        if 0 <= storage.bound < needs:
            message = "Trying to resize storage that is not resizable"
            facts: dict[str, Fact] = {"size": storage.bound, "needs": needs, "shape": list(shape)}
            raise CheckpointError("torch-storage-too-small", "RuntimeError", message, **facts)
        return tensor
    if function in ("_rebuild_parameter", "_rebuild_parameter_with_state", "Parameter") and args:
        return args[0]
    if function == "_rebuild_meta_tensor_no_storage" and len(args) == 4 and sizes(args[1]):
        return Tensor(dtype_of(args[0]), tuple(args[1]))
    if function == "_rebuild_device_tensor_from_cpu_tensor" and args and isinstance(args[0], Tensor):
        return args[0]
    return Thing(function)


ARITY = {"_rebuild_tensor": (4,), "_rebuild_tensor_v2": (6, 7), "_rebuild_tensor_v3": (7, 8)}
"""How many arguments torch's functions take."""


@cache
def width(dtype: str) -> int:
    """Bytes per element of one of our few dtypes."""
    return BYTES.get(dtype) or max(BITS.get(dtype, 8) // 8, 1)


def bytes_needed(tensor: Tensor) -> int:
    """Bytes from the storage's beginning to the end of the tensor's last element; 0 for an empty one."""
    if tensor.storage is None or 0 in tensor.shape:
        return 0
    last = tensor.offset
    for dim, stride in zip(tensor.shape, tensor.strides, strict=True):
        last += (dim - 1) * stride
    return (last + 1) * width(tensor.dtype)


def dense(tensor: Tensor) -> bool:
    """True if the elements lie side by side without gap or repetition."""
    step = 1
    for stride, dim in sorted(
        (stride, dim) for stride, dim in zip(tensor.strides, tensor.shape, strict=True) if dim != 1
    ):
        if stride != step:
            return False
        step *= dim
    return True


def row_major(tensor: Tensor) -> bool:
    """True if the last axis runs fastest, as it does in a safetensors file; a tensor without storage has no strides."""
    shape, strides = tensor.shape, tensor.strides
    step = 1
    for axis in range(len(strides) - 1, -1, -1):
        dim = shape[axis]
        if dim != 1 and strides[axis] != step and 0 not in shape:
            return False
        step *= dim
    return True


def sizes(value: object) -> bool:
    """True for a sequence of non-negative integers."""
    if not isinstance(value, (list, tuple)):
        return False
    for item in value:  # noqa: SIM110 (asked twice of every tensor, of which a generator would make half the cost)
        if type(item) is not int or item < 0:
            return False
    return True


def dtype_of(value: object) -> str:
    """The spelling of a torch dtype's name; "" if it is none."""
    return DTYPES.get(value.path.removeprefix("torch."), "") if isinstance(value, Global) else ""


def put(target: Any, key: Any, value: Any) -> None:
    """`target[key] = value`; nested keys are not followed, because hashing one can take forever."""
    if isinstance(key, tuple):
        raise beyond("a key that is not a string")
    target[key] = value


def storage_dtype(value: object) -> str:
    """Element dtype of the storage class in a persistent id."""
    if isinstance(value, Global) and value.path in STORAGES:
        return STORAGES[value.path]
    raise beyond("storage of a class that has no dtype")
