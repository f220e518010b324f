"""PENGUIN in a plain loop and in the real Optuna, Lightning and Ray Tune."""

from __future__ import annotations

import math
import pickle
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest

from a4nn_core.adapters import Watch
from a4nn_core.errors import BadInput

HORIZON = 20


def curve(top: float, speed: float = 0.5) -> list[float]:
    """Twenty accuracies in percent on their way to the top."""
    return [top - 40 * math.exp(-speed * epoch) for epoch in range(1, HORIZON + 1)]


def test_a_watch_ends_what_cannot_beat_the_best() -> None:
    watch = Watch(HORIZON, incumbent=99.0)
    verdicts = [watch(v) for v in curve(60)]
    first = next(i for i, v in enumerate(verdicts) if v.action == "stop")
    assert verdicts[first].reason == "dominated"
    assert 3 <= first < HORIZON - 1
    assert all(v.action == "continue" for v in verdicts[:first])
    assert watch.curve == curve(60)
    good = Watch(HORIZON, incumbent=70.0)
    assert all(good(v).reason != "dominated" for v in curve(90))


def test_a_watch_ends_what_has_little_to_gain_in_any_unit() -> None:
    percent, share = Watch(HORIZON), Watch(HORIZON, bounds=(0.0, 1.0))
    for value in curve(99.9, 0.9):
        told, same = percent(value), share(value / 100)
        assert told.action == same.action
        assert told.reason == same.reason
        if told.action == "stop":
            break
    assert told.reason == "no_gain"
    assert told.interval is not None
    assert told.interval[1] - max(percent.curve) <= 0.5


def test_a_watch_takes_the_published_rule_and_fronts() -> None:
    published = Watch(HORIZON, rule="converged")
    stops = [published(v).reason for v in curve(80)]
    assert stops.index("converged") == 5  # the first that three agreeing predictions can give
    cheap = Watch(HORIZON, front=[{"accuracy_percent": 99.0, "mflops": 50.0}], fixed={"mflops": 10.0})
    dear = Watch(HORIZON, front=[{"accuracy_percent": 99.0, "mflops": 50.0}], fixed={"mflops": 90.0})
    assert [(cheap(v).reason, dear(v).reason) for v in curve(60)][8] == ("", "dominated")


@pytest.mark.parametrize("rule", ["median", {"name": "any", "rules": ["patience", "layers"]}])
def test_one_curve_cannot_be_compared_with_others(rule: str | dict[str, object]) -> None:
    with pytest.raises(BadInput, match="compares the networks of a search; one curve can be watched by"):
        Watch(HORIZON, rule=rule)


@pytest.mark.parametrize("direction", ["min", "minimize", "minimise"])
def test_directions_are_read_as_people_write_them(direction: str) -> None:
    watch = Watch(HORIZON, direction=direction, incumbent=1.0, objectives={"cost": "max"})
    assert watch.direction == "minimise"
    assert [watch(100 - v).reason for v in curve(60)][8] == "dominated"


def test_losses_fall() -> None:
    """An open metric has the interval of the functions, which knows no late rise."""
    watch = Watch(HORIZON, bounds=(0.0, None), direction="min", incumbent=0.5)
    reasons = [watch(1 + math.exp(-0.5 * epoch)).reason for epoch in range(1, HORIZON)]
    assert "dominated" in reasons
    assert all(r == "" for r in reasons[:3])


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: Watch(0), "horizon = 0"),
        (lambda: Watch(5, rule="penguine"), "'penguine'"),
        (lambda: Watch(5, bounds=(1.0, 0.0)), "bounds = "),
        (lambda: Watch(5, direction="down"), "direction = 'down' is neither 'maximise' nor 'minimise'"),
        (lambda: Watch(5, objectives={"cost": "up"}), "of the objective 'cost' = 'up'"),
        (lambda: Watch(5, schedule="warm"), "schedule = 'warm'"),  # type: ignore[arg-type]
        (lambda: Watch(5, incumbent=1.0, front=[{"accuracy_percent": 1.0}]), "not both"),
        (lambda: Watch(5, rule={"name": "interval", "window": 2}), "window"),
        (lambda: Watch(5)("0.9"), "accuracy_percent of epoch 1 = '0.9' is text: give a number"),
        (lambda: Watch(5)([1, 2]), r"of epoch 1 = \[1, 2\] is not one number"),
        (lambda: Watch(5, curve=[50])(250), "of epoch 2 = 250 is outside the bounds, 0 to 100$"),
        (
            lambda: Watch(5, metric="acc", bounds=(0, 1))(93.5),
            r"acc of epoch 1 = 93.5 is outside the bounds, 0 to 1: if it is a percentage, say bounds=\(0, 1",
        ),
        (lambda: Watch(5, metric="loss", bounds=(0, None), direction="min")(-1), "the bounds, at least 0"),
        (lambda: Watch(5, curve=[50, "60"]), "of epoch 2 = '60' is text"),
        (lambda: Watch(5, bounds=(0, 1), incumbent=97.0), "incumbent = 97 is outside the bounds, 0 to 1: if"),
        (
            lambda: Watch(5, bounds=(0, 1), front=[{"accuracy_percent": 97.0}]),
            "front 1: accuracy_percent = 97 is outside the bounds",
        ),
    ],
)
def test_bad_settings_are_said_at_once(call: Any, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        call()


def test_a_refused_value_is_no_epoch() -> None:
    watch = Watch(5, curve=[50.0])
    with pytest.raises(BadInput):
        watch(250)
    assert watch.curve == [50.0]


def test_fractions_among_percent_are_warned_of_once() -> None:
    watch = Watch(HORIZON)
    watch(0.91)
    with pytest.warns(
        UserWarning, match=r"accuracy_percent was between 0 and 1 .*: if it is a fraction, say"
    ):
        watch(0.93)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        watch(0.94)
        share = Watch(HORIZON, bounds=(0.0, 1.0))
        assert [share(value).reason for value in (0.91, 0.93)] == ["", ""]
        low = Watch(HORIZON)  # one of a thousand classes, guessed, and then learned
        assert [low(value).reason for value in (0.1, 4.0)] == ["", ""]


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_curve_without_numbers_is_warned_of_once_each_time(value: float) -> None:
    watch = Watch(HORIZON)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for one in (50, value, value, 52, value, value):
            watch(one)
    with pytest.warns(UserWarning, match="accuracy_percent was not a finite number in 3 epochs in a row"):
        watch(value)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert watch(value).action == "continue"


@pytest.mark.parametrize(
    ("name", "package"), [("optuna", "optuna"), ("lightning", "lightning"), ("ray", "ray")]
)
def test_a_missing_package_is_one_sentence(name: str, package: str) -> None:
    code = (
        f"import sys; sys.modules[{package!r}] = None\n"
        "import a4nn_core.adapters\n"
        f"try: import a4nn_core.adapters.{name}\n"
        "except ImportError as error: print(error)\n"
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") == 1
    assert f"pip install 'a4nn[{name}]'" in done.stdout


@pytest.mark.slow
def test_the_loop_in_the_readme_ends_early(capsys: pytest.CaptureFixture[str]) -> None:
    """As a real training: a classifier of two clouds that cannot be told apart well."""
    import torch

    page = (Path(__file__).resolve().parents[1] / "README.md").read_text(encoding="utf-8")
    code = page.split("```python\n")[1].split("```")[0]
    torch.manual_seed(0)
    x = torch.randn(400, 2)
    y = (x[:, 0] + 2 * torch.randn(400) > 0).float()
    model = torch.nn.Linear(2, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    trained = 0

    def train_one_epoch(model: torch.nn.Module) -> None:
        nonlocal trained
        trained += 1
        optimizer.zero_grad()
        torch.nn.functional.binary_cross_entropy_with_logits(model(x)[:, 0], y).backward()
        optimizer.step()

    def accuracy_percent(model: torch.nn.Module) -> float:
        return 100 * float(((model(x)[:, 0] > 0) == (y > 0)).float().mean())

    scope: dict[str, Any] = {
        "model": model,
        "train_one_epoch": train_one_epoch,
        "accuracy_percent": accuracy_percent,
        "best_so_far": 99.5,
    }
    exec(code, scope)
    assert scope["verdict"].reason == "dominated"
    assert trained == len(scope["watch"].curve) < 25
    assert str(scope["verdict"].predicted) in capsys.readouterr().out


# Optuna


@pytest.fixture
def optuna() -> Any:
    module = pytest.importorskip("optuna", reason="Optuna is not installed: pip install 'a4nn[optuna]'")
    module.logging.set_verbosity(module.logging.ERROR)
    return module


TOPS = [85.0, 50.0, 95.0, 60.0]


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_optuna_prunes_what_cannot_become_the_best(optuna: Any, direction: str) -> None:
    from a4nn_core.adapters.optuna import PenguinPruner

    def objective(trial: Any) -> float:
        trial.suggest_float("x", 0, 1)
        for step, accuracy in enumerate(curve(TOPS[trial.number])):
            value = accuracy if direction == "maximize" else 100 - accuracy
            trial.report(value, step)
            if trial.should_prune():
                raise optuna.TrialPruned
        return value

    study = optuna.create_study(direction=direction, pruner=PenguinPruner(HORIZON))
    study.optimize(objective, n_trials=len(TOPS))
    states = [trial.state.name for trial in study.trials]
    assert states == ["COMPLETE", "PRUNED", "COMPLETE", "PRUNED"]
    assert study.best_trial.number == 2
    assert 4 <= len(study.trials[1].intermediate_values) < HORIZON


def test_optuna_with_several_objectives_gets_verdicts(optuna: Any) -> None:
    from a4nn_core.adapters.optuna import watch_trial

    costs = [10.0, 20.0, 30.0, 5.0]
    epochs = {}

    def objective(trial: Any) -> tuple[float, float]:
        cost = costs[trial.number]
        watch = watch_trial(trial, HORIZON, objective=0, known={1: cost}, rule=NO_GAIN)
        for accuracy in curve(TOPS[trial.number]):
            if watch(accuracy).action == "stop":
                break
        epochs[trial.number] = len(watch.curve)
        trial.set_user_attr("reason", watch.verdict().reason)
        return max(watch.curve), cost

    study = optuna.create_study(directions=["maximize", "minimize"])
    study.optimize(objective, n_trials=len(TOPS))
    # the second is worse and dearer than the first; the third is better, the fourth cheaper
    assert study.trials[1].user_attrs["reason"] == "dominated"
    assert epochs[1] < HORIZON
    assert [epochs[n] for n in (0, 2, 3)] == [HORIZON] * 3
    assert sorted(t.number for t in study.best_trials) == [0, 2, 3]
    with pytest.raises(BadInput, match=r"2 objectives, and no objective 2"):
        watch_trial(study.ask(), HORIZON, objective=2)


NO_GAIN = "interval"


# Lightning


@pytest.fixture
def fit(tmp_path: Path) -> Any:
    pytest.importorskip("lightning", reason="Lightning is not installed: pip install 'a4nn[lightning]'")
    import torch
    from lightning.pytorch import LightningModule, Trainer
    from torch.utils.data import DataLoader, TensorDataset

    class Told(LightningModule):
        """Logs the accuracies it is told, whatever it learns."""

        def __init__(self, accuracies: list[float]) -> None:
            super().__init__()
            self.accuracies = accuracies
            self.layer = torch.nn.Linear(1, 1)

        def training_step(self, batch: Any, batch_idx: int) -> Any:  # noqa: ARG002
            return self.layer(batch[0]).square().mean()

        def validation_step(self, batch: Any, batch_idx: int) -> None:  # noqa: ARG002
            self.log("val_acc", self.accuracies[self.current_epoch] / 100)

        def configure_optimizers(self) -> Any:
            return torch.optim.SGD(self.parameters(), lr=0.01)

    def run(accuracies: list[float], callback: Any, epochs: int = HORIZON, resume: Any = None) -> Any:
        data = DataLoader(TensorDataset(torch.ones(2, 1)))
        trainer = Trainer(
            max_epochs=epochs,
            callbacks=[callback],
            accelerator="cpu",
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            default_root_dir=tmp_path,
        )
        trainer.fit(Told(accuracies), data, data, ckpt_path=resume)
        return trainer

    return run


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_lightning_ends_training(fit: Any, tmp_path: Path) -> None:
    from a4nn_core.adapters.lightning import PenguinStopping

    poor = PenguinStopping("val_acc", incumbent=0.99)
    trainer = fit(curve(60), poor)
    assert poor.verdict is not None
    assert poor.verdict.reason == "dominated"
    assert 4 <= trainer.current_epoch < HORIZON - 1
    assert len(poor.values) == trainer.current_epoch
    good = PenguinStopping("val_acc", incumbent=0.5, rule=NO_GAIN)
    assert fit(curve(90), good).current_epoch == HORIZON
    assert good.verdict is not None
    assert good.verdict.predicted == pytest.approx(curve(90)[-1] / 100)

    # a training that goes on from a checkpoint is judged by the whole curve
    first = PenguinStopping("val_acc", incumbent=0.99, horizon=HORIZON)
    fit(curve(60), first, epochs=3).save_checkpoint(tmp_path / "last.ckpt")
    again = PenguinStopping("val_acc", incumbent=0.99)
    fit(curve(60), again, resume=tmp_path / "last.ckpt")
    assert again.values == poor.values


@pytest.mark.filterwarnings("ignore")
def test_lightning_misuse_is_one_sentence(fit: Any) -> None:
    from a4nn_core.adapters.lightning import PenguinStopping

    with pytest.raises(BadInput, match=r"no metric 'accuracy' was logged; logged: .*val_acc"):
        fit(curve(60), PenguinStopping("accuracy"))
    with pytest.raises(BadInput, match="the trainer has no max_epochs"):
        fit(curve(60), PenguinStopping("val_acc"), epochs=-1)


# Ray Tune


@pytest.mark.integration
@pytest.mark.filterwarnings("ignore")
def test_ray_tune_stops_trials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ray = pytest.importorskip("ray", reason="Ray Tune is not installed: pip install 'a4nn[ray]'")
    tune = pytest.importorskip("ray.tune", reason="Ray Tune is not installed: pip install 'a4nn[ray]'")
    from a4nn_core.adapters.ray import PenguinStopper

    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")

    def train(config: dict[str, float]) -> None:
        for epoch in range(1, 21):
            tune.report({"accuracy": config["top"] - 40 * 2.718 ** (-0.5 * epoch)})

    stopper = PenguinStopper("accuracy", 20, rule=NO_GAIN)
    ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False, configure_logging=False)
    try:
        results = tune.Tuner(
            train,
            param_space={"top": tune.grid_search([95.0, 60.0])},
            tune_config=tune.TuneConfig(max_concurrent_trials=1),
            run_config=tune.RunConfig(stop=stopper, storage_path=str(tmp_path), verbose=0),
        ).fit()
    finally:
        ray.shutdown()
    epochs = {r.config["top"]: r.metrics["training_iteration"] for r in results}
    assert epochs[95.0] == 20
    assert 4 <= epochs[60.0] < 20


@pytest.mark.slow
def test_ray_stopper_keeps_trials_apart() -> None:
    pytest.importorskip("ray", reason="Ray Tune is not installed: pip install 'a4nn[ray]'")
    from a4nn_core.adapters.ray import PenguinStopper

    stopper = PenguinStopper("accuracy", HORIZON)
    said = []
    for epoch, (good, poor) in enumerate(zip(curve(95), curve(60), strict=True), 1):
        assert not stopper("good", {"accuracy": good, "training_iteration": epoch}) or epoch > 10
        said.append(stopper("poor", {"accuracy": poor, "training_iteration": epoch}))
    assert any(said)
    assert stopper.reasons["poor"] == "dominated"
    assert not stopper.stop_all()
    stopper("poor", {"accuracy": 1.0, "training_iteration": 3})  # went back to a checkpoint
    assert stopper.curves["poor"] == [*curve(60)[:2], 1.0]
    assert pickle.loads(pickle.dumps(stopper)).curves == stopper.curves
    with pytest.raises(BadInput, match="trial x reported no 'accuracy'"):
        stopper("x", {"loss": 1.0})
