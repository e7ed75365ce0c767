"""Files as installers have them: the shipped ones are right; unreadable ones are told in one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest
from site_text_samples import GOOD

from hardware import places, plain_file, profiles
from hardware.loader import load

HARDWARE = Path(profiles.__file__).parent
SITES = sorted((HARDWARE / "sites").glob("*.toml"))


@pytest.mark.parametrize("path", SITES, ids=lambda path: path.name)
def test_a_shipped_site_is_right(path: Path) -> None:
    site, mistakes = load(path)
    assert mistakes == []
    assert site is not None and site.folder == str(path.parent)


def test_the_sites_that_others_rely_on_are_shipped() -> None:
    assert {"demo.toml", "bench.toml", "bench-rtu.toml"} <= {path.name for path in SITES}


def test_relative_paths_start_at_the_files_folder(tmp_path: Path) -> None:
    (tmp_path / "gatebox.toml").write_text(GOOD, "utf-8")
    site, _ = load(tmp_path / "gatebox.toml")
    assert site is not None
    assert places.storage_dir(site) == tmp_path / "state"
    assert places.control_socket(site) == tmp_path / "run" / "control.sock"
    assert places.device_path(site, "run/tty") == tmp_path / "run" / "tty"
    assert places.device_path(site, "/dev/serial0") == Path("/dev/serial0")


def test_a_relative_path_is_made_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gatebox.toml").write_text(GOOD, "utf-8")
    monkeypatch.chdir(tmp_path)
    site, _ = load(Path("gatebox.toml"))
    assert site is not None and site.folder == str(tmp_path)


@pytest.mark.parametrize("text", [GOOD.replace("\n", "\r\n"), "\ufeff" + GOOD, GOOD.rstrip("\n")])
def test_windows_line_ends_its_mark_and_a_missing_last_line_end_are_fine(tmp_path: Path, text: str) -> None:
    (tmp_path / "gatebox.toml").write_bytes(text.encode())
    assert load(tmp_path / "gatebox.toml")[1] == []


SPOILT = [
    (b"", "file_empty", 1),
    (b" \n\n", "file_empty", 1),
    (GOOD.encode("utf-16"), "file_utf16", 1),
    (GOOD.encode("gbk"), "file_not_utf8", 5),
    (GOOD.encode()[:60] + b"\0" * 500, "file_zeros", 4),
    (b"#" * 400_001, "file_too_big", 1),
]


@pytest.mark.parametrize(
    ("content", "code", "line"), SPOILT, ids=lambda value: value if isinstance(value, str) else None
)
def test_an_unreadable_file_is_one_mistake(tmp_path: Path, content: bytes, code: str, line: int) -> None:
    path = tmp_path / "gatebox.toml"
    path.write_bytes(content)
    site, mistakes = load(path)
    assert site is None
    assert [(mistake.code, mistake.line) for mistake in mistakes] == [(code, line)]
    assert mistakes[0].wrong and mistakes[0].right


def test_no_file_a_folder_and_an_odd_path_are_told(tmp_path: Path) -> None:
    assert [m.code for m in load(tmp_path / "absent.toml")[1]] == ["file_missing"]
    assert [m.code for m in load(tmp_path)[1]] == ["file_is_folder"]
    assert [m.code for m in load(Path("a\0b"))[1]] == ["file_unreadable"]
    assert [m.code for m in load(tmp_path / ("n" * 300))[1]] == ["file_unreadable"]


def test_a_forbidden_file_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_path: Path, _most: int) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(plain_file, "read", refuse)  # root, who may run the tests, is refused nothing
    assert [m.code for m in load(tmp_path / "gatebox.toml")[1]] == ["file_forbidden"]
