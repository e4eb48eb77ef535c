"""Arrow: `create_arrow_model` loads LoRA experts onto a base of its own and routes every token among them.

Source: PEFT 0.21.2, tuners/lora/arrow.py and ArrowLinearVariant (0.18.0 to 0.20.0 differ in words alone), run with
adapters of unlike ranks, layers and kinds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from adaptlint.findings import Fact, Fault
from adaptlint.hints import Any
from adaptlint.methods import load_method
from adaptlint.named_tuple import NamedTuple
from adaptlint.runtimes.adapters.composition import Block
from adaptlint.runtimes.peft.changed_base import INIT, rewriting_init
from adaptlint.runtimes.peft.extra_modules import extend_saved
from adaptlint.runtimes.peft.first_axes import FirstAxes
from adaptlint.runtimes.peft.injection import inject
from adaptlint.runtimes.peft.plan import Step
from adaptlint.runtimes.peft.refusal import NotModelled, Refusal
from adaptlint.runtimes.peft.run import Run
from adaptlint.runtimes.peft.settings import LORA, Settings
from adaptlint.runtimes.peft.variants import Routed
from adaptlint.runtimes.peft.wrapped import Shape, Site, Wrapped
from adaptlint.runtimes.prediction import Request

ROUTER = "arrow_router"
TOP_K = 3  # ArrowConfig's own
LINEAR = ("Linear", "Conv1D", "Conv1d")  # what ensure_adapters_target_linear_layers_only lets pass
NEUTRAL_INITS = (True, False, "gaussian", "eva", "orthogonal")  # the others change the base's weights, or were not read
UNREAD = ("alora_invocation_tokens", "monteclora_config", "use_bdlora", "velora_config", "layer_replication")
STACK = "stack expects each tensor to be equal size"


class Mixture(NamedTuple):
    """The experts of one Arrow model, those whose mean is subtracted from them, and how many a token is given."""

    experts: tuple[str, ...]
    general: tuple[str, ...]
    top_k: int

    @property
    def members(self) -> tuple[str, ...]:
        """Everyone, in the order of the loads."""
        return (*self.experts, *self.general)

    def called(self, member: str) -> str:
        """The name that PEFT loads a member under, which its errors have."""
        known = [*(f"task_{n}" for n in range(len(self.experts))), *(f"gks_{n}" for n in range(len(self.general)))]
        return known[self.members.index(member)]


def route(run: Run, block: Block, experts: Sequence[str], request: Request) -> list[Fault]:
    """What goes silently wrong in a forward of the Arrow model; Refusal where making it, or the forward, raises."""
    given = block.setting("general") or []
    general = tuple(given) if isinstance(given, list) else (given,)
    top_k = TOP_K if block.setting("top_k") is None else block.setting("top_k")
    mixture = Mixture(tuple(experts), general, top_k)
    _check_asked(run, block, mixture)
    made = Run(run.scene, run.wrapped.base, run.wrapped.release)
    for name in mixture.members:
        made.do(Step("load", name))
    _check_layers_read(made, block)
    _check_alike(made, mixture)
    _check_linear(made.wrapped)
    _add_router(made, mixture)
    _check_forward(made.wrapped, mixture, request)
    faults = [*_changed_base(made, block), *(fault for name in mixture.members for fault in _left_out(made, name))]
    if general:
        facts: dict[str, Fact] = {"names": ", ".join(general)}
        faults.append(Fault("general-factors-subtracted", facts=facts))
    return faults


def _check_asked(run: Run, block: Block, mixture: Mixture) -> None:
    """The release, and `ArrowConfig.__post_init__`."""
    if not run.wrapped.release.reached("0.18.0"):
        facts: dict[str, Fact] = {"block": "Arrow", "composition": str(block), "instead": "it came with PEFT 0.18.0"}
        raise Refusal("", "", "composition-without-counterpart", facts=facts, stage="compose")
    if run.wrapped.base.config.get("quantization_config") or len(set(mixture.members)) < len(mixture.members):
        raise _untold(block, "an Arrow model of a quantised base, or of one adapter several times")
    temperature = block.setting("router_temperature")
    if mixture.top_k <= 0:
        raise _refuse("ValueError", "top_k cannot be negative.", "arrow-setting", {"setting": "top_k"})
    if temperature is not None and temperature <= 0:
        match = "router_temperature must be greater than 0."
        raise _refuse("ValueError", match, "arrow-setting", {"setting": "router_temperature"})


def _check_layers_read(made: Run, block: Block) -> None:
    """NotModelled for experts whose layers are made otherwise."""
    for name, settings in made.loaded.items():
        problem = next((field for field in UNREAD if settings[field] is not None), "")
        problem = "target_parameters" if settings["target_parameters"] else problem
        if problem or settings.method.mixes_experts:
            raise _untold(block, f"an expert ({name}) with {problem or 'experts of its own'}")


def _changed_base(made: Run, block: Block) -> Iterator[Fault]:
    """Experts that take a part out of the base's own weights when they are loaded; NotModelled where that is unsure."""
    for name, settings in made.loaded.items():
        init = rewriting_init(settings)
        if init and len(made.loaded) > 1:
            facts: dict[str, Fact] = {"name": name, "init": init}
            at = settings.where(INIT)
            yield Fault("routed-over-changed-base", adapter=name, at=at, facts=facts, decides=True)
        elif settings["bias"] != "none" or settings[INIT] not in NEUTRAL_INITS:
            raise _untold(block, f"an expert ({name}) that changes the base's own weights")


def _untold(block: Block, problem: str) -> NotModelled:
    return NotModelled("composition-not-told", facts={"composition": str(block), "problem": problem})


class _Seen(NamedTuple):
    """What `check_loaded_lora_compatibility_arrow` knows of one adapter: the last layer's shapes, all layers' names."""

    rank: int | None
    shapes: tuple[Shape, ...]
    names: frozenset[str]


def _check_alike(made: Run, mixture: Mixture) -> None:
    """The first member against every other: rank and shapes of the last layer that has it, and the layers' names."""
    first: _Seen | None = None
    for name in mixture.members:
        seen = _seen(made, name)
        if first is None:
            first = seen
            continue
        who = mixture.called(name)
        facts: dict[str, Fact] = {"name": name, "first": mixture.experts[0]}
        if seen.rank != first.rank:
            match = f"[{who}] rank mismatch: {seen.rank} != {first.rank}"
            facts |= {"rank": seen.rank or "none", "other": first.rank or "none"}
            raise _refuse("ValueError", match, "arrow-ranks", facts)
        if seen.shapes != first.shapes:
            raise _refuse("ValueError", f"[{who}] shape mismatch: ", "arrow-layers", facts)
        if seen.names != first.names:
            raise _refuse("ValueError", f"[{who}] target_modules mismatch:", "arrow-layers", facts)
    if first is not None and first.rank is None:
        match = "int() argument must be a string, a bytes-like object or a real number, not 'NoneType'"
        raise _refuse("TypeError", match, "arrow-without-factors", {"name": mixture.experts[0]})


def _seen(made: Run, name: str) -> _Seen:
    """Embeddings have their factors elsewhere, and other methods none of that name."""
    wrapped, method = made.wrapped, made.loaded[name].method.peft_type
    if method == "ADALORA":
        match = "'Parameter' object has no attribute 'weight'"
        raise _refuse("AttributeError", match, "arrow-without-factors", {"name": name})
    sites = [wrapped.sites[module.path] for module in wrapped.modules if module.path in wrapped.sites]
    sites = [site for site in sites if name in site.adapters and site.kind != "Embedding"]
    if method != LORA or not sites:
        return _Seen(None, (), frozenset())
    shapes = (_factor(sites[-1], name, "lora_A"), _factor(sites[-1], name, "lora_B"))
    return _Seen(shapes[0][0], shapes, frozenset(site.path.rpartition(".")[2] for site in sites))


def _factor(site: Site, name: str, factor: str) -> Shape:
    return next(shape for key, _, shape in site.adapters[name].tensors if key == f"{factor}.{name}.weight")


def _check_linear(wrapped: Wrapped) -> None:
    """`ensure_adapters_target_linear_layers_only`."""
    for site in wrapped.sites.values():
        if site.kind not in (*LINEAR, "Embedding") and site.adapters:
            match = "LoRA adapters must only target Linear-like layers"
            facts: dict[str, Fact] = {"class": wrapped.by_path[site.path].cls}
            raise _refuse("TypeError", match, "arrow-not-linear", facts, site.path)


def _add_router(made: Run, mixture: Mixture) -> None:
    """The adapter that is made for the routing: at every layer of the experts' names, whoever stands there."""
    wrapped = made.wrapped
    sites = [site for site in wrapped.sites.values() if mixture.experts[0] in site.adapters]
    names = sorted({site.path.rpartition(".")[2] for site in sites if site.kind != "Embedding"})
    given: dict[str, Any] = {"target_modules": dict.fromkeys(names), "r": 1, "arrow_config": Routed()}
    router = Settings("", given, wrapped.release, load_method(LORA, wrapped.release.version))
    if "saves" in made.task and wrapped.release.head_for_each_adapter:
        extend_saved(router, made.task["saves"])
    try:
        inject(wrapped, ROUTER, router, list(made.loaded.values()), low_memory=False)
    except Refusal as refusal:
        facts: dict[str, Fact] = {"names": ", ".join(names)}
        raise _refuse(
            refusal.error.type, refusal.error.match, "arrow-router-refused", facts, refusal.fault.module
        ) from None


def _check_forward(wrapped: Wrapped, mixture: Mixture, request: Request) -> None:
    """`ArrowLinearVariant.forward` at each layer of the router, in its order of steps."""
    axes = FirstAxes(wrapped.base, request, request.batch or 1)
    for module in wrapped.modules:
        site = wrapped.sites.get(module.path)
        if site is not None and ROUTER in site.adapters:
            refusal = next(_at_layer(site, mixture), None)
            if refusal is not None and (axes.at(site.path) is not None or axes.unsure):
                raise refusal


def _at_layer(site: Site, mixture: Mixture) -> Iterator[Refusal]:
    """What the layer raises, if it is called; experts that do not stand at it are passed over there."""
    here = [name for name in mixture.experts if name in site.adapters]
    ranks = {name: site.adapters[name].rank for name in mixture.members if name in site.adapters}
    unlike: dict[str, Fact] = {"ranks": ", ".join(f"{rank} in {name}" for name, rank in ranks.items())}
    absent = next((name for name in mixture.general if name not in site.adapters), None)
    if absent is not None:
        yield _at(site, "KeyError", f"'{mixture.called(absent)}'", "arrow-lacks-general", {"name": absent})
    general = {ranks[name] for name in mixture.general}
    if len(general) > 1:
        yield _at(site, "RuntimeError", STACK, "arrow-ranks-at-layer", unlike)
    for name in here if general else ():
        if ranks[name] not in general:
            match = "The size of tensor a" if 1 not in (ranks[name], *general) else "size"
            yield _at(site, "RuntimeError", match, "arrow-ranks-at-layer", unlike)
    if not here:
        match = "stack expects a non-empty TensorList"
        yield _at(site, "RuntimeError", match, "arrow-lacks-experts", {"top_k": mixture.top_k, "standing": 0})
    if mixture.top_k > len(here):
        facts: dict[str, Fact] = {"top_k": mixture.top_k, "standing": len(here)}
        reason = "arrow-lacks-experts" if mixture.top_k <= len(mixture.experts) else "arrow-top-k"
        yield _at(site, "RuntimeError", "selected index k out of range", reason, facts)
    if len({ranks[name] for name in here}) > 1:
        yield _at(site, "RuntimeError", STACK, "arrow-ranks-at-layer", unlike)


def _left_out(made: Run, name: str) -> Iterator[Fault]:
    """What a member has beside the factors of its linear layers: the router knows nothing of it."""
    wrapped, settings = made.wrapped, made.loaded[name]
    told: list[tuple[str, str, str]] = []
    if settings["use_dora"]:
        told.append(("the magnitudes", "use_dora", ""))
    if settings["lora_bias"]:
        told.append(("the biases of the factors", "lora_bias", ""))
    saved = next((path for path, owners in wrapped.saved.items() if name in owners), None)
    if saved is not None:
        told.append((f"the copy of {saved}", "modules_to_save", saved))
    tokens = next((path for path, owners in wrapped.tokens.items() if name in owners), None)
    if tokens is not None:
        told.append(("the rows of trained tokens", "trainable_token_indices", tokens))
    embedding = next((s.path for s in wrapped.sites.values() if s.kind == "Embedding" and name in s.adapters), None)
    if embedding is not None:
        told.append((f"the part at {embedding}, an embedding,", "target_modules", embedding))
    for what, field, module in told:
        facts: dict[str, Fact] = {"name": name, "what": what}
        at = settings.where(field)
        yield Fault("routed-without-part", adapter=name, at=at, module=module, facts=facts, decides=True)


def _at(site: Site, type_name: str, match: str, reason: str, facts: dict[str, Fact]) -> Refusal:
    return _refuse(type_name, match, reason, facts, site.path, "forward")


def _refuse(
    type_name: str, match: str, reason: str, facts: dict[str, Fact], module: str = "", stage: str = "combine"
) -> Refusal:
    return Refusal(type_name, match, reason, module=module, facts=facts, stage=stage)
