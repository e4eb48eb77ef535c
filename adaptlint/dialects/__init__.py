"""What a folder is if it is no adapter of PEFT: another library's files, misplaced ones, tensors that are no LoRA.

Rooms above import it only where an adapter is strange: a healthy one costs nothing here.
"""

from adaptlint.dialects.explaining import explain

__all__ = ["explain"]
