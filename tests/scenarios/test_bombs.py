"""Mails made to exhaust a scanner: each ends within its budget in a jailed worker of its own, none is delivered, and others are served meanwhile."""

from __future__ import annotations

import lzma
import os
import smtplib
import tarfile
import threading
import zlib
from collections.abc import Callable
from functools import reduce
from pathlib import Path

from tests.support import mails
from tests.support.containers import ZipFile, pdf, zip_of
from tests.support.evasive.craft import attached, mail, zipped
from tests.support.evasive.quine import quine
from tests.support.gateway import Gateway
from tests.support.sink import Sink

MIB = 1 << 20


def zeros_in_tar_xz() -> bytes:
    """1 GiB."""
    info = tarfile.TarInfo("zeros")
    info.size = 1 << 30
    packer = lzma.LZMACompressor(preset=0)
    return b"".join([packer.compress(info.tobuf()), *(packer.compress(bytes(MIB)) for _ in range(1024)), packer.flush()])


def overlapping() -> bytes:
    """One local file that 200 records of the directory name, 1 MiB each time."""
    file = ZipFile.of(b"a", bytes(MIB))
    whole = zip_of(file)
    central = file.central(0)
    end = whole[-22:-14] + (200).to_bytes(2, "little") * 2 + (200 * len(central)).to_bytes(4, "little") + whole[-6:]
    return file.local() + central * 200 + end


def tree() -> bytes:
    """Archives of 16 archives each, three levels deep, and in each of the last 200 MiB."""
    return reduce(lambda data, _: zipped(*((f"{number}.zip", data) for number in range(16))), range(3), zipped(("a", bytes(200 * MIB))))


BOMBS: dict[str, Callable[[], bytes]] = {
    "500 MiB in a stream of a PDF": lambda: attached(
        pdf(zlib.compress(bytes(500 * MIB), 9), b"/Type/EmbeddedFile/Filter/FlateDecode"), "a.pdf"
    ),
    "archives of 16 archives, three times": lambda: attached(tree(), "a.zip"),
    "a file named 200 times": lambda: attached(overlapping(), "a.zip"),
    "33 archives in each other": lambda: attached(reduce(lambda data, _: zipped(("a.zip", data)), range(33), bytes(MIB)), "a.zip"),
    "an archive that holds itself": lambda: attached(quine(), "a.zip"),
    "1 GiB of zeros in tar.xz": lambda: attached(zeros_in_tar_xz(), "a.tar.xz"),
    "MIME depth 5,000": lambda: mail(
        b"Content-Type: multipart/mixed; boundary=l",
        body=b"".join(
            b"--l%s\r\nContent-Type: multipart/mixed; boundary=l%d\r\n\r\n" % (str(n - 1).encode() if n else b"", n) for n in range(5000)
        ),
    ),
    "a million parts": lambda: mail(b"Content-Type: multipart/mixed; boundary=b", body=b"--b\r\n\r\nx\r\n" * 1_000_000),
    "a header line of 30 MB, folded": lambda: b"Subject: " + (b"a" * 900 + b"\r\n ") * 33_000 + b"\r\n\r\nx\r\n",
    "a header line of 100 MB": lambda: b"Subject: " + b"a" * (100 * MIB) + b"\r\n\r\nx\r\n",
    "a header line of 45 MB": lambda: b"Subject: " + b"a" * (45 * MIB) + b"\r\n\r\nx\r\n",
}


def offer(port: int, bomb: bytes) -> tuple[int, str]:
    """The answer to a bomb; a server that hangs up while it is sent has refused it."""
    try:
        return mails.send(port, bomb)
    except smtplib.SMTPResponseException as error:
        return error.smtp_code, str(error.smtp_error)
    except (smtplib.SMTPServerDisconnected, ConnectionError):
        return 0, "hung up"


def peak(pid: int) -> int:
    """The most memory a process has had, in bytes."""
    line = next(row for row in Path(f"/proc/{pid}/status").read_text().splitlines() if row.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


def seconds(pid: int) -> float:
    """Processor seconds of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_no_bomb_is_delivered_or_costs_more_than_its_budget_while_others_are_served(gateway: Callable[..., Gateway], sink: Sink) -> None:
    one = gateway()
    assert mails.send(one.smtp, mails.mail("the workers are up"))[0] == 250
    workers = one.children("scan worker")
    for name, make in BOMBS.items():
        bomb, answers = make(), []
        spent = {pid: seconds(pid) for pid in workers}
        thread = threading.Thread(target=lambda raw=bomb, said=answers: said.append(offer(one.smtp, raw)))
        thread.start()
        others = [mails.send(one.smtp, mails.mail(f"beside {name} {number}"))[0] for number in range(3)]
        thread.join()

        assert others == [250] * 3, name
        assert answers[0][0] != 250 or "kept for review" in answers[0][1], (name, answers)
        assert one.children("scan worker") == workers, name
        print(
            f"| {name} | {answers[0][0]} | {max(seconds(pid) - spent[pid] for pid in workers):.1f} | {max(peak(pid) for pid in workers) // MIB} |"
        )
        assert max(seconds(pid) - spent[pid] for pid in workers) < 5.5, name
        assert max(peak(pid) - len(bomb) for pid in workers) < 200 * MIB, name
    assert len(sink.wait(1 + 3 * len(BOMBS))) == 1 + 3 * len(BOMBS)
    assert all(b"beside" in mail.content or b"workers are up" in mail.content for mail in sink.delivered)
