"""The house keeps its shape: borders, sizes, names, docstrings, and a map that leads somewhere."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "moorage"

#: How long a file may be, in lines.
LINES_MOST = 500

#: Names that say nothing about what lives in a module.
SAYS_NOTHING = {"utils", "util", "helpers", "helper", "common", "core", "base", "manager", "misc"}

MODULES = sorted(PACKAGE.rglob("*.py"))


def _shown(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_imports_point_down_and_rules_are_pure():
    lint = Path(sys.executable).parent / "lint-imports"
    if not lint.exists():
        pytest.skip("import-linter is not installed")
    result = subprocess.run([lint, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout[-3000:]


def test_every_module_says_what_lives_in_it():
    assert [_shown(each) for each in MODULES if not ast.get_docstring(ast.parse(each.read_text()))] == []


def test_no_module_is_longer_than_can_be_read_at_once():
    lengths = {_shown(each): len(each.read_text().splitlines()) for each in MODULES}
    assert {name: lines for name, lines in lengths.items() if lines > LINES_MOST} == {}


def test_names_of_modules_and_folders_say_something():
    parts = {(part.removesuffix(".py"), _shown(each)) for each in MODULES for part in each.relative_to(PACKAGE).parts}
    words = {(word, path) for part, path in parts for word in part.split("_")}
    assert sorted(path for word, path in words if word in SAYS_NOTHING) == []


def test_the_map_leads_to_places_that_exist():
    text = (ROOT / "ARCHITECTURE.md").read_text()
    paths = set(re.findall(r"`((?:moorage|tests|scripts|benchmarks|docs)/[^`\s]*)`", text))
    assert paths
    assert sorted(path for path in paths if not (ROOT / path).exists()) == []


def test_every_room_says_what_may_live_in_it():
    rooms = sorted({each.parent for each in MODULES} - {PACKAGE})
    assert [_shown(room) for room in rooms if not (room / "__init__.py").exists()] == []


def test_nobody_waits_in_a_way_that_forgets_cancellation():
    # Before Python 3.12 asyncio.wait_for returns as if nothing had happened if it is cancelled when it is done.
    assert [_shown(each) for each in MODULES if "asyncio.wait_for(" in each.read_text()] == []
