"""What is measured after an epoch: the three ways, what they keep, and small data sets that learn at once."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import made_up
import numpy as np
import pytest
import torch
from fakes import FakeExecutor, experiment, search
from made_up import line
from PIL import Image
from test_training import segment as digits_segment
from torch import Tensor, nn
from torch.optim import SGD
from torch.optim.lr_scheduler import CosineAnnealingLR

from a4nn_core.commons import Commons, RunFolder, read_journal
from a4nn_core.data.base import DataSource, ImageData, InputTransform, Split
from a4nn_core.data.packaged import Digits, Mnist5k
from a4nn_core.errors import BadInput
from a4nn_core.experiment import Experiment, load_experiment, presets
from a4nn_core.spaces.build import Network
from a4nn_core.termination.base import Context, FrontSnapshot, Learning, TerminationRule, Verdict
from a4nn_core.termination.learning import judge_learning
from a4nn_core.termination.reasons import Reason
from a4nn_core.training.checkpoint import checkpoint_name, load_network
from a4nn_core.training.compute_plan import ComputePlan
from a4nn_core.training.evaluation import DECAY, EvaluatedNetwork
from a4nn_core.training.loading import DeviceData
from a4nn_core.training.memory import Need
from a4nn_core.training.segment import Segment
from a4nn_core.training.settings import Training
from a4nn_core.training.steps import Computation, evaluate, settle
from a4nn_core.training.trainer import train_segment
from a4nn_core.workflow.local import run_local

CPU = torch.device("cpu")
WAYS = ("averaged", "recalibrated", "as-trained")
GENOME = [[1, 0, 1, 0, 0, 1, 1], [1, 1, 1, 0, 0, 0, 0]]
SHAPES = ("cross", "disc", "ring", "stripes")


def segment(commons: Path, data: DeviceData, **changes: Any) -> Segment:
    """That of the other training tests, for any data."""
    training = {"epochs": 3, "keep_checkpoints": "all"} | changes.pop("training", {})
    architecture = experiment().space.decode(GENOME, data.shape, len(data.classes))
    return digits_segment(commons, training=training, architecture=architecture, **changes)


def train(commons: Path, data: DeviceData, **changes: Any) -> list[dict[str, Any]]:
    result = train_segment(segment(commons, data, **changes), data, CPU)
    assert result.status in ("completed", "paused"), result
    return read_journal(RunFolder(commons, "r").journal(0))


def stored(commons: Path, epoch: int) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and header of a checkpoint."""
    from safetensors import safe_open

    path = RunFolder(commons, "r").checkpoints(0) / checkpoint_name(epoch)
    with safe_open(path, framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, json.loads(file.metadata()["a4nn"])  # noqa: SIM118


def drawn(kind: str, rng: np.random.Generator, size: int = 16) -> np.ndarray:
    """A noisy grey picture of a shape, somewhere near the middle."""
    y, x = np.mgrid[:size, :size] - size / 2 + rng.uniform(-2, 2, (2, 1, 1))
    away = np.hypot(x, y)
    bright = {
        "cross": (abs(x) < 1.5) | (abs(y) < 1.5),
        "disc": away < 5,
        "ring": abs(away - 5) < 1.5,
        "stripes": (x + rng.uniform(0, 4)) % 4 < 2,
    }[kind]
    return np.clip(90 * bright + rng.normal(60, 35, (size, size)), 0, 255).astype(np.uint8)


def folder_of(path: Path, images: int) -> Path:
    """An image folder with the four shapes as classes."""
    rng = np.random.default_rng(images)
    for kind in SHAPES:
        (path / kind).mkdir(parents=True)
        for number in range(images // 4):
            Image.fromarray(drawn(kind, rng)).save(path / kind / f"{number:04d}.png")
    return path


def few_images(train_images: int, seed: int = 5) -> DeviceData:
    """The four shapes in memory."""
    rng = np.random.default_rng(seed)

    def split(count: int) -> Split:
        labels = np.arange(count) % 4
        return Split(np.stack([drawn(SHAPES[label], rng)[None] for label in labels]), labels)

    parts = {"train": split(train_images), "validation": split(120), "test": split(40)}
    transform = InputTransform.fit("standardise", parts["train"].images)
    return DeviceData(ImageData("shapes", SHAPES, transform=transform, **parts), CPU)


@pytest.fixture(scope="module")
def data() -> DeviceData:
    return DeviceData(experiment().data.load(), CPU)


@pytest.fixture(scope="module")
def trained(data: DeviceData, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A network's three epochs in each way, by way."""
    folders = {way: tmp_path_factory.mktemp(way) for way in WAYS}
    for way, folder in folders.items():
        train(folder, data, training={"evaluation": way})
    return folders


# the three ways


@pytest.mark.slow
def test_as_trained_is_the_loop_as_it_was(data: DeviceData, trained: dict[str, Path]) -> None:
    """The published loop written out: the same losses, accuracies and weights, bit for bit, and a checkpoint
    that holds nothing else."""
    settings = Training(epochs=3)
    torch.set_num_threads(settings.threads)
    torch.manual_seed(11)
    model = Network(segment(Path(), data).architecture)
    model.to(memory_format=torch.channels_last)
    optimizer = SGD(model.parameters(), lr=0.025, momentum=0.9, weight_decay=3e-4)
    schedule = CosineAnnealingLR(optimizer, 3)
    journal = read_journal(RunFolder(trained["as-trained"], "r").journal(0))
    batch = settings.images_a_step(len(data.train))
    for told in journal:
        model.train()
        for images, labels in data.batches(data.train, batch, torch.randperm(len(data.train))):
            optimizer.zero_grad()
            nn.functional.cross_entropy(
                model(images.contiguous(memory_format=torch.channels_last)), labels
            ).backward()
            nn.utils.clip_grad_norm_(model.parameters(), 5.0)
            optimizer.step()
        schedule.step()
        model.eval()
        with torch.no_grad():
            right = 0
            for images, labels in data.batches(data.validation, 500):
                scores = model(images.contiguous(memory_format=torch.channels_last))
                right += int((scores.argmax(dim=1) == labels).sum())
        assert told["validation_accuracy_percent"] == 100 * right / len(data.validation)
        tensors, header = stored(trained["as-trained"], told["epoch"])
        assert not [name for name in tensors if name.startswith("training.")]
        assert "averaged_steps" not in header
        for name, value in model.state_dict().items():
            assert torch.equal(tensors[f"model.{name}"], value), name


@pytest.mark.slow
@pytest.mark.parametrize("way", ["averaged", "recalibrated"])
def test_training_is_not_touched(way: str, trained: dict[str, Path]) -> None:
    """Weights, running statistics, momentum and random numbers are those of training measured as it is."""
    for epoch in (1, 2, 3):
        plain, _ = stored(trained["as-trained"], epoch)
        mine, _ = stored(trained[way], epoch)
        for name, value in plain.items():
            key = name.replace("model.", "training.") if name.replace("model.", "training.") in mine else name
            assert torch.equal(mine[key], value), name
    for theirs, ours in zip(
        *(read_journal(RunFolder(trained[w], "r").journal(0)) for w in ("as-trained", way)), strict=True
    ):
        assert ours["train_loss"] == theirs["train_loss"]
        assert ours["train_accuracy_percent"] == theirs["train_accuracy_percent"]


@pytest.mark.parametrize("way", WAYS)
def test_what_is_measured_is_what_is_kept(way: str, data: DeviceData, trained: dict[str, Path]) -> None:
    architecture = segment(Path(), data).architecture
    for told in read_journal(RunFolder(trained[way], "r").journal(0)):
        model = Network(architecture)
        load_network(RunFolder(trained[way], "r").checkpoints(0) / told["checkpoint"], model)
        once = Computation(model, ComputePlan(64, channels_last=True), 64, CPU)
        loss, accuracy = settle([evaluate(once, data, data.validation)])[0]
        assert accuracy == told["validation_accuracy_percent"]
        assert loss == told["validation_loss"]


def test_the_ways_measure_different_networks(trained: dict[str, Path]) -> None:
    first = {way: stored(folder, 1)[0] for way, folder in trained.items()}
    name = next(n for n in first["averaged"] if n.endswith("running_mean"))
    assert not torch.equal(first["recalibrated"][name], first["as-trained"][name])
    weight = name.replace("running_mean", "weight")
    assert torch.equal(first["recalibrated"][weight], first["as-trained"][weight])
    assert not torch.equal(first["averaged"][weight], first["as-trained"][weight])


@pytest.mark.slow
@pytest.mark.parametrize("way", ["averaged", "recalibrated"])
def test_a_life_in_pieces_is_the_same_life(
    way: str, data: DeviceData, tmp_path: Path, trained: dict[str, Path]
) -> None:
    """The average goes on where it was: each piece begins from the checkpoint alone."""
    for number in range(3):
        pieces = {"evaluation": way, "segment_epochs": 1}
        train(tmp_path, data, training=pieces, number=number, epoch_limit=number + 1)
    whole, mine = (read_journal(RunFolder(f, "r").journal(0)) for f in (trained[way], tmp_path))
    assert [told["checkpoint_sha256"] for told in mine] == [told["checkpoint_sha256"] for told in whole]
    assert [told["validation_loss"] for told in mine] == [told["validation_loss"] for told in whole]


def beside(model: nn.Module, way: Any, data: DeviceData, images: int = 64) -> EvaluatedNetwork:
    return EvaluatedNetwork(model, way, ComputePlan(64, evaluation_batch=50), 64, data, seed=1, images=images)


def test_the_average_is_the_moving_one_with_its_warm_up(data: DeviceData) -> None:
    """Worked out beside by the definition: decay min(0.95, (1 + n) / (10 + n)) after n steps."""
    model = nn.Linear(3, 2)
    measured = beside(model, "averaged", data)
    expected = None
    for step in range(300):
        with torch.no_grad():
            model.weight.fill_(float(step % 7))
        measured.after_step()
        decay = min(DECAY, (1 + step) / (10 + step))
        expected = float(step % 7) if expected is None else decay * expected + (1 - decay) * (step % 7)
    assert measured.steps == 300
    assert measured.network.weight.detach().numpy() == pytest.approx(expected, rel=1e-4)
    assert torch.equal(model.weight, torch.full((2, 3), float(299 % 7)))


def test_statistics_are_those_of_the_chosen_images(data: DeviceData) -> None:
    """Mean and variance over the chosen images, whatever training left, in batches of one size."""
    model = nn.Sequential(nn.BatchNorm2d(1), nn.Flatten(), nn.Linear(64, 10))
    model[0].running_mean.fill_(1e6)
    measured = beside(model, "recalibrated", data, images=90)  # two batches of 45
    measured.refresh()
    seen = torch.cat([images for images, _ in measured._chosen_batches()])
    assert len(seen) == 90
    fresh = measured.network[0]
    assert float(fresh.running_mean) == pytest.approx(float(seen.mean()), abs=1e-5)
    halves = [float(part.var(unbiased=True)) for part in seen.tensor_split(2)]
    assert float(fresh.running_var) == pytest.approx(np.mean(halves), rel=1e-5)
    assert float(model[0].running_mean) == 1e6


def test_dropout_neither_distorts_statistics_nor_draws_numbers_of_the_training(data: DeviceData) -> None:
    model = nn.Sequential(nn.Dropout(0.9), nn.BatchNorm2d(1), nn.Flatten(), nn.Linear(64, 10))
    measured = beside(model, "recalibrated", data, images=50)
    state = torch.get_rng_state()
    measured.refresh()
    assert torch.equal(state, torch.get_rng_state())
    (seen,) = (images for images, _ in measured._chosen_batches())
    assert float(measured.network[1].running_var) == pytest.approx(float(seen.var()), rel=1e-5)
    assert model.training


def test_the_choice_of_images_is_fixed_and_holds_every_class_in_proportion(data: DeviceData) -> None:
    model = nn.Linear(1, 1)
    state = torch.get_rng_state()
    chosen = beside(model, "averaged", data, images=100)._chosen
    assert torch.equal(state, torch.get_rng_state())
    assert torch.equal(chosen, beside(nn.Linear(1, 1), "recalibrated", data, images=100)._chosen)
    assert len(set(chosen.tolist())) == 100
    shares = data.train.labels.bincount() / len(data.train)
    assert (data.train.labels[chosen].bincount(minlength=10) - 100 * shares).abs().max() <= 1
    everything = beside(nn.Linear(1, 1), "averaged", data, images=10**6)._chosen
    assert sorted(everything.tolist()) == list(range(len(data.train)))


def test_a_network_without_batch_normalisation_needs_no_statistics(data: DeviceData) -> None:
    passes = []
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    measured = beside(model, "recalibrated", data)
    measured.network.register_forward_hook(lambda *_: passes.append(1))
    measured.refresh()
    assert not passes
    assert 0 <= float(measured.accuracy_on_training()) <= 1


def test_the_average_counts_in_the_memory_that_is_needed() -> None:
    architecture = experiment().space.decode(GENOME, (1, 8, 8), 10)
    plain, more = (
        Need.of(architecture, Training(evaluation=way), 1000, "cpu") for way in ("as-trained", "averaged")
    )
    assert more.state - plain.state == 4 * architecture.parameters


# settings and records


def test_reproductions_measure_as_published_and_everything_else_averages() -> None:
    for name in presets():
        training = load_experiment(name).training
        reproduction = name.startswith("icpp23")
        assert training.evaluation == ("as-trained" if reproduction else "averaged"), name
        assert training.batch_size == (128 if reproduction else "auto"), name


def test_an_unknown_way_names_the_known_ones() -> None:
    with pytest.raises(BadInput, match=r"evaluation = 'smoothed': .*averaged.*recalibrated.*as-trained"):
        experiment(training={"evaluation": "smoothed"})


@pytest.mark.parametrize("size", [0, "many", 2.5])
def test_a_bad_batch_size_is_one_sentence(size: Any) -> None:
    with pytest.raises(BadInput, match=r"\[training\] batch_size = ") as caught:
        experiment(training={"batch_size": size})
    assert str(caught.value).count("batch_size") == 1
    assert "auto" in str(caught.value)


@pytest.mark.parametrize(
    ("images", "size"),
    [(63508, 128), (2433, 128), (2432, 64), (2000, 64), (672, 32), (336, 16), (150, 8), (40, 8)],
)
def test_the_batch_leaves_an_epoch_twenty_steps(images: int, size: int) -> None:
    """2,432 images are 19 batches of 128; of 150 images even batches of 8, the least, make 19 steps."""
    assert Training().images_a_step(images) == size
    assert Training(batch_size=100).images_a_step(images) == 100


# small data


@pytest.mark.integration
@pytest.mark.parametrize("images", [200, 500, 2000])
def test_a_search_over_few_images_learns_from_the_first_epochs(images: int, tmp_path: Path) -> None:
    """Four classes, so chance is 25 %. As they were trained, such networks stood at chance for most of their
    epochs while the training accuracy rose."""
    what = Experiment.from_mapping(
        {
            "name": "shapes",
            "seed": 2,
            "data": {
                "name": "folder",
                "path": str(folder_of(tmp_path / "images", images)),
                "transform": "standardise",
            },
            "space": {"name": "macro", "phases": 2, "channels": 4},
            "search": {"name": "nsga-net", "networks": 3, "population": 3, "offspring": 3},
            "training": {"epochs": 4, "slots": 1},
            "termination": {"name": "none"},
        }
    )
    run_local(what, tmp_path / "commons", "r")
    commons = Commons(tmp_path / "commons")
    header = commons.run("r")
    trained = json.loads(header.dataset_details or "")["train"]
    recorded = json.loads(header.experiment or "")["training"]
    assert recorded["evaluation"] == "averaged"
    assert recorded["batch_size"] == Training().images_a_step(trained)
    for network in range(3):
        epochs = [row for row in commons.epochs("r") if row.network == network]
        third = epochs[2]
        assert third.validation_accuracy_percent > 50, epochs
        assert third.validation_accuracy_percent > third.train_accuracy_percent - 20, epochs


@pytest.mark.slow
@pytest.mark.parametrize("source", [Digits(), Mnist5k()], ids=lambda source: source.name)
def test_small_parts_of_known_data_are_learnt_from_the_first_epochs(
    source: DataSource, tmp_path: Path
) -> None:
    """400 training images of ten classes, so batches of 16. Chance is 10 %; measured as it was trained, the
    network on mnist5k stands there after its first epoch (10.3 %)."""
    whole = source.load()
    part = replace(whole, train=Split(whole.train.images[:400], whole.train.labels[:400]))
    told = train(tmp_path, DeviceData(part, CPU), training={"epochs": 4})
    for epoch in told:
        assert epoch["validation_accuracy_percent"] > 15
        assert epoch["validation_accuracy_percent"] > epoch["train_accuracy_percent"] - 10


@pytest.mark.slow
def test_a_lagging_measurement_is_noticed(tmp_path: Path) -> None:
    """336 images in batches of 128: three steps an epoch, which the running statistics cannot follow."""
    data = few_images(336)
    told = train(tmp_path / "a", data, training={"evaluation": "as-trained", "batch_size": 128, "epochs": 6})
    lags = [line["measurement_lag_points"] for line in told if "measurement_lag_points" in line]
    assert lags
    assert min(lags) >= 15
    steady = train(tmp_path / "b", data, training={"epochs": 6})
    assert not [line for line in steady if "measurement_lag_points" in line]
    assert steady[2]["validation_accuracy_percent"] > max(
        line["validation_accuracy_percent"] for line in told[:3]
    )


@pytest.mark.slow
def test_overfitting_is_no_lag(tmp_path: Path) -> None:
    """Labels of chance on the validation images: far below training, and not for the measurement's sake."""
    data = few_images(336)
    mixed = torch.randperm(len(data.validation.labels), generator=torch.Generator().manual_seed(0))
    data.validation.labels = data.validation.labels[mixed]
    told = train(tmp_path, data, training={"epochs": 6})
    assert told[-1]["train_accuracy_percent"] - told[-1]["validation_accuracy_percent"] > 30
    assert not [line for line in told if "measurement_lag_points" in line]


def test_the_terminal_is_warned_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def lagging(*arguments: Any, **more: Any) -> dict[str, Any]:
        return line(*arguments, **more) | {"measurement_lag_points": 40.0, "train_accuracy_percent": 90.0}

    with pytest.MonkeyPatch.context() as patch, caplog.at_level(logging.WARNING):
        patch.setattr(made_up, "line", lagging)
        search(experiment(training={"evaluation": "as-trained"}), tmp_path, FakeExecutor())
    said = [record.getMessage() for record in caplog.records if "lags far behind" in record.getMessage()]
    assert len(said) == 1
    assert "40 points" in said[0]
    assert 'training.evaluation = "averaged"' in said[0]


# rules


class Impatient(TerminationRule):
    """Ends everything."""

    name: str = "impatient"

    def judge(self, curve: Any, context: Context) -> Verdict:
        del curve, context
        return Verdict("stop", "impatient", evidence={"seen": 1})


def context(training: tuple[float, ...]) -> Context:
    return Context(10, front=FrontSnapshot(), learning=Learning(training, 25.0, 336, 112))


def test_no_rule_ends_a_network_that_learns_at_chance_level() -> None:
    verdict = judge_learning(Impatient(), [25.0, 24.1, 27.0], context((30.0, 45.0, 60.0)))
    assert (verdict.action, verdict.reason) == ("continue", Reason.learning_at_chance)
    assert verdict.evidence == {"seen": 1, "would_have_been": "impatient"}


@pytest.mark.parametrize(
    ("curve", "training"),
    [
        ([25.0, 24.1, 60.0], (30.0, 45.0, 60.0)),  # above chance: 25 % of 112 images are worth 4.1 points
        ([25.0, 24.1, 27.0], (30.0, 29.0, 32.0)),  # 2 points of 336 images are no rise
        ([25.0], (30.0,)),  # nothing to compare with
    ],
)
def test_a_rule_ends_what_does_not_learn_or_is_above_chance(
    curve: list[float], training: tuple[float, ...]
) -> None:
    assert judge_learning(Impatient(), curve, context(training)).action == "stop"


def test_without_knowledge_of_training_the_rule_has_the_last_word() -> None:
    assert judge_learning(Impatient(), [25.0, 25.0], Context(10)).action == "stop"


@pytest.mark.slow
def test_a_segment_asks_whether_a_network_learns(tmp_path: Path) -> None:
    """Validation labels of chance, and a rule that stops when fits agree: the network goes on while its
    training accuracy rises. Measured as trained it is judged as published, by the curve alone."""
    data = few_images(336)
    mixed = torch.randperm(len(data.validation.labels), generator=torch.Generator().manual_seed(0))
    data.validation.labels = data.validation.labels[mixed]
    rule = {"name": "converged", "tolerance": 100.0, "bounds": [-1e6, 1e6], "minimum": 1, "window": 1}
    ends = {}
    for way in ("averaged", "as-trained"):
        training = {"epochs": 8, "evaluation": way}
        folder = tmp_path / way
        train_segment(segment(folder, data, training=training, termination=rule), data, CPU)
        ends[way] = read_journal(RunFolder(folder, "r").journal(0))
    assert len(ends["as-trained"]) < 8
    spared = [told for told in ends["averaged"] if told["verdict"]["reason"] == Reason.learning_at_chance]
    assert spared
    assert len(ends["averaged"]) > len(ends["as-trained"])
