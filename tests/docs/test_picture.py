"""The picture of the architecture shows what there is, in light and dark, in letters that can be read."""

import re
import xml.etree.ElementTree as ET

import yaml
from written import ROOT

FILE = ROOT / "docs" / "images" / "architecture.svg"
TEXT = FILE.read_text(encoding="utf-8")
SVG = "{http://www.w3.org/2000/svg}"


def test_every_step_of_the_whole_road_is_in_it():
    compiled = (ROOT / "pipelines" / "compiled" / "multilingual_tuning.yaml").read_text(encoding="utf-8")
    executors = next(yaml.safe_load_all(compiled))["deploymentSpec"]["executors"]
    steps = {name.removeprefix("exec-") for name in executors} - {"report"}
    names = [text.text for text in ET.fromstring(TEXT).iter(f"{SVG}text") if text.get("class") == "name"]
    assert len(steps) >= 9 and steps - set(names) == set()


def test_text_is_text_and_nothing_comes_from_elsewhere():
    assert not re.search(r"<image|<script|@import|@font-face|url\((?!#)|href=|<foreignObject", TEXT)
    assert re.findall(r"https?://[^\"']+", TEXT) == ["http://www.w3.org/2000/svg"]


def test_letters_are_as_large_in_a_column_of_600_as_can_be_read():
    width = float(ET.fromstring(TEXT).get("viewBox").split()[2])
    assert min(float(size) for size in re.findall(r"font-size:\s*(\d+)px", TEXT)) * 600 / width > 9


def test_every_colour_has_one_for_the_dark():
    light, dark = re.split(r"@media \(prefers-color-scheme: dark\)", TEXT[: TEXT.index("</style>")])
    coloured = re.compile(r"([\w., ]+?) \{[^}]*#[0-9a-f]{6}", re.DOTALL)
    names = {name.strip() for rule in coloured.findall(dark) for name in rule.split(",")}
    assert {name.strip() for rule in coloured.findall(light) for name in rule.split(",")} - names == set()


def test_each_number_stands_in_the_picture_and_in_its_key():
    numbers = [
        text.text
        for seal in ET.fromstring(TEXT).iter(f"{SVG}g")
        if seal.get("class") == "seal"
        for text in seal
    ]
    assert sorted(number for number in numbers if number) == sorted([*"123456"] * 2)


def test_it_says_in_words_what_it_shows():
    root = ET.fromstring(TEXT)
    ids = [root.find(f"{SVG}{part}").get("id") for part in ("title", "desc")]
    assert root.get("role") == "img" and root.get("aria-labelledby").split() == ids
