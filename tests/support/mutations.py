"""Kinds of change that an intruder, an accident or an administrator makes to a file system, each in a folder of its own.

Every mutation says where its change must be seen, and whether metadata alone give it away; a test compares both with what a check finds.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import shutil
import socket
import stat
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

FS_IOC_GETFLAGS, FS_IOC_SETFLAGS = 0x80086601, 0x40086602
IMMUTABLE, APPEND_ONLY, NODUMP = 0x10, 0x20, 0x40
PUNCH_HOLE = 0x03
MS_BIND = 4096

Step = Callable[[Path], object]


@dataclass(frozen=True)
class Mutation:
    """One kind of change: `prepare` before the baseline, `change` after it, `undo` so that the folder can be removed.

    `seen` is the path below the folder where a finding must be ("." the folder itself). `metadata` says whether a check
    that reads no content finds it. `needs` is "" or "root".
    """

    name: str
    prepare: Step
    change: Step
    seen: str = "file"
    metadata: bool = True
    needs: str = ""
    undo: Step = lambda folder: None


def _write(name: str = "file", data: bytes = b"the content as it was\n" * 40) -> Step:
    return lambda folder: (folder / name).write_bytes(data)


def _both(*steps: Step) -> Step:
    def run(folder: Path) -> None:
        for step in steps:
            step(folder)

    return run


def _nothing(folder: Path) -> None:
    """Leave everything as it is."""


def _poke(folder: Path, name: str = "file", offset: int = 3) -> None:
    with (folder / name).open("r+b") as file:
        file.seek(offset)
        old = file.read(1)
        file.seek(offset)
        file.write(bytes([old[0] ^ 1]))


def _keeping_times(step: Step, name: str = "file") -> Step:
    def run(folder: Path) -> None:
        before = (folder / name).stat()
        step(folder)
        os.utime(folder / name, ns=(before.st_atime_ns, before.st_mtime_ns))

    return run


def _mmap_poke(folder: Path) -> None:
    with (folder / "file").open("r+b") as file, mmap.mmap(file.fileno(), 0) as view:
        view[5] ^= 1


def _prepend(folder: Path) -> None:
    (folder / "file").write_bytes(b"first\n" + (folder / "file").read_bytes())


def _append(folder: Path) -> None:
    with (folder / "file").open("ab") as file:
        file.write(b"x")


def _replace(folder: Path) -> None:
    """A copy with equal content, mode and times takes the place of the file."""
    shutil.copy2(folder / "file", folder / "copy")
    (folder / "copy").rename(folder / "file")


def _swap(folder: Path) -> None:
    (folder / "file").rename(folder / "third")
    (folder / "other").rename(folder / "file")
    (folder / "third").rename(folder / "other")


def _punch(folder: Path) -> None:
    """Zeros give way to a hole: the same content, less space."""
    libc = ctypes.CDLL(None, use_errno=True)
    with (folder / "file").open("r+b") as file:
        assert libc.fallocate(file.fileno(), PUNCH_HOLE, ctypes.c_long(0), ctypes.c_long(1 << 16)) == 0


def _sparse(folder: Path) -> None:
    with (folder / "file").open("r+b") as file:
        file.truncate(5 << 30)


def _unlink_link(folder: Path) -> None:
    (folder / "second").unlink()


def _break_link(folder: Path) -> None:
    data = (folder / "file").read_bytes()
    (folder / "file").unlink()
    (folder / "file").write_bytes(data)


def _chmod_and_back(folder: Path) -> None:
    mode = (folder / "file").stat().st_mode
    (folder / "file").chmod(0o777)
    (folder / "file").chmod(stat.S_IMODE(mode))


def _retarget(folder: Path) -> None:
    (folder / "link").unlink()
    (folder / "link").symlink_to("/etc/shadow")


def _become(make: Step, name: str = "file") -> Step:
    def run(folder: Path) -> None:
        path = folder / name
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        make(folder)

    return run


def _socket(folder: Path) -> None:
    before = Path.cwd()
    os.chdir(folder)
    try:
        socket.socket(socket.AF_UNIX).bind("socket")
    finally:
        os.chdir(before)


def _acl(user: int, rights: int) -> bytes:
    """A POSIX ACL that gives one user rights (acl(5))."""
    entries = [(1, 6, 0xFFFFFFFF), (2, rights, user), (4, 4, 0xFFFFFFFF), (0x10, 7, 0xFFFFFFFF), (0x20, 4, 0xFFFFFFFF)]
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


def _xattr(name: str, value: bytes, path: str = "file") -> Step:
    return lambda folder: os.setxattr(folder / path, name, value)


_CAPABILITY = struct.pack("<IIIII", 0x02000001, 1 << 13, 0, 0, 0)


def _flag(bit: int, on: bool = True) -> Step:
    def run(folder: Path) -> None:
        import fcntl

        opened = os.open(folder / "file", os.O_RDONLY)
        try:
            value = struct.unpack("l", fcntl.ioctl(opened, FS_IOC_GETFLAGS, struct.pack("l", 0)))[0]
            fcntl.ioctl(opened, FS_IOC_SETFLAGS, struct.pack("l", value | bit if on else value & ~bit))
        finally:
            os.close(opened)

    return run


def _mount(source: str, target: Path, kind: str, flags: int = 0, data: str = "") -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(source.encode(), os.fsencode(target), kind.encode(), flags, data.encode() or None):
        raise OSError(ctypes.get_errno(), "mount", str(target))


def _unmount(name: str = "dir") -> Step:
    return lambda folder: ctypes.CDLL(None).umount2(os.fsencode(folder / name), 2)


def _dir_with_file(folder: Path) -> None:
    (folder / "dir").mkdir()
    (folder / "dir" / "inner").write_bytes(b"inner")


def _overlay(folder: Path) -> None:
    for name in ("upper", "work"):
        (folder.parent / f".{folder.name}-{name}").mkdir()
    upper, work = (folder.parent / f".{folder.name}-{name}" for name in ("upper", "work"))
    (upper / "inner").write_bytes(b"evil!")
    _mount("overlay", folder / "dir", "overlay", 0, f"lowerdir={folder / 'dir'},upperdir={upper},workdir={work}")


def _rebuild(folder: Path) -> None:
    """A directory is deleted and made again with the same files."""
    shutil.copytree(folder / "dir", folder / "aside", copy_function=shutil.copy2)
    shutil.rmtree(folder / "dir")
    (folder / "aside").rename(folder / "dir")


def _deep(levels: int) -> Step:
    """Directories so deep that no path reaches the bottom, as long as each name is 200 bytes."""

    def run(folder: Path) -> None:
        opened = os.open(folder, os.O_RDONLY)
        for _ in range(levels):
            os.mkdir("d" * 200, dir_fd=opened)
            inner = os.open("d" * 200, os.O_RDONLY, dir_fd=opened)
            os.close(opened)
            opened = inner
        os.close(os.open("bottom", os.O_CREAT | os.O_WRONLY, dir_fd=opened))
        os.close(opened)

    return run


def _touch_deep(levels: int) -> Step:
    def run(folder: Path) -> None:
        opened = os.open(folder, os.O_RDONLY)
        for _ in range(levels):
            inner = os.open("d" * 200, os.O_RDONLY, dir_fd=opened)
            os.close(opened)
            opened = inner
        bottom = os.open("bottom", os.O_WRONLY, dir_fd=opened)
        os.write(bottom, b"changed")
        os.close(bottom)
        os.close(opened)

    return run


def _named(name: bytes) -> Step:
    def run(folder: Path) -> None:
        with open(os.fsencode(folder) + b"/" + name, "wb") as file:
            file.write(b"x")

    return run


MUTATIONS: tuple[Mutation, ...] = (
    Mutation("append", _write(), _append),
    Mutation("append, time restored", _write(), _keeping_times(_append)),
    Mutation("prepend", _write(), _prepend),
    Mutation("truncate", _write(), lambda f: os.truncate(f / "file", 10)),
    Mutation("truncate to nothing", _write(), lambda f: os.truncate(f / "file", 0)),
    Mutation("same size", _write(), _poke),
    Mutation("same size, time restored", _write(), _keeping_times(_poke)),
    Mutation("written by mmap", _write(), _mmap_poke),
    Mutation("written by mmap, time restored", _write(), _keeping_times(_mmap_poke)),
    Mutation("one bit at the end of a large file", _write(data=bytes(3 << 20)), lambda f: _poke(f, offset=(3 << 20) - 1)),
    Mutation("hole punched into zeros", _write(data=bytes(1 << 17)), _punch),
    Mutation("made sparse and huge", _write(data=b"x"), lambda f: os.truncate(f / "file", 1 << 28)),
    Mutation("replaced by an equal copy", _write(), _replace),
    Mutation("two names swapped", _both(_write(), _write("other", b"other")), _swap),
    Mutation("renamed", _write(), lambda f: (f / "file").rename(f / "elsewhere")),
    Mutation("moved to another directory", _both(_write(), lambda f: (f / "dir").mkdir()), lambda f: (f / "file").rename(f / "dir" / "file")),
    Mutation("deleted", _write(), lambda f: (f / "file").unlink()),
    Mutation("deleted and made again", _write(), _break_link),
    Mutation("new file", _nothing, _write()),
    Mutation("new hidden file", _nothing, _write(".file"), ".file"),
    Mutation("new file called ...", _nothing, _write("..."), "..."),
    Mutation("new directory", _nothing, lambda f: (f / "dir").mkdir(), "dir"),
    Mutation("new fifo", _nothing, lambda f: os.mkfifo(f / "fifo"), "fifo"),
    Mutation("new socket", _nothing, _socket, "socket"),
    Mutation("new device", _nothing, lambda f: os.mknod(f / "node", stat.S_IFCHR | 0o666, os.makedev(1, 1)), "node", needs="root"),
    Mutation("device number", lambda f: os.mknod(f / "node", stat.S_IFCHR | 0o666, os.makedev(1, 3)),
             _become(lambda f: os.mknod(f / "node", stat.S_IFCHR | 0o666, os.makedev(1, 1)), "node"), "node", needs="root"),
    Mutation("new symbolic link", _nothing, lambda f: (f / "link").symlink_to("/"), "link"),
    Mutation("link target", lambda f: (f / "link").symlink_to("/etc/passwd"), _retarget, "link"),
    Mutation("hard link added", _write(), lambda f: (f / "second").hardlink_to(f / "file")),
    Mutation("hard link removed", _both(_write(), lambda f: (f / "second").hardlink_to(f / "file")), _unlink_link),
    Mutation("hard link broken", _both(_write(), lambda f: (f / "second").hardlink_to(f / "file")), _break_link),
    Mutation("mode", _write(), lambda f: (f / "file").chmod(0o666)),
    Mutation("setuid", _write(), lambda f: (f / "file").chmod(0o4755)),
    Mutation("setgid", _write(), lambda f: (f / "file").chmod(0o2755)),
    Mutation("sticky bit taken away", lambda f: ((f / "dir").mkdir(), (f / "dir").chmod(0o1777)), lambda f: (f / "dir").chmod(0o777), "dir"),
    Mutation("owner", _write(), lambda f: os.chown(f / "file", 4242, -1), needs="root"),
    Mutation("group", _write(), lambda f: os.chown(f / "file", -1, 4242), needs="root"),
    Mutation("owner of a link", lambda f: (f / "link").symlink_to("x"), lambda f: os.lchown(f / "link", 4242, 4242), "link", needs="root"),
    Mutation("time set back", _write(), lambda f: os.utime(f / "file", (1, 1))),
    Mutation("time set to the future", _write(), lambda f: os.utime(f / "file", (1 << 33, 1 << 33))),
    Mutation("mode changed and put back", _write(), _chmod_and_back),
    Mutation("file becomes link to an equal file", _both(_write(), _write("other")), _become(lambda f: (f / "file").symlink_to("other"))),
    Mutation("link becomes file", _both(_write("other"), lambda f: (f / "file").symlink_to("other")), _become(_write())),
    Mutation("file becomes directory", _write(), _become(lambda f: (f / "file").mkdir())),
    Mutation("directory becomes link", _dir_with_file, _become(lambda f: (f / "dir").symlink_to("/tmp"), "dir"), "dir"),
    Mutation("file becomes fifo", _write(), _become(lambda f: os.mkfifo(f / "file"))),
    Mutation("extended attribute added", _write(), _xattr("user.note", b"x")),
    Mutation("extended attribute changed", _both(_write(), _xattr("user.note", b"x")), _xattr("user.note", b"y")),
    Mutation("extended attribute removed", _both(_write(), _xattr("user.note", b"x")), lambda f: os.removexattr(f / "file", "user.note")),
    Mutation("extended attribute of a directory", lambda f: (f / "dir").mkdir(), _xattr("user.note", b"x", "dir"), "dir"),
    Mutation("access list added", _write(), _xattr("system.posix_acl_access", _acl(4242, 6))),
    Mutation("access list changed", _both(_write(), _xattr("system.posix_acl_access", _acl(4242, 4))), _xattr("system.posix_acl_access", _acl(4242, 6))),
    Mutation("default access list", lambda f: (f / "dir").mkdir(), _xattr("system.posix_acl_default", _acl(4242, 7), "dir"), "dir"),
    Mutation("capability", _write(), _xattr("security.capability", _CAPABILITY), needs="root"),
    Mutation("immutable", _write(), _flag(IMMUTABLE), needs="root", undo=_flag(IMMUTABLE, on=False)),
    Mutation("immutable taken away", _both(_write(), _flag(IMMUTABLE)), _flag(IMMUTABLE, on=False), needs="root", undo=_flag(IMMUTABLE, on=False)),
    Mutation("append only", _write(), _flag(APPEND_ONLY), needs="root", undo=_flag(APPEND_ONLY, on=False)),
    Mutation("no dump", _write(), _flag(NODUMP)),
    Mutation("name in the other Unicode form", _write("caf\u00e9"), lambda f: (f / "caf\u00e9").rename(f / "cafe\u0301"), "cafe\u0301"),
    Mutation("name that looks the same", _nothing, _write("f\u0456le"), "f\u0456le"),
    Mutation("name with a line break", _nothing, _write("a\nb"), "a\nb"),
    Mutation("name that is no UTF-8", _nothing, _named(b"\xff\xfe"), "\udcff\udcfe"),
    Mutation("name with terminal codes", _nothing, _write("\x1b[2Kfile"), "\x1b[2Kfile"),
    Mutation("name with a space at its end", _write(), _write("file "), "file "),
    Mutation("name in capitals", _write(), _write("FILE"), "FILE"),
    Mutation("name of 255 bytes", _nothing, _write("n" * 255), "n" * 255),
    Mutation("directory removed with its files", _dir_with_file, lambda f: shutil.rmtree(f / "dir"), "dir/inner"),
    Mutation("directory removed and made again", _dir_with_file, _rebuild, "dir"),
    Mutation("directory touched", lambda f: (f / "dir").mkdir(), lambda f: os.utime(f / "dir", (1, 1)), "dir"),
    Mutation("something came and went", _dir_with_file, lambda f: ((f / "dir/x").write_bytes(b""), (f / "dir/x").unlink()), "dir"),
    Mutation("deeper than a path can say", _deep(30), _touch_deep(30), "/".join(["d" * 200] * 30 + ["bottom"]), undo=_nothing),
    Mutation("mounted over with tmpfs", _dir_with_file, lambda f: _mount("none", f / "dir", "tmpfs"), "dir", needs="root", undo=_unmount()),
    Mutation("directory bound over", _both(_dir_with_file, lambda f: (f / "evil").mkdir()), lambda f: _mount(str(f / "evil"), f / "dir", "", MS_BIND), "dir",
             needs="root", undo=_unmount()),
    Mutation("file bound over", _both(_write(), _write("evil", b"evil")), lambda f: _mount(str(f / "evil"), f / "file", "", MS_BIND), needs="root", undo=_unmount("file")),
    Mutation("loop of directories", _dir_with_file, lambda f: _mount(str(f), f / "dir", "", MS_BIND), "dir", needs="root", undo=_unmount()),
    Mutation("overlay mounted", _dir_with_file, _overlay, "dir", needs="root", undo=_unmount()),
)  # fmt: skip

BELOW = (
    "content written to the disk below the file system",
    "content written, all times put back with debugfs",
)
"""Kinds that never pass the kernel's file system code; `tests/integrity/test_below.py` makes them."""


def table() -> str:
    """The table of the manual: what a full check finds, and what metadata first finds."""
    rows = [f"| {m.name} | yes | {'yes' if m.metadata else 'no'} |" for m in MUTATIONS]
    rows += [f"| {name} | yes | only by lot, or where the rule says `always` |" for name in BELOW]
    return "\n".join(["| change | full | metadata first |", "|---|---|---|", *rows])
