"""What each adapter method is made of: tensors, their shapes in named sizes, and the layers that carry them."""

from adaptlint.methods.method import PEFT_PREFIX, Check, Method, TensorSpec, has_method, load_method

__all__ = ["PEFT_PREFIX", "Check", "Method", "TensorSpec", "has_method", "load_method"]
