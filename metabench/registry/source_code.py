"""The digest of the code behind a target, found statically: nothing of it is executed.

It covers the target's module, every module of the same top-level package that is imported from
there (inside functions too), what importing the ``__init__`` of every package on the way executes
(not its functions, which nobody here calls), and every file that is not Python in a ``data`` folder
beside any of these modules. If the target's module is in no package, modules of the same
distribution beside it take the place of those of the package. Other packages have versions of
their own and are not covered; neither are modules that are named only at run time.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib.metadata
import importlib.util
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.machinery import BYTECODE_SUFFIXES, EXTENSION_SUFFIXES
from pathlib import Path

from metabench.errors import UnavailableError


@dataclass(frozen=True)
class _Package:
    """A top-level package, or a module that is not in one.

    Attributes:
        name: Its name.
        folders: Where its submodules are; none for a module that is not in a package.
        file: Its own file; ``None`` for a namespace package.
    """

    name: str
    folders: tuple[Path, ...]
    file: Path | None

    @classmethod
    def find(cls, name: str) -> _Package | None:
        """Locate a package without executing it."""
        try:
            spec = importlib.util.find_spec(name)
        except ValueError:  # already imported, and without a spec
            return None
        if spec is None:
            return None
        folders = tuple(Path(folder) for folder in spec.submodule_search_locations or ())
        file = Path(spec.origin) if spec.origin and Path(spec.origin).is_file() else None
        return cls(name, folders, file) if folders or file else None

    def locate(self, module: str) -> Path | None:
        """Find a module's file.

        Args:
            module: The full dotted name.

        Returns:
            Its file, or ``None`` if it is no module of this package or has no file.
        """
        if module == self.name:
            return self.file
        if not self.folders:
            return self._beside(module)
        if not module.startswith(f"{self.name}."):
            return None
        parts = module.split(".")[1:]
        for folder in self.folders:
            base = folder.joinpath(*parts)
            for suffix in (".py", *EXTENSION_SUFFIXES):
                for file in (base / f"__init__{suffix}", base.with_name(base.name + suffix)):
                    if file.is_file():
                        return file
        return None

    def _beside(self, module: str) -> Path | None:
        """Find another module that is in no package, in the same folder and distribution."""
        if self.file is None or self.name in sys.stdlib_module_names or not module.isidentifier():
            return None
        other = _Package.find(module)
        if other is None or other.folders or other.file is None:
            return None
        folder = self.file.parent
        if other.file.parent != folder or not _are_one(folder, self.file.name, other.file.name):
            return None
        return other.file

    def relative(self, file: Path) -> str:
        """Return a path that is the same on every machine."""
        for folder in self.folders:
            if file.is_relative_to(folder):
                return file.relative_to(folder).as_posix()
        return file.name


def _are_one(folder: Path, *names: str) -> bool:
    """Whether files of a folder belong to one distribution.

    Where none is installed into the folder, it is that of a project.
    """
    if not any(folder.glob("*.dist-info")):
        return True
    for distribution in importlib.metadata.distributions(path=[str(folder)]):
        listed = "\n" + (distribution.read_text("RECORD") or "")
        if all(f"\n{name}," in listed for name in names):
            return True
    return False


def code_digest(target: str) -> str:
    """Return the SHA-256 of the source code and packaged data behind a target.

    Args:
        target: ``package.module:Name``.

    Returns:
        The digest; it changes with any covered file and is the same on every machine.

    Raises:
        UnavailableError: If the target's module cannot be found.
    """
    module = target.partition(":")[0]
    top = module.partition(".")[0]
    package = _Package.find(top)
    if package is None or (module != top and package.locate(module) is None):
        raise UnavailableError(
            f"{target} needs the module {module!r}, which is not installed",
            f"install the package that provides {top}",
        )
    modules = _reachable(package, module)
    contents = {
        package.relative(file): _content(file) if whole else _importing(_content(file))
        for file, whole in modules.items()
    }
    for folder in {file.parent / "data" for file in modules}:
        contents.update((package.relative(file), _content(file)) for file in _data_files(folder))
    sha = hashlib.sha256(f"{top}\0".encode())
    for name in sorted(contents):
        sha.update(f"{name}\0{hashlib.sha256(contents[name]).hexdigest()}\0".encode())
    return sha.hexdigest()


def code_files(module: str) -> frozenset[Path]:
    """Return the files of a module and of all that it imports of its own.

    That is of its top-level package, or of the modules beside one that is in no package.

    Args:
        module: The full dotted name.
    """
    package = _Package.find(module.partition(".")[0])
    return frozenset(_reachable(package, module)) if package is not None else frozenset()


def imported_packages(module: str) -> frozenset[str]:
    """Return the top-level names of what a module imports beside its own files.

    What it imports of its own (see `code_files`) counts with it, and so does what is imported
    inside functions; what only type checkers import does not.

    Args:
        module: The full dotted name.
    """
    top = module.partition(".")[0]
    package = _Package.find(top)
    if package is None:
        return frozenset()
    names = set()
    files = _reachable(package, module)
    for file in files:
        if file.suffix == ".py":
            parts = Path(package.relative(file)).with_suffix("").parts
            own = ".".join((top, *parts)) if package.folders else top
            is_package = file.name == "__init__.py"
            own = own.removesuffix(".__init__")
            for base, _ in _imports(_content(file), own, is_package=is_package, whole=True):
                names.add(base.partition(".")[0])
    beside = set() if package.folders else {file.name.partition(".")[0] for file in files}
    return frozenset(names - beside - {top, ""})


def _reachable(package: _Package, start: str) -> dict[Path, bool]:
    """Follow the imports; the parents of an imported module are executed, so they count.

    Returns:
        The files, and of each whether its functions count.
    """
    files: dict[Path, bool] = {}
    seen: set[tuple[str, bool]] = set()
    pending = [(start, True)]
    while pending:
        module, whole = pending.pop()
        if (module, whole) in seen:
            continue
        seen.add((module, whole))
        if "." in module:
            pending.append((module.rpartition(".")[0], False))
        file = package.locate(module)
        if file is None:
            continue
        files[file] = files.get(file, False) or whole
        if file.suffix == ".py":
            is_package = file.name == "__init__.py"
            for base, names in _imports(_content(file), module, is_package=is_package, whole=whole):
                inside = [f"{base}.{name}" for name in names]
                only_modules = bool(names) and all(map(package.locate, inside))
                pending += [(base, not only_modules), *((name, True) for name in inside)]
    return files


@functools.lru_cache(maxsize=1024)
def _imports(
    source: bytes, module: str, *, is_package: bool, whole: bool
) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Name everything that a module may import: modules, and what is taken from each.

    Args:
        source: The module's text.
        module: Its full name.
        is_package: Whether it is an ``__init__``.
        whole: Whether its functions count, and not only what importing it executes.
    """
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return ()  # importing it says what is wrong
    found: list[tuple[str, tuple[str, ...]]] = []
    for node in _executed(tree, whole=whole):
        if isinstance(node, ast.Import):
            found += [(alias.name, ()) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = module.split(".")
                kept = parts[: len(parts) - node.level + is_package]
                base = ".".join((*kept, base)) if base else ".".join(kept)
            found.append((base, tuple(alias.name for alias in node.names)))
    return tuple(found)


def _executed(tree: ast.AST, *, whole: bool) -> Iterator[ast.AST]:
    """Walk a module without what is imported for type checkers only."""
    pending = [tree]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.If) and _is_type_checking(node.test):
            pending += node.orelse
            continue
        if not whole and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        yield node
        pending += ast.iter_child_nodes(node)


def _importing(source: bytes) -> bytes:
    """Return what of a package's ``__init__`` moves the modules below it.

    Where it only imports, and defines functions beside that, these imports; else all of it.
    """
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return source
    executed = [node for node in tree.body if not _is_inert(node)]
    if not all(isinstance(node, ast.Import | ast.ImportFrom) for node in executed):
        return source
    lines = source.splitlines(keepends=True)
    return b"".join(b"".join(lines[node.lineno - 1 : node.end_lineno]) for node in executed)


def _is_inert(node: ast.stmt) -> bool:
    """Whether a statement at the top of a package's ``__init__`` moves nothing below it."""
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Constant)
    if isinstance(node, ast.If):
        return _is_type_checking(node.test) and not node.orelse
    if isinstance(node, ast.Assign):
        names = [target.id for target in node.targets if isinstance(target, ast.Name)]
        return len(names) == len(node.targets) and all(n.startswith("__") for n in names)
    return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not node.decorator_list


def _is_type_checking(test: ast.expr) -> bool:
    name = test.attr if isinstance(test, ast.Attribute) else getattr(test, "id", "")
    return name == "TYPE_CHECKING"


def _data_files(folder: Path) -> Iterator[Path]:
    if not folder.is_dir():
        return
    python = (".py", *BYTECODE_SUFFIXES)
    for file in folder.rglob("*"):
        if file.is_file() and not file.name.endswith(python) and "__pycache__" not in file.parts:
            yield file


def _content(file: Path) -> bytes:
    content = file.read_bytes()
    return content.replace(b"\r\n", b"\n") if file.suffix == ".py" else content
