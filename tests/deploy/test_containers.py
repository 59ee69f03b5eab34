"""The container of the relay role: checked as far as it can be where no engine runs; its entry point is run on a real tree."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "containers"


def instructions() -> list[tuple[str, str]]:
    text = re.sub(r"^#.*\n", "", (FOLDER / "Containerfile").read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    return [(line.split(None, 1)[0], line.split(None, 1)[1]) for line in text.splitlines() if line.strip()]


def test_the_containerfile_keeps_the_rules_of_its_trade() -> None:
    """What hadolint(1) asks for: a pinned base, no upgrade, lists removed in the same layer, exec forms, a health check."""
    found = instructions()
    words = [word for word, _ in found]
    runs = [text for word, text in found if word == "RUN"]

    assert all(":" in text and not text.endswith(":latest") for word, text in found if word == "FROM")
    assert len(runs) == 1
    assert all("--no-install-recommends" in text and "rm -rf /var/lib/apt/lists" in text and "upgrade" not in text for text in runs)
    assert not any(re.search(r"curl|wget|sudo|chmod 777|\bcd ", text) for text in runs)
    assert all(text.startswith("[") for word, text in found if word in {"ENTRYPOINT", "VOLUME"})
    assert {"HEALTHCHECK", "STOPSIGNAL", "ENTRYPOINT"} <= {*words}
    assert "ADD" not in words
    assert all((ROOT / source).exists() for word, text in found if word == "COPY" for source in text.split()[1:-1])


def test_the_compose_file_names_what_it_mounts_and_drops_what_it_does_not_need() -> None:
    text = (FOLDER / "compose.yaml").read_text()
    services, _, volumes = text.partition("\nvolumes:\n")
    named = set(re.findall(r"^      - ([a-z]+):/", services, re.MULTILINE))

    assert named == set(re.findall(r"^  ([a-z]+):$", volumes, re.MULTILINE))
    assert "cap_drop: [ALL]" in services
    assert "no-new-privileges:true" in services
    assert "privileged: true" not in services
    assert ":latest" not in services


@pytest.mark.skipif(shutil.which("sh") is None, reason="needs a shell")
def test_the_entry_point_is_a_shell_script_that_stops_at_a_bad_site_file(tmp_path: Path) -> None:
    assert subprocess.run(["sh", "-n", FOLDER / "entrypoint"], check=False).returncode == 0
    (tmp_path / "site.toml").write_text("[site]\nname = 1\n")
    environment = {"PATH": f"{ROOT}/.venv/bin:/usr/bin:/bin", "GATEPOST_SITE": str(tmp_path / "site.toml")}

    done = subprocess.run([FOLDER / "entrypoint"], capture_output=True, text=True, env=environment, check=False)

    assert done.returncode == 2
    assert "site.toml" in done.stderr
