"""Kernel switches in a tree of files: set, read back, and told when they do not hold."""

from __future__ import annotations

from pathlib import Path

from gatepost.firewall.harden import wanted
from gatepost.firewall.switches import differences, interfaces_of, read_back, set_profile, write


def tree(root: Path) -> Path:
    for name in ("all", "default", "eth0.10"):
        for version in ("ipv4", "ipv6"):
            (root / "net" / version / "conf" / name).mkdir(parents=True)
    for name, _ in wanted(()):
        path = root.joinpath(*name.split("."))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("7\n")
    for name, _ in wanted(["eth0.10"]):
        if ".eth0.10." in name:
            head, tail = name.split(".eth0.10.")
            root.joinpath(*head.split("."), "eth0.10", tail).write_text("7\n")
    return root


def test_the_whole_profile_is_set_also_for_an_interface_with_a_dot(tmp_path: Path) -> None:
    root = tree(tmp_path)

    assert interfaces_of(root) == ["eth0.10"]
    assert any("eth0.10" in told for told in differences(root))
    assert set_profile(root) == []
    assert (root / "net/ipv4/conf/eth0.10/rp_filter").read_text() == "1\n"


def test_what_was_before_comes_back(tmp_path: Path) -> None:
    root = tree(tmp_path)
    before = read_back(interfaces_of(root), root)
    set_profile(root)
    write(before, root)

    assert read_back(interfaces_of(root), root) == before


def test_a_switch_that_cannot_be_set_is_told_and_stops_nothing(tmp_path: Path) -> None:
    root = tree(tmp_path)
    path = root / "net/ipv4/tcp_syncookies"
    path.unlink()
    path.mkdir()
    (root / "net/ipv4/tcp_rfc1337").unlink()

    write({"net.ipv4.tcp_syncookies": "1", "net.ipv4.conf.all.rp_filter": "1"}, root)
    path.rmdir()

    assert (root / "net/ipv4/conf/all/rp_filter").read_text() == "1\n"
    told = set_profile(root)
    assert [line.split()[0] for line in told] == ["net.ipv4.tcp_syncookies", "net.ipv4.tcp_rfc1337"]
    assert all("does not exist" in line for line in told)
