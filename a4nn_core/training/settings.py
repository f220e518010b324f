"""How a network is trained. The defaults are the recipe of the published A4NN runs."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, field_validator

from a4nn_core.component import Settings, Unit
from a4nn_core.vocabulary import Curves

FIRST_DEFAULTS = {"evaluation": "as-trained", "batch_size": 128}
"""Values of settings that are missing in old records: of those added later, or whose default has changed."""
EvaluationWay = Literal["averaged", "recalibrated", "as-trained"]
Loss = Literal["squared-error", "poisson"]
USUAL_BATCH = 128
LEAST_BATCH = 8
LEAST_STEPS = 20
"""least number of steps an epoch should have for its statistics and averages to be meaningful"""

PanelCount = Annotated[int, Field(ge=1)]


def _whole_number_or_auto(size: object) -> object:
    # for a union pydantic reports one error per member, which would be two messages for one mistake
    if size == "auto" or (isinstance(size, int) and not isinstance(size, bool) and size >= 1):
        return size
    raise ValueError("input should be a whole number from 1 on, or auto")


class Training(Settings):
    """Gradient descent with a cosine to the last epoch, and how it is run."""

    epochs: Annotated[int, Unit("epochs")] = Field(default=25, ge=1)
    """the budget of each network"""
    batch_size: Annotated[int | Literal["auto"], BeforeValidator(_whole_number_or_auto), Unit("images")] = (
        "auto"
    )
    """images per step; auto takes 128, halved until an epoch has 20 steps, but no fewer than 8"""
    evaluation: EvaluationWay = "averaged"
    """what is measured after an epoch, exported and kept: a moving average of the weights, with statistics of
    batch normalisation taken anew (averaged); the newest weights, with such statistics (recalibrated); the
    newest weights with the running statistics, as published (as-trained)"""
    learning_rate: float = Field(default=0.025, gt=0)
    """learning rate at the first step"""
    final_learning_rate: float = Field(default=0.0, ge=0)
    """learning rate that the cosine ends at, after the last epoch"""
    optimizer: Literal["sgd", "adam"] = "sgd"
    """stochastic gradient descent, as published for A4NN; or Adam (Kingma and Ba, 2015)"""
    momentum: float = Field(default=0.9, ge=0, lt=1)
    """momentum of the gradient descent; of Adam, its first beta, the second being 0.999"""
    loss: Loss = "squared-error"
    """what networks that restore images minimise: the mean squared error, as published; or the Poisson
    deviance of the expected counts (not published), for which the space needs output = "positive".
    Classifiers minimise cross entropy"""
    weight_decay: float = Field(default=3e-4, ge=0)
    """weight decay (L2 penalty)"""
    gradient_clip: float = Field(default=5.0, gt=0)
    """maximum norm of the gradient; greater ones are scaled down"""
    augment: list[dict[str, object]] = Field(default_factory=list)
    """torchvision.transforms.v2 for training images, such as [{ name = "RandomHorizontalFlip" }]"""
    segment_epochs: Annotated[int | None, Unit("epochs")] = Field(default=None, ge=1)
    """epochs per segment, after which a worker hands a network back; if not set, the whole budget is one
    segment"""
    device: str = "auto"
    """cpu, cuda, cuda:1, mps; auto uses a GPU if there is one"""
    threads: Annotated[int, Unit("threads")] = Field(default=1, ge=1)
    """CPU threads per network; another number changes the last bits of results"""
    slots: Annotated[int | None, Unit("networks")] = Field(default=None, ge=1)
    """networks trained at the same time; if not set, as many as the machine has cores for or GPU slots"""
    slots_per_device: Annotated[int, Unit("networks")] = Field(default=1, ge=1)
    """networks that share a GPU when they are small; of several runs on a machine, the least counts"""
    stall_seconds: Annotated[float, Unit("seconds")] = Field(default=900.0, gt=0)
    """a worker that makes no progress for so long is ended, and its segment started again; while a
    network is compiled there is none to see"""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """number format of the computation; auto takes bfloat16 for classifiers on GPUs that have it, float32
    elsewhere"""
    compile: Literal["auto", "always", "never"] = "auto"
    """whether networks are compiled; auto does so where the work of a network's whole budget pays for it"""
    energy: bool = False
    """record the energy of each epoch, where the device has a counter of it that can be read"""
    panels: Annotated[tuple[PanelCount, PanelCount] | None, Unit("panels")] = None
    """rows and columns of the panels that a detector is made of, such as [8, 2]: after each best epoch,
    validation images that each lack a panel are classified, too; if not set, none is taken away"""
    deterministic: bool = True
    """choose deterministic algorithms where torch has them"""
    keep_checkpoints: Literal["last", "best", "all", "front"] = "best"
    """which checkpoints stay after a network's end: the last; the last and the best; every epoch's; or, with
    front, the last and the best of networks on the Pareto front only, from the end of each generation on"""
    failures_in_a_row: Annotated[int, Unit("networks")] = Field(default=5, ge=1)
    """after how many failed networks one after another the run ends"""

    def with_learning_rate(self, rate: float) -> Training:
        """The settings with another learning rate at the first step; the last one is at most as high."""
        last = min(rate, self.final_learning_rate)
        return self.model_copy(update={"learning_rate": rate, "final_learning_rate": last})

    @classmethod
    def from_record(cls, settings: Mapping[str, object]) -> Training:
        """Settings as a run recorded them; see ``as_recorded``."""
        return cls.model_validate(as_recorded(settings))

    @property
    def curves(self) -> Curves:
        """Which weights are measured after the epochs."""
        return "as-trained" if self.evaluation == "as-trained" else "averaged"

    def images_a_step(self, images: int) -> int:
        """The batch size for so many training images."""
        if self.batch_size != "auto":
            return self.batch_size
        size = USUAL_BATCH
        while size > LEAST_BATCH and ceil(images / size) < LEAST_STEPS:
            size //= 2
        return size

    @field_validator("augment")
    @classmethod
    def _known_transforms(cls, augment: list[dict[str, object]]) -> list[dict[str, object]]:
        for entry in augment:
            if not isinstance(entry.get("name"), str):
                raise ValueError("every entry needs the name of a torchvision.transforms.v2 class")
        return augment


def as_recorded(settings: Mapping[str, object]) -> dict[str, object]:
    """Settings of training that a run recorded, with what was done then where they do not say it."""
    return {**FIRST_DEFAULTS, **settings}
