"""The backends, one file each, found by their file names: none is imported before it is requested."""

from __future__ import annotations

import ast
import difflib
import importlib
import io
import sys
import tokenize
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from functools import lru_cache
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

from .interface import Problem, TwoLayerNet, Unavailable

__all__ = [
    "Problem",
    "TwoLayerNet",
    "Unavailable",
    "ceilings_of",
    "device_kinds",
    "dtypes_of",
    "load",
    "module_of",
    "names",
    "style_of",
]

_FOLDER = Path(__file__).parent
_NOT_BACKENDS = {"__init__", "interface", "styles"}
_DEFAULT_DTYPES = ("float32", "float64")
_OWN_CLASS = "Net"
"""The class of every file in this folder."""
_MOST_SOURCE_BYTES = 1 << 23
"""The largest source of a module that is read without importing it."""
_MOST_NAME_CHARACTERS = 255
_UNKNOWN = "unknown"
"""The kind of a name's value where the source does not show it."""


def names(folder: Path = _FOLDER) -> list[str]:
    """Return the sorted names of the implementations in a folder, importing none of them. A file whose DEVICE_KINDS is
    a mapping has a class for each of its keys, named like `array_api:numpy`."""
    found = []
    for file in folder.glob("*.py"):
        if file.stem not in _NOT_BACKENDS:
            name = file.stem.rstrip("_")
            classes = _classes_by_kinds(file, file.stat().st_mtime_ns)
            found += [f"{name}:{class_name}" for class_name in classes] or [name]
    return sorted(found)


def load(name: str) -> type[TwoLayerNet]:
    """Return the class for a name from `names()`, or for `package.module:Class`.

    Raises Unavailable with an install hint when its framework is missing, and LookupError when
    there is no such implementation, module or class.
    """
    module_name, class_name = _locate(name)
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name and module_name.split(".")[0] == error.name.split(".")[0]:
            raise LookupError(f"{name}: there is no module {error.name!r}") from error
        raise Unavailable(f"{name} needs the module {error.name!r}, which is not installed") from error
    if not hasattr(module, class_name):
        raise LookupError(_without_class(name, module_name, class_name, ()))
    return getattr(module, class_name)


def module_of(name: str, path: Sequence[str] = ()) -> str:
    """Return the name of the module with an implementation's class. Raises LookupError."""
    return _locate(name, path)[0]


def device_kinds(name: str, path: Sequence[str] = ()) -> tuple[str, ...]:
    """Return the kinds of device that an implementation's file declares, without importing it.

    They are the file's `DEVICE_KINDS = (...)`, or ("cpu",) where it has none; a file of several classes maps their
    names to such tuples. `path` has more folders to look for modules in. Raises LookupError when there is no such
    implementation, module or class.
    """
    module_name, class_name = _locate(name, path)
    tree = _parsed(name, _source_file(name, module_name, [str(_FOLDER.parent), *path, *sys.path]))
    declared = _declared(tree, "DEVICE_KINDS")
    if isinstance(declared, ast.Dict) and class_name in (by_class := _literal_tuples(name, "DEVICE_KINDS", declared)):
        return by_class[class_name]
    kinds_by_name = _top_level_names(tree)
    if class_name not in kinds_by_name and "*" not in kinds_by_name:
        raise LookupError(_without_class(name, module_name, class_name, kinds_by_name))
    if len(kinds := kinds_by_name.get(class_name, {_UNKNOWN})) == 1 and kinds != {_UNKNOWN}:
        raise LookupError(f"{name}: {class_name!r} is {kinds.pop()} in {module_name}, not the class of a network")
    return _literal_names(name, "DEVICE_KINDS", declared) if declared else ("cpu",)


def dtypes_of(name: str, path: Sequence[str] = ()) -> tuple[str, ...]:
    """Return the dtypes that an implementation's file declares, without importing it.

    They are the file's `DTYPES = (...)`, or float32 and float64 where it has none; a file of several classes may map
    their names to such tuples. `path` has more folders to look for modules in. Raises LookupError when there is no such
    implementation or module.
    """
    module_name, class_name = _locate(name, path)
    tree = _parsed(name, _source_file(name, module_name, [str(_FOLDER.parent), *path, *sys.path]))
    declared = _declared(tree, "DTYPES")
    if isinstance(declared, ast.Dict):
        return _literal_tuples(name, "DTYPES", declared).get(class_name, _DEFAULT_DTYPES)
    return _literal_names(name, "DTYPES", declared) if declared else _DEFAULT_DTYPES


def style_of(name: str) -> str:
    """Return the implementation of which another is a style, importing none: the name that its file declares as
    `STYLE_OF`, numpy for array_api:numpy, torch for torch_module; else its own name."""
    if name not in (known := names()):
        return name
    declared = _declared(_own_tree(name), "STYLE_OF")
    if declared:
        return str(ast.literal_eval(declared))
    backend = name.partition(":")[2]
    return next((other for other in known if other == backend or name.startswith(f"{other}_")), name)


def ceilings_of(name: str) -> str | None:
    """Return the implementation that measures the ceilings of the machine with an implementation's framework; None
    where its file declares `CEILINGS = False`, as where arrays cannot be written in place."""
    if (root := style_of(name)) not in names():
        return None
    declared = _declared(_own_tree(root), "CEILINGS")
    return root if declared is None or ast.literal_eval(declared) else None


def _locate(name: str, path: Sequence[str] = ()) -> tuple[str, str]:
    module_name, _, class_name = name.partition(":")
    if _is_path(module_name):
        raise LookupError(f"there is no implementation {name!r}: {_module_instead_of_path(module_name, class_name)}")
    if name in (known := names()):
        return f"{__name__}.{_own_file(name).stem}", class_name or _OWN_CLASS
    _check_name(name, module_name, class_name)
    if class_name:
        return module_name, class_name
    classes = " or ".join(_classes_of(name, path))
    hint = f"; did you mean {classes}?" if classes else f", or package.module:Class{_hint(name, known)}"
    raise LookupError(f"there is no implementation {name!r}; there are {', '.join(known)}{hint}")


def _own_file(name: str) -> Path:
    """Return the file of a name from `names()`."""
    stem = name.partition(":")[0]
    underscored = _FOLDER / f"{stem}_.py"
    return underscored if underscored.exists() else _FOLDER / f"{stem}.py"


def _own_tree(name: str) -> ast.Module:
    return _parsed(name, _own_file(name))


@lru_cache(1000)
def _classes_by_kinds(file: Path, modified: int) -> list[str]:
    """Return the classes whose kinds of device a file of this age maps by their names; none where it cannot be read."""
    with suppress(LookupError):
        declared = _declared(_parsed(file.stem, file), "DEVICE_KINDS")
        if isinstance(declared, ast.Dict):
            return [*_literal_tuples(file.stem, "DEVICE_KINDS", declared)]
    return []


def _without_class(name: str, module_name: str, class_name: str, known: Iterable[str]) -> str:
    """Return a message that names the missing class and says what to do."""
    message = f"{name}: {module_name} has no class {class_name!r}"
    if ":" in name:
        return message + _hint(class_name, known)
    return f"{message}; rename the class of its network to {class_name}"


def _check_name(name: str, module_name: str, class_name: str) -> None:
    """Raise LookupError for a text that cannot be the name of any module or class."""
    shown = repr(name if len(name) <= 80 else f"{name[:60]}…{name[-10:]}")
    if len(name) > _MOST_NAME_CHARACTERS:
        raise LookupError(
            f"there is no implementation {shown}: it has {len(name)} characters, of at most {_MOST_NAME_CHARACTERS}"
        )
    if not name.isprintable():
        raise LookupError(f"there is no implementation {shown}; there are {', '.join(names())}")
    if class_name and not all(part.isidentifier() for part in (*module_name.split("."), class_name)):
        raise LookupError(f"there is no implementation {shown}; a class is named like package.module:Class")


def _hint(name: str, known: Iterable[str]) -> str:
    by_lower = {known_name.lower(): known_name for known_name in known}
    near = difflib.get_close_matches(name.lower(), by_lower, n=1)
    return f"; did you mean {by_lower[near[0]]!r}?" if near else ""


def _parsed(name: str, file: Path) -> ast.Module:
    """Return a module's syntax tree. Raises LookupError with the file and line of what is not Python."""
    try:
        with file.open("rb") as stream:
            source = stream.read(_MOST_SOURCE_BYTES + 1)
    except OSError as error:
        raise LookupError(f"{name}: cannot read {file}: {error.strerror}") from error
    if len(source) > _MOST_SOURCE_BYTES:
        raise LookupError(f"{name}: {file} is too large: more than {_MOST_SOURCE_BYTES} bytes")
    line_number, reason = "", ""
    try:
        # Bytes are decoded as Python decodes them: by the declared encoding, with or without a byte-order mark.
        if b"\0" in source:
            line_number, reason = _line_at(source, source.index(b"\0")), "a null byte"
        else:
            source.decode(tokenize.detect_encoding(io.BytesIO(source).readline)[0])
            return ast.parse(source, str(file))
    except UnicodeDecodeError as error:
        line_number, reason = _line_at(source, error.start), f"not {error.encoding} text ({error.reason})"
    except SyntaxError as error:
        line_number, reason = str(error.lineno or 1), error.msg
    except (ValueError, RecursionError, MemoryError) as error:
        line_number, reason = "1", str(error) or "nested too deeply"
    raise LookupError(f"{name}: {file}:{line_number}: {reason}")


def _line_at(source: bytes, position: int) -> str:
    return str(source.count(b"\n", 0, position) + 1)


def _is_path(module_name: str) -> bool:
    return "/" in module_name or "\\" in module_name or module_name.endswith(".py")


def _module_instead_of_path(file: str, class_name: str) -> str:
    """Return a message with the `module:Class` to write instead of a file's path."""
    parts = file.replace("\\", "/").removesuffix(".py").split("/")
    module_parts = [part for part in parts if part not in ("", ".")]
    advice = f"write {'.'.join(module_parts)}:{class_name or 'Class'}"
    if not module_parts or ".." in module_parts or parts[0] in ("", "~"):
        folder = "/".join(parts[:-1]) or "/"
        advice = (
            f"write {parts[-1] or 'module'}:{class_name or 'Class'} and put its folder on the path, PYTHONPATH={folder}"
        )
    return f"a class is named by its module, not by a file; {advice}"


def _classes_of(name: str, path: Sequence[str]) -> list[str]:
    """Return `module:Class` candidates for a name without a class, or with a dot instead of the colon."""
    module_name, _, class_name = name.removesuffix(":").rpartition(".")
    for module, wanted in ((name.removesuffix(":"), ""), (module_name, class_name)):
        try:
            tree = _parsed(name, _source_file(name, module, path)) if module else ast.parse("")
        except LookupError:
            continue
        classes = (node.name for node in _top_level(tree.body) if isinstance(node, ast.ClassDef))
        public = [class_name for class_name in classes if not class_name.startswith("_")]
        if candidates := [f"{module}:{class_name}" for class_name in public if wanted in ("", class_name)]:
            return candidates
    return []


def _source_file(name: str, module_name: str, folders: Sequence[str]) -> Path:
    """Return the path of a module's source. Unlike find_spec, this runs no code of parent packages."""
    path: list[str] | None = [*folders]
    spec: ModuleSpec | None = None
    for depth in range(1, module_name.count(".") + 2):
        part = ".".join(module_name.split(".")[:depth])
        spec = PathFinder.find_spec(part, path)
        if spec is None:
            raise LookupError(f"{name}: there is no module {part!r}")
        path = list(spec.submodule_search_locations or [])
    if spec is None or not spec.origin or not spec.origin.endswith(".py"):
        raise LookupError(f"{name}: {module_name} is not a Python source file")
    return Path(spec.origin)


def _declared(tree: ast.Module, variable: str) -> ast.expr | None:
    """Return the value that a module's top level gives to a variable, or None."""
    for node in _top_level(tree.body):
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        value = getattr(node, "value", None)
        if value is not None and any(getattr(target, "id", "") == variable for target in targets):
            return value
    return None


def _literal_tuples(name: str, variable: str, value: ast.Dict) -> dict[str, tuple[str, ...]]:
    keys = [ast.literal_eval(key) if isinstance(key, ast.Constant) else None for key in value.keys]
    if not keys or not all(isinstance(key, str) for key in keys):
        raise LookupError(f"{name}: {variable} on line {value.lineno} is not a mapping of names of classes")
    return {key: _literal_names(name, variable, names) for key, names in zip(keys, value.values, strict=True)}


def _literal_names(name: str, variable: str, value: ast.expr) -> tuple[str, ...]:
    try:
        names = ast.literal_eval(value)
    except ValueError:
        names = None
    if not isinstance(names, tuple | list) or not names or not all(isinstance(each, str) for each in names):
        example = '("float16", "float32")' if variable == "DTYPES" else '("cpu",)'
        raise LookupError(f"{name}: {variable} on line {value.lineno} is not a literal tuple of names like {example}")
    return tuple(names)


def _top_level_names(tree: ast.Module) -> dict[str, set[str]]:
    """Return the kinds of value by the names that a module binds at its top level, conditionals included. A kind is
    `a module`, `a function`, `a value`, or _UNKNOWN where it may be a class."""
    kinds_by_name: dict[str, set[str]] = {}
    for node in _top_level(tree.body):
        names: list[str] = []
        kind = _UNKNOWN
        if isinstance(node, ast.ClassDef):
            names = [node.name]
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            names, kind = [node.name], "a function"
        elif isinstance(node, ast.Import):
            names, kind = [(alias.asname or alias.name).split(".")[0] for alias in node.names], "a module"
        elif isinstance(node, ast.ImportFrom):
            names = [alias.asname or alias.name for alias in node.names]
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names = [part.id for target in targets for part in ast.walk(target) if isinstance(part, ast.Name)]
            kind = "a value" if isinstance(node.value, ast.Constant | ast.List | ast.Tuple | ast.Dict) else _UNKNOWN
        for name in names:
            kinds_by_name.setdefault(name, set()).add(kind)
    return kinds_by_name


def _top_level(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield a module's statements, including those in conditionals, but not those in functions and classes."""
    for node in body:
        yield node
        if not isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            for part in ("body", "orelse", "finalbody"):
                yield from _top_level(getattr(node, part, []))
            for handler in getattr(node, "handlers", []):
                yield from _top_level(handler.body)
