"""The attention backend that the base is loaded with: whether its class takes it (transformers 5.23, modeling_utils).

Flash attention is judged for a machine that has its kernels; whether they are installed where the check runs is told
beside the verdict.
"""

from __future__ import annotations

from collections.abc import Iterator

from adaptlint.bases import Base, installed_versions
from adaptlint.findings import Fact, Fault, Where
from adaptlint.runtimes.peft.refusal import NotModelled, Refusal
from adaptlint.runtimes.peft.release import Release, parse_version
from adaptlint.runtimes.prediction import Request

FLASH = "flash_attention_2"
# What PreTrainedModel says in _sdpa_can_dispatch, _flash_attn_can_dispatch and _flex_attn_can_dispatch.
SAYS = {
    "sdpa": "does not support an attention implementation through torch.nn.functional.scaled_dot_product_attention yet",
    FLASH: "does not support Flash Attention 2",
    "flex_attention": "does not support an attention implementation through torch's flex_attention",
}
STRICT = "StrictDataclassClassValidationError"  # huggingface_hub's, around what a config's own validation raises
KERNELS = ("flash_attn", "kernels")


def check_backend(base: Base, release: Release, request: Request) -> None:
    """Refusal for what the load of the base itself raises, NotModelled where that cannot be told."""
    backend = request.attn
    if backend is None:
        return
    if release.transformers < (5,) and backend != "eager":
        raise _unclear(base, f"attention backends of transformers {'.'.join(map(str, release.transformers))}")
    _check_attentions(base, backend)
    if backend == "eager":
        return
    supported = base.features.get("attention")
    described = parse_version(base.made_with.get("transformers", ""))
    if supported is None or described[:1] != release.transformers[:1]:
        raise _unclear(base, f"the backends that {base.model_class or 'the class of this base'} supports")
    kernels = base.features.get("flash_kernels", ())
    if backend == FLASH and kernels and FLASH not in kernels:
        raise _unclear(base, f"{kernels[0]}, which transformers takes for flash attention with this class")
    if backend in supported:
        return
    refusing = base.features.get("attention_refused_by", {}).get(backend, base.model_class)
    facts: dict[str, Fact] = {"backend": backend, "class": refusing, "supported": list(supported)}
    raise Refusal("ValueError", f"{refusing} {SAYS[backend]}", "backend-not-supported", at=Where(base.ref), facts=facts)


def _check_attentions(base: Base, backend: str) -> None:
    """`validate_output_attentions` of the config: only eager attention returns its weights."""
    if backend == "eager" or base.config.get("output_attentions") is not True:
        return
    match = f"The `output_attentions` attribute is not supported when using the `attn_implementation` set to {backend}."
    at = Where(base.config_file.path, ("output_attentions",)) if base.config_file else Where(base.ref)
    facts: dict[str, Fact] = {"backend": backend}
    raise Refusal(STRICT, match, "attention-weights-asked-for", at=at, facts=facts)


def kernel_notes(base: Base, request: Request) -> Iterator[Fault]:
    """Flash attention where none of the packages that bring its kernels is installed."""
    if request.attn == FLASH and not installed_versions(KERNELS):
        yield Fault("kernel-not-installed", at=Where(base.ref), facts={"backend": FLASH})


def _unclear(base: Base, problem: str) -> NotModelled:
    return NotModelled("backend-not-modelled", at=Where(base.ref), facts={"problem": problem})
