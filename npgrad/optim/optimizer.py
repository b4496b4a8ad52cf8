"""What all optimisers share: parameter groups, the step, state."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import is_
from typing import Any, ClassVar

import numpy as np

from npgrad.engine.arrays import Array
from npgrad.engine.mode import MODE
from npgrad.engine.tensor import Tensor, raw

__all__ = ["Optimizer", "Parameters"]

Parameters = Iterable[Tensor] | Iterable[Mapping[str, Any]]
"""What optimisers accept: tensors, or groups `{"params": tensors, "lr": 0.01, …}` with options of their own."""

Group = dict[str, Any]
Numbers = dict[str, float]


class Optimizer:
    """Base of the optimisers. A subclass defines an update in two methods:

        numbers(group, t)          the scalars of the t-th update of a parameter, from the options of its group
        update(p, g, state, n)     the update itself: NumPy expressions of arrays and of those numbers

    and lists in `state_names` the arrays it keeps. `update` is restricted to NumPy calls, operators and branches on
    numbers, so that it can be recorded as well as run: all other arithmetic belongs in `numbers`.

    `param_groups` is a list of dictionaries, one per group, with the group's tensors under "params" and its options
    under their names. All of it may be changed between steps: `optimizer.param_groups[0]["lr"] = 0.01` (or
    `optimizer.lr = 0.01` for all groups), a tensor appended to a group, a group appended or replaced. What changed is
    checked at the next step, and options left out of a new group are the optimiser's own.

    `state` maps each parameter that has been updated to a dictionary with "step", how often, and its arrays.

    Raises ValueError if there are no parameters, one is given twice, or an option is unknown or out of range, TypeError
    if something is not a tensor.
    """

    state_names: ClassVar[Mapping[str, str | None]] = {}
    """The arrays kept for each parameter, each with the option that it is kept for, or None if it always is."""

    def __init__(self, params: Parameters, **options: Any) -> None:
        name = type(self).__name__
        if isinstance(params, Tensor):
            raise TypeError(
                f"{name} takes a list of tensors and got one tensor of shape {params.shape}: write [tensor]."
            )
        if not isinstance(params, Iterable) or isinstance(params, Mapping | str):
            advice = " Pass model.parameters()." if hasattr(params, "parameters") else ""
            raise TypeError(f"{name} takes a list of tensors or of groups and got {type(params).__name__}.{advice}")
        given: list[Any] = list(params)
        if not any(isinstance(item, Mapping) for item in given):
            given = [{"params": given}]
        self.defaults = options
        self.param_groups: list[Group] = []
        self.state: dict[Tensor, dict[str, Any]] = {}
        self._uneven = 0
        # How many times step counts of parameters may have come apart: a compiled step then compares them.
        self._valid: dict[int, Group] = {}
        # The options of each group when they were last found to be in range.
        self._kinds: dict[Tensor, tuple[tuple[int, ...], np.dtype[Any]]] = {}
        self._checked: list[tuple[Group, list[Tensor], list[Tensor]]] = []
        self._take([dict(item) if isinstance(item, Mapping) else item for item in given])

    # -- what a subclass defines ---------------------------------------------------------------------------------------

    def check(self, group: Group) -> None:
        """Raise ValueError if an option of this group is out of range."""
        for key in ("lr", "weight_decay", "eps"):
            if key in group:
                at_least_zero(type(self).__name__, key, group[key])

    def numbers(self, group: Group, t: int) -> Numbers:
        """The scalars of the t-th update (t ≥ 1) of a parameter in `group`, as Python floats and booleans."""
        raise NotImplementedError(f"{type(self).__name__} has no numbers method: define numbers(self, group, t).")

    def update(self, p: Array, g: Array, state: Mapping[str, Array], n: Mapping[str, float]) -> None:
        """Change the parameter's array `p` and the arrays of its `state` in place, given the gradient `g` and `n`.

        `g` must not be changed. `n` are the numbers that `numbers` returned for this parameter.
        """
        raise NotImplementedError(f"{type(self).__name__} has no update method: define update(self, p, g, state, n).")

    # -- the step ------------------------------------------------------------------------------------------------------

    def step(self) -> None:
        """Update every parameter that has a gradient; the others, their state included, are left as they are.

        Raises, before anything has changed, what the constructor raises if `param_groups` does not hold valid groups,
        and RuntimeError if a parameter's shape or dtype changed.
        """
        for group in self._groups():
            self._check_options(group)
        work = [(group, self._ready(group)) for group in self.param_groups]
        recorder = MODE.get().recorder
        if recorder is None:
            advanced = [self._advance(group, list(ready)) for group, ready in work]
        else:
            for group, ready in work:
                for p in ready:
                    self.state.setdefault(p, {"step": 0})
                    self._arrays(p, group)
            advanced = [recorder.host(self._advance, group, list(ready)) for group, ready in work]
        for (group, ready), numbers in zip(work, advanced, strict=True):
            for (p, g), n in zip(ready.items(), numbers, strict=True):
                state = self._arrays(p, group)
                if recorder is None:
                    self.update(p._array, g, state, n)
                    p._leaf().storage.touch()
                else:
                    self.update(recorder.lift(p._array), g, {k: recorder.lift(a) for k, a in state.items()}, n)

    def _ready(self, group: Group) -> dict[Tensor, Array]:
        """The parameters of `group` that have a gradient, each with it. Raises if one is not what it was."""
        ready = {}
        for p in group["params"]:
            g = p.grad
            if g is None:
                continue
            a, (shape, dtype) = p._array, self._kinds[p]
            if a.shape != shape or a.dtype != dtype:
                raise RuntimeError(
                    f"a parameter had shape {shape} and dtype {dtype} when {type(self).__name__} got it and has shape "
                    f"{a.shape} and dtype {a.dtype} now. Make a new optimiser after changing parameters."
                )
            ready[p] = g
        return ready

    def _advance(self, group: Group, parameters: Sequence[Tensor]) -> list[Numbers]:
        """Count one more update of these parameters of `group` and return the numbers of each.

        No arrays are touched, so that a compiled step can call this at every run; hence the options are checked here
        as well. Parameters that have been updated equally often share one dictionary.
        """
        self._check_options(group)
        before = self._uneven
        self._uneven = before + 1  # until all of them are counted: an interrupt may come in between
        states = self.state
        found: dict[int, Numbers] = {}
        numbers = []
        for p in parameters:
            state = states.get(p) or states.setdefault(p, {"step": 0})
            state["step"] = t = state["step"] + 1
            if t not in found:
                found[t] = self.numbers(group, t)
            numbers.append(found[t])
        if len(parameters) == len(group["params"]):
            self._uneven = before
        return numbers

    def _check_options(self, group: Group) -> None:
        """`check`, where an option has changed since the last time."""
        known = self._valid.get(id(group))
        # The same list of members equals itself at once; tensors would be compared number by number.
        if known is None or group["params"] is not known["params"] or group != known:
            self.check(group)
            self._valid[id(group)] = {
                k: list(v) if isinstance(v, list) and k != "params" else v for k, v in group.items()
            }

    def _arrays(self, p: Tensor, group: Group) -> dict[str, Any]:
        """The state of `p`, with the arrays that its group's options need."""
        state = self.state[p]
        for name, option in self.state_names.items():
            if name not in state and (option is None or group[option]):
                state[name] = np.zeros_like(p._array)
        return state

    def _leads(self, parameters: Sequence[Tensor]) -> list[int]:
        """By how many updates each of these is ahead of the first: while that stays, equal numbers stay equal."""
        steps = [self.state[p]["step"] if p in self.state else 0 for p in parameters]
        return [step - steps[0] for step in steps]

    def _snapshot(self) -> Callable[[], None]:
        """A function that sets the step counts and the options back to what they are now."""
        steps = {p: state["step"] for p, state in self.state.items()}
        options = [(group, {k: v for k, v in group.items() if k != "params"}) for group in self.param_groups]

        def restore() -> None:
            for p, state in self.state.items():
                state["step"] = steps.get(p, 0)
            for group, then in options:
                group.update(then)

        return restore

    def zero_grad(self) -> None:
        """Forget the gradients: `grad` is None again."""
        for group in self._groups():
            for p in group["params"]:
                p._leaf().grad = None

    # -- groups --------------------------------------------------------------------------------------------------------

    def add_param_group(self, group: Mapping[str, Any]) -> None:
        """Optimise the tensors in `group["params"]` too; options left out are those the optimiser was made with.

        Raises as the constructor, and changes nothing then.
        """
        self._take([*self._groups(), dict(group) if isinstance(group, Mapping) else group])

    @property
    def lr(self) -> float:
        """The learning rate; assigning sets it in every group. Raises ValueError on reading if the groups' differ."""
        rates = {group["lr"] for group in self._groups()}
        if len(rates) > 1:
            raise ValueError(f"the groups have different learning rates {sorted(rates)}: read param_groups[k]['lr'].")
        return float(rates.pop())

    @lr.setter
    def lr(self, value: float) -> None:
        at_least_zero(type(self).__name__, "lr", value)
        for group in self.param_groups:
            group["lr"] = value

    def _groups(self) -> list[Group]:
        """The groups as they are now, taken over first if a group or a member is not what it was."""
        same = len(self.param_groups) == len(self._checked) and all(
            group is known
            and group.get("params") is members
            and len(members) == len(own)
            and all(map(is_, members, own))
            for group, (known, members, own) in zip(self.param_groups, self._checked, strict=False)
        )
        if not same:
            self._take(self.param_groups)
        return self.param_groups

    def _take(self, given: Sequence[Any]) -> None:
        """Make `given` the groups, with options left out filled in and the members as lists, or change nothing."""
        name = type(self).__name__
        complete: list[Group] = []
        kinds: dict[Tensor, tuple[tuple[int, ...], np.dtype[Any]]] = {}
        for number, item in enumerate(given):
            if not isinstance(item, dict) or "params" not in item:
                raise TypeError(
                    f"{name} takes tensors only or groups only, each group a dictionary with 'params'; "
                    f"among the groups is {item if isinstance(item, dict) else type(item).__name__}."
                )
            unknown = [key for key in item if key != "params" and key not in self.defaults]
            if unknown:
                raise ValueError(
                    f"{name} has no option {', '.join(map(repr, unknown))} (in group {number}). "
                    f"It has {', '.join(self.defaults)}."
                )
            members = item["params"]
            if not isinstance(members, list):
                # A generator can be read only once, and not again after an error: what it gave is kept.
                members = item["params"] = [members] if isinstance(members, Tensor) else list(members)
            for p in members:
                self._check_member(p)
                if p in kinds:
                    raise ValueError(
                        f"{name} got a parameter of shape {p.shape} twice, and would update it twice a step. "
                        "List every parameter once, in one group."
                    )
                kinds[p] = self._kinds.get(p, (p.shape, p.dtype))
            group = {**self.defaults, **item}
            self.check(group)
            complete.append(group)
        if not kinds:
            raise ValueError(
                f"{name} got no parameters. Pass model.parameters(); a generator that was used up before is empty."
            )
        for item, group in zip(given, complete, strict=True):
            item.update(group)
        self.param_groups[:] = given
        self._kinds |= kinds
        self._checked = [(group, group["params"], list(group["params"])) for group in given]

    def _check_member(self, p: Any) -> None:
        name = type(self).__name__
        if not isinstance(p, Tensor):
            hint = " Pass model.parameters(), not named_parameters()." if isinstance(p, tuple | str) else ""
            raise TypeError(f"{name} optimises tensors and got {type(p).__name__} among the parameters.{hint}")
        if not p.is_leaf:
            raise ValueError(
                f"{name} got a tensor of shape {p.shape} that was computed ({type(p._node).__name__}) and cannot "
                "be updated. Optimise the leaves it was computed from, or detach() it."
            )
        if p.dtype.kind not in "fc":
            raise ValueError(f"{name} got a tensor of dtype {p.dtype}; only floating-point numbers can be optimised.")

    # -- state ---------------------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """Options and copies of the state, parameters being numbered through all groups in the order they were given.

        {"state": {number: {"step": updates so far, name: array, …}, …},
         "param_groups": [{"params": numbers, option: value, …}, …]}
        """
        state: dict[int, dict[str, Any]] = {}
        groups: list[Group] = []
        k = 0
        for group in self._groups():
            first = k
            for p in group["params"]:
                if self.state.get(p, {"step": 0})["step"]:
                    state[k] = {key: np.copy(v) if key != "step" else v for key, v in self._arrays(p, group).items()}
                k += 1
            groups.append({**group, "params": list(range(first, k))})
        return {"state": state, "param_groups": groups}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over options and state from the `state_dict()` of an optimiser of the same kind.

        Arrays that exist already are written to, not replaced. Raises ValueError naming all that is wrong, and changes
        nothing, if the state is not of such an optimiser with parameters of the same shapes in the same order.
        """
        name = type(self).__name__
        mine = self._groups()
        try:
            groups = [dict(group) for group in state["param_groups"]]
            there = [len(group["params"]) for group in groups]
            entries = {int(k): dict(entry) for k, entry in state["state"].items()}
        except (AttributeError, KeyError, TypeError, ValueError):
            raise ValueError(
                f"this is not the state_dict() of an optimiser, which has 'state' and 'param_groups': {_short(state)}."
            ) from None
        here = [len(group["params"]) for group in mine]
        if here != there:
            raise ValueError(
                f"this state is of groups with {there} parameters, this {name} has groups with {here}. "
                "Make the optimiser from the same parameters, in the same groups."
            )
        faults: list[str] = []
        owners: list[tuple[Tensor, Group]] = []
        for own, group in zip(mine, groups, strict=True):
            numbers = list(range(len(owners), len(owners) + len(own["params"])))
            if list(group["params"]) != numbers:
                faults.append(f"it numbers its parameters {_short(group['params'])} instead of {_short(numbers)}")
            owners.extend((p, group) for p in own["params"])
            if set(group) != set(own):
                faults.append(f"it has the options {', '.join(sorted(set(map(str, group)) - {'params'}))}")
                continue
            try:
                self.check(group)
            except ValueError as error:
                faults.append(str(error).rstrip("."))
        faults += [f"it has a parameter number {k}" for k in entries if not 0 <= k < len(owners)]
        loaded: dict[int, dict[str, Any]] = {}
        if not faults:
            loaded = {k: self._read(*owners[k], k, entry, faults) for k, entry in entries.items()}
        if faults:
            raise ValueError(f"this state does not fit {name}, and nothing was loaded: {'; '.join(faults)}.")
        for own, group in zip(mine, groups, strict=True):
            # A tuple that went through JSON is a list, which would still be the caller's.
            own.update({k: tuple(v) if isinstance(v, list) else v for k, v in group.items() if k != "params"})
        self._uneven += 1
        for k, (p, _) in enumerate(owners):
            if k not in loaded and p not in self.state:
                continue
            entry = loaded.get(k, {"step": 0})
            kept = self.state.setdefault(p, {"step": 0})
            kept["step"] = entry["step"]
            for key in self.state_names:
                if key in entry and key not in kept:
                    kept[key] = np.zeros_like(p._array)
                if key in kept:
                    kept[key][...] = entry.get(key, 0)

    def _read(self, p: Tensor, group: Group, k: int, entry: dict[str, Any], faults: list[str]) -> dict[str, Any]:
        """The state of the k-th parameter, as numbers and arrays; what is wrong with it is added to `faults`."""
        found: dict[str, Any] = {}
        step = entry.pop("step", None)
        if isinstance(step, bool) or not isinstance(step, int | np.integer) or step < 1:
            faults.append(f"the step of parameter {k} is {_short(step)} and not a whole number of at least 1")
        else:
            found["step"] = int(step)
        for key, option in self.state_names.items():
            if key not in entry:
                if option is None or group[option]:
                    faults.append(f"it has no {key} for parameter {k}")
                continue
            try:
                array = np.asarray(raw(entry.pop(key)))
            except (TypeError, ValueError):
                array = np.empty((), object)
            if not np.can_cast(array.dtype, p.dtype, "same_kind"):
                faults.append(f"its {key} {k} is of dtype {array.dtype} for a parameter of {p.dtype}")
            elif array.shape != p.shape:
                faults.append(f"its {key} {k} is {array.shape} for a parameter of {p.shape}")
            found[key] = array
        faults += [f"it has {key!r} for parameter {k}" for key in entry]
        return found

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


def true_or_false(who: str, key: str, value: Any) -> None:
    """Raise ValueError unless `value` is a boolean."""
    if not isinstance(value, bool | np.bool_):
        raise ValueError(f"{who}: {key} must be True or False, got {value!r}.")


def _short(value: Any) -> str:
    """`value` in an error message."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "…"
