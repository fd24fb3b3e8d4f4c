"""Find the folders in which Linux keeps the limits of this process's control groups."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

ROOT = Path("/")


def folders(controller: str, root: Path = ROOT) -> Iterator[Path]:
    """Yield the folders of the groups of this process that a controller, like `cpu`, may limit, and all above them."""
    mounts = list(_mounts(root))
    for line in (read(root / "proc/self/cgroup") or "").splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        for kind, names, begin, point in mounts:
            is_mounted = kind == "cgroup2" if not controllers else kind == "cgroup" and controller in names
            if is_mounted and (not controllers or controller in controllers.split(",")):
                yield from _upwards(root / point.lstrip("/"), begin, path)


def _mounts(root: Path) -> Iterator[tuple[str, list[str], str, str]]:
    """Yield each mounted hierarchy's kind, controllers, mounted group and mount point (proc_pid_mountinfo(5))."""
    for line in (read(root / "proc/self/mountinfo") or "").splitlines():
        before, _, after = line.partition(" - ")
        fields, kinds = before.split(), after.split()
        if len(fields) > 4 and kinds and kinds[0] in ("cgroup", "cgroup2"):
            yield kinds[0], kinds[-1].split(","), fields[3], fields[4]


def _upwards(mounted: Path, begin: str, path: str) -> Iterator[Path]:
    """Yield the folders from a group up to the mounted one, which is all that a container sees."""
    inside, outside = PurePosixPath(path), PurePosixPath(begin)
    below = inside.relative_to(outside) if inside.is_relative_to(outside) else PurePosixPath()
    if ".." in below.parts:
        below = PurePosixPath()
    for group in (below, *below.parents):
        yield mounted / str(group).lstrip("/")


def read(path: Path) -> str | None:
    """Return a file's text; None where it cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return None
