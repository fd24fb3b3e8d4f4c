"""How a style of a backend differs from the plain file, for people to read: its first sentence and the lines of code.
Both are read from the sources, so that no framework is imported."""

from __future__ import annotations

import ast
import difflib
import re
import textwrap
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from . import _own_file, _parsed, style_of

_FOLDER = Path(__file__).parent
_CONTEXT_LINES = 1
_Node = ast.ClassDef | ast.FunctionDef | ast.Assign


def sentence(name: str) -> str:
    """Return the first sentence of the docstring of an implementation's file, on one line; empty where it has none.
    Raises LookupError where the file cannot be read."""
    docstring = " ".join((ast.get_docstring(_parsed(name, _own_file(name))) or "").split())
    end = re.search(r"[.!?](?=\s|$)", docstring)
    return docstring[: end.end()] if end else docstring


def difference(name: str, phase: str) -> list[str]:
    """Return the lines in which the code that a phase runs differs from that of the implementation that `name` is a
    style of: a unified diff, whose first two lines name the files; empty where the code is the same.

    That code is the phase's method, what it calls of its class, of its file and of the files beside it, in the order of
    the calls, and last the assignments that only the style makes, while the net is constructed, for this code. Blank
    lines and docstrings are left out. Raises LookupError where a file cannot be read.
    """
    plain = style_of(name)
    files = [f"{_FOLDER.name}/{_own_file(each).name}" for each in (plain, name)]
    (plain_code, plain_assignments), (code, assignments) = (_listing(each, phase) for each in (plain, name))
    made = [line for lines in assignments if lines not in plain_assignments for line in lines]
    lines = difflib.unified_diff(plain_code, code + made, *files, n=_CONTEXT_LINES, lineterm="")
    # The numbers of lines in a hunk's header are those of the listings, which no file has.
    return ["@@" if line.startswith("@@") else line for line in lines]


@dataclass(frozen=True, eq=False)
class _Module:
    """The source of one file of this folder."""

    name: str
    file: Path

    @cached_property
    def tree(self) -> ast.Module:
        return _parsed(self.name, self.file)

    @cached_property
    def lines(self) -> list[str]:
        with tokenize.open(self.file) as stream:
            return stream.read().splitlines()

    @cached_property
    def siblings(self) -> dict[str, tuple[_Module, str]]:
        """The names that come from files beside this one, with the file and the name there."""
        return {
            alias.asname or alias.name: (_Module(self.name, self.file.with_name(f"{node.module}.py")), alias.name)
            for node in self.tree.body
            if isinstance(node, ast.ImportFrom) and node.level == 1 and node.module
            for alias in node.names
        }

    def find(self, name: str) -> list[tuple[_Module, _Node]]:
        """Return what defines a name of the top level, with its module; empty where another package does."""
        for node in self.tree.body:
            if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == name:
                return [(self, node)]
            if isinstance(node, ast.Assign) and name in _assigned(node):
                return [(self, node)]
        if name in self.siblings:
            module, name_there = self.siblings[name]
            return module.find(name_there)
        return []

    def source(self, node: _Node) -> list[str]:
        """Return the lines of a node with its decorators, without indentation, docstring and blank lines."""
        first = min(part.lineno for part in (node, *getattr(node, "decorator_list", ())))
        numbers = set(range(first, (node.end_lineno or first) + 1))
        for part in ast.walk(node):
            if isinstance(part, ast.FunctionDef | ast.ClassDef) and len(part.body) > 1 and ast.get_docstring(part):
                numbers -= {*range(part.body[0].lineno, (part.body[0].end_lineno or 0) + 1)}
        text = textwrap.dedent("\n".join(self.lines[number - 1] for number in sorted(numbers)))
        return [line for line in text.splitlines() if line.strip()]


def _listing(name: str, phase: str) -> tuple[list[str], list[list[str]]]:
    """Return the lines of the methods and functions that a phase of an implementation runs, in the order of the calls,
    and the lines of each assignment that makes what these use."""
    classes = _classes(name)
    methods = _methods(classes)
    made = _made(classes, methods)
    nets = {(module.file, node.lineno) for module, node in classes}
    found: dict[tuple[Path, int], tuple[_Module, _Node]] = {}
    later: list[tuple[_Module, _Node]] = []

    def visit(module: _Module, node: _Node) -> None:
        place = module.file, node.lineno  # a file that two others import is parsed twice
        if place in found or place in nets:
            return
        found[place] = module, node
        for part in _parts(node):
            used: list[tuple[_Module, _Node]] = []
            if _is_own(part):
                used = [methods[part.attr]] if part.attr in methods else made.get(part.attr, [])
            elif isinstance(part, ast.Name) and isinstance(part.ctx, ast.Load):
                used = module.find(part.id)
            for each in used:
                if isinstance(each[1], ast.Assign):
                    later.append(each)
                else:
                    visit(*each)

    later += [methods[phase]] if phase in methods else []
    while later:
        visit(*later.pop(0))
    code = [module.source(node) for module, node in found.values() if not isinstance(node, ast.Assign)]
    assignments = [module.source(node) for _, (module, node) in sorted(found.items()) if isinstance(node, ast.Assign)]
    return [line for lines in code for line in lines], assignments


def _classes(name: str) -> list[tuple[_Module, ast.ClassDef]]:
    """Return the class of an implementation and those that it extends, the nearest first. A file of several classes
    makes each from its own class and that of the plain implementation."""
    module, plain = _Module(name, _own_file(name)), style_of(name)
    if ":" not in name:
        return _with_bases(module, "Net")
    own = [node.name for node in module.tree.body if isinstance(node, ast.ClassDef)]
    classes = [each for class_name in own for each in _with_bases(module, class_name)]
    return classes + (_classes(plain) if plain != name else [])


def _with_bases(module: _Module, class_name: str) -> list[tuple[_Module, ast.ClassDef]]:
    classes = []
    for owner, net in module.find(class_name):
        if isinstance(net, ast.ClassDef):
            classes.append((owner, net))
            for base in (base.id for base in net.bases if isinstance(base, ast.Name)):
                # A class may have the name of the one that it extends.
                classes += _with_bases(*owner.siblings.get(base, (owner, base)))
    return classes


def _methods(classes: list[tuple[_Module, ast.ClassDef]]) -> dict[str, tuple[_Module, ast.FunctionDef]]:
    """Return the methods by their names; of several, that of the nearest class."""
    methods: dict[str, tuple[_Module, ast.FunctionDef]] = {}
    for module, net in classes:
        for node in net.body:
            if isinstance(node, ast.FunctionDef):
                methods.setdefault(node.name, (module, node))
    return methods


def _made(
    classes: list[tuple[_Module, ast.ClassDef]], methods: dict[str, tuple[_Module, ast.FunctionDef]]
) -> dict[str, list[tuple[_Module, ast.Assign]]]:
    """Return the assignments that give a net its attributes while it is constructed, by the attributes' names, without
    those of the interface, which every net has."""
    made: dict[str, list[tuple[_Module, ast.Assign]]] = {}
    own = [(module, net) for module, net in classes if module.file.stem != "interface"]
    constructors = [(module, node) for module, net in own for node in net.body if _name(node) == "__init__"]
    called = [part.func for _, node in constructors for part in ast.walk(node) if isinstance(part, ast.Call)]
    helpers = [methods[part.attr] for part in called if _is_own(part) and part.attr in methods]
    for module, node in dict.fromkeys([*constructors, *helpers]):
        for statement in ast.walk(node):
            if isinstance(statement, ast.Assign):
                for name in _assigned(statement):
                    made.setdefault(name, []).append((module, statement))
    return made


def _parts(node: ast.AST) -> Iterator[ast.AST]:
    """Yield a node's parts in the order of the source; annotations run nothing."""
    for field, value in ast.iter_fields(node):
        if field not in ("annotation", "returns"):
            for part in value if isinstance(value, list) else [value]:
                if isinstance(part, ast.AST):
                    yield part
                    yield from _parts(part)


def _assigned(statement: ast.Assign) -> list[str]:
    """Return the names, and the attributes of `self`, that an assignment binds."""
    parts = [part for target in statement.targets for part in ast.walk(target)]
    bound = [part for part in parts if isinstance(getattr(part, "ctx", None), ast.Store)]
    return [part.attr if _is_own(part) else _name(part) for part in bound]


def _is_own(node: ast.AST) -> bool:
    """Return whether a node is an attribute of `self`."""
    return isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "self"


def _name(node: ast.AST) -> str:
    return getattr(node, "name", getattr(node, "id", ""))
