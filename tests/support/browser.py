"""A real browser, headless, and the console served to it."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import uvicorn

from gatepost.console.app import application
from gatepost.services.playground import free_port
from tests.support.console import PASSWORD, House

CHROMIUM = shutil.which("chromium")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync"]


@contextmanager
def served(house: House) -> Iterator[str]:
    """The console at an address of this machine; by name, since security keys are bound to names."""
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(application(house.console, ("127.0.0.1", "localhost")), port=port, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    yield f"http://localhost:{port}"
    server.should_exit = True
    thread.join()


@contextmanager
def chromium() -> Iterator[object]:
    """Debian's Chromium."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs Playwright")
    if CHROMIUM is None:
        pytest.skip("needs Debian's chromium")
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield started
        started.close()


def enter(page, address: str, name: str = "anna", then: str = "/messages") -> None:
    """Log in as a person does."""
    page.goto(address + then)
    page.fill("#name", name)
    page.fill("#password", PASSWORD)
    page.press("#password", "Enter")
    page.wait_for_url(address + then)
