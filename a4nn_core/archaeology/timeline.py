"""Which network was trained when and on which device, and what was spared."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from a4nn_core.archaeology.chart import Axis, Bars, Chart, Exhibit, Mark, Table
from a4nn_core.archaeology.life import Life
from a4nn_core.archaeology.style import series
from a4nn_core.commons.records import Epoch

_GAP = timedelta(seconds=2)
"""between two epochs of one segment, at most; longer pauses are drawn"""
MOST_ROWS = 400
"""networks that are drawn, the first ones; a page can be no longer"""

_QUERY = """
select n.network, coalesce(n.device, 'unknown') as device, e.segment, min(e.epoch) as first_epoch,
       max(e.epoch) as last_epoch, min(e.time - to_microseconds((e.seconds * 1e6)::bigint)) as began,
       max(e.time) as ended, any_value(n.epochs_budget - n.epochs_trained) as epochs_not_trained
from epochs e left join networks n on n.run = e.run and n.network = e.network
where e.run = '{run}' and e.time is not null
group by all
order by began, n.network"""


@dataclass(frozen=True)
class Stretch:
    """Epochs that one network was trained without a pause.

    Attributes:
        network: its number.
        first, last: epochs.
        began, ended: when.
    """

    network: int
    first: int
    last: int
    began: datetime
    ended: datetime


def stretches(epochs: Iterable[Epoch]) -> list[Stretch]:
    """The stretches of one network. Epochs without a time are left out.

    Args:
        epochs: of one network, in order.
    """
    found: list[Stretch] = []
    for epoch in epochs:
        if epoch.time is None:
            continue
        began = epoch.time - timedelta(seconds=epoch.seconds or 0.0)
        if found and began - found[-1].ended <= _GAP:
            last = found.pop()
            began = last.began
            found.append(Stretch(epoch.network, last.first, epoch.epoch, began, max(last.ended, epoch.time)))
        else:
            found.append(Stretch(epoch.network, epoch.epoch, epoch.epoch, began, epoch.time))
    return found


def timeline_exhibit(life: Life) -> Exhibit:
    """The timeline of devices: a row for each network, what it was not trained hatched behind it."""
    lives = [those for epochs in life.epochs.values() if (those := stretches(epochs))]
    lives.sort(key=lambda those: (those[0].began, those[0].network))
    start = lives[0][0].began if lives else None
    unit, seconds = _unit(life, start, lives)
    names = {those[0].network: f"network {those[0].network}" for those in lives[:MOST_ROWS]}
    devices = sorted({_device(life, network) for network in names})
    marks: list[Mark] = []
    for number, device in enumerate(devices):
        drawn = [one for those in lives[:MOST_ROWS] for one in those if _device(life, one.network) == device]
        if drawn and start is not None:
            marks.append(
                Bars(
                    label=device,
                    at=[names[one.network] for one in drawn],
                    start=[(one.began - start).total_seconds() / seconds for one in drawn],
                    end=[(one.ended - start).total_seconds() / seconds for one in drawn],
                    colours=(series(number),),
                    networks=[one.network for one in drawn],
                    text=[_epochs(one) for one in drawn],
                )
            )
    spared = [(those[-1], left) for those in lives[:MOST_ROWS] if (left := _spared(life, those[-1].network))]
    if spared and start is not None:
        ends = [(one.ended - start).total_seconds() / seconds for one, _ in spared]
        marks.append(
            Bars(
                label="not trained, at the network's own pace",
                at=[names[one.network] for one, _ in spared],
                start=ends,
                end=[end + left[1] / seconds for end, (_, left) in zip(ends, spared, strict=True)],
                colours=("#9aa0a8",),
                hatched=True,
                networks=[one.network for one, _ in spared],
                text=[f"{left[0]} epochs not trained" for _, left in spared],
            )
        )
    words = [
        "Each row is a network, from its first epoch to its last; gaps are waits for a verdict or a device."
    ]
    if len(lives) > MOST_ROWS:
        words.append(f"The first {MOST_ROWS} of {len(lives)} networks are drawn; the table has all.")
    rows = tuple(
        (
            *(one.network, _device(life, one.network), one.first, one.last),
            *(one.began.isoformat(timespec="seconds"), round((one.ended - one.began).total_seconds(), 3)),
        )
        for those in lives
        for one in those
    )
    chart = Chart(
        "timeline",
        "Timeline of devices",
        Axis(f"time since the first epoch began ({unit})"),
        Axis("", scale="category", reverse=True, names=tuple(names.values())),
        tuple(marks),
        empty="when epochs were trained was not recorded",
        height=max(220, min(120 + 18 * len(names), 4000)),
    )
    return Exhibit(
        "timeline",
        "Where did the time go?",
        tuple(words),
        (chart,),
        Table(("network", "device", "first epoch", "last epoch", "began (UTC)", "seconds"), rows),
        _QUERY.format(run=life.run),
    )


def _device(life: Life, network: int) -> str:
    record = life.networks.get(network)
    return (record.device if record else None) or life.header.device or "unknown device"


def _epochs(one: Stretch) -> str:
    return f"epoch {one.first}" if one.first == one.last else f"epochs {one.first} to {one.last}"


def _spared(life: Life, network: int) -> tuple[int, float] | None:
    """Epochs that a network was not trained, and the seconds they would have taken at its pace."""
    record = life.networks.get(network)
    saved = record.epochs_saved(life.header.epochs_budget) if record else 0
    if record is None or saved <= 0 or not record.epochs_trained or not record.seconds:
        return None
    return saved, saved * record.seconds / record.epochs_trained


def _unit(life: Life, start: datetime | None, lives: list[list[Stretch]]) -> tuple[str, float]:
    """The unit of time that suits a run, and its seconds."""
    ends = [
        one.ended + timedelta(seconds=(_spared(life, one.network) or (0, 0.0))[1])
        for those in lives
        for one in those[-1:]
    ]
    whole = (max(ends) - start).total_seconds() if ends and start else 0.0
    if whole > 2 * 86400:
        return "days", 86400.0
    if whole > 2 * 3600:
        return "hours", 3600.0
    return ("minutes", 60.0) if whole > 120 else ("seconds", 1.0)
