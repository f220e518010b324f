"""Several networks under a rule that compares them: in a plain loop, and in the real Optuna, Lightning and
Ray Tune."""

from __future__ import annotations

import math
import pickle
import re
import textwrap
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from a4nn_core.adapters.peers import Peers, features_of
from a4nn_core.adapters.watch import Rule
from a4nn_core.errors import BadInput

if TYPE_CHECKING:
    from optuna import Study, Trial

HORIZON = 20
TOPS = {f"n{i}": 99.0 - 7 * i % 20 for i in range(20)}
PAGE = (Path(__file__).resolve().parents[1] / "docs" / "penguin.md").read_text(encoding="utf-8")


def accuracy(top: float, epoch: int) -> float:
    return top - 40 * math.exp(-0.5 * epoch)


def filled(rule: Rule = "front", unit: float = 1.0, sign: int = 1, earlier: Sequence[Peers] = ()) -> Peers:
    """Twenty networks that get the dearer the later they come, in any unit and direction."""
    low, high = sorted((0.0, sign * 100 * unit))
    way = "max" if sign > 0 else "min"
    peers = Peers(HORIZON, rule, (low, high), way, images=1000, earlier=earlier)
    for number, (name, top) in enumerate(TOPS.items()):
        peers.add(name, {"top": top}, {"mflops": 10.0 + number})
    return peers


def trained(peers: Peers, unit: float = 1.0, sign: int = 1, gap: float = 0.5) -> dict[str, int]:
    """Epochs of each network when the rule promotes none any more."""
    while names := peers.next():
        for name in names:
            epoch = peers.epochs(name) + 1
            value = accuracy(TOPS[name], epoch)
            peers.report(name, epoch, sign * unit * value, sign * unit * (value + gap * (100 - value)))
    return {name: peers.epochs(name) for name in TOPS}


def test_front_trains_the_front_to_the_end_and_leaves_the_others_waiting() -> None:
    epochs = trained(filled())
    assert epochs["n0"] == HORIZON  # the best and the cheapest
    assert sorted(set(epochs.values()))[0] == 2
    assert sum(epochs.values()) < 0.3 * HORIZON * len(TOPS)


@pytest.mark.parametrize("rule", ["front", "layers", "median", "moasha", "successive-halving", "dominance"])
def test_every_peer_rule_ends_in_any_unit_and_direction(rule: str) -> None:
    percent = trained(filled(rule))
    assert 1 <= min(percent.values()) < max(percent.values()) <= HORIZON
    assert trained(filled(rule, unit=0.01), unit=0.01) == percent
    assert trained(filled(rule, unit=0.01, sign=-1), unit=0.01, sign=-1) == percent


def test_a_network_that_waits_is_promoted_when_others_disappoint() -> None:
    peers = Peers(9, {"name": "successive-halving", "eta": 2, "first": 3})
    for name in "abc":
        peers.add(name)
        assert peers.until(name) == 3
    for name, value in (("a", 50.0), ("b", 60.0), ("c", 40.0)):
        for epoch in range(1, 4):
            peers.report(name, epoch, value)
    assert peers.next(final=False) == ("b",)
    assert (peers.until("a"), peers.until("b")) == (3, 6)
    assert peers.next(final=False) == ("b",)  # as long as it has not been trained
    peers.add("d", validation=[1.0, 1.0, 1.0])
    for epoch in (4, 5, 6):
        peers.report("b", epoch, 60.0)
    assert peers.next() == ("a",)
    peers.end("a")
    assert peers.has_ended("a")
    assert peers.next() == ()
    peers.resume("a")
    assert peers.under_way() == ("a",)


def test_a_verdict_on_one_network_names_its_rival_in_the_metrics_unit() -> None:
    peers = Peers(HORIZON, bounds=(0.0, 1.0), images=1000)
    for number, top in enumerate((0.99, 0.97, 0.95, 0.93, 0.91, 0.90)):
        values = [accuracy(100 * top, epoch) / 100 for epoch in range(1, HORIZON + 1)]
        peers.add(f"n{number}", {"x": number}, {"mflops": 1.0}, values, values)
    peers.add("poor", {"x": 9}, {"mflops": 2.0})
    peers.report("poor", 1, 0.3, 0.3)
    assert peers.verdict("poor").action == "continue"  # the rule does not judge yet
    peers.report("poor", 2, 0.35, 0.35)
    verdict = peers.verdict("poor")
    assert (verdict.action, verdict.reason) == ("pause", "outclassed")
    assert verdict.evidence["rival"] == "n0"
    assert verdict.predicted is not None
    assert verdict.interval is not None
    assert 0.35 <= verdict.interval[0] <= verdict.predicted <= verdict.interval[1] <= 1
    assert peers.verdict("n5").action == "continue"  # the budget is used up


def test_rules_for_one_curve_take_part_in_any() -> None:
    peers = filled({"name": "any", "rules": [{"name": "patience", "epochs": 1}, "median"]})
    peers.report("n0", 1, 50.0)
    peers.report("n0", 2, 40.0)
    assert peers.verdict("n0").reason == "no_improvement"
    assert peers.has_ended("n0")
    assert "n0" not in peers.next()


def test_earlier_networks_are_a_prior() -> None:
    before = filled("layers")
    finished = sum(epochs == HORIZON for epochs in trained(before).values())
    peers = filled(earlier=[before])
    trained(peers)
    peers.add("last", {"top": 60.0}, {"mflops": 99.0}, [50.0, 51.0], [50.0, 51.0])
    assert peers.verdict("last").evidence["past"] == finished > 4
    with pytest.raises(BadInput, match="has the features width, and earlier networks have others: top"):
        peers.add("other", {"width": 3.0}, {"mflops": 1.0})
    with pytest.raises(BadInput, match="earlier 1 has values to maximise, and here they are to minimise"):
        Peers(HORIZON, direction="min", earlier=[before])


def test_going_back_to_a_checkpoint_replaces_what_was_reported() -> None:
    peers, fresh = filled(), filled()
    trained(fresh)
    for epoch in (1, 2, 3):
        peers.report("n0", epoch, 5.0)
    peers.report("n1", 1, 2.0)
    peers.report("n0", 2, 50.0, 60.0)
    assert peers.epochs("n0") == 2
    assert peers.past("x").networks[0].validation == (5.0, 50.0)
    assert peers.past("x").networks[0].training == ()  # not known of the first epoch
    peers.report("n0", 1, 48.0, 55.0)
    peers.report("n0", 2, float("nan"), 56.0)
    assert peers.past("x").networks[0].validation == (48.0, 0.0)
    assert peers.past("x").networks[0].training == (55.0, 56.0)
    again = pickle.loads(pickle.dumps(peers))
    assert again.past("x") == peers.past("x")
    assert trained(again) == trained(peers)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: Peers(0), "horizon = 0 is below 1"),
        (lambda: Peers(5, "interval"), "'interval' judges one curve, as Watch does; several networks are"),
        (lambda: Peers(5, "frnt"), "'frnt'"),
        (
            lambda: Peers(5, bounds=(0.0, None)),
            r"bounds = \(0.0, None\): networks are compared by a metric with",
        ),  # type: ignore[arg-type]
        (lambda: Peers(5, direction="up"), "direction = 'up'"),
        (lambda: Peers(5, images=0), "images = 0 is below 1"),
        (lambda: filled().add("n0"), "there is a network 'n0' already"),
        (lambda: filled().add("x"), "'x' has no costs and network 'n0' the costs mflops"),
        (lambda: filled().add("x", {"w": math.nan}), "the feature 'w' = nan is not a finite number"),
        (lambda: Peers(1).add("x", validation=[1, 2]), "has 2 epochs, which is beyond the horizon, 1"),
        (lambda: Peers(5).add("x", validation=[1, 2], training=[1]), "has 1 values on training data and 2"),
        (lambda: filled().report("n0", 2, 1.0), "reports epoch 2, and epoch 1 would be the next"),
        (lambda: filled().report("n0", 1, 101.0), "'n0', epoch 1: the value = 101 is outside the bounds, 0"),
        (lambda: filled().report("n0", 1, "90"), "'n0', epoch 1: the value = '90' is text: give a number"),  # type: ignore[arg-type]
        (lambda: filled().report("x", 1, 1.0), "no network 'x'; known: n0, n1"),
    ],
)
def test_misuse_is_one_sentence(call: Callable[[], object], words: str) -> None:
    with pytest.raises(BadInput, match=words) as raised:
        call()
    assert "\n" not in str(raised.value)


def test_peers_doubt_a_scale_and_what_has_no_numbers() -> None:
    peers = filled()
    peers.report("n0", 1, 0.8)
    with pytest.warns(
        UserWarning, match="between 0 and 1 in the first two epochs, and its bounds are 0 to 100"
    ):
        peers.report("n0", 2, 0.9)
    for epoch in (1, 2):
        peers.report("n1", epoch, math.nan)
    with pytest.warns(UserWarning, match="not a finite number in 3 epochs in a row"):
        peers.report("n1", 3, math.nan)


def test_the_loop_on_the_page_runs() -> None:
    code = next(c for c in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL) if "Peers(" in c)

    class Network:
        def __init__(self, flops: float) -> None:
            self.flops, self.epochs = flops, 0

        def train_one_epoch(self) -> tuple[float, float]:
            self.epochs += 1
            value = accuracy(80 + 2 * math.log10(self.flops), self.epochs)
            return value, value + (100 - value) / 2

    networks = {f"{flops:.0e}": Network(flops) for flops in (1e5, 2e5, 1e6, 3e6, 1e7)}
    exec(code, {"networks": networks})
    assert all(2 <= network.epochs <= 25 for network in networks.values())
    assert max(network.epochs for network in networks.values()) == 25


@pytest.mark.slow
def test_the_study_on_the_page_runs() -> None:
    optuna = pytest.importorskip("optuna", reason="Optuna is not installed: pip install 'a4nn[optuna]'")
    from a4nn_core.adapters.optuna import PeerPruner

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    code = next(c for c in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL) if "PeerPruner(" in c)

    def train(width: int, epochs: int) -> Iterator[tuple[float, float]]:
        values = [accuracy(80 + 3 * math.log(width), epoch) for epoch in range(1, epochs + 1)]
        return ((value, value + (100 - value) / 2) for value in values)

    scope = {"optuna": optuna, "log": math.log, "PeerPruner": PeerPruner, "train": train}
    exec(textwrap.dedent(code), scope)
    epochs = [len(trial.user_attrs["a4nn_validation"]) for trial in scope["study"].trials]
    assert len(epochs) == 40
    assert epochs[:5] == [25] * 5
    assert min(epochs) == 2


# Optuna


@pytest.fixture
def create_study() -> Callable[..., Study]:
    optuna = pytest.importorskip("optuna", reason="Optuna is not installed: pip install 'a4nn[optuna]'")
    optuna.logging.set_verbosity(optuna.logging.ERROR)

    def create(seed: int = 0, **settings: object) -> Study:
        return optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed), **settings)

    return create


def suggested(trial: Trial) -> list[float]:
    """A trial's accuracies: wide networks are better, and so is a learning rate near 0.01."""
    width = trial.suggest_int("width", 4, 64, log=True)
    rate = trial.suggest_float("rate", 1e-4, 1.0, log=True)
    norm = trial.suggest_categorical("norm", ["batch", "none"])
    top = 97 - 8 / math.sqrt(width) - 3 * (norm == "none") - 2 * abs(math.log10(rate) + 2)
    return [accuracy(top, epoch) for epoch in range(1, HORIZON + 1)]


@pytest.mark.parametrize("rule", ["front", "layers"])
@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_optuna_prunes_by_peers(create_study: Callable[..., Study], rule: str, direction: str) -> None:
    import optuna

    from a4nn_core.adapters.optuna import PeerPruner

    def objective(trial: Trial) -> float:
        for step, value in enumerate(suggested(trial)):
            reached = value if direction == "maximize" else 100 - value
            trial.report(reached, step)
            if trial.should_prune():
                raise optuna.TrialPruned
        return reached

    pruner = PeerPruner(HORIZON, rule, images=1000)
    study = create_study(direction=direction, pruner=pruner)
    study.optimize(objective, n_trials=25)
    whole = create_study(direction=direction)
    whole.optimize(objective, n_trials=25)
    epochs = [len(trial.intermediate_values) for trial in study.trials]
    assert epochs[:5] == [HORIZON] * 5
    assert min(epochs) == 2
    assert sum(epochs) < 0.6 * 25 * HORIZON
    assert study.best_value == whole.best_value


def test_optuna_learns_from_earlier_studies(create_study: Callable[..., Study]) -> None:
    from a4nn_core.adapters.optuna import PeerPruner

    def objective(trial: Trial) -> float:
        for step, value in enumerate(suggested(trial)):
            trial.report(value, step)
        return value

    earlier = create_study(seed=1, direction="maximize", study_name="earlier")
    with pytest.raises(BadInput, match="prior study 'earlier' has no finished trial that reported values"):
        PeerPruner(HORIZON, prior=[earlier])
    earlier.optimize(objective, n_trials=30)
    pruner = PeerPruner(HORIZON, prior=[earlier], startup=0)
    study = create_study(direction="maximize")
    trial = study.ask()
    values = suggested(trial)
    pruner.report(trial, values[0])
    verdict = pruner.report(trial, values[1])
    assert verdict.evidence["past"] == 30
    assert verdict.predicted is not None
    minimised = create_study(direction="minimize").ask()
    with pytest.raises(BadInput, match="earlier 1 has values to maximise"):
        pruner.report(minimised, 1.0)


def test_optuna_with_several_objectives_and_training_accuracies(create_study: Callable[..., Study]) -> None:
    from a4nn_core.adapters.optuna import COSTS, FEATURES, PeerPruner

    pruner = PeerPruner(HORIZON, images=1000, startup=4)
    epochs, reasons = {}, {}

    def objective(trial: Trial) -> tuple[float, float]:
        best = trial.number % 5
        cost = 10.0 + best
        trial.set_user_attr(FEATURES, {"best": best})
        trial.set_user_attr(COSTS, {"mflops": cost if trial.number != 7 else 5.0})
        for epoch in range(1, HORIZON + 1):
            value = accuracy(90 + 2 * best - (20 if trial.number == 6 else 0), epoch)
            verdict = pruner.report(trial, value, value + 0.5 * (100 - value))
            if verdict.action != "continue":
                break
        epochs[trial.number], reasons[trial.number] = epoch, verdict.reason
        return value, cost

    study = create_study(directions=["maximize", "minimize"])
    study.optimize(objective, n_trials=8)
    assert [epochs[n] for n in range(4)] == [HORIZON] * 4  # the first ones
    assert (epochs[6], reasons[6]) == (2, "outclassed")  # far worse than a cheaper one
    assert epochs[7] == HORIZON  # cheaper than all
    assert len(study.trials[6].user_attrs["a4nn_training"]) == 2
    trial = study.ask()
    trial.set_user_attr(COSTS, {"parameters": 1})
    with pytest.raises(
        BadInput, match="'trial 8' has the costs parameters and network 'trial 0' the costs mflops"
    ):
        pruner.report(trial, 1.0)
    trial.set_user_attr(COSTS, 3)
    with pytest.raises(BadInput, match="trial 8: a4nn_costs = 3 is not a mapping"):
        pruner.report(trial, 1.0)
    with pytest.raises(BadInput, match=r"2 objectives, and no objective 2 \(from 0\)"):
        PeerPruner(HORIZON, objective=2).report(study.ask(), 1.0)


def test_parameters_and_callables_give_features(create_study: Callable[..., Study]) -> None:
    from a4nn_core.adapters.optuna import PeerPruner, parameter_features

    study = create_study(direction="maximize")
    study.enqueue_trial({"width": 8, "rate": 0.01, "norm": "batch"})
    trial = study.ask()
    suggested(trial)
    found = parameter_features(study.trials[0])
    assert found == {"width": math.log(8), "rate": math.log(0.01), "norm=batch": 1.0}
    pruner = PeerPruner(HORIZON, features=lambda t: {"x": t.params["width"]}, costs=lambda _: {"c": math.inf})
    with pytest.raises(BadInput, match="the cost 'c' = inf is not a finite number"):
        pruner.report(trial, 1.0)
    with pytest.raises(BadInput, match="startup = -1 is below 0"):
        PeerPruner(HORIZON, startup=-1)
    with pytest.raises(BadInput, match="'interval' judges one curve"):
        PeerPruner(HORIZON, "interval")


def test_settings_give_features() -> None:
    settings = {"width": 8, "norm": "batch", "skip": True, "head": {"layers": 2}}
    assert features_of(settings) == {"width": 8.0, "norm=batch": 1.0, "skip": 1.0, "head/layers": 2.0}


# Lightning


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_lightning_trains_what_is_promoted(tmp_path: Path) -> None:
    pytest.importorskip("lightning", reason="Lightning is not installed: pip install 'a4nn[lightning]'")
    import torch
    from lightning.pytorch import LightningModule, Trainer
    from torch.utils.data import DataLoader, TensorDataset

    from a4nn_core.adapters.lightning import PeerStopping

    class Told(LightningModule):
        """Logs the accuracies of a network that gets so good, whatever it learns."""

        def __init__(self, top: float) -> None:
            super().__init__()
            self.top = top
            self.layer = torch.nn.Linear(1, 1)

        def training_step(self, batch: list[torch.Tensor], batch_idx: int) -> torch.Tensor:  # noqa: ARG002
            reached = accuracy(self.top, self.current_epoch + 1) / 100
            self.log("train_acc", reached + 0.1 * (1 - reached), on_epoch=True, on_step=False)
            return self.layer(batch[0]).square().mean()

        def validation_step(self, batch: list[torch.Tensor], batch_idx: int) -> None:  # noqa: ARG002
            self.log("val_acc", accuracy(self.top, self.current_epoch + 1) / 100)

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.SGD(self.parameters(), lr=0.01)

    data = DataLoader(TensorDataset(torch.ones(2, 1)))

    def fit(name: str, peers: Peers, monitor: str = "val_acc") -> int:
        trainer = Trainer(
            max_epochs=6,
            callbacks=[PeerStopping(peers, name, monitor, "train_acc")],
            accelerator="cpu",
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            default_root_dir=tmp_path,
        )
        last = tmp_path / f"{name}.ckpt"
        trainer.fit(Told(float(name)), data, data, ckpt_path=last if last.exists() else None)
        trainer.save_checkpoint(last)
        return trainer.current_epoch

    peers = Peers(6, {"name": "successive-halving", "first": 2}, bounds=(0.0, 1.0))
    for name in ("70", "90", "60"):
        peers.add(name)
    fits = []
    while names := peers.next():
        fits += [(name, fit(name, peers)) for name in names]
    assert fits == [("70", 2), ("90", 2), ("60", 2), ("90", 6)]
    reached = peers.past("x").networks[1]
    assert reached.validation == pytest.approx([accuracy(90, epoch) for epoch in range(1, 7)], abs=1e-3)
    assert reached.training == pytest.approx([10 + 0.9 * value for value in reached.validation], abs=1e-3)
    peers.add("50")
    with pytest.raises(BadInput, match=r"PeerStopping: no metric 'accuracy' was logged; logged: .*val_acc"):
        fit("50", peers, "accuracy")
    with pytest.raises(BadInput, match="no network '1'"):
        PeerStopping(peers, "1", "val_acc")


# Ray Tune


@pytest.mark.integration
@pytest.mark.filterwarnings("ignore")
def test_ray_tune_pauses_and_promotes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ray = pytest.importorskip("ray", reason="Ray Tune is not installed: pip install 'a4nn[ray]'")
    tune = pytest.importorskip("ray.tune", reason="Ray Tune is not installed: pip install 'a4nn[ray]'")
    from a4nn_core.adapters.ray import PeerScheduler

    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")

    def train(config: dict[str, float]) -> None:
        state, before = tune.get_checkpoint(), 0
        if state:
            with state.as_directory() as folder:
                before = int((Path(folder) / "epoch").read_text())
        for epoch in range(before + 1, 7):
            folder = Path(config["folder"]) / f"{config['top']}-{epoch}"
            folder.mkdir()  # fails where an epoch is trained twice
            (folder / "epoch").write_text(str(epoch))
            value = config["top"] - 40 * 2.718 ** (-0.5 * epoch)
            tune.report({"accuracy": value}, checkpoint=tune.Checkpoint(folder))

    scheduler = PeerScheduler("accuracy", 6, {"name": "successive-halving", "first": 2})
    ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False, configure_logging=False)
    (tmp_path / "kept").mkdir()
    tops = [60.0, 95.0, 70.0]
    try:
        results = tune.Tuner(
            train,
            param_space={"top": tune.grid_search(tops), "folder": str(tmp_path / "kept")},
            tune_config=tune.TuneConfig(metric="accuracy", mode="max", scheduler=scheduler),
            run_config=tune.RunConfig(storage_path=str(tmp_path), verbose=0),
        ).fit()
    finally:
        ray.shutdown()
    assert not results.errors
    assert results.get_best_result().config["top"] == 95.0
    epochs = {r.config["top"]: r.metrics["training_iteration"] for r in results}
    assert epochs == {60.0: 2, 95.0: 6, 70.0: 2}


class Controller:
    """As much of Ray Tune's controller as a scheduler sees."""

    def __init__(self, trials: list[SimpleNamespace]) -> None:
        self.trials = trials
        self.stopped: list[str] = []
        self.search_alg = SimpleNamespace(is_finished=lambda: True)

    def get_trials(self) -> list[SimpleNamespace]:
        return self.trials

    def stop_trial(self, trial: SimpleNamespace) -> None:
        trial.status = "TERMINATED"
        self.stopped.append(trial.trial_id)


@pytest.mark.slow
def test_the_scheduler_of_ray_tune_trial_by_trial() -> None:
    pytest.importorskip("ray", reason="Ray Tune is not installed: pip install 'a4nn[ray]'")
    from a4nn_core.adapters.ray import PeerScheduler

    rule = {"name": "successive-halving", "first": 1, "eta": 2}
    scheduler = PeerScheduler("accuracy", 2, rule, training_metric="train", costs=lambda c: {"size": c["x"]})
    assert scheduler.set_search_properties("accuracy", "max")
    assert not scheduler.set_search_properties("loss", "max")
    assert not scheduler.set_search_properties(None, "min")
    a, b = (SimpleNamespace(trial_id=n, config={"x": 1.0}, status="PENDING") for n in "ab")
    controller = Controller([a, b])
    for trial in (a, b):
        scheduler.on_trial_add(controller, trial)

    def said(trial: SimpleNamespace, epoch: int, value: float) -> str:
        result = {"accuracy": value, "train": value, "training_iteration": epoch}
        return str(scheduler.on_trial_result(controller, trial, result))

    assert scheduler.choose_trial_to_run(controller) is a
    a.status = "RUNNING"
    scheduler.on_trial_error(controller, a)  # a failure, after which it is tried again
    scheduler.on_trial_add(controller, a)
    assert said(a, 1, 60.0) == "PAUSE"  # the other one is still to come
    a.status, b.status = "PAUSED", "RUNNING"
    assert scheduler.choose_trial_to_run(controller) is None
    assert said(b, 1, 50.0) == "PAUSE"  # a is promoted
    assert scheduler.choose_trial_to_run(controller) is a
    a.status, b.status = "RUNNING", "PAUSED"
    assert said(a, 2, 61.0) == "STOP"
    a.status = "TERMINATED"
    scheduler.on_trial_complete(controller, a, {})
    assert scheduler.choose_trial_to_run(controller) is None
    assert controller.stopped == ["b"]
    with pytest.raises(BadInput, match="trial a reported no 'train'"):
        scheduler.on_trial_result(controller, a, {"accuracy": 1.0, "training_iteration": 1})
