"""kubeconfig files: what is ours is added and removed, all else stays."""

import base64
import os
import stat

import pytest
import yaml

from moorage.client.kubeconfig import (
    Credentials,
    KubeconfigError,
    config_for,
    credentials_in_pod,
    merge_file,
    paths_of,
    read_credentials,
    remove_context,
    split_identity,
    write_file,
)

CERTIFICATE = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
KEY = b"-----BEGIN PRIVATE KEY-----\nBBBB\n-----END PRIVATE KEY-----\n"
OURS = Credentials("https://127.0.0.1:6443", b"CA", CERTIFICATE + KEY)

THEIRS = """
apiVersion: v1
kind: Config
preferences: {colors: true}
clusters:
- name: work
  cluster: {server: https://work, certificate-authority: ca.crt}
users:
- name: me
  user: {exec: {command: login}}
- name: bot
  user: {tokenFile: token}
contexts:
- name: work
  context: {cluster: work, user: me, namespace: team}
- name: bot
  context: {cluster: work, user: bot}
current-context: work
extensions: [{name: x, extension: {a: 1}}]
"""


@pytest.fixture
def theirs(tmp_path):
    path = tmp_path / "config"
    path.write_text(THEIRS)
    (tmp_path / "ca.crt").write_bytes(b"their CA")
    return path


@pytest.fixture
def ours(tmp_path):
    path = tmp_path / "ours"
    write_file(path, "moorage-default", OURS)
    return path


def content(path):
    return yaml.safe_load(path.read_text())


def test_what_is_written_is_read_back_and_private(ours):
    assert stat.S_IMODE(ours.stat().st_mode) == 0o600
    found = read_credentials((ours,))
    assert (found.server, found.authority) == (OURS.server, OURS.authority)
    assert split_identity(found.identity) == (CERTIFICATE, KEY)
    user = content(ours)["users"][0]["user"]
    assert base64.b64decode(user["client-key-data"]) == KEY


def test_merging_keeps_everything_else_and_makes_ours_current(theirs, ours):
    before = content(theirs)
    merge_file(theirs, ours)
    after = content(theirs)
    assert after["current-context"] == "moorage-default"
    assert [each["name"] for each in after["contexts"]] == ["work", "bot", "moorage-default"]
    for kind in ("clusters", "users", "contexts"):
        assert after[kind][: len(before[kind])] == before[kind]
    assert (after["preferences"], after["extensions"]) == (before["preferences"], before["extensions"])
    assert stat.S_IMODE(theirs.stat().st_mode) == 0o600


def test_merging_twice_changes_nothing(theirs, ours):
    merge_file(theirs, ours)
    once, inode = theirs.read_text(), theirs.stat().st_ino
    merge_file(theirs, ours)
    assert (theirs.read_text(), theirs.stat().st_ino) == (once, inode)


def test_removing_takes_back_what_merging_added(theirs, ours):
    before = content(theirs)
    merge_file(theirs, ours)
    remove_context(theirs, "moorage-default")
    assert content(theirs) == {**before, "current-context": ""}


def test_removing_leaves_what_another_context_uses(theirs):
    remove_context(theirs, "work")
    after = content(theirs)
    assert [each["name"] for each in after["clusters"]] == ["work"]
    assert [each["name"] for each in after["users"]] == ["bot"]


def test_removing_from_a_file_that_is_not_there_is_fine(tmp_path):
    remove_context(tmp_path / "none", "x")
    assert not (tmp_path / "none").exists()


def test_merging_makes_file_and_folder(tmp_path, ours):
    path = tmp_path / "home" / ".kube" / "config"
    merge_file(path, ours)
    assert content(path)["current-context"] == "moorage-default"


def test_a_link_stays_a_link(tmp_path, theirs, ours):
    link = tmp_path / "link"
    link.symlink_to(theirs)
    merge_file(link, ours)
    assert link.is_symlink()
    assert content(theirs)["current-context"] == "moorage-default"


def test_a_broken_file_is_not_touched(tmp_path, ours):
    path = tmp_path / "config"
    for text in ("a: [", "- a\n", "clusters: 5\n"):
        path.write_text(text)
        with pytest.raises(KubeconfigError, match="config"):
            merge_file(path, ours)
        assert path.read_text() == text
    assert sorted(each.name for each in tmp_path.iterdir()) == ["config", "ours"]


def test_a_lock_that_stays_is_told(theirs, ours, monkeypatch):
    monkeypatch.setattr("moorage.client.kubeconfig.LOCK_TRIES", 2)
    lock = theirs.with_name("config.lock")
    lock.touch()
    with pytest.raises(KubeconfigError, match="locked by another program"):
        merge_file(theirs, ours)
    assert lock.exists()


def test_a_context_is_read_with_files_beside_it(theirs):
    (theirs.parent / "token").write_text("t")
    found = read_credentials((theirs,), "bot")
    assert (found.server, found.authority) == ("https://work", b"their CA")
    assert found.token_file == str(theirs.parent / "token")


def test_what_cannot_be_used_is_told(theirs, tmp_path):
    for context, said in (("work", "`exec` are not supported"), ("none", 'no context "none"')):
        with pytest.raises(KubeconfigError, match=said):
            read_credentials((theirs,), context)
    with pytest.raises(KubeconfigError, match="there is no kubeconfig"):
        read_credentials((tmp_path / "none",))
    empty = tmp_path / "empty"
    empty.touch()
    with pytest.raises(KubeconfigError, match="no context is current"):
        read_credentials((empty,))


def test_several_files_are_one_and_the_first_wins(theirs, ours):
    found = read_credentials((ours, theirs))
    assert found.server == OURS.server
    assert read_credentials((ours, theirs), "bot").server == "https://work"
    environment = {"KUBECONFIG": os.pathsep.join([str(ours), "", str(theirs)])}
    assert paths_of(environment) == (ours, theirs)
    assert paths_of({})[0].parts[-2:] == (".kube", "config")


def test_a_pod_finds_its_account(tmp_path):
    environment = {"KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "443"}
    assert credentials_in_pod(environment, tmp_path) is None
    for name, text in (("token", "t"), ("namespace", "ns\n"), ("ca.crt", "CA")):
        (tmp_path / name).write_text(text)
    found = credentials_in_pod(environment, tmp_path)
    assert (found.server, found.namespace, found.authority) == ("https://[fd00::1]:443", "ns", b"CA")
    assert credentials_in_pod({}, tmp_path) is None


def test_a_new_file_is_yaml_that_says_what_was_given(tmp_path):
    credentials = Credentials("https://[::1]:6443", authority=b"ca\n" * 50, token='a: "b" #c', insecure=True)
    write_file(tmp_path / "config", "yes", credentials)
    assert yaml.safe_load((tmp_path / "config").read_text()) == config_for("yes", credentials)
