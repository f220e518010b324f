"""Before a run is opened: what is refused, what is warned of, and the start-up check."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from command import a4nn
from fakes import FakeExecutor, experiment

from a4nn_core.commons import Commons
from a4nn_core.data.base import ImageData
from a4nn_core.data.packaged import Digits
from a4nn_core.errors import BadInput
from a4nn_core.experiment import Experiment
from a4nn_core.training.probe import seconds_an_image
from a4nn_core.training.settings import Training
from a4nn_core.workflow import concerns, devices, startup
from a4nn_core.workflow.devices import Machine
from a4nn_core.workflow.plan import resolve
from a4nn_core.workflow.run import execute, look_ahead_of
from a4nn_core.workflow.shadow import shadow_experiment
from a4nn_core.workflow.startup import StartUp, look_ahead, roughly


def saved(folder: Path, images: np.ndarray[Any, Any], labels: list[int]) -> dict[str, Any]:
    """The table ``[data]`` of images in a file."""
    np.savez(folder / "images.npz", x=images, y=np.array(labels))
    return {"name": "npz", "path": str(folder / "images.npz")}


def checked(what: Experiment, commons: Path) -> StartUp:
    return look_ahead(resolve(what, commons, "r", Machine("cpu", 2, 1)), True, 2)


# what is refused


class Loaded(Exception):
    """The data set was loaded."""


@pytest.fixture
def unloadable(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(_: Digits) -> ImageData:
        raise Loaded

    monkeypatch.setattr(Digits, "load", load)


@pytest.mark.usefixtures("unloadable")
@pytest.mark.parametrize(
    ("training", "run_id", "sentence"),
    [
        ({}, "../x", "run id '../x' cannot be used"),
        ({"device": "cuda:77"}, "r", "device = 'cuda:77': this machine has no such device"),
        (
            {"augment": [{"name": "RandomHorizontalFlipp"}]},
            "r",
            r"augment: torchvision.transforms.v2 has no 'RandomHorizontalFlipp'",
        ),
        ({"augment": [{"name": "RandomRotation"}]}, "r", r"augment: RandomRotation does not take {}"),
        ({"slots": 10_000}, "r", r"\[training\] slots x threads = 10,000 x 1 threads on \d+ cores would"),
        ({"threads": 10_000, "slots": 1}, "r", r"slots x threads = 1 x 10,000 threads on \d+ cores would"),
    ],
)
def test_what_does_not_need_the_images_is_refused_before_they_are_loaded(
    training: dict[str, Any], run_id: str, sentence: str, tmp_path: Path
) -> None:
    what = experiment(training=training)
    with pytest.raises(BadInput, match=sentence):
        execute(what, tmp_path, run_id, lambda _: FakeExecutor())
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(Loaded):
        execute(experiment(), tmp_path, "r", lambda _: FakeExecutor())


def test_a_run_of_another_experiment_is_refused_before_the_images_are_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    execute(experiment(search={"networks": 4}), tmp_path, "r", lambda _: FakeExecutor())
    stored = tmp_path / "runs/r/run.json"
    stored.write_text(stored.read_text().replace('"completed"', '"interrupted"'))  # a complete one is shown

    def load(_: Digits) -> ImageData:
        raise Loaded

    monkeypatch.setattr(Digits, "load", load)
    with pytest.raises(
        BadInput, match=r"run 'r' in .* was started with experiment.search.networks = 4, not 5"
    ):
        execute(experiment(search={"networks": 5}), tmp_path, "r", lambda _: FakeExecutor())
    with pytest.raises(Loaded):
        execute(experiment(search={"networks": 4}), tmp_path, "r", lambda _: FakeExecutor())


@pytest.mark.parametrize(
    ("augment", "sentence"),
    [
        ({"name": "RandomCrop", "size": 64}, "augment fails on images of 1 x 8 x 8 .float32.: Required crop"),
        ({"name": "Transform"}, "augment fails on images of 1 x 8 x 8 .float32.: NotImplementedError"),
        (
            {"name": "Grayscale", "num_output_channels": 3},
            "augment makes images of 3 x 8 x 8 .float32. of images of 1 x 8 x 8 .float32., and networks take",
        ),
        ({"name": "ToPILImage"}, "augment fails on images of 1 x 8 x 8 .float32.: expected Tensor"),
    ],
)
def test_an_augmentation_that_does_not_work_does_not_use_up_the_run_id(
    augment: dict[str, Any], sentence: str, tmp_path: Path
) -> None:
    what = experiment(training={"augment": [augment]})
    state = torch.get_rng_state()
    with pytest.raises(BadInput, match=sentence):
        execute(what, tmp_path, "r", lambda _: FakeExecutor())
    assert list(tmp_path.iterdir()) == []
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(
    ("image", "value"),
    [(np.full((8, 8), 7, np.uint8), ", every value 7"), (np.arange(64, dtype=np.uint8).reshape(8, 8), "")],
)
def test_images_that_are_all_the_same_are_refused(
    image: np.ndarray[Any, Any], value: str, tmp_path: Path
) -> None:
    data = saved(tmp_path, np.stack([image] * 40), [0, 1] * 20)
    with pytest.raises(
        BadInput, match=f"all 28 training images are the same{value}; nothing tells the classes"
    ):
        execute(experiment(data=data), tmp_path / "c", "r", lambda _: FakeExecutor())
    assert not (tmp_path / "c").exists()


# what is warned of


def test_a_dozen_images_are_warned_of(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(1, 200, (12, 8, 8), dtype=np.uint8)
    images[:3] = 9
    what = experiment(data=saved(tmp_path, images, [0, 1] * 6), search={"networks": 4})
    ahead = checked(what, tmp_path / "c")
    assert ahead.images == {
        "train": {"0": 4, "1": 4},
        "validation": {"0": 1, "1": 1},
        "test": {"0": 1, "1": 1},
    }
    assert (ahead.batch_size, ahead.steps, ahead.validation_image_points) == (8, 1, 50.0)
    assert ahead.warnings == (
        "search.networks = 4 ends the search within its first generation of 4 (search.population): no "
        "network descends from another; 8 networks make two generations",
        "2 validation images are few: one is 50.0 points of accuracy, and 90 % would be ± 34.1 points, so "
        "networks that differ by less are ranked by chance; 1,000 images would make it ± 1.0",
        f"{blank_of(what)} of 8 training images are blank, every value of them the same: networks can learn "
        "no more from such an image than how bright it is",
        "training.batch_size = 8 for 8 training images: an epoch is 1 step, and averaged weights need 20 to "
        "say what a network can do; only more images make more",
    )


def blank_of(what: Experiment) -> int:
    return sum(image.min() == image.max() for image in what.data.load().train.images)


def test_a_batch_of_more_than_all_images_is_warned_of(tmp_path: Path) -> None:
    def said(**training: Any) -> tuple[str, ...]:
        return checked(experiment(training=training), tmp_path).warnings

    assert said(batch_size=2000) == (
        "training.batch_size = 2000 for 1,259 training images: an epoch is all of them in one step, and "
        "averaged weights need 20 to say what a network can do; training.batch_size = 64, which auto takes, "
        "makes 20",
    )
    assert said(batch_size=64) == said() == said(batch_size=2000, evaluation="as-trained") == ()


def test_more_threads_than_cores_and_costs_to_maximise_are_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(concerns, "cores", lambda: 2)
    monkeypatch.setattr(devices, "cores", lambda: 2)
    what = experiment(search={"objectives": {"error_percent": "minimise", "mflops": "maximise"}})
    data = what.data.load()

    def said(slots: int, threads: int, is_local: bool = True) -> tuple[str, ...]:
        return concerns.concerns(what, data, Machine("cpu", slots, threads), is_local)[1:]

    assert said(2, 1) == said(1, 2) == said(64, 1, is_local=False) == ()
    assert said(32, 1) == (
        "12 networks at once with 1 thread each share 2 cores: they take turns, and the search is slower, "
        "not faster; training.slots = 2 fits",
    )
    assert said(1, 4)[0].endswith("slower, not faster; training.threads = 1 fits")
    assert concerns.concerns(what, data, Machine("cpu", 1, 1), True) == (
        "search.objectives: mflops is to maximise, where to minimise it is usual",
    )
    Machine("cpu", 32, 1).require_device()
    with pytest.raises(BadInput, match=r"33 x 1 threads on 2 cores .* at most 32 are allowed here"):
        Machine("cpu", 33, 1).require_device()


# the check


class Watching:
    """Notes what happens in which order."""

    def __init__(self) -> None:
        self.seen: list[Any] = []

    def on_start(self, check: StartUp) -> None:
        self.seen.append(check)

    def on_poll(self, _: object) -> None: ...

    def on_network_end(self, *_: object) -> None:
        self.seen.append("network")


def test_the_check_comes_before_anything_trains_and_its_warnings_are_recorded(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    watching = Watching()
    what = experiment(search={"networks": 4})
    with caplog.at_level(logging.INFO, "a4nn_core.workflow.run"):
        execute(what, tmp_path, "r", lambda _: FakeExecutor(), watching)
    check, *rest = watching.seen
    assert rest == ["network"] * 4
    assert [record.getMessage() for record in caplog.records] == [*check.lines(), *check.warnings]
    assert [record.levelname for record in caplog.records][-1:] == ["WARNING"]
    [started] = [e for e in Commons(tmp_path).events("r") if e.kind == "started"]
    assert json.loads(str(started.data))["warnings"] == list(check.warnings)
    assert len(check.warnings) == 1
    # a run that goes on has fewer networks to come
    again = checked(what, tmp_path)
    assert (again.networks, again.duration) == (0, None)
    assert again.lines()[-1] == "training  nothing to come: all networks are recorded"
    assert look_ahead_of(experiment(search={"networks": 9}), tmp_path, "s").networks == 9


def test_what_the_check_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(startup, "machine_memory", lambda: 8 * 2**30)
    ahead = checked(experiment(), tmp_path)
    assert ahead.lines() == [
        "images    digits: 8 x 8 pixels, 1 channel, 10 classes",
        "          train 1,259 (0: 124, 1: 128, 2: 123, 3: 129, 4: 127, 5: 128, 6: 127, 7: 125, 8: 122, "
        "9: 126)",
        "          validation 269 (0: 27, 1: 27, 2: 27, 3: 27, 4: 27, 5: 27, 6: 27, 7: 27, 8: 26, 9: 27)",
        "          test 269 (0: 27, 1: 27, 2: 27, 3: 27, 4: 27, 5: 27, 6: 27, 7: 27, 8: 26, 9: 27)",
        "          chance level 10.0 %; one validation image is 0.37 points",
        "training  12 networks to come, 4 epochs at most: 48 epochs of 20 steps, 64 images a step",
        "          on cpu, 2 at once, 1 thread each",
        "time      about 1 s if every network is trained to the end, by a rule of thumb, not measured on "
        "this machine",
        "memory    about 1.0 of 8.0 GiB with the largest networks",
    ]


def test_too_little_memory_is_warned_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(startup, "machine_memory", lambda: 2**29)
    [warning] = checked(experiment(), tmp_path).warnings
    assert "if the largest networks train at the same time, they take about 1.0 of 0.5 GiB" in warning


def test_the_pace_is_that_of_an_earlier_run_of_this_machine(tmp_path: Path) -> None:
    """The shadow of a run trains the networks of that run, so it takes as long as they did."""
    what = experiment(training={"slots": 2})
    execute(what, tmp_path, "first", lambda _: FakeExecutor())
    store = Commons(tmp_path)
    trained = [n for n in store.networks("first") if n.trained]
    seconds = sum(e.seconds or 0.0 for e in store.epochs("first"))
    shadow = shadow_experiment(store, "first")
    ahead = look_ahead_of(shadow, tmp_path, "second")
    assert ahead.duration is not None
    assert ahead.duration.found == "at the pace of run first"
    # one that equals another is in the sample, but is not trained
    flops = [n.flops or 0 for n in trained]
    everything = sum(n.flops or 0 for n in store.networks("first"))
    assert ahead.duration.seconds == pytest.approx(seconds * everything / sum(flops) / 2)
    for other in ({"threads": 2}, {"precision": "bfloat16"}, {"slots": 1}):
        settings = shadow.model_copy(update={"training": shadow.training.model_copy(update=other)})
        plan = resolve(settings, tmp_path, "third", Machine.of(settings.training))
        elsewhere = look_ahead(plan, True, 1).duration
        assert elsewhere is not None
        assert elsewhere.found == "by a rule of thumb, not measured on this machine"


@pytest.mark.slow
def test_a_trial_leaves_the_process_as_it_was() -> None:
    what = experiment()
    data = what.data.load()
    architecture = what.space.decode(what.space.genome(what.space.upper), data.shape, len(data.classes))
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    settings = Training(threads=2, augment=[{"name": "RandomHorizontalFlip"}])
    assert 0 < seconds_an_image(architecture, settings, data) < 1
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.get_num_threads() == threads


def test_a_long_search_is_tried_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(startup, "LONG_SECONDS", 0.0)
    duration = checked(experiment(), tmp_path).duration
    assert duration is not None
    assert duration.found == "after a trial of a few steps on this machine"


@pytest.mark.slow
def test_the_command_checks_and_trains_nothing(tmp_path: Path) -> None:
    words = ["run", "digits", "--check", "--run-id", "r", "--set", "search.networks=3"]
    shown = a4nn(*words, cwd=tmp_path)
    assert shown.returncode == 0
    assert "training  3 networks to come, 12 epochs at most: 36 epochs of 20 steps" in shown.stdout
    assert "warning: search.networks = 3 ends the search within its first generation of 4" in shown.stdout
    told = json.loads(a4nn(*words, "--json", cwd=tmp_path).stdout)
    assert (told["run"], told["networks"], told["steps"], told["shape"]) == ("r", 3, 20, [1, 8, 8])
    assert told["duration"]["found"] == "after a trial of a few steps on this machine"
    elsewhere = a4nn(*words, "--executor", "ray", cwd=tmp_path)
    assert "time      not known before the first networks" in elsewhere.stdout
    refused = a4nn(*words, "--set", "training.augment=[{name='Nope'}]", cwd=tmp_path)
    assert refused.returncode == 2
    assert "Error: [training] augment: torchvision.transforms.v2 has no 'Nope'" in refused.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.2, "1 s"),
        (47.3, "47 s"),
        (100, "1.7 min"),
        (725, "12 min"),
        (6000, "1.7 h"),
        (40 * 3600, "40 h"),
        (1e6, "12 days"),
    ],
)
def test_an_estimate_is_no_more_exact_than_it_is(seconds: float, text: str) -> None:
    assert roughly(seconds) == text
