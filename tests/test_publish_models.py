"""Models for people: exported, compared, described, used; and weights that come back from a deposit."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections import Counter
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

from a4nn_core.assessment import assess
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
from a4nn_core.publish.models import network as plain
from a4nn_core.publish.models.classify import Classified, Classifier
from a4nn_core.publish.models.found import Found, find, networks
from a4nn_core.publish.models.model_card import model_card
from a4nn_core.publish.models.plain import write_plain
from a4nn_core.recorded_graphs import architecture_of, graph_records
from a4nn_core.spaces import SPACES

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
    text = model_card(uncounted, Commons(trained / "commons").networks("r"))
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


def recorded(trained: Path) -> list[Network]:
    return Commons(trained / "commons").networks("r")


def test_what_is_recorded_beside_the_accuracy_is_of_the_best_checkpoint(trained: Path) -> None:
    validation = Digits().load().validation
    seen = torch.from_numpy(validation.images.astype(np.float32))
    for found in networks(gather(trained / "commons", ["r"])):
        network = found.network
        with torch.no_grad():
            scores = models.deployed(trained / "commons" / network.best_checkpoint, found)(seen)
        named = scores.argmax(dim=1).numpy()
        expected = assess(scores.double().softmax(dim=1).numpy(), named, validation.labels)
        known = network.assessment
        assert known is not None
        assert known.confusion == expected.confusion
        assert known.accuracy_percent == network.best_accuracy_percent
        assert network.balanced_accuracy_percent == expected.balanced_accuracy_percent
        assert known.calibration_error_points == pytest.approx(expected.calibration_error_points, abs=0.01)
        assert known.brier_score == pytest.approx(expected.brier_score, abs=1e-5)


@pytest.fixture(scope="module")
def exported(trained: Path) -> Found:
    """The best network, exported to the folder ``best`` as ``a4nn front`` shows how."""
    shown = a4nn("front", "r", "--commons", trained / "commons")
    [line] = [line for line in shown.stdout.splitlines() if line.startswith("to use it: ")]
    words = line.split("a4nn ")[1].replace("DIR", str(trained / "best")).split()
    done = a4nn(*words)
    assert done.returncode == 0, done.stderr
    found = find(Commons(trained / "commons"), "r", int(words[2]))
    files = sorted(path.name for path in (trained / "best").iterdir())
    assert files == [
        "network.py",
        *(f"{found.name}.{ending}" for ending in ("md", "onnx", "pt2", "safetensors")),
    ]
    assert [Path(line.split()[0]).name for line in done.stdout.splitlines()] == files
    return found


def test_an_export_is_what_a_deposit_holds(trained: Path, exported: Found) -> None:
    for ending in ("onnx", "pt2"):
        file = f"{exported.name}.{ending}"
        assert (trained / "best" / file).read_bytes() == (trained / "deposit/models" / file).read_bytes()


def test_plain_weights_need_torch_and_safetensors_alone(trained: Path, exported: Found) -> None:
    """The code of the card, in a process that cannot import this package."""
    card = (trained / "best" / f"{exported.name}.md").read_text()
    code = card.split("```python\n")[2].split("```")[0]
    assert "from network import Network" in code
    check = (
        "import sys; sys.modules.update(dict.fromkeys(['a4nn_core', 'a4nn_flows', 'onnx', 'onnxruntime']))\n"
        f"{code}\nimport json\nprint(json.dumps(network(torch.ones(3, 1, 8, 8)).tolist()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", check], cwd=trained / "best", capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    named, scores = done.stdout.splitlines()
    assert named[2:-2] in exported.classes
    with torch.no_grad():
        model = models.deployed(trained / "commons" / exported.network.best_checkpoint, exported)
        expected = model(torch.ones(3, 1, 8, 8))
    np.testing.assert_allclose(json.loads(scores), expected.numpy(), rtol=1e-4, atol=1e-5)


class Halves(torch.nn.Module):
    """An operation with two results, and one that takes an option by name."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        first, second = images.chunk(2, dim=3)
        return torch.nn.functional.gelu(first, approximate="tanh") + second.sum(dim=3, keepdim=True)


class Other(torch.nn.Module):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.to(torch.float64)


def test_plain_weights_of_other_operations(tmp_path: Path) -> None:
    images = torch.linspace(-1, 1, 32).view(2, 1, 4, 4)
    program = torch.export.export(Halves(), (images,))
    write_plain(program, {"classes": ["a", "b"]}, tmp_path / "h.safetensors")
    assert torch.equal(plain.Network(str(tmp_path / "h.safetensors"))(images), Halves()(images))
    assert (tmp_path / "network.py").read_bytes() == Path(plain.__file__).read_bytes()
    with pytest.raises(BadInput, match=r"plain weights cannot describe torch\.float64"):
        write_plain(torch.export.export(Other(), (images,)), {}, tmp_path / "o.safetensors")
    assert not (tmp_path / "o.safetensors").exists()


def test_export_of_what_is_not_there(trained: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    commons = shutil.copytree(trained / "commons", tmp_path / "commons")
    number = front(trained)[0].network.network
    weights = commons / front(trained)[0].network.best_checkpoint

    def says(sentence: str, run: str = "r", network: int = number) -> None:
        with pytest.raises(BadInput, match=sentence):
            models.export_network(commons, run, network, out)
        assert sorted(path.name for path in tmp_path.iterdir()) == [
            "commons",
            *(["out"] if out.exists() else []),
        ]

    says("has no run 'nobody'; runs there: r", run="nobody")
    says("run 'r' has recorded no network 77; those recorded are 0 to 3", network=77)
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    says("is damaged: its SHA-256 differs")
    weights.unlink()
    says(f"network {number} of run 'r' has no weights any more: .* was not kept")
    out.mkdir()
    (out / "mine").write_text("kept")
    says("cannot write .*out: it exists already", network=(number + 1) % 4)
    assert [path.name for path in out.iterdir()] == ["mine"]


def test_an_export_that_fails_leaves_nothing(trained: Path, tmp_path: Path, monkeypatch: Any) -> None:
    def fail(checkpoint: Path, found: Found, stem: Path) -> None:
        assert found.name == "r-0000"
        assert checkpoint.is_file()
        stem.with_suffix(".onnx").write_bytes(b"half")
        raise A4NNError("as if its scores differed")

    monkeypatch.setattr(models, "export", fail)
    with pytest.raises(A4NNError, match="as if"):
        models.export_network(trained / "commons", "r", 0, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_describe_what_front_shows(trained: Path) -> None:
    shown = json.loads(a4nn("front", "r", "--json", "--commons", trained / "commons").stdout)
    member = shown["front"][0]
    words = ["describe", "r", str(member["network"]), "--commons", trained / "commons"]
    told = json.loads(a4nn(*words, "--json").stdout)
    for name, other in (
        ("accuracy_percent", "best_accuracy_percent"),
        ("accuracy_se_points", "best_accuracy_se_points"),
        ("test_accuracy_percent", "test_accuracy_percent"),
        ("genome", "genome"),
    ):
        assert told[other] == member[name]
    network = recorded(trained)[member["network"]]
    assert told["confusion"] == [list(row) for row in network.assessment.confusion]
    plain_text = a4nn(*words, "--picture", trained / "drawn.svg").stdout
    assert (trained / "drawn.svg").read_text().startswith("<?xml")
    assert f"balanced {network.balanced_accuracy_percent:.2f} %" in plain_text
    assert f"expected error {network.calibration_error_points:.2f} points (15 bins)" in plain_text
    rows = plain_text.splitlines()[-10:]
    for number, (row, line) in enumerate(zip(network.assessment.confusion, rows, strict=True)):
        assert [int(cell) for cell in line.split()[:12]] == [number + 1, number, *row]
    assert max(len(line) for line in rows) <= 80
    assert a4nn("describe", "r", "--commons", trained / "commons").returncode == 2


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


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    """The test images, in a folder for each class."""
    test = Digits().load().test
    for number, (image, label) in enumerate(zip(test.images, test.labels, strict=True)):
        file = tmp_path / f"test/{label}/{number:03d}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image[0]).save(file)
    return tmp_path / "test"


def test_classify_scores_class_folders(trained: Path, labelled: Path) -> None:
    """On the test images, as a run records it of its networks."""
    found = front(trained)[0]
    model, network = trained / f"deposit/models/{found.name}.onnx", found.network
    done = a4nn("classify", model, labelled, "--json")
    said = json.loads(done.stdout)
    assert said["score"]["accuracy_percent"] == pytest.approx(network.test_accuracy_percent, abs=0.5)
    error = standard_error(said["score"]["accuracy_percent"], 269)
    assert (said["score"]["images"], said["score"]["accuracy_se_points"]) == (269, error)
    right = Counter(Path(one["image"]).parent.name == one["class"] for one in said["images"])
    assert said["score"]["accuracy_percent"] == pytest.approx(100 * right[True] / 269)
    assert np.trace(said["score"]["confusion"]) == right[True]
    (labelled / "3/broken.png").write_bytes(b"x")
    spoiled = a4nn("classify", model, labelled)  # the others are scored all the same
    assert spoiled.returncode == 2
    assert "1 of 270 images cannot be classified" in spoiled.stderr
    text = spoiled.stdout
    assert "± one standard error, of 269 images" in text
    assert f"accuracy     {said['score']['accuracy_percent']:.2f} ± {error:.2f} %, balanced" in text
    assert f"Brier score {said['score']['brier_score']:.4f}" in text


def test_classify_scores_only_what_it_knows(trained: Path, labelled: Path) -> None:
    model = trained / f"deposit/models/{front(trained)[0].name}.onnx"
    one = next(labelled.glob("3/*.png"))
    (labelled / "loose.png").write_bytes(one.read_bytes())
    done = a4nn("classify", model, labelled)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"cannot be scored: {labelled / 'loose.png'} lies in none of its class folders" in done.stderr
    (labelled / "loose.png").unlink()
    (labelled / "3").rename(labelled / "three")
    done = a4nn("classify", model, labelled)
    assert "the model does not know the class 'three'; it knows 0, 1, 2" in done.stderr
    (labelled / "three").rename(labelled.parent / "three")
    plain_list = a4nn("classify", model, labelled.parent / "three", "--json")
    assert {"image", "class", "shares"} == set(json.loads(plain_list.stdout)[0])
    assert plain_list.stderr == ""
    (labelled.parent / "other").mkdir()
    (labelled.parent / "three").rename(labelled.parent / "other/three")
    other = a4nn("classify", model, labelled.parent / "other", "--json")
    assert isinstance(json.loads(other.stdout), list)
    assert "not scored: no folder in" in other.stderr


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
        (tmp_path / "text.onnx", "text.onnx is not a model that a4nn publish wrote: it is a text file$"),
        (tmp_path / "bad.onnx", "bad.onnx is not a model that a4nn publish wrote: it is not ONNX, or only"),
        (tmp_path / "foreign.onnx", "it is by pytorch, and its metadata have no entry 'a4nn'"),
    ):
        (tmp_path / "text.onnx").write_bytes(b"import onnx\n")
        (tmp_path / "bad.onnx").write_bytes(b"\0\xff\0\xff\0\xff")
        foreign = onnx.load(model)
        del foreign.metadata_props[:]
        onnx.save(foreign, tmp_path / "foreign.onnx")
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
    card = model_card(prepared, recorded(trained))
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
    with pytest.raises(BadInput, match=r"pip install 'a4nn\[onnx\]'; .* --models none"):
        build(trained / "commons", ["r"], tmp_path / "deposit", metadata(), Settings())
    assert list(tmp_path.iterdir()) == []
    assert Commons(trained / "commons").runs() == ["r"]
