"""A model card for one found network: Markdown with the header that Hugging Face reads."""

from __future__ import annotations

import json
from collections.abc import Iterable

from a4nn_core.assessment import BINS
from a4nn_core.commons.records import Network, Run
from a4nn_core.jsonable import members, number, whole
from a4nn_core.precision import DECIBELS, Score, plus_minus
from a4nn_core.printable import code_span, markdown
from a4nn_core.publish.models.found import Found
from a4nn_core.vocabulary import NetworkStatus, Task


def _weights(run: Run, epoch: int | None) -> str:
    """Which weights these are, from how the run evaluated its networks; early runs could not choose."""
    anew = ", with statistics of batch normalisation taken anew from training images"
    match run.settings("training").get("evaluation"):
        case "averaged":
            return f"the weights are the moving average over the steps of training up to epoch {epoch}{anew}"
        case "recalibrated":
            return f"the weights are those of epoch {epoch}{anew}"
        case _:
            return f"the weights are those of epoch {epoch}"


def model_card(found: Found, networks: Iterable[Network], plain: bool = False) -> str:
    """What a network is for, how good it is and on what, what it costs, and how it was found.

    Args:
        found: the network.
        networks: every network of its run, for its ancestors.
        plain: whether its plain weights and their loader are beside the card.
    """
    network, run = found.network, found.run
    channels, height, width = found.architecture.input_shape
    restores = found.architecture.task is Task.restoration
    what = "image-to-image" if restores else "image-classification"
    header = {
        "library_name": "onnx",
        "tags": ["neural-architecture-search", "a4nn", what],
        "pipeline_tag": what,
        "datasets": [run.dataset or "unknown"],
        "metrics": ["psnr" if restores else "accuracy"],
    }
    parts = [
        f"{count:,} {part}"
        for part in ("train", "validation", "test")
        if (count := whole(run.details.get(part)))
    ]
    data_set = markdown(run.dataset or "unknown")
    search = run.settings("search").get("name", "unknown")
    rule = run.settings("termination").get("name", "unknown")
    stopped = network.status is NetworkStatus.stopped
    validation, test = network.score(found.images), network.test_score(found.images)
    return "\n".join(
        [
            "---",
            # a reader that does not know headers may show this one
            *(f"{key}: {json.dumps(value)}".replace("<", "\\u003c") for key, value in header.items()),
            "---",
            f"# {found.name}",
            "",
            f"A convolutional network that {_does(found)}. Found by neural architecture search with A4NN.",
            "",
            "## How good it is",
            "",
            "| peak signal-to-noise ratio on | decibels |" if restores else "| accuracy on | percent |",
            "|---|---|",
            f"| validation images (it was selected by these) | {_shown(validation)} |",
            f"| test images (never used for selection) | {_shown(test)} |",
            "",
            *(
                [
                    f"± is one standard error, of {found.images}: as far as other images of the same "
                    "kind would have moved the number. Between two networks, a difference of less than "
                    "three times that says little.",
                    "",
                ]
                if validation.error is not None or test.error is not None
                else []
            ),
            *_assessed(network),
            *_restored(found),
            f"The test value is the one to quote. Data set: {data_set}"
            + (f" ({', '.join(parts)} images)" if parts else "")
            + f", fingerprint {code_span(run.dataset_fingerprint or 'unknown')}.",
            "",
            "## What it costs",
            "",
            f"{found.architecture.flops:,} multiply-adds for one image, "
            f"{found.architecture.parameters:,} parameters.",
            "",
            "## How it was found",
            "",
            f"- run {code_span(network.run)}, seed {_or_unknown(run.seed)}, "
            f"a4nn {_or_unknown(run.code_version)}; "
            f"search strategy {code_span(search)}, termination rule {code_span(rule)}",
            f"- network {network.network} of generation {_or_unknown(network.generation)}, "
            f"made by {markdown(network.operator or 'hand')}",
            f"- trained for {_or_unknown(network.epochs_trained)} of {_or_unknown(network.epochs_budget)} "
            "epochs"
            + (f", then stopped: {_or_unknown(network.termination_reason)}" if stopped else "")
            + f"; {_weights(run, network.best_epoch)}",
            f"- genome {code_span(network.genome or 'unknown')}, "
            f"architecture {code_span(network.architecture_hash or 'unknown')}",
            f"- ancestors: {_ancestors(network, networks)}",
            "",
            "## How to use it",
            "",
            f"Input `images`: float32, (batch, {channels}, {height}, {width}), {_numbers(found)}; "
            f"normalisation is inside. {_gives(found)}",
            "",
            "```python",
            "import json, numpy, onnxruntime",
            f'session = onnxruntime.InferenceSession("{found.name}.onnx")',
            'about = json.loads(session.get_modelmeta().custom_metadata_map["a4nn"])',
            f"images = numpy.zeros((1, {channels}, {height}, {width}), numpy.float32)",
            *(
                ['(restored,) = session.run(["restored"], {"images": images})']
                if restores
                else [
                    '(scores,) = session.run(["scores"], {"images": images})',
                    'print([about["classes"][i] for i in scores.argmax(axis=1)])',
                ]
            ),
            "```",
            "",
            f"or `a4nn {'restore' if restores else 'classify'} {found.name}.onnx IMAGES...`. "
            "The `.pt2` file is the same network for "
            "`torch.export.load`, tied to its version of torch; open such files only from people you trust.",
            "",
            *(_plain(found) if plain else []),
            "## Intended use and limits",
            "",
            f"For images made as those of {markdown(run.dataset or 'its data set')} were: same size, same "
            "channels, same units. "
            + (
                "It makes an image of any image at all, also of one that shows something else, and details "
                "that it adds are those of its training images. "
                if restores
                else "It names one of its classes for any image at all, also for one that shows something "
                "else, and its scores are not calibrated probabilities. "
            )
            + "It was selected among many networks by its validation "
            f"{'ratio' if restores else 'accuracy'}, which is therefore optimistic.",
            "",
        ]
    )


def _plain(found: Found) -> list[str]:
    """How the plain weights are used."""
    shape = ", ".join(map(str, found.architecture.input_shape))
    return [
        f"`{found.name}.safetensors` holds plain weights, by name, and the operations that are computed with "
        "them; `network.py` computes these with torch and safetensors alone:",
        "",
        "```python",
        "import torch",
        "from network import Network",
        f'network = Network("{found.name}.safetensors")',
        *(
            [f"restored = network(torch.zeros(1, {shape}))"]
            if found.architecture.task is Task.restoration
            else [
                f"scores = network(torch.zeros(1, {shape}))",
                "print([network.classes[i] for i in scores.argmax(dim=1)])",
            ]
        ),
        "```",
        "",
    ]


def _assessed(network: Network) -> list[str]:
    """How evenly and how confidently it answers, if that was recorded."""
    known = network.assessment
    if known is None:
        return []
    return [
        f"On the validation images, its balanced accuracy (the mean over the classes) is "
        f"{known.balanced_accuracy_percent:.2f} %. Expected calibration error "
        f"({BINS} bins of equal width): {known.calibration_error_points:.2f} percentage points; "
        f"Brier score: {known.brier_score:.4f}.",
        "",
    ]


def _numbers(found: Found) -> str:
    """What the input is of an image file."""
    done = str(found.preparation or "")
    return f"made of an image file thus: {done}" if done else "the numbers as they stand in the image file"


def _shown(score: Score) -> str:
    return "not recorded" if score.value is None else plus_minus(score.value, score.error)


def _does(found: Found) -> str:
    """What the network does, as a part of a sentence."""
    if found.architecture.task is Task.restoration:
        return "restores images: of a noisy one it makes the expected one"
    return f"tells {len(found.classes)} classes apart: {', '.join(map(markdown, found.classes))}"


def _gives(found: Found) -> str:
    """What the output is."""
    if found.architecture.task is Task.restoration:
        channels, height, width = found.architecture.input_shape
        shape = f"(batch, {channels}, {height}, {width})"
        return f"Output `restored`: float32, {shape}, in the units of the data set."
    return f"Output `scores`: float32, (batch, {len(found.classes)}); the greatest is the class."


def _restored(found: Found) -> list[str]:
    """What ratios are relative to, and what images reach that no network restored."""
    if found.architecture.task is not Task.restoration:
        return []
    peak = number(found.run.details.get("peak"))
    recorded = found.run.details.get("baselines")
    lines = [
        ""
        if peak is None
        else f"Decibels are relative to {peak:.4g}, the greatest expected value of the training images.",
        "",
        "| without a network | validation | test |",
        "|---|---|---|",
    ]
    for one in map(members, recorded if isinstance(recorded, list) else []):
        parts = (members(one.get(part)) for part in ("validation", "test"))
        shown = (
            _shown(Score(number(p.get("psnr_db")), number(p.get("psnr_se_db")), DECIBELS)) for p in parts
        )
        lines.append(f"| {markdown(str(one.get('name')))} | {' | '.join(shown)} |")
    return [*lines, ""]


def _or_unknown(value: int | str | None) -> str:
    return "unknown" if value is None else markdown(value)


def _ancestors(network: Network, networks: Iterable[Network]) -> str:
    """Parents, their parents, and so on, one generation back at a time."""
    lineage = {one.network: one.parents or () for one in networks if one.run == network.run}
    steps: list[str] = []
    seen: set[int] = set()
    now = sorted(set(lineage.get(network.network, ())))
    while now:
        seen |= set(now)
        steps.append(", ".join(map(str, now)))
        now = sorted({p for n in now for p in lineage.get(n, ())} - seen)
    return " ← ".join(steps) or "none, it is of the first generation"
