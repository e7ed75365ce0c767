"""The district's keys change while the box runs: put in, overlapping, taken out, and whatever may be wrong there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from control_scenes import DEMO

from agent.control.command_keys import KeyFiles, Keys
from hardware import loader
from hardware.site import Site
from sim.orders import Signer


class House:
    """A site file with the entries of `names`, and their keys; files are written as an editor would."""

    def __init__(self, folder: Path, *names: str) -> None:
        self.folder = folder
        self.file = folder / "gatebox.toml"
        self.signers = {name: Signer.of(folder / f"{name}.key") for name in ("old", "new")}
        self.entries(*names)
        self.files = KeyFiles(self.site(), self.file)

    def site(self) -> Site:
        site, mistakes = loader.load(self.file)
        assert site is not None, mistakes
        return site

    def entries(self, *names: str, more: str = "") -> None:
        keys = "".join(f'\n[[uplink.command_key]]\nid = "{name}"\nfile = "{name}.pub"\n' for name in names)
        self.file.write_text(DEMO.read_text("utf-8") + keys + more, "utf-8")

    def looked(self) -> Keys | None:
        """Two looks: a change counts when it stands still."""
        return self.files.look() or self.files.look()

    def names(self) -> list[str]:
        return [key.id for key in self.files.now.keys]


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path, "old")


def test_nothing_is_read_while_nothing_changes(house: House) -> None:
    assert house.names() == ["old"]
    assert [house.files.look() for _ in range(3)] == [None] * 3


def test_a_key_is_put_in_overlaps_and_the_old_one_goes(house: House) -> None:
    house.entries("old", "new")
    assert house.looked() == house.files.now
    assert house.names() == ["old", "new"]
    house.entries("new")
    assert house.looked() is not None and house.names() == ["new"]
    house.entries()
    assert house.looked() == Keys()


def test_a_file_that_is_still_being_written_is_not_read(house: House) -> None:
    for size in range(3):
        house.entries("old", more="# " + "x" * size)
        assert house.files.look() is None
    assert house.files.look() is not None


def test_another_key_in_the_same_file_is_another_key(house: House) -> None:
    before = house.files.now.keys[0].public
    (house.folder / "new.pub").replace(house.folder / "old.pub")
    assert house.looked() is not None
    assert house.files.now.keys[0].public not in (before, b"")
    assert house.files.now.troubles == ()


@pytest.mark.parametrize("spoilt", [None, b"", b"-----BEGIN PUBLIC KEY-----\nAAAA\n", b"x" * 5000])
def test_a_broken_key_file_leaves_the_key_before_it_and_is_told_once(house: House, spoilt: bytes | None) -> None:
    house.entries("old", "new")
    house.looked()
    before = house.files.now.keys
    path = house.folder / "old.pub"
    path.unlink() if spoilt is None else path.write_bytes(spoilt)
    found = house.looked()
    assert found is not None and found.keys == before
    (trouble,) = found.troubles
    assert trouble.startswith("old: old.pub cannot be used, ") and trouble.endswith("; the key before it stays")
    assert house.looked() is None, "told once"


def test_a_folder_or_a_pipe_in_a_keys_place_holds_nobody_up(house: House) -> None:
    (house.folder / "old.pub").unlink()
    os.mkfifo(house.folder / "old.pub")
    found = house.looked()
    assert found is not None and len(found.keys) == len(found.troubles) == 1


def test_a_key_taken_out_is_gone_whatever_else_is_broken(house: House) -> None:
    house.entries("new")
    (house.folder / "new.pub").write_bytes(b"?")
    found = house.looked()
    assert found is not None and found.keys == () and len(found.troubles) == 1


def test_an_entry_with_another_file_does_not_inherit_the_key(house: House) -> None:
    house.entries(more='\n[[uplink.command_key]]\nid = "old"\nfile = "nowhere.pub"\n')
    found = house.looked()
    assert found is not None and found.keys == () and "nowhere.pub" in found.troubles[0]


def test_a_site_file_with_a_mistake_changes_nothing_and_is_told(house: House) -> None:
    before = house.files.now.keys
    house.entries("new", more="\n[nonsense]\n")
    found = house.looked()
    assert found is not None and found.keys == before
    assert "gatebox.toml has 1 mistakes" in found.troubles[0]
    house.file.unlink()
    found = house.looked()
    assert found is not None and found.keys == before and found.troubles


def test_the_days_of_an_entry_count_though_its_file_stays(house: House) -> None:
    house.entries(more='\n[[uplink.command_key]]\nid = "old"\nfile = "old.pub"\nvalid_to = "2020-01-01"\n')
    assert house.looked() is not None
    assert not house.files.now.keys[0].holds_at(1_790_000_000_000)
