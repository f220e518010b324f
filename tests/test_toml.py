"""TOML that no person would write is refused in one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from a4nn_core.errors import BadInput
from a4nn_core.experiment import load_experiment
from a4nn_core.publish.deposit.metadata import read_metadata
from a4nn_core.toml import toml_tables

ODD = [
    ("name = " + "[" * 5000, "nested too deep"),
    ("name = " + "[" * 101 + "]" * 101, "nested too deep"),
    ("a." * 3000 + "b = 1", "nested too deep"),
    ("seed = " + "9" * 5000, "a number has too many digits"),
]


@pytest.mark.parametrize(("text", "said"), ODD)
def test_odd_files_are_refused(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "odd.toml"
    file.write_text(text)
    with pytest.raises(BadInput, match=rf"experiment file .*odd\.toml is not TOML: {said}$"):
        load_experiment(str(file))
    with pytest.raises(BadInput, match=rf"metadata file .*odd\.toml is not TOML: {said}$"):
        read_metadata(file)


def test_rules_can_be_nested_as_deep_as_is_read(tmp_path: Path) -> None:
    file = tmp_path / "deep.toml"
    rule = '{ name = "not-before", epochs = 1, rule = ' * 98 + '"median"' + " }" * 98
    parts = 'data.name = "digits"\nspace.name = "macro"\nsearch.name = "nsga-net"\n'
    file.write_text(f'name = "deep"\n{parts}termination = {rule}\n')
    read = load_experiment(str(file))
    file.write_text(read.to_toml())
    assert load_experiment(str(file)) == read


def test_numbers_and_lists_of_people_are_read() -> None:
    assert toml_tables("a = [[1], [2.5]]\nb.c = '9'") == {"a": [[1], [2.5]], "b": {"c": "9"}}
