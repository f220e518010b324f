"""Models for people: exported, compared, described, used; and weights that come back from a deposit."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
import yaml
from command import a4nn
from deposits import metadata
from PIL import Image, ImageOps

from a4nn_core.commons import Commons
from a4nn_core.commons.check import check
from a4nn_core.commons.records import Network
from a4nn_core.commons.rows import records
from a4nn_core.data.images import AS_STORED
from a4nn_core.data.packaged import Digits
from a4nn_core.errors import A4NNError, BadInput
from a4nn_core.interchange.deposit_tables import gather
from a4nn_core.jsonable import JsonText
from a4nn_core.precision import standard_error
from a4nn_core.publish.deposit.build import Settings, build
from a4nn_core.publish.deposit.restore import restore
from a4nn_core.publish.models import export as models
from a4nn_core.publish.models.classify import Classified, Classifier
from a4nn_core.publish.models.found import Found, networks
from a4nn_core.publish.models.model_card import model_card
from a4nn_core.spaces import SPACES
from a4nn_core.workflow.network_records import architecture_of, graph_records

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a commons of one small trained run, and its deposit with every kept checkpoint."""
    folder = tmp_path_factory.mktemp("trained")
    changes = ["search.networks=4", "search.population=2", "search.offspring=2", "training.epochs=2"]
    changes += ["training.slots=1", "space.channels=4", "termination=none"]
    words = [word for change in changes for word in ("--set", change)]
    done = a4nn("run", "digits", *words, "--run-id", "r", "--commons", folder / "commons")
    assert done.returncode == 0, done.stderr
    build(folder / "commons", ["r"], folder / "deposit", metadata(), Settings(weights="all"))
    return folder


def front(trained: Path) -> list[Found]:
    tables = gather(trained / "commons", ["r"])
    found = list(networks(tables, records(Network, tables["front"])))
    assert found
    return found


def images() -> Any:
    return Digits().load().test.images[:50]


def test_every_member_of_the_front_in_three_forms(trained: Path) -> None:
    for found in front(trained):
        stem = trained / "deposit/models" / found.name
        seen = torch.from_numpy(images().astype(np.float32))
        with torch.no_grad():
            expected = models.deployed(trained / "commons" / found.network.best_checkpoint, found)(
                seen
            ).numpy()
        session = onnxruntime.InferenceSession(stem.with_name(f"{stem.name}.onnx"))
        (scores,) = session.run(["scores"], {"images": images().astype(np.float32)})
        np.testing.assert_allclose(scores, expected, rtol=1e-3, atol=1e-4)
        again = torch.export.load(stem.with_name(f"{stem.name}.pt2")).module()
        np.testing.assert_allclose(again(seen).detach().numpy(), expected, rtol=1e-4, atol=1e-5)
        about = json.loads(session.get_modelmeta().custom_metadata_map["a4nn"])
        assert about["classes"] == [str(digit) for digit in range(10)]
        assert about["checkpoint_sha256"] == found.network.best_checkpoint_sha256
        for part in ("validation", "test"):
            accuracy = about[f"{part}_accuracy_percent"]
            assert about[f"{part}_accuracy_se_points"] == standard_error(accuracy, 269)


def test_the_exported_model_has_the_recorded_test_accuracy(trained: Path) -> None:
    """With the stored numbers as they are: the input transform is inside."""
    test = Digits().load().test
    for found in front(trained):
        scores = Classifier(trained / f"deposit/models/{found.name}.onnx").scores(test.images)
        accuracy = 100 * float((scores.argmax(axis=1) == test.labels).mean())
        assert accuracy == pytest.approx(found.network.test_accuracy_percent, abs=0.5)


def test_the_exported_model_is_the_one_that_was_measured(trained: Path) -> None:
    """The run averages: other weights than the newest ones have these validation accuracies."""
    validation = Digits().load().validation
    for found in front(trained):
        scores = Classifier(trained / f"deposit/models/{found.name}.onnx").scores(validation.images)
        accuracy = 100 * float((scores.argmax(axis=1) == validation.labels).mean())
        assert accuracy == pytest.approx(found.network.best_accuracy_percent, abs=0.5)
        card = (trained / f"deposit/models/{found.name}.md").read_text()
        assert "the weights are the moving average over the steps of training" in card


def test_nothing_of_this_machine_is_in_a_model(trained: Path) -> None:
    for path in (trained / "deposit/models").iterdir():
        data = path.read_bytes()
        assert str(Path(models.__file__).parent).encode() not in data, path
        assert b"site-packages" not in data, path
        assert b"pytest" not in data, path


def test_models_have_the_same_bytes_again(trained: Path, tmp_path: Path) -> None:
    found = front(trained)[0]
    models.export(trained / "commons" / found.network.best_checkpoint, found, tmp_path / found.name)
    for ending in ("onnx", "pt2"):
        name = f"{found.name}.{ending}"
        assert (tmp_path / name).read_bytes() == (trained / "deposit/models" / name).read_bytes()


def test_model_cards(trained: Path) -> None:
    for found in front(trained):
        text = (trained / f"deposit/models/{found.name}.md").read_text()
        _, header, body = text.split("---\n", 2)
        assert yaml.safe_load(header)["pipeline_tag"] == "image-classification"
        for part in (
            f"(it was selected by these) | {_shown(found.network.best_accuracy_percent)} |",
            f"(never used for selection) | {_shown(found.network.test_accuracy_percent)} |",
            "± is one standard error, of 269 validation and 269 test images",
            f"{found.network.flops:,} multiply-adds",
            f"{found.network.parameters:,} parameters",
            f"network {found.network.network} of generation {found.network.generation}",
            found.network.genome,
            "digits (1,259 train, 269 validation, 269 test images)",
            "Intended use and limits",
        ):
            assert part in body, part
        for parent in found.network.parents:
            assert str(parent) in body.split("ancestors: ")[1].split("\n")[0]
        code = body.split("```python\n")[1].split("```")[0]
        done = subprocess.run(
            [sys.executable, "-P", "-c", code],
            cwd=trained / "deposit/models",
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.strip()[2:-2] in found.classes


def _shown(accuracy: float) -> str:
    return f"{accuracy:.2f} ± {standard_error(accuracy, 269):.2f}"


def test_a_model_card_of_a_run_that_did_not_count_its_images(trained: Path) -> None:
    found = front(trained)[0]
    uncounted = replace(found, run=replace(found.run, dataset_details=JsonText.of({"name": "digits"})))
    text = model_card(uncounted, gather(trained / "commons", ["r"]))
    assert f"(it was selected by these) | {found.network.best_accuracy_percent:.2f} |" in text
    assert "±" not in text


def test_an_exporter_that_is_wrong_is_noticed(trained: Path, tmp_path: Path, monkeypatch: Any) -> None:
    found = front(trained)[0]
    plain = onnx.checker.check_model

    def spoil(graph: Any) -> None:
        weights = next(i for i in graph.graph.initializer if len(i.dims) == 4)
        weights.raw_data = bytes(len(weights.raw_data))
        plain(graph)

    monkeypatch.setattr(onnx.checker, "check_model", spoil)
    with pytest.raises(A4NNError, match="its ONNX model differs from the network by"):
        models.export(trained / "commons" / found.network.best_checkpoint, found, tmp_path / "m")


def test_weights_come_back_and_predict_the_same(trained: Path, tmp_path: Path) -> None:
    restore(trained / "deposit", tmp_path / "back")
    assert check(tmp_path / "back").problems == []
    tables = gather(tmp_path / "back", ["r"])
    originals = gather(trained / "commons", ["r"])
    assert all(tables[name].equals(originals[name]) for name in tables)
    seen = torch.from_numpy(images().astype(np.float32))
    compared = 0
    for found in networks(tables):
        for name in ("checkpoint", "best_checkpoint"):
            before, after = (
                folder / getattr(found.network, name) for folder in (trained / "commons", tmp_path / "back")
            )
            with torch.no_grad():
                first, second = models.deployed(before, found)(seen), models.deployed(after, found)(seen)
            assert torch.equal(first, second)
            compared += 1
    assert compared >= 6


def test_architectures_come_back_from_their_rows() -> None:
    space = SPACES.make({"name": "macro", "channels": 6, "phases": 3}, "test")
    random = np.random.default_rng(0)
    for _ in range(100):
        genome = space.genome(random.integers(0, space.upper + 1))
        architecture = space.decode(genome, (3, 40, 33), 5)
        assert architecture_of(*graph_records(architecture)) == architecture


def test_classify(trained: Path, tmp_path: Path) -> None:
    found = front(trained)[0]
    model = trained / f"deposit/models/{found.name}.onnx"
    test = Digits().load().test
    (tmp_path / "digits").mkdir()
    for number in range(5):
        Image.fromarray(test.images[number, 0]).save(tmp_path / f"digits/{number}.png")
    done = a4nn("classify", model, tmp_path / "digits", "--json")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    scores = Classifier(model).scores(test.images[:5])
    assert [one["class"] for one in said] == [str(label) for label in scores.argmax(axis=1)]
    assert [Path(one["image"]).name for one in said] == [f"{number}.png" for number in range(5)]
    assert all(sum(one["shares"].values()) == pytest.approx(1) for one in said)
    plain = a4nn("classify", model, tmp_path / "digits/0.png")
    assert plain.stdout.split()[1] == said[0]["class"]


def test_classify_what_cannot_be(trained: Path, tmp_path: Path) -> None:
    model = trained / f"deposit/models/{front(trained)[0].name}.onnx"
    Image.new("L", (9, 8)).save(tmp_path / "large.png")
    Image.new("RGB", (8, 8)).save(tmp_path / "colour.png")
    (tmp_path / "broken.png").write_bytes(b"x")
    Image.new("L", (8, 8)).save(tmp_path / "right.png")
    done = a4nn("classify", model, tmp_path)
    assert done.returncode == 2
    assert done.stdout.startswith(f"{tmp_path / 'right.png'}  ")
    assert done.stderr.splitlines() == [
        f"{tmp_path / 'broken.png'}: not an image that Pillow knows",
        f"{tmp_path / 'colour.png'}: 8 x 8 with 3 channels, while the model takes 8 x 8 with 1 channel",
        f"{tmp_path / 'large.png'}: 9 x 8 with 1 channel, while the model takes 8 x 8 with 1 channel",
        "Error: 3 of 4 images cannot be classified",
    ]
    said = json.loads(a4nn("classify", model, tmp_path, "--json").stdout)
    assert [one.get("error", "")[:8] for one in said] == ["not an i", "8 x 8 wi", "9 x 8 wi", ""]
    for path, sentence in (
        (tmp_path / "none.onnx", "there is no model"),
        (model.with_suffix(".pt2"), "is not an .onnx file; others could hold code"),
        (tmp_path / "bad.onnx", "is not a model of a4nn"),
    ):
        (tmp_path / "bad.onnx").write_bytes(b"x")
        with pytest.raises(BadInput, match=sentence):
            Classifier(path)


def test_images_are_prepared_as_for_training(trained: Path, tmp_path: Path) -> None:
    """A model says what was done with the images of its run; one that does not takes them as they are."""
    found = front(trained)[0]
    stem = trained / f"deposit/models/{found.name}"
    assert Classifier(stem.with_suffix(".onnx")).preparation == AS_STORED
    assert "preparation" not in models.describe(found)
    done = {"size": [8, 8], "resize": "crop", "channels": "grey", "numbers": "uint8"}
    details = JsonText.of({**found.run.details, "preparation": done})
    prepared = replace(found, run=replace(found.run, dataset_details=details))
    graph = onnx.load(stem.with_suffix(".onnx"))
    onnx.helper.set_model_props(graph, {"a4nn": json.dumps(models.describe(prepared))})
    onnx.save(graph, tmp_path / "prepared.onnx")
    photo = np.random.default_rng(0).integers(0, 256, (30, 40, 3), np.uint8)
    exif = Image.Exif()
    exif[0x112] = 6
    Image.fromarray(photo).save(tmp_path / "photo.png", exif=exif)
    classifier = Classifier(tmp_path / "prepared.onnx")
    (said,) = classifier.classify([tmp_path / "photo.png"])
    upright = ImageOps.fit(
        Image.fromarray(np.rot90(photo, -1)).convert("L"), (8, 8), Image.Resampling.BILINEAR
    )
    scores = classifier.scores(np.asarray(upright)[None, None])[0].astype(float)
    assert isinstance(said, Classified)
    assert list(said.shares.values()) == pytest.approx(list(np.exp(scores) / np.exp(scores).sum()))
    card = model_card(prepared, gather(trained / "commons", ["r"]))
    assert (
        "made of an image file thus: turned upright as their EXIF data say; converted to greyscale; "
        "resized to 8 x 8 pixels by Pillow's antialiased bilinear filter, other aspect ratios cropped at "
        "the centre; scaled to the range from 0 to 255; normalisation is inside"
    ) in card
    done["resize"] = "seam carving"
    unknown = JsonText.of({**found.run.details, "preparation": done})
    with pytest.raises(
        BadInput, match="run 'r' prepares images in a way that this version of a4nn does not know"
    ):
        models.describe(replace(found, run=replace(found.run, dataset_details=unknown)))


def test_a_run_that_did_not_record_what_its_networks_saw(trained: Path) -> None:
    found = front(trained)[0]
    recorded = found.transform()
    older = replace(found, run=replace(found.run, dataset_details=JsonText("{}")))
    assert older.transform() == recorded
    changed = replace(older, run=replace(older.run, dataset_fingerprint="0" * 64))
    with pytest.raises(BadInput, match="have changed since"):
        changed.transform()
    gone = {"data": {"name": "npz", "path": "gone.npz"}}
    with pytest.raises(BadInput, match="cannot be loaded"):
        replace(older, run=replace(older.run, experiment=JsonText.of(gone))).transform()


def test_without_the_packages_one_sentence(trained: Path, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(BadInput, match=r"pip install 'a4nn\[onnx\]', or --models none"):
        build(trained / "commons", ["r"], tmp_path / "deposit", metadata(), Settings())
    assert list(tmp_path.iterdir()) == []
    assert Commons(trained / "commons").runs() == ["r"]
