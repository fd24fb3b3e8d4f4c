"""A plan as plain data, as a journal has it."""

from __future__ import annotations

from dataclasses import asdict, fields
from functools import cache
from typing import Any

from pydantic import TypeAdapter, ValidationError

from .cells import Contender, Shape
from .plan import Plan


def to_plain(plan: Plan) -> dict[str, Any]:
    """A plan as plain data, its cells as rows."""
    flat = [{**asdict(cell.contender), **asdict(cell.shape), "phase": cell.phase} for cell in plan.cells]
    ceilings = [asdict(contender) for contender in plan.ceilings]
    sides = [{**asdict(side), "implementations": [*side.implementations]} for side in plan.sides]
    effects = [[pattern, effect] for pattern, effect in plan.min_effects]
    plain = {f.name: getattr(plan, f.name) for f in fields(plan)}
    return {**plain, "cells": flat, "ceilings": ceilings, "sides": sides, "min_effects": effects}


def from_plain(values: dict[str, Any]) -> Plan:
    """The plan that such data are of. Raises ValueError that names the first field that does not fit."""
    known = {field.name for field in fields(Plan)}
    if unknown := sorted(values.keys() - known):
        raise ValueError(f"plan: {unknown[0]} is not of this version of relubench")
    cells = values.get("cells")
    rows = [_nested(row) for row in cells] if isinstance(cells, list) else cells
    try:
        return _adapter().validate_python(values | {"cells": rows})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise ValueError(f"plan.{'.'.join(map(str, first['loc']))}: {first['msg']}") from error


def _nested(row: Any) -> Any:
    """A cell's row as its parts; anything else as it is, to be complained about."""
    if not isinstance(row, dict):
        return row
    contender = {field.name: row[field.name] for field in fields(Contender) if field.name in row}
    shape = {field.name: row[field.name] for field in fields(Shape) if field.name in row}
    return {"contender": contender, "shape": shape} | ({"phase": row["phase"]} if "phase" in row else {})


@cache
def _adapter() -> TypeAdapter[Plan]:
    return TypeAdapter(Plan)
