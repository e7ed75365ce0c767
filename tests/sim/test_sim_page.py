"""The page to play with, in a real browser: what one clicks there happens in the world, and shows."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from debian_chromium import CHROMIUM, FLAGS
from playwright.sync_api import Page, expect, sync_playwright
from sim_gates import live_text
from web_chromium import UNLESS_LEFT_OUT, must_be_there

ROOT = Path(__file__).parents[2]

pytestmark = [pytest.mark.e2e, UNLESS_LEFT_OUT]


@pytest.fixture(scope="module")
def http(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    folder = tmp_path_factory.mktemp("gate")
    (folder / "gatebox.toml").write_text(live_text(), "utf-8")
    command = [sys.executable, "-m", "sim", "--site", str(folder / "gatebox.toml")]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        where = json.loads(process.stdout.readline())
        with httpx.Client(base_url=where["http"], trust_env=False) as client:
            yield client
        process.terminate()


@pytest.fixture(scope="module")
def page(http: httpx.Client) -> Iterator[Page]:
    must_be_there()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        page = browser.new_page(viewport={"width": 1440, "height": 1100})
        page.set_default_timeout(10_000)
        expect.set_options(timeout=10_000)
        wrong: list[str] = []
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
        page.goto(str(http.base_url))
        expect(page.locator("#link")).to_have_class("up")
        yield page
        browser.close()
    assert wrong == []


@pytest.fixture(autouse=True)
def healed(http: httpx.Client) -> None:
    http.post("/heal")


def world(http: httpx.Client) -> Any:
    return http.get("/world").json()


def test_holding_the_red_button_presses_it(page: Page, http: httpx.Client) -> None:
    knob = page.locator(".mushroom").first
    knob.hover()
    page.mouse.down()
    expect(knob).to_have_attribute("aria-pressed", "true")
    expect(page.locator(".panic .chip").first).to_have_text("线路 按下")
    expect(page.locator("svg.gate")).to_have_class("gate alarm")
    page.mouse.up()
    expect(knob).to_have_attribute("aria-pressed", "false")
    assert not world(http)["buttons"]["gatehouse"]["pressed"]


def test_a_car_drives_in_by_clicks_and_lights_its_loop(page: Page, http: httpx.Client) -> None:
    car = page.locator(".mover.vehicle").first
    for place in ("approach", "on_loop"):
        car.click(force=True)
        expect(page.locator("rect.loop.occupied")).to_have_count(1 if place == "on_loop" else 0)
        assert world(http)["lanes"]["main"]["vehicle"] == place
    http.post("/vehicle", json={"lane": "main", "at": "away"})
    expect(page.locator("rect.loop.occupied")).to_have_count(0)


def test_a_person_is_dragged_onto_the_bollards(page: Page, http: httpx.Client) -> None:
    person, goal = page.locator(".mover.person").first.bounding_box(), page.locator(".bollard").first.bounding_box()
    assert person is not None
    assert goal is not None
    page.mouse.move(person["x"] + person["width"] / 2, person["y"] + person["height"] / 2)
    page.mouse.down()
    page.mouse.move(goal["x"] + 5, goal["y"] + 40, steps=5)
    page.mouse.move(goal["x"] + goal["width"] / 2, goal["y"] + goal["height"] / 2, steps=5)
    page.mouse.up()
    expect(page.locator(".pressure.occupied")).to_have_count(1)
    expect(page.locator("path.beam.occupied")).to_have_count(1)
    http.post("/person", json={"lane": "main", "at": "away"})


def test_a_card_from_the_popover_and_a_door(page: Page, http: httpx.Client) -> None:
    page.locator(".reader").nth(1).click()
    page.get_by_role("button", name="pupil-0001").click()
    expect(page.locator("#strip li.k-card").first).to_contain_text("card 0200000001")
    page.locator(".door").first.click()
    page.get_by_role("button", name="从里面推开").click()
    expect(page.locator(".leaf.open")).to_have_count(1)
    expect(page.locator(".leaf.open")).to_have_count(0)


def test_faults_are_laid_and_healed(page: Page, http: httpx.Client) -> None:
    page.locator("#faults select").first.select_option("bollard:main-1")
    page.locator("#faults select").nth(1).select_option("slow")
    page.locator("#faults input").fill("2")
    page.locator("#faults .primary").click()
    expect(page.locator(".faultlist b")).to_have_text("bollard:main-1")
    assert world(http)["faults"] == [{"device": "bollard:main-1", "kind": "slow", "params": {"factor": 2}}]
    page.locator(".faultlist button").click()
    expect(page.locator(".faultlist li.none")).to_have_text("一切正常")


def test_the_language_is_switched_and_kept(page: Page) -> None:
    page.locator("#language").click()
    expect(page.locator("h1")).to_have_text("Menwei · simulated gate")
    page.reload()
    expect(page.locator("h1")).to_have_text("Menwei · simulated gate")
    page.locator("#language").click()
    expect(page.locator("h1")).to_have_text("门卫 · 模拟大门")


def test_a_narrow_screen_has_no_sideways_scroll(page: Page) -> None:
    for width in (800, 420, 360):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    told = page.locator("#strip li span").first
    assert told.bounding_box()["width"] > 100, "what happened can be read"  # type: ignore[index]
    page.set_viewport_size({"width": 1440, "height": 1100})
