"""Settings of a lesson as they are typed on a command line, and as they are written in labels."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from types import UnionType
from typing import Any, Literal, get_args, get_origin

__all__ = ["Mistake", "check", "label_of", "quoted", "read_setting", "text_of"]


class Mistake(Exception):
    """Something the caller asked for cannot be done; the message is one sentence that says what and why."""


def read_setting(key: str, text: str, kind: Any) -> Any:
    """The value typed as `text`, for a field annotated with `kind`. Raises Mistake if it is not such a value."""
    text = text.strip()
    kinds = get_args(kind) if get_origin(kind) is UnionType else (kind,)
    for one in kinds:
        if one is type(None) and text.lower() == "none":
            return None
        if get_origin(one) is Literal and text in get_args(one):
            return text
        if get_origin(one) is tuple:
            return tuple(read_setting(key, part, get_args(one)[0]) for part in text.split(","))
        if one is bool and text.lower() in ("true", "yes", "1", "false", "no", "0"):
            return text.lower() in ("true", "yes", "1")
        try:
            if one is int and float(text.replace("_", "")) == int(float(text.replace("_", ""))):
                return int(float(text.replace("_", "")))
            if one is float:
                top, _, bottom = text.replace("_", "").partition("/")
                return float(top) / float(bottom) if bottom else float(top)
        except (ValueError, OverflowError, ZeroDivisionError):
            continue
        if one is str:
            return text
    names = {int: "a whole number", float: "a number", bool: "true or false"}
    wanted = " or ".join(
        ", ".join(map(str, get_args(one))) if get_origin(one) is Literal else names.get(one, "none") for one in kinds
    )
    raise Mistake(f"{key} cannot be {text!r}: it takes {wanted}.")


def label_of(chosen: Mapping[str, Any]) -> str:
    """What a run is called, after the fields that its sweep chose."""
    if len(chosen) == 1 and isinstance(only := next(iter(chosen.values())), str):
        return only
    return " ".join(f"{key}={text_of(value)}" for key, value in chosen.items()) or "run"


def text_of(value: Any) -> str:
    """A value as a reader would write it."""
    if isinstance(value, bool) or value is None:
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.6g}"
    return f"{value:,}" if isinstance(value, int) and abs(value) >= 10_000 else str(value)


def quoted(value: str) -> str:
    """A value as a shell takes it."""
    return value if all(c.isalnum() or c in "._,-/+" for c in value) else "'" + value.replace("'", "'\\''") + "'"


def check(
    config: Any,
    one_of: Mapping[str, Iterable[str]] | None = None,
    at_least: Mapping[int, Sequence[str]] | None = None,
) -> None:
    """Raise ValueError unless fields of a configuration are among their names, and numbers at least as large as asked.

    If the configuration has a `training`, what that raises for settings that make no sense is raised here, too.
    `one_of` maps a field to the names it may take; `at_least` a number to the fields that must be finite and not less.
    """
    for name, known in (one_of or {}).items():
        if getattr(config, name) not in known:
            raise ValueError(f"there is no {name} {getattr(config, name)!r}; there are {', '.join(known)}.")
    for low, names in (at_least or {}).items():
        for name in names:
            if not low <= getattr(config, name) < math.inf:
                raise ValueError(f"{name} must be {low:g} or more, and finite; got {getattr(config, name)}.")
    getattr(config, "training", None)
