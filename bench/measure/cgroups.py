"""Where Linux keeps the limits of this process's control groups."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

ROOT = Path("/")


def folders(controller: str, root: Path = ROOT) -> Iterator[Path]:
    """Of this process's groups that a controller, like `cpu`, may limit, and of all above them."""
    mounts = list(_mounts(root))
    for line in (read(root / "proc/self/cgroup") or "").splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        for kind, names, begin, point in mounts:
            here = kind == "cgroup2" if not controllers else kind == "cgroup" and controller in names
            if here and (not controllers or controller in controllers.split(",")):
                yield from _upwards(root / point.lstrip("/"), begin, path)


def _mounts(root: Path) -> Iterator[tuple[str, list[str], str, str]]:
    """Kind, controllers, the group that is mounted, and where, of each mounted hierarchy (proc_pid_mountinfo(5))."""
    for line in (read(root / "proc/self/mountinfo") or "").splitlines():
        before, _, after = line.partition(" - ")
        fields, kinds = before.split(), after.split()
        if len(fields) > 4 and kinds and kinds[0] in ("cgroup", "cgroup2"):
            yield kinds[0], kinds[-1].split(","), fields[3], fields[4]


def _upwards(mounted: Path, begin: str, path: str) -> Iterator[Path]:
    """From a group up to the one that is mounted, which is all that a container sees."""
    inside, outside = PurePosixPath(path), PurePosixPath(begin)
    below = inside.relative_to(outside) if inside.is_relative_to(outside) else PurePosixPath()
    if ".." in below.parts:
        below = PurePosixPath()
    for group in (below, *below.parents):
        yield mounted / str(group).lstrip("/")


def read(path: Path) -> str | None:
    """A file's text; None where there is none to read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return None
