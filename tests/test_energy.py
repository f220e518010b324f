"""Energy in the records: from counters that wrap, are reset or cannot be read; no device is needed."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow.parquet as pq
import pytest
from command import A4NN
from commons_data import HORIZON, header, journal_records, network_record
from fakes import FakeExecutor, experiment, search
from test_training import CPU, segment
from typer.testing import CliRunner

from a4nn_core.cli.app import app
from a4nn_core.commons import Commons, Journal, JournalEpoch, RunFolder, RunWriter, read_journal
from a4nn_core.commons.check import check
from a4nn_core.commons.compact import compact
from a4nn_core.commons.cookbook import COOKBOOK
from a4nn_core.commons.merge import merge
from a4nn_core.interchange.parquet import export_tables
from a4nn_core.training import energy, trainer
from a4nn_core.training.energy import Counter, Meter, Unmeasurable, counters
from a4nn_core.training.loading import DeviceData
from a4nn_core.training.segment import Segment
from a4nn_core.training.trainer import train_segment
from a4nn_core.workflow.preflight import warn_unless_measured
from a4nn_core.workflow.summary import summarise


class Device:
    """Counts up whenever its clock is read."""

    def __init__(self, wraps_at: int | None = None) -> None:
        self.count = 0
        self.seconds = 0.0
        self.broken = False
        self.meter = Meter([Counter(self._read, 0.5, wraps_at)], lambda: self.seconds)

    def _read(self) -> int:
        if self.broken:
            raise OSError("gone")
        return self.count

    def work(self, seconds: float, count: int) -> None:
        self.seconds += seconds
        self.count += count


def test_laps_give_the_joules_between_them() -> None:
    device = Device()
    device.work(1, 100)
    assert device.meter.lap() is None  # nobody knows what was before
    device.work(1, 20)
    assert device.meter.lap() == 10
    assert device.meter.lap() == 0
    device.work(20, 4)
    device.meter.tick()
    device.work(20, 6)
    assert device.meter.lap() == 5
    assert Meter(()).lap() is None


def test_a_counter_goes_round() -> None:
    device = Device(wraps_at=100_000)
    device.count = 99_990
    device.meter.lap()
    device.work(5, 0)
    device.count = 30
    assert device.meter.lap() == 20
    # 50 kJ can be used in 25 s by what draws 2000 W: after more, it may have gone round twice
    device.work(26, 10)
    assert device.meter.lap() is None
    for _ in range(20):
        device.work(11, 10)
        device.meter.tick()
    assert device.meter.lap() == 100


@pytest.mark.parametrize("wraps_at", [None, 100_000])
def test_a_counter_that_was_reset_is_no_measurement(wraps_at: int | None) -> None:
    device = Device(wraps_at)
    device.count = 50_000
    device.meter.lap()
    device.work(1, -50_000)
    assert device.meter.lap() is None
    device.work(1, 10)
    assert device.meter.lap() == 5


def test_a_counter_that_cannot_be_read_for_a_while_spoils_these_laps_only() -> None:
    device = Device()
    device.meter.lap()
    device.broken = True
    device.work(11, 10)
    device.meter.tick()
    device.broken = False
    device.work(1, 10)
    assert device.meter.lap() is None
    device.work(1, 10)
    assert device.meter.lap() == 5
    device.broken = True
    assert device.meter.lap() is None
    device.broken = False
    assert device.meter.lap() is None
    assert device.meter.lap() == 0


@pytest.fixture
def powercap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two packages with their parts, the whole machine, and the same package by another way."""
    folder = tmp_path / "powercap"
    zones = {
        "intel-rapl:0": "package-0",
        "intel-rapl:0:0": "core",
        "intel-rapl:0:1": "dram",
        "intel-rapl:1": "package-1",
        "intel-rapl:2": "psys",
        "intel-rapl-mmio:0": "package-0",
    }
    for zone, name in zones.items():
        (folder / zone).mkdir(parents=True)
        (folder / zone / "name").write_text(f"{name}\n")
        (folder / zone / "max_energy_range_uj").write_text("262143328850\n")
        (folder / zone / "energy_uj").write_text("1000000\n")
    monkeypatch.setattr(energy, "POWERCAP", folder)
    return folder


def use(powercap: Path, *joules: float) -> None:
    for number, used in enumerate(joules):
        file = powercap / f"intel-rapl:{number}" / "energy_uj"
        file.write_text(f"{int(file.read_text()) + round(1e6 * used)}\n")


def test_the_packages_of_a_cpu_are_added_up(powercap: Path) -> None:
    meter = energy.meter("cpu", "")
    meter.lap()
    use(powercap, 3, 4, 100)
    assert meter.lap() == pytest.approx(7)


def test_what_cannot_be_read_is_said_and_measures_nothing(
    powercap: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (powercap / "intel-rapl:1" / "energy_uj").unlink()
    with pytest.raises(Unmeasurable, match=r"cannot be read: .*intel-rapl:1/energy_uj"):
        counters("cpu", "")
    assert energy.meter("cpu", "").lap() is energy.meter("cpu", "").lap() is None
    monkeypatch.setattr(energy, "POWERCAP", powercap / "none")
    with pytest.raises(Unmeasurable, match="has no energy counter in"):
        counters("cpu", "")
    with pytest.raises(Unmeasurable, match="'mps'"):
        counters("mps", "")


class NVMLError(Exception):
    pass


@pytest.fixture
def nvml(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """A driver with two GPUs, of which one is too old; gives what their counters say, in millijoules."""
    known = {"GPU-new": 5_000}

    def total(handle: str) -> int:
        if handle not in known:
            raise NVMLError("Not Supported")
        return known[handle]

    def by_uuid(name: str) -> str:
        if name not in ("GPU-new", "GPU-old"):
            raise NVMLError("Not Found")
        return name

    module: Any = SimpleNamespace(
        NVMLError=NVMLError,
        nvmlInit=lambda: None,
        nvmlDeviceGetHandleByUUID=by_uuid,
        nvmlDeviceGetTotalEnergyConsumption=total,
    )
    monkeypatch.setitem(sys.modules, "pynvml", module)
    return known


def test_the_gpu_that_a_worker_is_pinned_to_is_read(nvml: dict[str, int]) -> None:
    meter = energy.meter("cuda", "GPU-new")
    meter.lap()
    nvml["GPU-new"] += 7_000
    assert meter.lap() == pytest.approx(7)
    nvml["GPU-new"] = 3  # the driver was loaded again
    assert meter.lap() is None
    del nvml["GPU-new"]  # it fell off the bus
    assert meter.lap() is None


@pytest.mark.parametrize(
    ("visible", "sentence"),
    [
        ("GPU-old", "of GPU-old cannot be read: Not Supported"),
        ("GPU-none", "of GPU-none cannot be read: Not Found"),
        ("MIG-1234", "'MIG-1234' has no energy counter of its own"),
        ("0", "only whole GPUs named by UUID"),
        ("", "only whole GPUs named by UUID"),
    ],
)
def test_gpus_without_a_counter(nvml: dict[str, int], visible: str, sentence: str) -> None:
    assert nvml
    with pytest.raises(Unmeasurable, match=sentence):
        counters("cuda", visible)
    assert energy.meter("cuda", visible).lap() is None


def test_the_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    with pytest.raises(Unmeasurable, match=r"pip install 'a4nn\[energy\]'"):
        counters("cuda", "GPU-new")


def test_the_warning_names_the_cause_and_is_silent_where_all_is_well(
    powercap: Path, caplog: pytest.LogCaptureFixture
) -> None:
    warn_unless_measured("cpu", 2)
    warn_unless_measured("fake", 2)
    assert caplog.records == []
    warn_unless_measured("cpu", 0)
    (message,) = [record.getMessage() for record in caplog.records]
    assert "no energy will be recorded: on a machine of a pool or cluster it is not known" in message
    caplog.clear()
    (powercap / "intel-rapl:0" / "energy_uj").unlink()
    warn_unless_measured("cpu", 2)
    assert [r.getMessage() for r in caplog.records if "no energy will be recorded" in r.getMessage()]
    assert len(caplog.records) == 1


@pytest.fixture(scope="module")
def data() -> DeviceData:
    return DeviceData(experiment().data.load(), CPU)


@pytest.fixture
def each_step(powercap: Path, monkeypatch: pytest.MonkeyPatch, data: DeviceData) -> float:
    """The first package uses 12 J whenever an epoch is saved; gives what an epoch has to say of 4 slots."""
    saved = trainer.save_checkpoint

    def save(*how: Any) -> str:
        use(powercap, 12.0)
        return saved(*how)

    monkeypatch.setattr(trainer, "save_checkpoint", save)
    assert data
    return 3.0


@pytest.mark.slow
def test_epochs_say_their_share_also_after_a_pause(
    data: DeviceData, tmp_path: Path, powercap: Path, each_step: float
) -> None:
    def piece(number: int, limit: int) -> Segment:
        asked = {"energy": True, "epochs": 4}
        return segment(tmp_path / "c", slots=4, number=number, epoch_limit=limit, training=asked)

    train_segment(piece(0, 2), data, CPU)
    use(powercap, -0.5)  # lower than what the first segment saw last: the machine was started again
    train_segment(piece(1, 4), data, CPU)
    lines = read_journal(RunFolder(tmp_path / "c", "r").journal(0))
    assert [line["energy_joules"] for line in lines] == pytest.approx([each_step] * 4)


def test_who_does_not_ask_records_none(data: DeviceData, tmp_path: Path, each_step: float) -> None:
    assert each_step
    train_segment(segment(tmp_path / "c", training={"epochs": 1}), data, CPU)
    [line] = read_journal(RunFolder(tmp_path / "c", "r").journal(0))
    assert "energy_joules" not in line


def test_training_goes_on_where_nothing_can_be_measured(
    data: DeviceData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(energy, "POWERCAP", tmp_path / "none")
    result = train_segment(segment(tmp_path / "c", training={"epochs": 1, "energy": True}), data, CPU)
    assert result.status == "completed"
    [line] = read_journal(RunFolder(tmp_path / "c", "r").journal(0))
    assert "energy_joules" not in line


@pytest.mark.integration
def test_a_run_warns_once_where_it_cannot_measure(tmp_path: Path) -> None:
    if energy.POWERCAP.exists():
        pytest.skip("this machine can perhaps measure")
    small = (
        "search.networks=2",
        "search.population=2",
        "search.offspring=2",
        "training.epochs=1",
        "training.slots=2",
    )
    changes = [word for change in (*small, "training.energy=true") for word in ("--set", change)]
    # in a process of its own, as what is logged in this one goes to pytest
    done = subprocess.run(
        [*A4NN, "run", "digits", *changes, "--commons", str(tmp_path / "c")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (
        done.stderr.count("training.energy: no energy will be recorded: the CPU has no energy counter") == 1
    )
    assert "kWh" not in done.stdout


def records(network: int, epochs: int, joules: float | None) -> list[dict[str, Any]]:
    return [{**line, "energy_joules": joules} for line in journal_records(network, epochs)]


def write(commons: Path) -> None:
    """Three networks: measured, measured, not; and one in training."""
    with RunWriter.open(commons, "r", header(experiment=experiment().to_mapping())) as writer:
        for network, joules in enumerate((4.0, 0.5, None)):
            epochs = [JournalEpoch.of(line) for line in records(network, HORIZON, joules)]
            total = None if joules is None else joules * HORIZON
            writer.record(replace(network_record(network, epochs), energy_joules=total), epochs=epochs)
        with Journal(writer.folder.journal(3)) as journal:
            for line in records(3, 2, 8.0):
                journal.append(line)


def told(commons: Path) -> tuple[list[Any], list[Any]]:
    store = Commons(commons)
    return (
        store.sql("select energy_joules from networks order by network").fetchall(),
        store.sql("select network, sum(energy_joules) from epochs group by 1 order by 1").fetchall(),
    )


def test_energy_is_carried_by_compaction_merge_and_export(tmp_path: Path) -> None:
    write(tmp_path / "c")
    expected = ([(100.0,), (12.5,), (None,)], [(0, 100.0), (1, 12.5), (2, None), (3, 16.0)])
    assert told(tmp_path / "c") == expected
    compact(tmp_path / "c")
    assert told(tmp_path / "c") == expected
    merge(tmp_path / "c", tmp_path / "other")
    assert told(tmp_path / "other") == expected
    assert check(tmp_path / "other", checkpoints=False).problems == []
    export_tables(tmp_path / "c", str(tmp_path / "out"))
    exported = pq.read_table(tmp_path / "out" / "networks.parquet")
    assert exported["energy_joules"].to_pylist() == [100.0, 12.5, None]
    assert exported.schema.field("energy_joules").metadata[b"unit"] == b"J"


@pytest.mark.slow
def test_the_total_is_shown_where_it_was_measured(tmp_path: Path) -> None:
    write(tmp_path / "c")
    summary = summarise(Commons(tmp_path / "c"), "r")
    assert (summary.energy_joules, summary.networks_measured) == (112.5, 2)
    assert summary.as_dict()["energy_kwh"] == pytest.approx(112.5 / 3.6e6)
    shown = CliRunner().invoke(app, ["front", "r", "--commons", str(tmp_path / "c")])
    assert "3.125e-05 kWh (112 J) used by the devices in training, 2 networks measured" in shown.output
    status = CliRunner().invoke(app, ["status", "r", "--json", "--commons", str(tmp_path / "c")])
    assert '"energy_joules": 112.5' in status.output


def test_the_recipe(tmp_path: Path) -> None:
    write(tmp_path / "c")
    [query] = [recipe.query for recipe in COOKBOOK if recipe.name == "energy"]
    rows = Commons(tmp_path / "c").sql(query).to_arrow_table().to_pylist()
    assert [(r["network"], r["joules"], r["joules_an_epoch"]) for r in rows] == [
        (0, 100.0, 4.0),
        (1, 12.5, 0.5),
    ]
    best = {n.network: n.best_accuracy_percent for n in Commons(tmp_path / "c").networks("r")[:2]}
    worst = min(best, key=lambda n: best[n])
    for row in rows:
        points = best[row["network"]] - best[worst]
        expected = None if row["network"] == worst else round(row["joules"] / points, 1)
        assert row["joules_a_point"] == expected


def test_a_network_has_no_sum_of_some_of_its_epochs(tmp_path: Path) -> None:
    class Measuring(FakeExecutor):
        """Epochs use two joules; the second epoch of network 1 was not measured."""

        def _train(self, segment: Segment) -> Any:
            result = super()._train(segment)
            path = RunFolder(Path(segment.commons), segment.run_id).journal(segment.network)
            lines = read_journal(path)
            path.unlink()
            with Journal(path) as journal:
                for line in lines:
                    lost = segment.network == 1 and line["epoch"] == 2
                    journal.append(line if lost else {**line, "energy_joules": 2.0})
            return result

    executor = Measuring()
    search(experiment(), tmp_path, executor)
    assert {one.slots for one in executor.trained} == {4}
    for row in Commons(tmp_path).networks("r"):
        measured = row.equal_to is None and row.network != 1
        assert row.energy_joules == (2.0 * row.epochs_trained if measured else None)


def test_where_other_machines_train_the_whole_device_is_the_networks(tmp_path: Path) -> None:
    executor = FakeExecutor()
    executor.is_local = False
    search(experiment(), tmp_path, executor)
    assert {one.slots for one in executor.trained} == {0}
