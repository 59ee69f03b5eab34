"""`gatepost verify --ssh`: the scan from another host over a real ssh, and applying a policy that ends connections, in namespaces."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gatepost.firewall.apply import Place, apply
from gatepost.firewall.declared import read_policy
from gatepost.firewall.lab import Lab, cells
from tests.support.ports import wait_for

EXAMPLE = Path(__file__).resolve().parents[3] / "examples" / "widget" / "site.toml"
pytestmark = [pytest.mark.system, pytest.mark.xdist_group("lab")]
PROBE, RELAY, PC, WEB = "198.51.100.77", "192.168.2.3", "192.168.3.10", "198.51.100.66"
FLOW = f"""
[hosts.probe]
zone = "internet"
addresses = ["{PROBE}"]

[[flows]]
id = "verify"
from = "firewall"
to = "probe"
services = "ssh"
reason = "The firewall is tried from outside once a month."
owner = "administrator"
"""
SSHD = """
ListenAddress {address}
HostKey {folder}/host
AuthorizedKeysFile {folder}/key.pub
PidFile none
UsePAM no
StrictModes no
PasswordAuthentication no
"""
PEER = """
import socket, sys
kind, address, port = sys.argv[1:]
if kind == "serve":
    made = socket.create_server((address, int(port)))
    print("ready", flush=True)
    peer, _ = made.accept()
    while said := peer.recv(9):
        peer.sendall(said)
else:
    made = socket.create_connection((address, int(port)), 5)
    made.settimeout(2)
    for _ in sys.stdin:
        try:
            made.sendall(b"here")
            print("answered" if made.recv(9) else "closed", flush=True)
        except OSError:
            print("cut", flush=True)
"""


@pytest.fixture
def lab(as_root: None, tmp_path: Path) -> Iterator[Lab]:
    site = tmp_path / "site.toml"
    site.write_text(EXAMPLE.read_text() + FLOW)
    with Lab(read_policy(site)) as built:
        yield built


@pytest.fixture
def ssh(lab: Lab, tmp_path: Path) -> Iterator[dict[str, str]]:
    """An sshd on the probe with a key for us; gives an environment in which `ssh` uses that key."""
    sshd = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin")
    if sshd is None:
        pytest.skip("needs sshd (openssh-server)")
    for name in ("host", "key"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / name)], check=True)
    (tmp_path / "sshd").write_text(SSHD.format(address=PROBE, folder=tmp_path))
    users = [line.replace("root:x:", "root:*:") for line in Path("/etc/passwd").read_text().splitlines() if not line.startswith("sshd:")]
    (tmp_path / "passwd").write_text("\n".join([*users, "sshd:x:65533:65534::/run/sshd:/usr/sbin/nologin", ""]))
    # What sshd needs of the host it finds in a mount namespace of its own.
    prepare = (
        f"mount --bind {tmp_path}/passwd /etc/passwd && mount -t tmpfs none /run && mkdir /run/sshd && exec {sshd} -D -e -f {tmp_path}/sshd"
    )
    command = ["ip", "netns", "exec", lab.spaces["internet"], "unshare", "--mount", "sh", "-c", prepare]
    with (tmp_path / "log").open("w") as log:
        started = subprocess.Popen(command, stderr=log)
    wait_for(lambda: "listening" in (tmp_path / "log").read_text(), "sshd")
    (tmp_path / "bin").mkdir()
    wrapper = tmp_path / "bin/ssh"
    options = f"-F none -i {tmp_path}/key -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR"
    wrapper.write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} {options} "$@"\n')
    wrapper.chmod(0o755)
    yield {**os.environ, "PATH": f"{tmp_path}/bin:{os.environ['PATH']}"}
    started.terminate()
    started.wait()


def verify(lab: Lab, folder: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    words = ["verify", "--from", "internet", "--ssh", PROBE, "--site", str(folder / "site.toml"), "--target", "203.0.113.25"]
    command = ["ip", "netns", "exec", lab.spaces["firewall"], sys.executable, "-m", "gatepost", *words, "--target", "203.0.113.1"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_the_scan_over_ssh_finds_a_firewall_as_declared_and_a_hole(lab: Lab, ssh: dict[str, str], tmp_path: Path) -> None:
    lab.listen([cell for cell in cells(lab.policy) if cell.source.zone == "internet" and cell.target in {"203.0.113.1", RELAY}])
    done = verify(lab, tmp_path, ssh)

    assert (done.returncode, done.stderr) == (0, "")
    assert "203.0.113.25 tcp/25 smtp: open" in done.stdout
    assert "The canary answered before and after" in done.stdout

    hole = ["nft", "insert", "rule", "inet", "gatepost", "input", "tcp", "dport", "111", "accept"]
    subprocess.run(["ip", "netns", "exec", lab.spaces["firewall"], *hole], check=True)
    done = verify(lab, tmp_path, ssh)

    assert done.returncode == 1
    assert "203.0.113.1 tcp/111 passed (open), but is not declared" in done.stdout


def peer(lab: Lab, zone: str, kind: str, address: str, port: int) -> subprocess.Popen[str]:
    command = ["ip", "netns", "exec", lab.spaces[zone], sys.executable, "-c", PEER, kind, address, str(port)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def says(client: subprocess.Popen[str]) -> str:
    """What becomes of one more word over an open connection."""
    assert client.stdin
    assert client.stdout
    client.stdin.write("\n")
    client.stdin.flush()
    return client.stdout.readline().strip()


def test_an_open_connection_that_the_new_policy_forbids_is_ended_and_others_live(lab: Lab, tmp_path: Path) -> None:
    site = tmp_path / "site.toml"
    running = []
    for port in (80, 443):
        server = peer(lab, "internet", "serve", WEB, port)
        assert server.stdout
        assert server.stdout.readline() == "ready\n"
        running += [server, peer(lab, "internal", "call", WEB, port)]
    http, https = running[1], running[3]
    assert (says(http), says(https)) == ("answered", "answered")
    site.write_text(site.read_text().replace('services = ["http", "https"]', 'services = "https"'))

    done = apply(read_policy(site), Place(tmp_path / "state", lab.spaces["firewall"]), "a", ("true",))

    assert [(one.proto, one.target, one.dport) for one in done.ended] == [("tcp", WEB, 80)]
    assert (says(http), says(https)) == ("cut", "answered")
    for one in running:
        one.kill()
        one.communicate()
