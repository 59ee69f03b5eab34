"""An SMTP client for tests that says what it is told, line by line, and shows every answer."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self

MESSAGE = b"From: a@b.c\r\nSubject: hello\r\n\r\nbody\r\n.dot\r\n"


class Client:
    """A raw dialogue with 127.0.0.1."""

    def __init__(self, port: int) -> None:
        self._port = port

    async def __aenter__(self) -> Self:
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self._port)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.writer.close()

    def write(self, data: bytes) -> None:
        self.writer.write(data)

    async def answer(self) -> str:
        """The last line of the next reply; "" when the connection is closed."""
        while line := await asyncio.wait_for(self.reader.readline(), 20):
            if line[3:4] != b"-":
                return line.decode().rstrip("\r\n")
        return ""

    async def say(self, *lines: str) -> list[str]:
        """Say lines one by one; gives the answers."""
        answers = []
        for line in lines:
            self.write(line.encode() + b"\r\n")
            answers.append(await self.answer())
        return answers

    async def send(self, *recipients: str, content: bytes = MESSAGE, hello: str = "EHLO") -> list[str]:
        """Greet and send one mail as far as it goes; gives the answers to RCPT and the final one."""
        await self.answer()
        await self.say(f"{hello} client.example")
        return await self.mail(*recipients, content=content)

    async def mail(self, *recipients: str, content: bytes = MESSAGE, sender: str = "<a@b.c>") -> list[str]:
        """Send one mail in a dialogue that stands ready."""
        await self.say(f"MAIL FROM:{sender}")
        answers = await self.say(*(f"RCPT TO:<{recipient}>" for recipient in recipients))
        (go,) = await self.say("DATA")
        if go.startswith("354"):
            self.write(content.replace(b"\r\n.", b"\r\n..") + b".\r\n")
            answers.append(await self.answer())
        return answers
