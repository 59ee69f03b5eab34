"""Mails that tests send: clean ones, and the harmless test file in the usual wrappings."""

from __future__ import annotations

import io
import smtplib
import zipfile
from email.message import EmailMessage
from email.policy import SMTP

from tests.support.eicar import EICAR


def mail(subject: str, text: str = "Hello,\n\nsee you.\n", file: tuple[str, bytes] | None = None) -> bytes:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "carol@partner.example", "bob@widget.example", subject
    message["Message-ID"] = f"<{subject.replace(' ', '-')}@partner.example>"
    message.set_content(text)
    if file:
        message.add_attachment(file[1], maintype="application", subtype="octet-stream", filename=file[0])
    return message.as_bytes(policy=SMTP)


def zipped(name: str, content: bytes) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return target.getvalue()


CLEAN = mail("clean", file=("notes.zip", zipped("notes.txt", b"fine\n")))
INFECTED = {
    "in the text": mail("infected text", text=EICAR.decode()),
    "as an attachment": mail("infected file", file=("data.bin", EICAR)),
    "in a zip": mail("infected zip", file=("data.zip", zipped("data.txt", EICAR))),
}


def send(
    port: int,
    content: bytes,
    sender: str = "carol@partner.example",
    recipients: tuple[str, ...] = ("bob@widget.example",),
    forwarded: str = "",
    seconds: float = 120.0,
) -> tuple[int, str]:
    """Send by SMTP; gives the final reply. `forwarded` is a client address for XFORWARD, `seconds` the longest wait for one answer."""
    with smtplib.SMTP("127.0.0.1", port, timeout=seconds) as client:
        client.ehlo("client.example")
        if forwarded:
            client.docmd("XFORWARD", f"ADDR={forwarded}")
        for code, text in [client.mail(sender), *(client.rcpt(recipient) for recipient in recipients)]:
            if code >= 400:
                return code, text.decode()
        code, text = client.data(content)
        return code, text.decode()
