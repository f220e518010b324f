"""What is said of settings is what the models say: on the page, in the terminal, as JSON."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from command import a4nn
from settings_page import document

from a4nn_core import plugins
from a4nn_core.component import Registry
from a4nn_core.errors import BadInput
from a4nn_core.reference import OWN, TABLES, Part, Setting, find, parts

PAGE = Path(__file__).resolve().parents[1] / "docs" / "settings.md"


def test_the_page_is_current() -> None:
    assert PAGE.read_text() == document(), "run: python tools/settings_page.py docs/settings.md"


def test_every_part_and_every_setting_says_what_it_is() -> None:
    found = [part for part in find(None) if part.package == OWN]
    assert {part.table for part in found} == set(TABLES)
    assert [part.title for part in found if not part.meaning] == []
    silent = [f"{part.title} {one.name}" for part in found for one in part.settings if not one.meaning]
    assert silent == []


UNITLESS = {"seed", "geodesic", "eta", "part", "options"}
"""of whole numbers: seeds, the frequency of a grid, one in so many, which part, and what pymoo takes"""


def test_every_whole_number_has_a_unit_or_is_known_to_have_none() -> None:
    """Of other numbers, shares, chances, rates and exponents have none."""
    without = {
        one.name
        for part in find(None)
        if part.package == OWN
        for one in part.settings
        if "whole number" in one.values
        and not one.values.startswith("list, each a table")
        and one.unit is None
    }
    assert without == UNITLESS
    said = a4nn("settings", "training.stall_seconds").stdout
    assert "(number, above 0; unit: seconds)" in said


def test_settings_as_they_are_declared() -> None:
    [training] = parts("training")
    by_name = {setting.name: setting for setting in training.settings}
    assert by_name["keep_checkpoints"].choices == ("last", "best", "all", "front")
    assert by_name["segment_epochs"] == Setting(
        name="segment_epochs",
        default=None,
        required=False,
        values="whole number, at least 1",
        choices=(),
        unit="epochs",
        meaning="epochs per segment, after which a worker hands a network back; if not set, the whole budget "
        "is one segment",
    )
    [digits] = find("data.digits")
    assert [(s.name, s.default, s.values) for s in digits.settings[:2]] == [
        ("validation", "0.15", "number, above 0, below 0.5"),
        ("test", "0.15", "number, above 0, below 0.5"),
    ]
    [path] = find("data.folder")[0].settings[:1]
    assert (path.name, path.default, path.required) == ("path", None, True)
    every = [part for part in find(None) if part.table != "operations"]  # whose settings have names of others
    values = {setting.name: setting.values for part in every for setting in part.settings}
    assert values["objectives"] == 'table, each value "minimise" or "maximise"'
    assert values["constraints"] == "table, each value a table of least, most"
    assert values["batch_size"] == 'whole number or "auto"'
    [tpds22] = find("engines.tpds22")
    assert {s.name: s.values for s in tpds22.settings}["start"] == "list of 3, each a number"
    assert values["rules"] == "list, each a text or table of name"
    assert values["auto"] == "true"


def test_the_defaults_are_those_of_the_parts() -> None:
    """Each is TOML, and means what a part has that is made of its name alone."""
    compared = 0
    for table, about in TABLES.items():
        if not isinstance(about.source, Registry):
            continue
        for part in (part for part in parts(table) if part.package == OWN):
            fields = about.source.component(part.name).model_fields
            assert [setting.name for setting in part.settings] == [name for name in fields if name != "name"]
            if any(setting.required for setting in part.settings):
                continue
            made = about.source.make(part.name, "test").model_dump(mode="json")
            for setting in part.settings:
                if setting.default is None:
                    assert fields[setting.name].default is None  # a part may know a value to put there
                else:
                    default = tomllib.loads(f"x = {setting.default}")["x"]
                    assert default == made[setting.name], f"{part.title} {setting.name}"
                    compared += 1
    assert compared > 70


@pytest.mark.parametrize(
    ("wanted", "titles"),
    [
        ("training", ["training"]),
        ("search.a4nn", ["search.a4nn"]),
        ("a4nn", ["search.a4nn", "engines.a4nn"]),
        ("training.epochs", ["training"]),
        ("search.exploration", ["search.a4nn"]),
    ],
)
def test_what_a_name_means(wanted: str, titles: list[str]) -> None:
    assert [part.title for part in find(wanted)] == titles


def test_of_a_setting_it_is_shown_alone() -> None:
    assert [[setting.name for setting in part.settings] for part in find("training.epochs")] == [["epochs"]]


@pytest.mark.parametrize(
    ("wanted", "says"),
    [
        ("foo", "there are no settings 'foo'; there are experiment, data, space, search"),
        ("search.foo", "search has no part or setting 'foo'; it has nsga-net, a4nn, random, "),
        ("prior.foo", "prior has no part or setting 'foo'; it has runs, query, auto"),
        ("foo.a4nn", "there are no settings 'foo.a4nn'"),
    ],
)
def test_a_name_that_means_nothing(wanted: str, says: str) -> None:
    with pytest.raises(BadInput, match=says):
        find(wanted)


def test_a_part_that_cannot_be_loaded_hides_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = EntryPoint("broken", "no_such_package.search:Broken", "a4nn.search")
    monkeypatch.setattr(plugins, "entry_points", lambda group: [broken] if group == "a4nn.search" else [])
    *_, last = parts("search")
    assert last == Part(
        "search", "broken", "cannot be loaded: No module named 'no_such_package'", (), "no_such_package"
    )
    assert [part.name for part in parts("search")][:3] == ["nsga-net", "a4nn", "random"]
    assert "broken" not in document()


def test_the_terminal_and_json_say_the_same() -> None:
    text = a4nn("settings", "termination")
    lines = text.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert "  promise = 0.2  (number, at least 0; unit: standard errors)" in lines
    assert "      promise from which a network is trained on" in lines
    listed = json.loads(a4nn("settings", "termination", "--json").stdout)
    assert [part["name"] for part in listed] == TABLES["termination"].source.names()
    for part in listed:
        for setting in part["settings"]:
            shown = "must be given" if setting["required"] else "is not set"
            if setting["default"] is not None:
                shown = f"= {setting['default']}"
            assert any(line.startswith(f"  {setting['name']} {shown}  (") for line in lines), setting
    assert a4nn("settings", "nothing").returncode == 2


@pytest.mark.slow
def test_settings_are_shown_without_torch() -> None:
    code = (
        "import sys; sys.modules.update(torch=None, duckdb=None); sys.argv = ['a4nn', 'settings']\n"
        "from a4nn_core.cli import main; main()"
    )
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "operations.relu: The greater of its input and 0." in done.stdout
