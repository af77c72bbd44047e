"""What the documents say can be typed is typed here."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
README_LINES_MOST = 150


def _examples(name: str) -> list[str]:
    return re.findall(r"^```sh\n(.*?)^```$", (ROOT / name).read_text(), flags=re.MULTILINE | re.DOTALL)


def test_the_readme_can_be_read_at_once():
    assert len((ROOT / "README.md").read_text().splitlines()) <= README_LINES_MOST


def test_links_between_documents_lead_somewhere():
    for document in [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)\)", document.read_text()):
            assert (document.parent / target).exists(), f"{document.name}: {target}"


def test_every_stated_difference_is_listed():
    listed = (ROOT / "docs" / "differences.md").read_text()
    stated = [path for path in (ROOT / "moorage").rglob("*.py") if "Differs from Kubernetes:" in path.read_text()]
    assert stated
    assert [str(path.relative_to(ROOT)) for path in stated if f"`{path.relative_to(ROOT)}`" not in listed] == []


def test_examples_of_the_readme_work():
    kubectl = os.environ.get("MOORAGE_KUBECTL") or shutil.which("kubectl")
    if not kubectl:
        pytest.skip("no kubectl: scripts/test fetches one")
    examples = _examples("README.md")
    assert examples
    with tempfile.TemporaryDirectory(prefix="moorage-readme-") as home:
        tools = Path(home, "tools")
        tools.mkdir()
        (tools / "kubectl").symlink_to(kubectl)
        path = os.pathsep.join([str(tools), str(Path(sys.executable).parent), os.environ["PATH"]])
        environment = {"HOME": home, "PATH": path, "LANG": "C.UTF-8"}
        script = "set -euo pipefail\ntrap 'moorage down --delete-data' EXIT\n" + "\n".join(examples)
        done = subprocess.run(
            ["bash", "-c", script], env=environment, cwd=home, capture_output=True, text=True, timeout=240, check=False
        )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
