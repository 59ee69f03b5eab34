"""Each denial of the jail, tried from inside a real jailed process; the same deed outside is the negative control."""

import ctypes
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from gatepost.system.jail import Jail, enter, landlock_version

BASE = tuple(
    Path(path) for path in ("/usr", "/lib", "/lib64", "/etc/ld.so.cache", "/dev/null", "/dev/urandom", sys.prefix, sys.base_prefix)
)


def in_child(deed: Callable[[], object], jail: Jail | None) -> str:
    """Do the deed in a forked process, jailed or not; return "done" or the error's name."""
    reader, writer = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            missing = enter(jail) if jail else ()
            if missing:
                os.write(writer, f"missing {missing}".encode())
            else:
                deed()
                os.write(writer, b"done")
        except BaseException as error:
            os.write(writer, type(error).__name__.encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        answer = pipe.read().decode()
    os.waitpid(pid, 0)
    return answer


def unshare() -> None:
    """A user namespace, or a network namespace, which root can make also below a chroot."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(0x10000000) < 0 and libc.unshare(0x40000000) < 0:
        raise PermissionError(ctypes.get_errno())


def eat_memory() -> None:
    _ = [bytes(64 << 20) for _ in range(16)]


def write_large(folder: Path) -> None:
    import signal

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    with open(folder / "large", "wb") as file:
        for _ in range(64):
            file.write(bytes(1 << 20))
            file.flush()


DEEDS: dict[str, Callable[[Path], object]] = {
    "reads a file it was not given": lambda outside: (outside / "secret").read_text(),
    "lists a folder it was not given": lambda outside: list(outside.iterdir()),
    "writes outside": lambda outside: (outside / "new").write_text("x"),
    "deletes outside": lambda outside: (outside / "secret").unlink(),
    "opens a network socket": lambda _outside: socket.socket(socket.AF_INET),
    "opens an IPv6 socket": lambda _outside: socket.socket(socket.AF_INET6),
    "opens a raw packet socket": lambda _outside: socket.socket(socket.AF_PACKET, socket.SOCK_RAW),
    "makes a namespace": lambda _outside: unshare(),
    "eats 1 GiB of memory": lambda _outside: eat_memory(),
    "writes a large file": write_large,
    "reads the passwords": lambda _outside: Path("/etc/passwd").read_text(),
    "signals its parent": lambda _outside: os.kill(os.getppid(), 0),
}


@pytest.mark.skipif(landlock_version() < 6, reason="this kernel's Landlock is older than the tests expect (ABI 6)")
@pytest.mark.parametrize("name", DEEDS)
def test_the_jail_denies_what_is_possible_outside(name: str, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x")
    (tmp_path / "scratch").mkdir()
    jail = Jail(readable=BASE, writable=(tmp_path / "scratch",), data=256 << 20, file_size=8 << 20)
    deed = DEEDS[name]
    where = tmp_path / "scratch" if deed is write_large else tmp_path

    jailed = in_child(lambda: deed(where), jail)
    free = in_child(lambda: deed(where), None)

    assert jailed in {"PermissionError", "MemoryError", "OSError"}
    assert free == "done" or (os.geteuid() and name == "opens a raw packet socket")


@pytest.mark.skipif(not landlock_version(), reason="this kernel has no Landlock")
def test_the_jail_allows_the_scratch_folder_unix_sockets_and_children_with_the_same_bars(tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    (tmp_path / "secret").write_text("x")
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(tmp_path / "socket"))
    server.listen()

    def work() -> None:
        (scratch / "file").write_text("x")
        socket.socket(socket.AF_UNIX).connect(str(tmp_path / "socket"))
        assert subprocess.run(["/usr/bin/true"], check=False).returncode == 0
        assert subprocess.run(["/usr/bin/cat", tmp_path / "secret"], check=False, stderr=subprocess.DEVNULL).returncode != 0

    assert in_child(work, Jail(readable=BASE, writable=(scratch,))) == "done"


@pytest.mark.skipif(not landlock_version(), reason="this kernel has no Landlock")
def test_what_is_written_to_a_scratch_in_memory_is_seen_by_nobody_else(tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()

    def work() -> None:
        (scratch / "file").write_text("x")
        (scratch / "folder").mkdir()
        assert sorted(path.name for path in scratch.iterdir()) == ["file", "folder"]

    assert in_child(work, Jail(readable=BASE, writable=(scratch,), in_memory=True)) == "done"
    assert list(scratch.iterdir()) == []


@pytest.mark.skipif(not landlock_version(), reason="this kernel has no Landlock")
def test_a_scratch_in_memory_holds_no_more_than_its_bound(tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()

    def work() -> None:
        for number in range(4):
            (scratch / str(number)).write_bytes(bytes(1 << 20))

    assert in_child(work, Jail(readable=BASE, writable=(scratch,), in_memory=True, file_size=2 << 20)) == "OSError"
