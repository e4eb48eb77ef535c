"""What the config classes of other methods than LoRA check when they are made (`__post_init__`)."""

from __future__ import annotations

from collections.abc import Callable

from adaptlint.findings import Fact
from adaptlint.runtimes.peft.refusal import NotModelled, Refusal, as_python_does
from adaptlint.runtimes.peft.settings import (
    LAYERS_NEED_LIST,
    PATTERN_NEEDS_LAYERS,
    PATTERN_NEEDS_LIST,
    Settings,
    check_task,
    make_set,
    refuse_unknown,
)
from adaptlint.shapes.expression import Unevaluable, evaluate

SETS = ("target_modules", "exclude_modules", "feedforward_modules")

# name in a card: (field, what PEFT says, when)
RULES: dict[str, tuple[str, str, Callable[[Settings], bool]]] = {
    "layers_need_list": LAYERS_NEED_LIST,
    "pattern_needs_list": PATTERN_NEEDS_LIST,
    "pattern_needs_layers": PATTERN_NEEDS_LAYERS,
    "feedforward_within_targets": (
        "feedforward_modules",
        "`feedforward_modules` should be a subset of `target_modules`",
        lambda s: (
            isinstance(s["feedforward_modules"], dict)
            and isinstance(s["target_modules"], dict)
            and not s["feedforward_modules"].keys() <= s["target_modules"].keys()
        ),
    ),
}


def check_config(settings: Settings) -> None:
    """Everything that the config's class asks, in its order: Refusal with what PEFT raises."""
    for field, message in settings.method.required.items():
        if field not in settings.given:
            raise _refusal(settings, "ValueError", message, field)
    refuse_unknown(settings)
    settings.values.update(settings.method.fixed)
    if not settings.method.skips_task_check:
        check_task(settings)
    for field in SETS:
        make_set(settings, field)
    if not settings.release.checks_config:
        return
    for name in settings.method.config_rules:
        field, message, broken = RULES[name]
        if broken(settings):
            raise _refusal(settings, "ValueError", message, field)
    for check in settings.method.config_checks:
        at = settings.where(check.field)
        when = check.when

        def asked(formula: str = when) -> object:
            return evaluate(formula, settings.values)

        try:
            broken_here = as_python_does(asked, "config-value-impossible", at, check.field)
        except Unevaluable as problem:
            facts: dict[str, Fact] = {"value": f"{settings.method.peft_type} with such a {check.field}"}
            raise NotModelled("method-not-modelled", at=at, facts=facts) from problem
        if broken_here:
            raise _refusal(settings, check.type, check.match.format_map(settings.values), check.field)


def check_types(settings: Settings) -> None:
    """NotModelled for a value of another type than its field's default: some layer meets it with an exception.

    Asked after everything that the cards say of layers, so that what they refuse is told first.
    """
    for field, default in settings.method.config["defaults"].items():
        if field == "bias":  # any value is answered for where biases are marked as trainable
            continue
        value = settings[field]
        if not _fits(field, value, default):
            facts: dict[str, Fact] = {"value": f"{settings.method.peft_type} with {field} = {str(value)[:80]}"}
            raise NotModelled("method-not-modelled", at=settings.where(field), facts=facts)


def _fits(field: str, value: object, default: object) -> bool:
    if field.startswith("init") and isinstance(default, (bool, str)):
        return isinstance(value, (bool, str))
    if isinstance(default, bool):
        return isinstance(value, bool)
    if isinstance(default, (int, float)):
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    return isinstance(value, type(default))


def _refusal(settings: Settings, type_name: str, match: str, field: str) -> Refusal:
    at = settings.where(field)
    return Refusal(type_name, match, "config-value-impossible", at=at, facts={"field": field})
