"""One way of checking settings and arguments: rules, and errors of one form.

A rule gives a value back as it is kept (NumPy's whole numbers as ``int``, one name as a tuple of one) or refuses it and
says what is allowed. :class:`Settings` applies the rules of a dataclass to its fields, :func:`checked` those of a
public function to its arguments. Every error has the same form::

    SoftEM(n_times=7): must be a whole number, 8 or more. The default is 64.
"""

from __future__ import annotations

import functools
import inspect
import reprlib
import warnings
from abc import ABC
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields
from typing import Any, ClassVar, ParamSpec, TypeVar

from velotime._argument_rules import (
    N_JOBS,
    RNG,
    Either,
    FilePath,
    Flag,
    Instance,
    Label,
    Labels,
    Names,
    NotAllowedError,
    Number,
    Numbers,
    OneOf,
    Optional,
    Rule,
    Text,
    Whole,
    label_text,
    seed_of,
)
from velotime._scvelo_names import ARGUMENTS
from velotime._status import InputError

__all__ = [
    "N_JOBS",
    "RNG",
    "Either",
    "FilePath",
    "Flag",
    "Instance",
    "Label",
    "Labels",
    "Names",
    "NotAllowedError",
    "Number",
    "Numbers",
    "OneOf",
    "Optional",
    "Rule",
    "Settings",
    "Text",
    "Whole",
    "check",
    "checked",
    "label_text",
    "seed_of",
]

P = ParamSpec("P")
R = TypeVar("R")

#: What randomness, genes and colours are called elsewhere.
RENAMED = {
    "seed": "rng",
    "random_state": "rng",
    "random_seed": "rng",
    "var_names": "genes",
    "color_map": "cmap",
    "col_color": "color",
}
LONGEST = 80  # characters of what was given that an error shows


def check(owner: str, name: str, value: Any, rule: Rule, default: Any = None) -> Any:
    """The value as it is kept.

    Raises
    ------
    InputError
        If the rule refuses it: what was wrong, what was given, what is allowed, and the cure.
    """
    try:
        return rule.accept(value)
    except NotAllowedError as refused:
        cure = str(refused) or rule.cure
        if not cure and default is not None and isinstance(default, str | int | float | tuple):
            cure = f"The default is {default!r}."
        raise InputError(f"{owner}({name}={_shown(value)}): must be {rule.allowed}.{cure and ' ' + cure}") from None


def _shown(value: Any) -> str:
    text = repr(value)
    if isinstance(value, type):
        return value.__name__
    if len(text) > LONGEST or "\n" in text:
        return reprlib.repr(text.splitlines()[0][:LONGEST])[1:-1] + "..."
    return text


def _takes(signature: inspect.Signature, given: Mapping[str, Any], rules: Mapping[str, Rule]) -> str:
    """Which arguments there are, and of those that others' functions have what they are called here."""
    wrong = [_instead(name, rules) for name in given if name not in signature.parameters]
    return "; ".join([*filter(None, wrong), f"its arguments are {', '.join(signature.parameters)}"])


def _instead(name: str, rules: Mapping[str, Rule]) -> str:
    """What takes the place of an argument that others' functions, or objects, have; empty if nothing is known of it."""
    if RENAMED.get(name) in rules:
        return f"{name}= is {RENAMED[name]}= here"
    owners = [f"{argument}=velotime.{kind}({name}=...)" for argument, kind in _settings_named(name, rules)]
    if owners:
        return f"{name}= is a setting: {' or '.join(owners)}"
    return f"for scVelo's {name}=: {ARGUMENTS[name]}" if name in ARGUMENTS else ""


def _settings_named(name: str, rules: Mapping[str, Rule]) -> list[tuple[str, str]]:
    """Arguments that take objects with a setting of this name, and the classes of these."""
    takes = {argument: rule.rule if isinstance(rule, Optional) else rule for argument, rule in rules.items()}
    return [
        (argument, kind.__name__)
        for argument, rule in takes.items()
        for kind in Settings.__subclasses__()
        if name in kind.rules and isinstance(rule, Instance) and rule.is_class_of_it(kind)
    ]


def _by_its_name_of_today(given: Mapping[str, Any], owner: str) -> dict[str, Any]:
    """Arguments with ``rng`` for ``seed``, as it was called at first; both together are refused by the signature."""
    warnings.warn(f"{owner}(seed=...) is rng= now; the old name goes with 1.0.", FutureWarning, stacklevel=3)
    return {"rng" if name == "seed" and "rng" not in given else name: value for name, value in given.items()}


# ------------------------------------------------------------------ where rules apply
class Settings(ABC):  # noqa: B024 - subclasses may have abstract methods
    """Base of the frozen dataclasses of settings: every field has a rule, which ``__post_init__`` applies.

    A class whose fields depend on each other checks that in a ``__post_init__`` of its own, after this one.
    """

    rules: ClassVar[Mapping[str, Rule]] = {}

    def __post_init__(self) -> None:
        for own in fields(self):  # type: ignore[arg-type]  # every subclass is a dataclass
            value, default = getattr(self, own.name), None if own.default is MISSING else own.default
            kept = check(type(self).__name__, own.name, value, self.rules[own.name], default)
            object.__setattr__(self, own.name, kept)


def checked(rules: Mapping[str, Rule], name: str | None = None) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Apply rules to the arguments of a public function before it runs; every parameter needs one.

    ``name`` is what errors call the function where that is not its own name.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        signature = inspect.signature(function)
        if set(rules) != set(signature.parameters):
            raise TypeError(f"{function.__name__}: rules for {set(rules)}, parameters {set(signature.parameters)}")

        @functools.wraps(function)
        def checking(*args: P.args, **kwargs: P.kwargs) -> R:
            if "seed" in kwargs and "seed" not in signature.parameters and "rng" in signature.parameters:
                kwargs = _by_its_name_of_today(kwargs, name or function.__name__)  # type: ignore[assignment]
            try:
                given = signature.bind(*args, **kwargs)
            except TypeError as error:
                raise TypeError(f"{name or function.__name__}: {error}; {_takes(signature, kwargs, rules)}") from None
            for argument, value in given.arguments.items():
                default = signature.parameters[argument].default
                default = None if default is inspect.Parameter.empty else default
                owner = name or function.__name__
                given.arguments[argument] = check(owner, argument, value, rules[argument], default)
            return function(*given.args, **given.kwargs)

        checking.rules = rules  # type: ignore[attr-defined]
        return checking

    return decorate
