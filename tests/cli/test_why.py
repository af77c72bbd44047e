"""`moorage why` as a person uses it: what it prints, and how it ends."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.commands import CommandLine

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CommandLine]:
    line = CommandLine(tmp_path_factory.mktemp("why"))
    started = line.run("up", "--nodes", "0", "--simulated-nodes", "1", "--memory")
    assert started.code == 0, started.error
    yield line
    line.run("down", "--delete-data")


def test_what_is_well_ends_with_zero(line: CommandLine) -> None:
    for words in (["node/default-sim-1"], ["no", "default-sim-1"], ["Node", "default-sim-1"]):
        result = line.run("why", *words)
        assert (result.code, result.error) == (0, "")
        assert result.output == "Node default-sim-1 is ready and takes pods: nothing is wrong with it.\n"


def test_an_answer_can_be_read_by_programs_and_has_its_story(line: CommandLine) -> None:
    result = line.run("why", "namespace", "kube-system", "-o", "json", "--story")
    answer = json.loads(result.output)
    assert result.code == 0
    assert answer["wrong"] is False
    assert answer["root"] == answer["chain"][0]
    assert (answer["root"]["kind"], answer["root"]["says"]) == ("Namespace", "is Active")
    assert {entry["ref"]["name"] for entry in answer["story"]} == {"kube-system"}
    assert all(entry["because"] for entry in answer["story"])
    told = line.run("why", "namespace/kube-system", "--story").output.splitlines()
    assert told[0] == "Namespace kube-system is Active: nothing is wrong with it."
    assert any("service-account-controller namespaces kube-system: " in each for each in told[1:])


def test_any_cluster_can_be_asked_by_its_kubeconfig(line: CommandLine) -> None:
    file = str(line.state / "kubeconfig")
    assert line.run("why", "--kubeconfig", file, "svc/kubernetes").code == 0
    assert line.run("why", "--context", "moorage-default", "svc/kubernetes").code == 0
    unknown = line.run("why", "--context", "nobody", "svc/kubernetes")
    assert unknown.code == 1
    assert 'has no context "nobody"' in unknown.error
    story = line.run("why", "--kubeconfig", file, "svc/kubernetes", "--story")
    assert story.code == 1
    assert "the story is kept by Moorage's own process alone" in story.error


def test_what_is_not_there_is_told(line: CommandLine) -> None:
    kind = line.run("why", "frob/x")
    assert kind.code == 1
    assert kind.error == 'moorage: the cluster has no kind "frob".\nSee what there is with: kubectl api-resources\n'
    absent = line.run("why", "pod/x", "-n", "shop")
    assert absent.code == 1
    expected = 'moorage: pods "x" not found in namespace shop.\nSee what there is with: kubectl -n shop get pods\n'
    assert absent.error == expected


@pytest.mark.parametrize("words", [["pod"], ["pod/"], ["pod", "a", "b"], []])
def test_not_naming_one_object_is_wrong_usage(line: CommandLine, words: list[str]) -> None:
    result = line.run("why", *words)
    assert result.code == 2
    assert "Traceback" not in result.error


def test_without_a_cluster_it_says_how_to_start_one(tmp_path: Path) -> None:
    line = CommandLine(tmp_path)
    result = line.run("why", "pod/x")
    assert result.code == 1
    assert result.error == 'moorage: cluster "default" does not run.\nStart it with: moorage up\n'
    kubeconfig = tmp_path / "nobody"
    kubeconfig.write_text(
        "{current-context: a, contexts: [{name: a, context: {cluster: a}}], "
        "clusters: [{name: a, cluster: {server: 'http://127.0.0.1:1'}}]}"
    )
    silent = line.run("why", "--kubeconfig", str(kubeconfig), "pod/x")
    assert silent.code == 1
    assert "the cluster cannot be reached" in silent.error
