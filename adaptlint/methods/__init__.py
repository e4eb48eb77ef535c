"""What each adapter method is made of: tensors, their shapes in named sizes, and the layers that carry them."""

from adaptlint.methods.method import Method, TensorSpec, load_method

__all__ = ["Method", "TensorSpec", "load_method"]
