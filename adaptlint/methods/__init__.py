"""What each adapter method is made of: tensors, their shapes in named sizes, and the layers that carry them."""

from adaptlint.methods.method import Check, Method, TensorSpec, has_method, load_method

__all__ = ["Check", "Method", "TensorSpec", "has_method", "load_method"]
