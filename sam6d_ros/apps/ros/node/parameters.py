"""Parameters: declared once per node in a table, validated, refused with the reason."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    SetParametersResult,
)
from rclpy.exceptions import (
    InvalidParameterTypeException,
    InvalidParameterValueException,
    ParameterException,
)
from rclpy.node import Node
from rclpy.parameter import Parameter as RosParameter

from sam6d_ros.errors import InvalidConfig, InvalidInput, Sam6dError

Value = bool | int | float | str | list[str]


@dataclass(frozen=True)
class Parameter:
    """One row of a node's table.

    Attributes:
        name: dotted names group ("rgb.reliability").
        default: also decides the type.
        description: one sentence, unit included.
        read_only: can only be given at start.
        choices: the allowed values of a string; empty allows any.
        limits: lowest and highest value of a number, or None.
        check: raises InvalidInput for a value that is not allowed, if choices cannot state it.
    """

    name: str
    default: Value
    description: str
    read_only: bool = True
    choices: tuple[str, ...] = ()
    limits: tuple[float, float] | None = None
    check: Callable[[Any], None] | None = None

    def descriptor(self) -> ParameterDescriptor:
        """Return the descriptor that `ros2 param describe` shows."""
        constraints = f"one of {', '.join(self.choices)}" if self.choices else ""
        descriptor = ParameterDescriptor(
            description=self.description,
            additional_constraints=constraints,
            read_only=self.read_only,
        )
        if self.limits and isinstance(self.default, float):
            low, high = (float(v) for v in self.limits)
            descriptor.floating_point_range = [FloatingPointRange(from_value=low, to_value=high)]
        elif self.limits:
            low, high = (int(v) for v in self.limits)
            descriptor.integer_range = [IntegerRange(from_value=low, to_value=high, step=1)]
        return descriptor

    def problem(self, value: Value) -> str:
        """Return the reason why a value is refused, or empty; rclpy checks types and ranges."""
        if self.choices and value not in self.choices:
            return f"{self.name} is {value!r}; expected one of {', '.join(self.choices)}"
        try:
            if self.check is not None:
                self.check(value)
        except InvalidInput as error:
            return str(error)
        return ""


def group(
    name: str,
    config: type,
    fields: Mapping[str, tuple[str, tuple[float, float]]],
    read_only: Container[str] | None = None,
) -> tuple[Parameter, ...]:
    """Return rows ``<name>.<field>`` with the defaults of a class; see ``values_of``.

    Args:
        name: of the group.
        config: a dataclass.
        fields: name of each → description, and lowest and highest value.
        read_only: names of those that can only be given at start (default: all).
    """
    return tuple(
        Parameter(
            f"{name}.{field}",
            getattr(config, field),
            text,
            read_only=read_only is None or field in read_only,
            limits=limits,
        )
        for field, (text, limits) in fields.items()
    )


Changes = Sequence[RosParameter]


def _accept_all(_: Changes) -> None:
    """Check nothing."""


def declare(
    node: Node,
    table: Sequence[Parameter],
    validate: Callable[[Changes], None] = _accept_all,
    changed: Callable[[Changes], None] = _accept_all,
) -> None:
    """Declare a table on a node and watch over later changes.

    Args:
        node: receives the parameters.
        table: the rows.
        validate: raises if a change is to be refused, and changes nothing; its text is the reason.
        changed: called once the values are stored.

    Raises:
        InvalidConfig: a value given at start has the wrong type, range or choice.
    """
    rows = {row.name: row for row in table}
    for row in table:
        _declare_one(node, row)

    def check(changes: list[RosParameter]) -> SetParametersResult:
        known = [(rows[p.name], p.value) for p in changes if p.name in rows]
        reason = "; ".join(filter(None, (row.problem(value) for row, value in known)))
        reason = reason or _refusal(node, partial(validate, changes))
        return SetParametersResult(successful=not reason, reason=reason)

    def follow(changes: list[RosParameter]) -> None:
        _refusal(node, partial(changed, changes))

    node.add_on_set_parameters_callback(check)
    node.add_post_set_parameters_callback(follow)


def _refusal(node: Node, step: Callable[[], None]) -> str:
    """Return what a step raises as text, or nothing; log the traceback of a defect.

    rclpy does not catch what a parameter callback raises: it would end the node.
    """
    try:
        step()
    except Sam6dError as error:
        return str(error)
    except BaseException as error:  # the boundary: a defect must not end the node
        node.get_logger().error("".join(traceback.format_exception(error)))
        return f"{type(error).__name__}: {error}"
    return ""


def values_of(node: Node, name: str) -> dict[str, Any]:
    """The values of the rows of a ``group``, by the names of the fields."""
    found = node.get_parameters_by_prefix(name)
    return {field: parameter.value for field, parameter in found.items()}


def _declare_one(node: Node, row: Parameter) -> None:
    try:
        value: Value = node.declare_parameter(row.name, row.default, row.descriptor()).value
    except InvalidParameterTypeException as error:
        hint = f"write numbers like {row.default}" if isinstance(row.default, float) else "check it"
        raise InvalidConfig(
            f"parameter {row.name} must be a {type(row.default).__name__}; {hint} ({error})"
        ) from error
    except (InvalidParameterValueException, ParameterException) as error:
        raise InvalidConfig(
            f"parameter {row.name} is refused; expected a value in {row.limits} ({error})"
        ) from error
    if reason := row.problem(value):
        raise InvalidConfig(f"parameter {reason}")
