"""The names that a pickle may use under `torch.load(weights_only=True)`, torch 2.13, and what they stand for here."""

from __future__ import annotations

DTYPES = {
    "float64": "F64",
    "float32": "F32",
    "float16": "F16",
    "bfloat16": "BF16",
    "int64": "I64",
    "int32": "I32",
    "int16": "I16",
    "int8": "I8",
    "uint8": "U8",
    "bool": "BOOL",
    "complex128": "C128",
    "complex64": "C64",
    "complex32": "C32",
    "uint16": "U16",
    "uint32": "U32",
    "uint64": "U64",
    "float8_e4m3fn": "F8_E4M3",
    "float8_e5m2": "F8_E5M2",
    "float8_e4m3fnuz": "F8_E4M3FNUZ",
    "float8_e5m2fnuz": "F8_E5M2FNUZ",
    "float8_e8m0fnu": "F8_E8M0",
    "float4_e2m1fn_x2": "F4",
    "qint8": "QI8",
    "qint32": "QI32",
    "quint8": "QU8",
    "quint4x2": "QU4X2",
    "quint2x4": "QU2X4",
    "bits8": "BITS8",
    "bits16": "BITS16",
    "bits1x8": "BITS1X8",
    "bits2x4": "BITS2X4",
    "bits4x2": "BITS4X2",
    **{f"{sign}int{bits}": f"{sign[:1].upper()}{'I' * (not sign)}{bits}" for sign in ("", "u") for bits in range(1, 8)},
}
"""torch dtype -> spelling in rows: safetensors' own where it has one."""

_STORAGES = {
    "Double": "F64",
    "Float": "F32",
    "Half": "F16",
    "Long": "I64",
    "Int": "I32",
    "Short": "I16",
    "Char": "I8",
    "Byte": "U8",
    "Bool": "BOOL",
    "BFloat16": "BF16",
    "ComplexDouble": "C128",
    "ComplexFloat": "C64",
}
STORAGES = {
    **{f"torch.{home}{name}Storage": dtype for name, dtype in _STORAGES.items() for home in ("", "cuda.")},
    "torch.QInt8Storage": "QI8",
    "torch.QInt32Storage": "QI32",
    "torch.QUInt8Storage": "QU8",
    "torch.QUInt4x2Storage": "QU4X2",
    "torch.QUInt2x4Storage": "QU2X4",
    "torch.storage.UntypedStorage": "U8",
}
"""Storage class -> dtype of its elements."""

BYTES = {"C128": 16, "C32": 4, "QI8": 1, "QU8": 1, "QI32": 4, "QU4X2": 1, "QU2X4": 1, "BITS16": 2}
"""Bytes per element where safetensors has no such dtype; what is in neither table takes one byte."""

_TENSORS = ("BFloat16", "Byte", "Char", "Double", "Float", "Half", "Int", "Long", "Short")
ALLOWED = frozenset(
    [
        "_codecs.encode",
        "builtins.bytearray",
        "builtins.complex",
        "builtins.set",
        "collections.Counter",
        "collections.OrderedDict",
        "torch.Size",
        "torch.Tensor",
        "torch._tensor._rebuild_from_type_v2",
        "torch.device",
        "torch.nn.parameter.Parameter",
        "torch.per_channel_affine",
        "torch.per_channel_affine_float_qparams",
        "torch.per_channel_symmetric",
        "torch.per_tensor_affine",
        "torch.per_tensor_symmetric",
        "torch.serialization._get_layout",
        "torch.storage.TypedStorage",
        "torch.BoolTensor",
        "torch.cuda.BoolTensor",
        *STORAGES,
        *(f"torch.{dtype}" for dtype in DTYPES),
        *(f"torch.{home}{name}Tensor" for name in _TENSORS for home in ("", "cuda.", "sparse.", "cuda.sparse.")),
        *(
            f"torch._utils._rebuild_{what}"
            for what in (
                "device_tensor_from_cpu_tensor",
                "device_tensor_from_numpy",
                "meta_tensor_no_storage",
                "nested_tensor",
                "parameter",
                "parameter_with_state",
                "qtensor",
                "sparse_tensor",
                "tensor",
                "tensor_v2",
                "tensor_v3",
                "wrapper_subclass",
            )
        ),
    ]
)
"""Names that torch takes by default. Everything else makes the load fail before anything of it runs."""

BLOCKED = ("sys", "os", "posix", "nt")

NESTED = (
    "torch.nested._internal.nested_tensor.NestedTensor",
    "torch.nested._internal.nested_tensor._rebuild_njt",
    "torch._dynamo.decorators._DimRange",
)
DISTRIBUTED = (
    "torch.distributed.device_mesh.DeviceMesh",
    "torch.distributed.tensor._dtensor_spec.DTensorSpec",
    "torch.distributed.tensor._dtensor_spec.TensorMeta",
    "torch.distributed.tensor.DTensor",
    "torch.distributed.tensor.placement_types.Partial",
    "torch.distributed.tensor.placement_types.Replicate",
    "torch.distributed.tensor.placement_types.Shard",
)

RENAMED_MODULES = {
    "__builtin__": "builtins",
    "copy_reg": "copyreg",
    "Queue": "queue",
    "repr": "reprlib",
    "_abcoll": "collections.abc",
    "UserDict": "collections",
    "UserList": "collections",
    "UserString": "collections",
    "whichdb": "dbm",
    "StringIO": "io",
    "cStringIO": "io",
}
RENAMED = {
    "__builtin__.xrange": "builtins.range",
    "__builtin__.reduce": "functools.reduce",
    "__builtin__.intern": "sys.intern",
    "__builtin__.unichr": "builtins.chr",
    "__builtin__.unicode": "builtins.str",
    "__builtin__.long": "builtins.int",
    "__builtin__.basestring": "builtins.str",
    "itertools.izip": "builtins.zip",
    "itertools.imap": "builtins.map",
    "itertools.ifilter": "builtins.filter",
    "itertools.ifilterfalse": "itertools.filterfalse",
    "itertools.izip_longest": "itertools.zip_longest",
    "UserDict.IterableUserDict": "collections.UserDict",
    "UserList.UserList": "collections.UserList",
    "UserString.UserString": "collections.UserString",
    "UserDict.UserDict": "collections.UserDict",
    "exceptions.StandardError": "builtins.Exception",
}
"""Python 2 names, which torch translates first."""


def refused_global(module: str, name: str) -> str:
    """torch's message for a global that it does not take; "" for one that it takes."""
    path = f"{module}.{name}"
    if module in BLOCKED:
        return f"Trying to load unsupported GLOBAL {path} whose module {module} is blocked."
    if path in ALLOWED:
        return ""
    if path in NESTED:
        return "must be imported to load nested jagged tensors (NJTs)"
    if path in DISTRIBUTED:
        return "must be imported to load DTensors"
    shown = path.removeprefix("builtins").removeprefix(".") if path.startswith("builtins.") else path
    return f"GLOBAL {shown} was not an allowed global by default"


def translated(module: str, name: str) -> tuple[str, str]:
    """A Python 2 name as Python 3 has it."""
    renamed = RENAMED.get(f"{module}.{name}")
    if renamed is not None:
        module, _, name = renamed.rpartition(".")
        return module, name
    return RENAMED_MODULES.get(module, module), name
