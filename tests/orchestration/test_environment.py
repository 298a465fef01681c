"""The state folder is made ready with the instance file that Dagster reads there."""

from __future__ import annotations

from pathlib import Path

import pytest
from revops import ROOT

from orchestration.environment import INSTANCE_FILE, prepare_folders
from settings.errors import UserError
from settings.paths import Home


def test_the_projects_instance_file_is_copied_and_followed(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    prepare_folders(home)
    file = home.dagster / "dagster.yaml"
    assert file.read_bytes() == (ROOT / "dagster.yaml").read_bytes()
    file.write_text("older")
    prepare_folders(home)
    assert file.read_bytes() == (ROOT / "dagster.yaml").read_bytes()


def test_a_deployment_names_its_own_and_who_reads_it_meanwhile_is_not_disturbed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "own.yaml"
    own.write_text("telemetry:\n  enabled: false\n")
    monkeypatch.setenv(INSTANCE_FILE, str(own))
    home = Home(tmp_path / "home")
    prepare_folders(home)
    file = home.dagster / "dagster.yaml"
    assert file.read_bytes() == own.read_bytes()
    written = file.stat()
    prepare_folders(home)
    assert (file.stat().st_ino, file.stat().st_mtime_ns) == (written.st_ino, written.st_mtime_ns)


def test_an_instance_file_that_is_not_there_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(INSTANCE_FILE, str(tmp_path / "dagster.yml"))
    with pytest.raises(UserError) as caught:
        prepare_folders(Home(tmp_path / "home"))
    assert str(caught.value) == (
        f"{INSTANCE_FILE} = {tmp_path}/dagster.yml: the file cannot be read: No such file or directory. "
        "Correct the path, or unset the variable for the project's own dagster.yaml"
    )
    assert not (tmp_path / "home").exists()
