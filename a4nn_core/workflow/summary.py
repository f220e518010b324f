"""What a run found and what it cost, read back from the commons, finished or not."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from a4nn_core.commons.records import Network, Run, front_among
from a4nn_core.commons.totals import JOULES_PER_KWH, Totals
from a4nn_core.jsonable import Json, members, number, to_json
from a4nn_core.precision import DECIBELS, Images, Score, cheaper_alike
from a4nn_core.termination.endings import Ending, Endings
from a4nn_core.termination.endings import summary as why_ended
from a4nn_core.vocabulary import ELSEWHERE, EventKind

if TYPE_CHECKING:
    from a4nn_core.commons import Commons


@dataclass(frozen=True, slots=True)
class Member:
    """One network of a Pareto front.

    Attributes:
        network: number of the network.
        genome: its genome in the form of its search space.
        flops, parameters: multiply-adds for one image, and number of trainable parameters.
        accuracy_percent, accuracy_se_points: best validation accuracy in percent, and its standard error in
            percentage points.
        test_accuracy_percent, test_accuracy_se_points: the same for the test part.
        psnr_db, psnr_se_db, test_psnr_db, test_psnr_se_db: all of these in decibels, of a network that
            restores images.
        poisson_deviance: its mean Poisson deviance on the validation images.
        epochs_trained: number of epochs trained.
        indistinguishable_from: number of the cheapest network of the front that costs less and whose accuracy
            is not distinguishable from this one's; None if there is none.
    """

    network: int
    genome: Json
    flops: int | None
    parameters: int | None
    accuracy_percent: float | None
    accuracy_se_points: float | None
    test_accuracy_percent: float | None
    test_accuracy_se_points: float | None
    epochs_trained: int | None
    indistinguishable_from: int | None
    psnr_db: float | None = None
    psnr_se_db: float | None = None
    test_psnr_db: float | None = None
    test_psnr_se_db: float | None = None
    poisson_deviance: float | None = None

    @property
    def validation(self) -> Score:
        """Best validation score, for people."""
        if self.psnr_db is not None:
            return Score(self.psnr_db, self.psnr_se_db, DECIBELS)
        return Score(self.accuracy_percent, self.accuracy_se_points)

    @property
    def test(self) -> Score:
        """Test score, for people."""
        if self.test_psnr_db is not None:
            return Score(self.test_psnr_db, self.test_psnr_se_db, DECIBELS)
        return Score(self.test_accuracy_percent, self.test_accuracy_se_points)

    @property
    def genome_text(self) -> str:
        """The genome for people: phases of bits without commas."""
        if self.genome is None:
            return "-"
        if isinstance(self.genome, list):
            phases = [part for part in self.genome if isinstance(part, list)]
            if len(phases) == len(self.genome):
                return " ".join("".join(map(str, phase)) for phase in phases)
        return self.genome if isinstance(self.genome, str) else to_json(self.genome)


@dataclass(frozen=True)
class Summary(Totals):
    """The result of a run.

    Attributes:
        front: the Pareto front, best accuracy first.
        endings: why networks were ended early, in order.
        commons: folder of the commons.
        baselines: what restores images without a network, as recorded; empty for classifiers.
        rejected: number of genomes that were proposed and not valid, by reason, the most frequent first.
        handed_out: numbers of the networks that are trained elsewhere, and of which nothing was told yet.
    """

    front: list[Member]
    endings: list[Ending]
    commons: str
    baselines: list[Json]
    rejected: Mapping[str, int]
    handed_out: list[int]

    def to_beat(self) -> list[str]:
        """What restores images without a network, and how well, for people: one line each."""
        lines = []
        for one in map(members, self.baselines):
            validation, test = (
                str(Score(number(part.get("psnr_db")), number(part.get("psnr_se_db")), DECIBELS))
                for part in (members(one.get("validation")), members(one.get("test")))
            )
            lines.append(f"{one.get('name')}: validation {validation}, test {test}")
        return lines

    @property
    def images(self) -> Images:
        """The numbers of images that accuracies were measured on."""
        return Images(self.validation_images, self.test_images)

    @property
    def invalid(self) -> str:
        """Which share of the genomes that were proposed was not valid, for people; empty if all were."""
        count = sum(self.rejected.values())
        if not count:
            return ""
        proposed = count + self.networks
        reasons = ", ".join(f"{number} {reason}" for reason, number in self.rejected.items())
        return f"{count} of {proposed} proposed genomes not valid ({100 * count / proposed:.1f} %): {reasons}"

    @property
    def waits_for(self) -> str:
        """Which networks must be told before it can end, for people; empty if none are trained elsewhere."""
        if not self.handed_out:
            return ""
        numbers = ", ".join(map(str, self.handed_out))
        return f"handed out and not told: {numbers}; a4nn ask {self.run} --open shows them again"

    def cost(self) -> list[str]:
        """What the run cost and saved, for people: one line per fact."""
        lines = [
            f"{self.networks} networks, {self.epochs_trained} of {self.epochs_budget} epochs trained: "
            f"{self.epochs_saved_percent:.1f} % saved compared with training every network to the end",
            f"{self.epochs_saved_by_termination} epochs by ending training early, "
            f"{self.epochs_saved_by_equality} by not training equal architectures again",
        ]
        lines += why_ended(self.endings)
        if self.networks_infeasible:
            plural = "" if self.networks_infeasible == 1 else "s"
            lines.append(f"{self.networks_infeasible} network{plural} outside the bounds, not trained")
        if self.invalid:
            lines.append(self.invalid)
        taken = "" if self.seconds is None else f"{duration(self.seconds)} taken"
        saved = self.training_seconds_saved
        spared = "" if saved is None else f"about {duration(saved)} of training saved"
        if taken or spared:
            lines.append("; ".join(part for part in (taken, spared) if part))
        if self.energy_joules is not None:
            lines.append(
                f"{self.energy_joules / JOULES_PER_KWH:.4g} kWh ({self.energy_joules:,.0f} J) used by the "
                f"devices in training, {self.networks_measured} networks measured"
            )
        if self.stopped is not None:
            lines.append(f"ended early: {self.stopped}")
        return lines


def duration(seconds: float) -> str:
    """A duration in seconds as text for people."""
    if not math.isfinite(seconds):
        return "unknown time"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def summarise(commons: Commons, run: str) -> Summary:
    """The summary of one run.

    Raises:
        BadInput: the commons has no such run.
    """
    header = commons.run(run)
    networks = commons.networks(run)
    front = front_among(networks, header.objectives or {})
    return Summary(
        **vars(Totals.of(header, networks, front)),
        front=_front(front, header.images),
        endings=Endings.of(header, {network.network: network for network in networks}).all(),
        commons=str(Path(commons.path)),
        baselines=_listed(header.details.get("baselines")),
        rejected=dict(Counter(str(one.reason) for one in commons.rejected(run)).most_common()),
        handed_out=_handed_out(commons, header, networks),
    )


def _listed(value: Json) -> list[Json]:
    return value if isinstance(value, list) else []


def _handed_out(commons: Commons, header: Run, networks: list[Network]) -> list[int]:
    if header.device != ELSEWHERE:
        return []
    out = {event.network for event in commons.events(header.run) if event.kind == EventKind.submitted}
    return sorted(number for number in out - {one.network for one in networks} if number is not None)


def _front(networks: list[Network], images: Images) -> list[Member]:
    alike = cheaper_alike([network.rated(images) for network in networks])
    found = [_member(network, images, alike[network.network]) for network in networks]
    # an imported network may have no accuracy, or no cost
    return sorted(found, key=lambda m: (-(m.validation.value or 0.0), m.flops or 0))


def _member(network: Network, images: Images, indistinguishable_from: int | None) -> Member:
    return Member(
        network=network.network,
        genome=network.genome.value if network.genome else None,
        flops=network.flops,
        parameters=network.parameters,
        accuracy_percent=network.best_accuracy_percent,
        accuracy_se_points=images.validation_error(network.best_accuracy_percent),
        test_accuracy_percent=network.test_accuracy_percent,
        test_accuracy_se_points=images.test_error(network.test_accuracy_percent),
        epochs_trained=network.epochs_trained,
        indistinguishable_from=indistinguishable_from,
        psnr_db=network.best_psnr_db,
        psnr_se_db=network.best_psnr_se_db,
        test_psnr_db=network.test_psnr_db,
        test_psnr_se_db=network.test_psnr_se_db,
        poisson_deviance=network.poisson_deviance,
    )
