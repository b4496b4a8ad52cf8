"""What all optimisers share: parameter groups, flat storage, state."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

import numpy as np

from npgrad.optim.flat import Flat, Stretch
from npgrad.engine.arrays import Array
from npgrad.engine.tensor import Tensor, raw

__all__ = ["Optimizer", "Parameters"]

Parameters = Iterable[Tensor] | Iterable[Mapping[str, Any]]
"""What optimisers accept: tensors, or groups `{"params": tensors, "lr": 0.01, …}` with options of their own."""


class Optimizer:
    """Base of the optimisers: a subclass defines `update`, which changes one stretch of parameters in place.

    `param_groups` is a list of dictionaries, one per group, with the group's tensors under "params" and its options
    under their names; options may be changed between steps: `optimizer.param_groups[0]["lr"] = 0.01`, or
    `optimizer.lr = 0.01` for all groups.

    The parameters move into flat storage (`npgrad.optim.flat`): an array obtained from `p.data` before becomes
    read-only, since writing to it would not reach the parameter any more. NumPy offers no way to lock its views, such
    as `p.data[0]`: take those after the optimiser is made.

    Raises ValueError if there are no parameters, one is given twice, or an option is out of range, TypeError if
    something is not a tensor.
    """

    state_names: ClassVar[tuple[str, ...]] = ()
    """The arrays kept for each parameter."""

    def __init__(self, params: Parameters, **options: Any) -> None:
        name = type(self).__name__
        groups = _groups(params, name)
        self.param_groups: list[dict[str, Any]] = []
        self._parts: list[tuple[dict[str, Any], Flat]] = []
        seen: set[int] = set()
        for number, given in enumerate(groups):
            group = {**options, **given}
            unknown = [key for key in given if key != "params" and key not in options]
            if unknown:
                raise ValueError(
                    f"{name} has no option {', '.join(map(repr, unknown))} (in group {number}). "
                    f"It has {', '.join(options)}."
                )
            for p in group["params"]:
                if id(p) in seen:
                    raise ValueError(
                        f"{name} got a parameter of shape {p.shape} twice, and would update it twice a step. "
                        "List every parameter once, in one group."
                    )
                seen.add(id(p))
            self.check(group)
            self.param_groups.append(group)
        if not seen:
            raise ValueError(
                f"{name} got no parameters. Pass model.parameters(); a generator that was used up before is empty."
            )
        for group in self.param_groups:
            by_dtype: dict[np.dtype[Any], list[Tensor]] = {}
            for p in group["params"]:
                by_dtype.setdefault(p.dtype, []).append(p)
            self._parts.extend((group, Flat(same)) for same in by_dtype.values())
        self._all = [p for group in self.param_groups for p in group["params"]]

    def check(self, group: dict[str, Any]) -> None:
        """Raise ValueError if an option of this group is out of range."""
        for key in ("lr", "weight_decay", "eps"):
            if key in group:
                at_least_zero(type(self).__name__, key, group[key])

    def update(self, part: Stretch, g: Array, group: dict[str, Any]) -> None:
        """Change `part.data` in place, given its gradient `g`, which must not be changed, and the group's options."""
        raise NotImplementedError(f"{type(self).__name__} has no update method: define update(self, part, g, group).")

    def step(self) -> None:
        """Update every parameter that has a gradient; the others, their state included, are left as they are."""
        for group, flat in self._parts:
            for part, g in flat.gather():
                self.update(part, g, group)

    def zero_grad(self) -> None:
        """Forget the gradients: `grad` is None again."""
        for p in self._all:
            p.grad = None

    @property
    def lr(self) -> float:
        """The learning rate; assigning sets it in every group. Raises ValueError on reading if the groups' differ."""
        rates = {group["lr"] for group in self.param_groups}
        if len(rates) > 1:
            raise ValueError(f"the groups have different learning rates {sorted(rates)}: read param_groups[k]['lr'].")
        return float(rates.pop())

    @lr.setter
    def lr(self, value: float) -> None:
        at_least_zero(type(self).__name__, "lr", value)
        for group in self.param_groups:
            group["lr"] = value

    # -- state ---------------------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """Options and copies of the state, parameters being numbered through all groups in the order they were given.

        {"state": {number: {"step": updates so far, name: array, …}, …},
         "param_groups": [{"params": numbers, option: value, …}, …]}
        """
        number = {id(p): k for k, p in enumerate(self._all)}
        state: dict[int, dict[str, Any]] = {}
        for _, flat in self._parts:
            arrays = {name: flat.split(array) for name, array in flat.states.items()}
            for k, p in enumerate(flat.parameters):
                if flat.steps[k]:
                    own = {name: views[k].copy() for name, views in arrays.items()}
                    state[number[id(p)]] = {"step": flat.steps[k], **own}
        groups = [{**group, "params": [number[id(p)] for p in group["params"]]} for group in self.param_groups]
        return {"state": dict(sorted(state.items())), "param_groups": groups}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over options and state from the `state_dict()` of an optimiser of the same kind.

        Raises ValueError, and changes nothing, if groups, names or shapes differ.
        """
        name = type(self).__name__
        groups = state["param_groups"]
        here = [len(group["params"]) for group in self.param_groups]
        there = [len(group["params"]) for group in groups]
        if here != there:
            raise ValueError(
                f"this state is of groups with {there} parameters, this {name} has groups with {here}. "
                "Make the optimiser from the same parameters, in the same groups."
            )
        entries = {int(k): entry for k, entry in state["state"].items()}
        faults = []
        for group, new in zip(self.param_groups, groups, strict=True):
            if set(group) != set(new):
                faults.append(f"it has the options {', '.join(sorted(set(new) - {'params'}))}")
        for k, entry in entries.items():
            if not 0 <= k < len(self._all):
                faults.append(f"it has a parameter number {k}")
                continue
            for key, value in entry.items():
                if key != "step" and key not in self.state_names:
                    faults.append(f"it has {key!r} for parameter {k}")
                elif key != "step" and np.shape(raw(value)) != self._all[k].shape:
                    faults.append(f"its {key} {k} is {np.shape(raw(value))} for a parameter of {self._all[k].shape}")
        if faults:
            raise ValueError(f"this state does not fit {name}, and nothing was loaded: {'; '.join(faults)}.")
        for group, new in zip(self.param_groups, groups, strict=True):
            group.update({key: value for key, value in new.items() if key != "params"})
        number = {id(p): k for k, p in enumerate(self._all)}
        for _, flat in self._parts:
            numbers = [number[id(p)] for p in flat.parameters]
            flat.steps = [int(entries[k]["step"]) if k in entries else 0 for k in numbers]
            for key in self.state_names:
                if key in flat.states or any(key in entries.get(k, ()) for k in numbers):
                    for k, view in zip(numbers, flat.split(flat.state(key)), strict=True):
                        view[...] = raw(entries.get(k, {}).get(key, 0))

    def __repr__(self) -> str:
        lines = []
        for group in self.param_groups:
            options = ", ".join(f"{key}={value}" for key, value in group.items() if key != "params")
            size = sum(p.size for p in group["params"])
            lines.append(f"  {len(group['params'])} tensors, {size:,} parameters: {options}")
        return f"{type(self).__name__}(\n" + "\n".join(lines) + "\n)"


def at_least_zero(who: str, key: str, value: Any) -> None:
    """Raise ValueError unless `value` is a finite number ≥ 0."""
    try:
        good = math.isfinite(value) and value >= 0
    except TypeError:
        good = False
    if not good:
        raise ValueError(f"{who}: {key} must be a finite number of at least 0, got {value!r}.")


def _groups(params: Parameters, name: str) -> list[dict[str, Any]]:
    """The parameters as groups, every member checked to be a leaf tensor."""
    if isinstance(params, Tensor):
        raise TypeError(f"{name} takes a list of tensors and got one tensor of shape {params.shape}: write [tensor].")
    if not isinstance(params, Iterable) or isinstance(params, Mapping | str):
        advice = " Pass model.parameters()." if hasattr(params, "parameters") else ""
        raise TypeError(f"{name} takes a list of tensors or of groups and got {type(params).__name__}.{advice}")
    given = list(params)
    if not any(isinstance(item, Mapping) for item in given):
        given = [{"params": given}]
    groups = []
    for item in given:
        if not isinstance(item, Mapping) or "params" not in item:
            raise TypeError(
                f"{name} takes tensors only or groups only, each group a dictionary with 'params'; "
                f"among the groups is {item if isinstance(item, Mapping) else type(item).__name__}."
            )
        members = item["params"]
        members = (members,) if isinstance(members, Tensor) else tuple(members)
        for p in members:
            if not isinstance(p, Tensor):
                hint = " Pass model.parameters(), not named_parameters()." if isinstance(p, tuple | str) else ""
                raise TypeError(f"{name} optimises tensors and got {type(p).__name__} among the parameters.{hint}")
            if not p.is_leaf:
                raise ValueError(
                    f"{name} got a tensor of shape {p.shape} that was computed ({type(p._node).__name__}) and cannot "
                    "be updated. Optimise the leaves it was computed from, or detach() it."
                )
            if p.dtype.kind not in "fc":
                raise ValueError(
                    f"{name} got a tensor of dtype {p.dtype}; only floating-point numbers can be optimised."
                )
        groups.append({**item, "params": members})
    return groups
