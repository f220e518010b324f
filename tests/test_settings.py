"""What the settings of an experiment may be: values as they are written, and nothing that makes no sense."""

from __future__ import annotations

from typing import Literal

import pytest
from pydantic import Field

from a4nn_core.component import Component
from a4nn_core.errors import BadInput
from a4nn_core.experiment import Experiment, load_experiment, presets


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("training.epochs=true", "[training] epochs = True: input should be a valid integer"),
        ('training.epochs="10"', "[training] epochs = '10': input should be a valid integer"),
        ("training.epochs=10.0", "[training] epochs = 10.0: input should be a valid integer"),
        ("training.momentum=false", "[training] momentum = False: input should be a valid number"),
        ('training.momentum="0.5"', "[training] momentum = '0.5': input should be a valid number"),
        ("training.energy=1", "[training] energy = 1: input should be a valid boolean"),
        ('training.energy="yes"', "[training] energy = 'yes': input should be a valid boolean"),
        ('training.slots="2"', "[training] slots = '2': input should be a valid integer"),
        ("seed=true", "seed = True: input should be a valid integer"),
        ("name=3", "name = 3: input should be a valid string"),
        ('data.seed="3"', "[data] seed = '3': input should be a valid integer"),
        ('space.channels="8"', "[space] channels = '8': input should be a valid integer"),
        ("search.networks=true", "[search] networks = True: input should be a valid integer"),
        (
            'search.constraints={ mflops = { most = "20" } }',
            "[search] [constraints.mflops] most = '20': input should be a valid number",
        ),
        ('termination.bounds=[0, "1"]', "[termination] [bounds] 1 = '1': input should be a valid number"),
        (
            'termination={ name = "any", rules = [{ name = "converged", window = true }] }',
            "rule 1 window = True: input should be a valid integer",
        ),
        ("prior.auto=1", "[prior] auto = 1: input should be true"),
        ('data={ name = "xfel", beam = true }', "[data] beam = True: a name or a number is needed"),
        (
            "search.objectives.error_percent=maximise",
            "to maximise error_percent is to look for the worst networks: minimise it",
        ),
        (
            'search.objectives.accuracy_percent="min"',
            "to minimise accuracy_percent is to look for the worst networks: maximise it",
        ),
    ],
)
def test_a_value_of_another_kind_is_refused_once(change: str, sentence: str) -> None:
    with pytest.raises(BadInput) as refused:
        load_experiment("digits", [change])
    assert sentence in str(refused.value)
    assert ";" not in str(refused.value).replace(sentence, "")  # one mistake, one sentence


def test_values_that_mean_the_same_are_taken() -> None:
    changes = ["training.learning_rate=1", 'search.objectives={ error_percent = "min", mflops = "max" }']
    experiment = load_experiment("digits", [*changes, "termination.bounds=[0, 100]"])
    assert experiment.training.learning_rate == 1.0
    assert experiment.to_mapping()["search"]["objectives"] == {
        "error_percent": "minimise",
        "mflops": "maximise",
    }
    assert experiment.to_mapping()["termination"]["bounds"] == [0.0, 100.0]


@pytest.mark.parametrize("preset", presets())
def test_what_is_recorded_is_read_again(preset: str) -> None:
    experiment = load_experiment(preset)
    assert Experiment.from_record(experiment.to_mapping()) == experiment


def test_parts_of_other_packages_take_values_as_written_too() -> None:
    class Other(Component):
        name: Literal["other"] = "other"
        sizes: tuple[int, ...] = ()
        shares: dict[str, float] = Field(default={"type": 0.5})
        kind: Literal["int", "str"] = "int"

    made = Other.model_validate({"sizes": [1, 2], "shares": {"a": 1}})
    assert (made.sizes, made.shares) == ((1, 2), {"a": 1.0})
    assert Other().shares == {"type": 0.5}
    for bad in ({"sizes": [True]}, {"sizes": ["1"]}, {"shares": {"a": "0.5"}}, {"shares": {"a": False}}):
        with pytest.raises(ValueError, match="Input should be a valid"):
            Other.model_validate(bad)
