"""Data sets: what comes in, what is refused, and that the same settings give the same images."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from a4nn_core.data import DATA_SOURCES, ImageData, InputTransform, packaged
from a4nn_core.errors import BadInput

RNG = np.random.default_rng(0)


def load(**settings: Any) -> ImageData:
    return DATA_SOURCES.make(settings, "[data]").load()


def write_images(
    root: Path, count: int = 10, classes: tuple[str, ...] = ("cat", "dog"), mode: str = "L"
) -> None:
    for label, name in enumerate(classes):
        (root / name).mkdir(parents=True)
        for i in range(count):
            shape = (6, 5, 3) if mode == "RGB" else (6, 5)
            kind = {"L": np.uint8, "RGB": np.uint8, "I;16": np.uint16, "F": np.float32}[mode]
            pixels = (RNG.integers(0, 200, shape) + 10 * label).astype(kind)
            Image.fromarray(pixels).save(root / name / f"{i}.tif")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "shape", "count"), [("digits", (1, 8, 8), 1797), ("mnist5k", (1, 28, 28), 5000)]
)
def test_packaged(name: str, shape: tuple[int, int, int], count: int) -> None:
    data = load(name=name)
    assert data.shape == shape
    assert data.classes == tuple("0123456789")
    assert data.train.images.dtype == np.uint8
    assert sum(len(part) for part in (data.train, data.validation, data.test)) == count
    for part in (data.train, data.validation, data.test):
        assert set(part.labels) == set(range(10))


@pytest.mark.slow
def test_the_digits_are_scikit_learns(monkeypatch: pytest.MonkeyPatch) -> None:
    from sklearn.datasets import load_digits

    bunch = load_digits()
    for _ in range(2):
        table = packaged._digits()
        np.testing.assert_array_equal(table[:, :-1], bunch.data)
        np.testing.assert_array_equal(table[:, -1], bunch.target)
        monkeypatch.setattr(packaged, "find_spec", lambda _: None)  # a version that keeps them elsewhere


def test_parts_share_no_image() -> None:
    data = load(name="digits")
    parts = [{image.tobytes() for image in part.images} for part in (data.train, data.validation, data.test)]
    assert not parts[0] & parts[2]
    assert not parts[1] & parts[2]


@pytest.mark.slow
def test_fingerprints() -> None:
    first = load(name="digits").fingerprint
    assert load(name="digits", seed=1).fingerprint != first
    code = "from a4nn_core.data.packaged import Digits; print(Digits().load().fingerprint)"
    other = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    assert other.stdout.strip() == first


@pytest.mark.parametrize("mode", ["L", "RGB", "I;16", "F"])
def test_folder(tmp_path: Path, mode: str) -> None:
    write_images(tmp_path, mode=mode)
    data = load(name="folder", path=str(tmp_path))
    assert data.shape == (3 if mode == "RGB" else 1, 6, 5)
    assert data.classes == ("cat", "dog")
    assert data.train.images.dtype == {"I;16": np.uint16, "F": np.float32}.get(mode, np.uint8)
    assert (len(data.train), len(data.validation), len(data.test)) == (12, 4, 4)


def test_folder_with_given_parts(tmp_path: Path) -> None:
    for part, count in (("train", 6), ("validation", 3), ("test", 2)):
        write_images(tmp_path / part, count)
    data = load(name="folder", path=str(tmp_path))
    assert (len(data.train), len(data.validation), len(data.test)) == (12, 6, 4)
    assert data.classes == ("cat", "dog")


def test_folder_names_all_its_troubles_together(tmp_path: Path) -> None:
    write_images(tmp_path)
    (tmp_path / "cat/broken.png").write_bytes(b"no image")
    (tmp_path / "emu").mkdir()
    Image.fromarray(np.zeros((9, 9), np.uint8)).save(tmp_path / "dog/odd.png")
    with pytest.raises(BadInput) as caught:
        load(name="folder", path=str(tmp_path))
    said = str(caught.value)
    assert "emu contains no images" in said
    assert "1 of 22 images cannot be used: cat/broken.png (not an image that Pillow knows)" in said
    assert "20 of 5 x 6 (such as cat/0.tif), 1 of 9 x 9 (such as dog/odd.png)" in said


def test_given_parts_must_be_complete_and_have_the_same_classes(tmp_path: Path) -> None:
    for part in ("train", "test"):
        write_images(tmp_path / part, 2)
    with pytest.raises(BadInput, match="has a folder train, but none named validation"):
        load(name="folder", path=str(tmp_path))
    write_images(tmp_path / "validation", 2, classes=("cat", "fox"))
    with pytest.raises(BadInput, match=r"validation has the classes cat, fox, but .*train has cat, dog"):
        load(name="folder", path=str(tmp_path))


def test_images_with_values_that_are_not_finite(tmp_path: Path) -> None:
    write_images(tmp_path, mode="F")
    Image.fromarray(np.full((6, 5), np.nan, np.float32)).save(tmp_path / "cat/nan.tif")
    with pytest.raises(BadInput, match=r"1 of 21 .*: cat/nan\.tif \(holds values that are not finite"):
        load(name="folder", path=str(tmp_path))


def test_bad_folders(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="does not exist"):
        load(name="folder", path=str(tmp_path / "none"))
    with pytest.raises(BadInput, match="is empty"):
        load(name="folder", path=str(tmp_path))
    write_images(tmp_path / "one", classes=("cat",))
    with pytest.raises(BadInput, match=r"only one class \(cat\)"):
        load(name="folder", path=str(tmp_path / "one"))
    (tmp_path / "one/dog").mkdir()
    with pytest.raises(BadInput, match="dog contains no images"):
        load(name="folder", path=str(tmp_path / "one"))
    write_images(tmp_path / "few", count=2)
    with pytest.raises(BadInput, match="class 'cat' has 2 images, too few"):
        load(name="folder", path=str(tmp_path / "few"))


def test_npz(tmp_path: Path) -> None:
    file = tmp_path / "a.npz"
    np.savez(file, x=RNG.integers(0, 9, (30, 4, 5), np.uint16), y=np.array(["b", "a", "c"] * 10))
    data = load(name="npz", path=str(file))
    assert data.shape == (1, 4, 5)
    assert data.classes == ("a", "b", "c")


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"x": np.zeros((4, 2, 2))}, "has no array 'y'; it holds x"),
        ({"x": np.zeros((4, 2, 2)), "y": np.zeros(3)}, r"x holds 4 images, but y has shape \(3,\)"),
        ({"x": np.zeros(4), "y": np.zeros(4)}, r"x has shape \(4,\)"),
        ({"x": np.zeros((40, 2, 2)), "y": np.zeros(40)}, "fewer than two classes"),
        ({"x": np.full((4, 2, 2), np.nan), "y": np.arange(4)}, "16 values that are not finite"),
        ({"x": np.zeros((4, 0, 2)), "y": np.arange(4)}, r"x has shape \(4, 1, 0, 2\)"),
        ({"x": np.zeros((4, 2, 2)), "y": np.arange(4) / 2}, "y is of type float64"),
        ({"x": np.array([[[None]]] * 4), "y": np.arange(4)}, "is not a readable .npz"),
    ],
)
def test_bad_npz(tmp_path: Path, arrays: dict[str, Any], words: str) -> None:
    file = tmp_path / "a.npz"
    np.savez(file, **arrays, allow_pickle=True)
    with pytest.raises(BadInput, match=words):
        load(name="npz", path=str(file))


def test_names_of_classes_as_bytes(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.zeros((20, 2, 2)), y=np.array([b"on", b"off"] * 10))
    assert load(name="npz", path=str(tmp_path / "a.npz")).classes == ("off", "on")


def test_damaged_npz(tmp_path: Path) -> None:
    file = tmp_path / "a.npz"
    np.savez_compressed(file, x=RNG.random((20, 30, 3)), y=np.arange(20) % 2)
    whole = bytearray(file.read_bytes())
    for place in range(100, len(whole) // 2, 499):
        damaged = whole.copy()
        damaged[place] ^= 0xFF
        file.write_bytes(damaged)
        with pytest.raises(BadInput, match=r"a\.npz"):
            load(name="npz", path=str(file))
    np.save(tmp_path / "b.npy", np.zeros(3))
    with pytest.raises(BadInput, match="is a single array"):
        load(name="npz", path=str(tmp_path / "b.npy"))


def test_no_npz(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="does not exist"):
        load(name="npz", path=str(tmp_path / "none.npz"))
    for content, kind in (
        ("hällo".encode(), "a text file"),
        (b"", "an empty file"),
        (b"\x89HDF\r\n\x1a\n", "an HDF5 file"),
        (b"\x80\x04\x95", "a Python pickle"),
        (b"\xff\x00\x01\x02\x03", "a file of an unknown kind"),
    ):
        (tmp_path / "wrong.npz").write_bytes(content)
        with pytest.raises(BadInput, match=rf"wrong\.npz is not a readable \.npz: it is {kind}$"):
            load(name="npz", path=str(tmp_path / "wrong.npz"))
    with pytest.raises(BadInput, match=r"it is a folder$"):
        load(name="npz", path=str(tmp_path))


@pytest.mark.parametrize("log1p", [False, True])
def test_standardised_training_images_have_mean_0_and_deviation_1(log1p: bool) -> None:
    images = RNG.poisson(3, (500, 2, 4, 4)).astype(np.uint8)
    fitted = InputTransform.fit("log1p-standardise" if log1p else "standardise", images)
    for channel in range(2):
        seen = images[:, channel].astype(float)
        seen = ((np.log1p(seen) if log1p else seen) - fitted.mean[channel]) / fitted.std[channel]
        assert seen.mean() == pytest.approx(0, abs=1e-9)
        assert seen.std() == pytest.approx(1)
