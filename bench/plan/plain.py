"""Convert a plan to and from the plain data that a journal has of it."""

from __future__ import annotations

from dataclasses import asdict, fields
from functools import cache
from typing import Any

from pydantic import TypeAdapter, ValidationError

from .cells import Contender, Shape
from .plan import Plan


def to_plain(plan: Plan) -> dict[str, Any]:
    """Return a plan as plain data, its cells as rows."""
    rows = [{**asdict(cell.contender), **asdict(cell.shape), "phase": cell.phase} for cell in plan.cells]
    ceilings = [asdict(contender) for contender in plan.ceilings]
    sides = [{**asdict(side), "implementations": [*side.implementations]} for side in plan.sides]
    effects = [[pattern, effect] for pattern, effect in plan.min_effects]
    plain = {field.name: getattr(plan, field.name) for field in fields(plan)}
    styles = [[*pair] for pair in plan.styles]
    return {**plain, "cells": rows, "ceilings": ceilings, "sides": sides, "min_effects": effects, "styles": styles}


def from_plain(values: dict[str, Any]) -> Plan:
    """Return the plan that `to_plain` made data of. Raises ValueError that names the first field that does not fit."""
    known = {field.name for field in fields(Plan)}
    if unknown := sorted(values.keys() - known):
        raise ValueError(f"plan: {unknown[0]} is not of this version of relubench")
    cells = values.get("cells")
    rows = [_nested(row) for row in cells] if isinstance(cells, list) else cells
    try:
        return _adapter().validate_python(values | {"cells": rows})
    except ValidationError as error:
        first_error = error.errors(include_url=False)[0]
        raise ValueError(f"plan.{'.'.join(map(str, first_error['loc']))}: {first_error['msg']}") from error


def _nested(row: Any) -> Any:
    """Return a cell's row as its parts, and anything else unchanged for validation to complain about."""
    if not isinstance(row, dict):
        return row
    contender = {field.name: row[field.name] for field in fields(Contender) if field.name in row}
    shape = {field.name: row[field.name] for field in fields(Shape) if field.name in row}
    return {"contender": contender, "shape": shape} | ({"phase": row["phase"]} if "phase" in row else {})


@cache
def _adapter() -> TypeAdapter[Plan]:
    return TypeAdapter(Plan)
