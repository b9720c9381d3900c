"""Rules of settings and arguments: each gives a value back as it is kept, or refuses it and says what is allowed."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass, field
from numbers import Integral, Real
from typing import Any

import numpy as np


class NotAllowedError(Exception):
    """A value that a rule does not allow; its text, if any, is a cure for this very value."""


@dataclass(frozen=True)
class Rule(ABC):
    """What is allowed for one setting.

    Parameters
    ----------
    cure
        A sentence on what to give instead; by default the setting's own default is named.
    """

    cure: str = field(default="", kw_only=True)

    @property
    @abstractmethod
    def allowed(self) -> str:
        """What is allowed, as it goes on after "must be"."""

    @abstractmethod
    def accept(self, value: Any) -> Any:
        """The value as it is kept.

        Raises
        ------
        NotAllowedError
            If it is not allowed.
        """


@dataclass(frozen=True)
class Flag(Rule):
    """True or False."""

    @property
    def allowed(self) -> str:
        """Both of them."""
        return "True or False"

    def accept(self, value: Any) -> bool:
        """NumPy's as well."""
        if not isinstance(value, bool | np.bool_):
            raise NotAllowedError
        return bool(value)


@dataclass(frozen=True)
class Whole(Rule):
    """A whole number within bounds."""

    least: int
    most: int | None = None

    @property
    def allowed(self) -> str:
        """The bounds."""
        return "a whole number, " + (
            f"{self.least} or more" if self.most is None else f"from {self.least} to {self.most}"
        )

    def accept(self, value: Any) -> int:
        """NumPy's whole numbers as well; True and 2.0 are none."""
        if isinstance(value, bool) or not isinstance(value, Integral):
            raise NotAllowedError
        if value < self.least or (self.most is not None and value > self.most):
            raise NotAllowedError
        return int(value)


@dataclass(frozen=True)
class Number(Rule):
    """A finite number within bounds, which belong to it unless ``open_`` says otherwise."""

    least: float = -np.inf
    most: float = np.inf
    open_least: bool = False
    open_most: bool = False

    @property
    def allowed(self) -> str:
        """The bounds."""
        low = "" if self.least == -np.inf else f"above {self.least:g}" if self.open_least else f"{self.least:g} or more"
        high = "" if self.most == np.inf else f"below {self.most:g}" if self.open_most else f"{self.most:g} or less"
        return ", ".join(["a number", *filter(None, [" and ".join(filter(None, [low, high]))])])

    def accept(self, value: Any) -> float:
        """Whole numbers as well; True, NaN and infinity are none."""
        if isinstance(value, bool | np.bool_) or not isinstance(value, Real) or not np.isfinite(value):
            raise NotAllowedError
        above = value > self.least if self.open_least else value >= self.least
        below = value < self.most if self.open_most else value <= self.most
        if not (above and below):
            raise NotAllowedError
        return float(value)


@dataclass(frozen=True)
class Numbers(Rule):
    """A tuple of numbers, each by a rule of its own."""

    each: Rule
    least: int = 1
    most: int | None = None

    @property
    def allowed(self) -> str:
        """How many, and each."""
        several = f"{self.least} or more" if self.most is None else f"{self.least} to {self.most}"
        return f"a list of {several} values, each {self.each.allowed}"

    def accept(self, value: Any) -> tuple[Any, ...]:
        """Any sequence or array."""
        if isinstance(value, str | bytes) or not isinstance(value, Iterable):
            raise NotAllowedError
        kept = tuple(self.each.accept(one) for one in value)
        if len(kept) < self.least or (self.most is not None and len(kept) > self.most):
            raise NotAllowedError
        return kept


@dataclass(frozen=True)
class OneOf(Rule):
    """One of a few words."""

    words: tuple[str, ...]

    @property
    def allowed(self) -> str:
        """The words."""
        return " or ".join(repr(word) for word in self.words)

    def accept(self, value: Any) -> str:
        """Exactly as written."""
        if not isinstance(value, str) or value not in self.words:
            raise NotAllowedError
        return str(value)


@dataclass(frozen=True)
class Text(Rule):
    """A name: text that is not empty."""

    what: str = "text"

    @property
    def allowed(self) -> str:
        """Of what."""
        return self.what

    def accept(self, value: Any) -> str:
        """NumPy's text as well."""
        if not isinstance(value, str) or not value:
            raise NotAllowedError
        return str(value)


@dataclass(frozen=True)
class Label(Rule):
    """A label of cells: text, or a number that stands for one, kept as text."""

    @property
    def allowed(self) -> str:
        """Text or number."""
        return "a label: text or a number"

    def accept(self, value: Any) -> str:
        """``3``, ``numpy.int64(3)`` and ``3.0`` are the label "3"."""
        if isinstance(value, Real) and np.isfinite(value):
            return label_text(value)
        if not isinstance(value, str) or not value:
            raise NotAllowedError
        return str(value)


def label_text(value: Any) -> str:
    """A label as text; a whole number without decimals, however it is stored."""
    whole = isinstance(value, float | np.floating) and float(value).is_integer()
    return str(int(value)) if whole else str(value)


@dataclass(frozen=True)
class Labels(Rule):
    """A tuple of different labels; one alone may stand without a list."""

    least: int = 0

    @property
    def allowed(self) -> str:
        """How many."""
        several = {0: "a list of labels", 1: "one or more labels"}.get(self.least, "two or more labels")
        return f"{several}, each once"

    def accept(self, value: Any) -> tuple[str, ...]:
        """Text and numbers, in the order given."""
        alone = isinstance(value, str | Real)
        if not alone and not isinstance(value, Iterable):
            raise NotAllowedError
        kept = tuple(Label().accept(one) for one in ([value] if alone else value))
        if len(kept) < self.least or len(set(kept)) != len(kept):
            raise NotAllowedError
        return kept


@dataclass(frozen=True)
class Names(Rule):
    """A tuple of names; one alone may stand without a list."""

    what: str = "names"

    @property
    def allowed(self) -> str:
        """Of what."""
        return f"a list of {self.what}"

    def accept(self, value: Any) -> tuple[str, ...]:
        """Text only, in the order given."""
        if isinstance(value, str):
            value = [value]
        if not isinstance(value, Iterable):
            raise NotAllowedError
        return tuple(Text().accept(one) for one in value)


@dataclass(frozen=True)
class Instance(Rule):
    """An object of some kind, a protocol or a class, and never a class itself."""

    kinds: type | tuple[type, ...]
    what: str

    @property
    def allowed(self) -> str:
        """The kind, in words."""
        return self.what

    def accept(self, value: Any) -> Any:
        """The object as it is."""
        if isinstance(value, type):
            raise NotAllowedError(
                f"This is the class; call it: {value.__name__}(...)." if self.is_class_of_it(value) else ""
            )
        if not isinstance(value, self.kinds):
            raise NotAllowedError
        return value

    def is_class_of_it(self, kind: type) -> bool:
        """Whether an object of this class might do."""
        kinds = self.kinds if isinstance(self.kinds, tuple) else (self.kinds,)
        return any(
            isinstance(kind, own) if getattr(own, "_is_protocol", False) else issubclass(kind, own) for own in kinds
        )


@dataclass(frozen=True)
class FilePath(Rule):
    """Where a file is or goes."""

    @property
    def allowed(self) -> str:
        """Text or a path."""
        return "a path: text or pathlib.Path"

    def accept(self, value: Any) -> Any:
        """As it is."""
        if not isinstance(value, str | os.PathLike) or not os.fspath(value):
            raise NotAllowedError
        return value


@dataclass(frozen=True)
class Either(Rule):
    """What one of some rules allows; the first that does keeps it."""

    rules: tuple[Rule, ...]

    @property
    def allowed(self) -> str:
        """All of it."""
        return ", or ".join(rule.allowed for rule in self.rules)

    def accept(self, value: Any) -> Any:
        """By the first that allows it; the first cure for this very value is told."""
        told = ""
        for rule in self.rules:
            try:
                return rule.accept(value)
            except NotAllowedError as refused:
                told = told or str(refused) or rule.cure
        raise NotAllowedError(told)


@dataclass(frozen=True)
class Optional(Rule):
    """What a rule allows, or None."""

    rule: Rule

    @property
    def allowed(self) -> str:
        """Both."""
        return f"{self.rule.allowed}, or None"

    def accept(self, value: Any) -> Any:
        """None stays."""
        try:
            return None if value is None else self.rule.accept(value)
        except NotAllowedError as refused:
            raise NotAllowedError(str(refused) or self.rule.cure) from None


@dataclass(frozen=True)
class Randomness(Rule):
    """Where random numbers come from: a seed or a generator."""

    @property
    def allowed(self) -> str:
        """Both."""
        return "a whole number, 0 or more, or a numpy.random.Generator"

    def accept(self, value: Any) -> Any:
        """A generator as it is."""
        return value if isinstance(value, np.random.Generator) else Whole(0).accept(value)


@dataclass(frozen=True)
class Jobs(Rule):
    """How many threads may run."""

    @property
    def allowed(self) -> str:
        """Some, or all."""
        return "a number of threads, 1 or more, or -1 for all cores"

    def accept(self, value: Any) -> int:
        """None of them cannot work."""
        n = Whole(-1).accept(value)
        if n == 0:
            raise NotAllowedError
        return n


RNG = Randomness()
N_JOBS = Optional(Jobs())


def seed_of(rng: int | np.random.Generator) -> int:
    """The seed itself, or one that a generator draws: results record it, as it gives them again."""
    return int(rng.integers(2**63 - 1)) if isinstance(rng, np.random.Generator) else rng
