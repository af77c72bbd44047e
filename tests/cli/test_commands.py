"""What the commands print, and the exit codes that they end with."""

import json
import os
import signal
import socket
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.cli.commands import CommandLine

pytestmark = pytest.mark.cluster

SMALL = ("--nodes", "0", "--simulated-nodes", "1")


@pytest.fixture
def line(tmp_path: Path) -> Iterator[CommandLine]:
    line = CommandLine(tmp_path)
    yield line
    line.run("down", "--delete-data")


def test_up_tells_what_it_does_and_what_comes_next(line: CommandLine) -> None:
    result = line.run("up", *SMALL)
    assert (result.code, result.error) == (0, "")
    assert result.output.startswith(
        'Starting cluster "default" …\n - State opened\n - API listens on https://127.0.0.1:'
    )
    assert f'Context "moorage-default" is current in {line.kubeconfig}.' in result.output
    assert "kubectl get nodes" in result.output
    config = yaml.safe_load(line.kubeconfig.read_text())
    assert config["current-context"] == "moorage-default"
    assert line.kubeconfig.stat().st_mode & 0o077 == 0

    again = line.run("up")
    assert again.code == 0
    assert 'Cluster "default" already runs' in again.output

    status = line.run("status", "-o", "json")
    facts = json.loads(status.output)
    assert (facts["running"], facts["simulated_nodes"]) == (True, 1)
    assert line.run("kubeconfig").output == (line.state / "kubeconfig").read_text()
    assert "moorage" in line.run("logs").output

    down = line.run("down")
    assert (down.code, down.output.splitlines()[0]) == (0, 'Stopped cluster "default".')
    assert line.run("status").code == 1
    gone = line.run("down", "--delete-data")
    assert gone.code == 0
    assert not line.state.exists()
    assert "moorage-default" not in line.kubeconfig.read_text()
    assert line.run("down").output == 'Cluster "default" does not run and has no data.\n'


def test_a_port_in_use_is_told_and_nothing_is_left_running(line: CommandLine) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        result = line.run("up", *SMALL, "--port", str(port))
    assert result.code == 1
    assert str(port) in result.error
    assert "Choose another port with --port" in result.error
    assert "Traceback" not in result.error
    assert line.run("status").code == 1


def test_in_the_foreground_a_cluster_tells_the_same_and_ends_when_interrupted(line: CommandLine) -> None:
    with line.start("up", "--foreground", *SMALL) as process:
        try:
            assert process.stdout is not None
            assert any("Ready in " in told for told in process.stdout)
            assert "moorage-default" in line.kubeconfig.read_text()
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=30) == 0
        finally:
            process.kill()


def test_in_the_foreground_a_failure_is_told_too(line: CommandLine) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        result = line.run("up", "--foreground", *SMALL, "--port", str(taken.getsockname()[1]))
    assert result.code == 1
    assert "Choose another port with --port" in result.error


def test_a_damaged_state_is_refused_and_left_as_it_is(line: CommandLine) -> None:
    line.state.mkdir()
    database = line.state / "state.db"
    database.write_bytes(b"this is not a database" * 100)
    before = database.read_bytes()
    result = line.run("up", *SMALL)
    assert result.code == 1
    assert "state.db" in result.error
    assert "Traceback" not in result.error
    assert database.read_bytes() == before


def test_a_foreign_database_is_refused(line: CommandLine) -> None:
    line.state.mkdir()
    with sqlite3.connect(line.state / "state.db") as database:
        database.execute("create table somebody_elses (x)")
    database.close()
    assert line.run("up", *SMALL).code == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_directory_that_cannot_be_written_is_told(line: CommandLine) -> None:
    line.home.chmod(0o500)
    result = line.run("up", *SMALL)
    assert result.code == 1
    assert "cannot be written" in result.error


def test_a_file_in_place_of_the_directory_is_told(line: CommandLine) -> None:
    line.state.write_text("")
    result = line.run("up", *SMALL)
    assert result.code == 2
    assert "is a file" in result.error
    line.state.unlink()


@pytest.mark.parametrize("arguments", [("up", "--nodes", "-1"), ("up", "--name", "No"), ("frobnicate",)])
def test_wrong_usage_ends_with_two(line: CommandLine, arguments: tuple[str, ...]) -> None:
    result = line.run(*arguments)
    assert result.code == 2
    assert "Traceback" not in result.error


def test_commands_that_need_a_running_cluster_say_how_to_start_one(line: CommandLine) -> None:
    for command in ("kubeconfig",):
        result = line.run(command)
        assert result.code == 1
        assert result.error == 'moorage: cluster "default" does not run.\nStart it with: moorage up\n'


def test_a_killed_cluster_comes_back_with_everything(line: CommandLine) -> None:
    line.run("up", *SMALL)
    pid = json.loads(line.run("status", "-o", "json").output)["pid"]
    os.kill(pid, signal.SIGKILL)
    result = line.run("up")
    assert result.code == 0, result.error
    facts = json.loads(line.run("status", "-o", "json").output)
    assert facts["pid"] != pid
    assert facts["simulated_nodes"] == 1


def test_version_and_completion(line: CommandLine) -> None:
    assert json.loads(line.run("version", "-o", "json").output)["kubernetes"] == "v1.37.2"
    script = line.run("completion", "bash").output
    assert subprocess.run(["bash", "-n"], input=script, text=True, check=False).returncode == 0


def test_a_registries_file_that_makes_no_sense_is_told(line: CommandLine) -> None:
    place = line.home / "config" / "moorage" / "registries.yaml"
    place.parent.mkdir(parents=True)
    place.write_text("mirror: {}\n")
    result = line.run("up", "--nodes", "1", XDG_CONFIG_HOME=str(line.home / "config"))
    assert result.code == 1
    assert "registries.yaml: unknown members mirror" in result.error
