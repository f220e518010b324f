"""Folders of images as people have them: mixed sizes and kinds, odd files, damaged ones."""

from __future__ import annotations

import errno
import json
import os
import tomllib
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from a4nn_core.data import DATA_SOURCES, ImageData, images
from a4nn_core.data.images import (
    AS_STORED,
    Preparation,
    Prepared,
    Unusable,
    image_files,
    read_image,
    read_images,
)
from a4nn_core.errors import BadInput
from a4nn_core.experiment import Experiment, load_experiment
from a4nn_core.progress import listening
from a4nn_core.workflow.concerns import concerns
from a4nn_core.workflow.devices import Machine
from a4nn_core.workflow.plan import resolve

RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A4NN_CACHE", str(tmp_path_factory.mktemp("cache")))


def load(path: Path, **settings: Any) -> ImageData:
    return DATA_SOURCES.make({"name": "folder", "path": str(path), **settings}, "[data]").load()


def count(data: ImageData) -> int:
    return len(data.train) + len(data.validation) + len(data.test)


def noise(height: int, width: int, *channels: int, kind: str = "uint8") -> Any:
    return RNG.integers(0, np.iinfo(kind).max + 1, (height, width, *channels), dtype=kind)


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    """Five grey images of 5 x 6 pixels for each of two classes."""
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        for number in range(5):
            Image.fromarray(noise(6, 5)).save(tmp_path / name / f"{number}.png")
    return tmp_path


def pixels(file: Path, **preparation: Any) -> Any:
    image = read_image(file, Preparation(**preparation))
    assert isinstance(image, Prepared)
    return image.pixels


def test_mixed_sizes_and_kinds_are_counted_and_the_settings_named(pets: Path) -> None:
    Image.fromarray(noise(9, 7, 3)).save(pets / "dog/photo.jpg")
    Image.fromarray(noise(6, 5, kind="uint16")).save(pets / "cat/deep.tif")
    with pytest.raises(BadInput) as caught:
        load(pets)
    assert str(caught.value).split("; ") == [
        f"data folder {pets}: images must all have the same size, but there are 11 of 5 x 6 "
        "(such as cat/0.png), 1 of 7 x 9 (such as dog/photo.jpg)",
        "data.size resizes them, such as data.size = 64",
        "images must all be of the same kind, but there are 10 of grey uint8 (such as cat/0.png), "
        "1 of grey uint16 (such as cat/deep.tif), 1 of colour uint8 (such as dog/photo.jpg)",
        'data.channels = "grey" or "rgb" converts them',
    ]
    data = load(pets, size=[8, 4], channels="rgb")
    assert (data.shape, data.train.images.dtype, count(data)) == ((3, 4, 8), np.uint16, 12)
    assert data.preparation == Preparation(size=(8, 4), channels="rgb", numbers="uint16")


def test_float_images_are_not_scaled_to_others(pets: Path) -> None:
    Image.fromarray(np.ones((6, 5), np.float32)).save(pets / "cat/float.tif")
    with pytest.raises(BadInput, match="float32 cannot be converted, as it has no full range"):
        load(pets, channels="grey")


@pytest.mark.parametrize(
    "settings", [{"size": True}, {"size": 0}, {"size": [8]}, {"size": "8"}, {"size": [8, 5000]}]
)
def test_what_is_no_size(pets: Path, settings: dict[str, Any]) -> None:
    with pytest.raises(BadInput, match=r"a number of pixels from 1 to 4096, or \[width, height\], is needed"):
        load(pets, **settings)


def palette(path: Path, **how: Any) -> None:
    image = Image.new("P", (2, 2), 1)
    image.putpalette([0, 0, 0, 10, 200, 30])
    image.save(path, **how)


def see_through(path: Path) -> None:
    palette(path, transparency=b"\xff\x00")


def plain(mode: str, colour: Any) -> Callable[[Path], None]:
    return lambda path: Image.new(mode, (2, 2), colour).save(path)


@pytest.mark.parametrize(
    ("name", "write", "stored", "grey", "rgb"),
    [
        # luma is (299 red + 587 green + 114 blue) / 1000
        ("palette.png", palette, [10, 200, 30], 124, [10, 200, 30]),
        ("see-through.png", see_through, [10, 200, 30], 124, [10, 200, 30]),
        ("alpha.png", plain("RGBA", (10, 200, 30, 0)), [10, 200, 30], 124, [10, 200, 30]),
        ("grey-alpha.png", plain("LA", (77, 0)), [77], 77, [77, 77, 77]),
        ("ink.tif", plain("CMYK", (245, 55, 225, 0)), [10, 200, 30], 124, [10, 200, 30]),
        ("bilevel.png", plain("1", 1), [255], 255, [255, 255, 255]),
        ("deep.png", plain("I;16", 40000), [40000], 40000, [40000, 40000, 40000]),
        ("deep.tif", plain("I;16", 300), [300], 300, [300, 300, 300]),
        ("other-order.tif", plain("I;16B", 300), [300], 300, [300, 300, 300]),
        ("float.tif", plain("F", 1.5), [1.5], 1.5, [1.5, 1.5, 1.5]),
        ("CAPITALS.JPG", plain("L", 128), [128], 128, [128, 128, 128]),
    ],
)
def test_every_kind_of_image(
    tmp_path: Path,
    name: str,
    write: Callable[[Path], None],
    stored: list[float],
    grey: float,
    rgb: list[float],
) -> None:
    write(tmp_path / name)
    (file,) = image_files(tmp_path)
    for channels, expected in ((None, stored), ("grey", [grey]), ("rgb", rgb)):
        for size in (None, (3, 4)):
            found = pixels(file, channels=channels, size=size)
            assert found.shape == (len(expected), *((2, 2) if size is None else (4, 3)))
            assert found[:, 0, 0].tolist() == found[:, -1, -1].tolist() == expected
            assert found.dtype.byteorder in "=|"


def test_8_and_16_bits_are_scaled_from_full_range_to_full_range(pets: Path) -> None:
    Image.new("L", (5, 6), 255).save(pets / "cat/white.png")
    Image.new("I;16", (5, 6), 65535).save(pets / "dog/white.png")
    Image.new("I;16", (5, 6), 12345).save(pets / "dog/deep.png")
    found = np.concatenate(
        [getattr(load(pets, channels="grey"), p).images for p in ("train", "validation", "test")]
    )
    assert found.dtype == np.uint16
    firsts = sorted(found[:, 0, 0, 0].tolist())
    eights = [pixels(file)[0, 0, 0] for file in image_files(pets) if file.stem not in ("white", "deep")]
    assert firsts == sorted([65535, 65535, 12345, *(257 * int(value) for value in eights)])
    # a network for 8 bits is given such images alike, and one that takes images as they are does not get them
    for value, seen in ((65535, 255), (128, 0), (129, 1), (12345, 48)):
        Image.new("I;16", (1, 1), value).save(pets / "one.png")
        assert pixels(pets / "one.png", channels="grey", numbers="uint8").tolist() == [[[seen]]]
    refused = read_image(pets / "one.png", Preparation(numbers="uint8"))
    assert refused == Unusable(pets / "one.png", "holds uint16, not uint8")


@pytest.mark.parametrize(("kind", "tolerance"), [("uint8", 1), ("uint16", 1), ("float32", 1e-2)])
def test_resizing_is_antialiased_bilinear(tmp_path: Path, kind: str, tolerance: float) -> None:
    """As torch computes it in floating point; of 16 bits nothing is clipped."""
    image = noise(37, 50, kind="uint16") if kind != "uint8" else noise(37, 50)
    Image.fromarray(image.astype(kind)).save(tmp_path / "a.tif")
    found = pixels(tmp_path / "a.tif", size=(11, 60))
    given = torch.from_numpy(image.astype(np.float64))[None, None]
    expected = torch.nn.functional.interpolate(given, (60, 11), mode="bilinear", antialias=True)
    assert found.dtype == kind
    np.testing.assert_allclose(found[0].astype(float), expected[0, 0], rtol=0, atol=tolerance)
    if kind == "uint16":
        assert found.max() > 40000


@pytest.mark.parametrize(
    ("resize", "expected"),
    [
        # the filter reaches over 6 columns: (1/3 30 + 2/3 30 + 230 + 2/3 230 + 1/3 230) / 3 = 163
        ("stretch", [[30, 163, 163, 30]] * 4),
        ("crop", [[230] * 4] * 4),
        ("pad", [[0] * 4, [30, 163, 163, 30], [0] * 4, [0] * 4]),
    ],
)
def test_other_aspect_ratios(tmp_path: Path, resize: str, expected: list[list[int]]) -> None:
    columns = np.array([30] * 4 + [230] * 4 + [30] * 4, np.uint8)
    Image.fromarray(np.tile(columns, (4, 1))).save(tmp_path / "a.png")
    assert pixels(tmp_path / "a.png", size=(4, 4), resize=resize)[0].tolist() == expected


def test_padding_keeps_the_thinnest_image(tmp_path: Path) -> None:
    Image.new("L", (1000, 2), 200).save(tmp_path / "line.png")
    assert pixels(tmp_path / "line.png", size=(4, 4), resize="pad")[0].tolist() == [
        [0] * 4,
        [200] * 4,
        [0] * 4,
        [0] * 4,
    ]


@pytest.mark.parametrize("ending", ["jpg", "png", "webp", "tif"])
def test_photographs_are_turned_upright(tmp_path: Path, ending: str) -> None:
    """Stored lying, with the sky to the right: the camera was turned, and EXIF orientation 8 says so."""
    stored = np.repeat(np.repeat(np.array([[0, 255]], np.uint8), 16, axis=0), 8, axis=1)
    stored = np.concatenate([stored, stored[:, -16:]], axis=1)
    exif = Image.Exif()
    exif[0x112] = 8  # turn by 90 degrees against the clock
    Image.fromarray(np.repeat(stored[..., None], 3, axis=2)).save(tmp_path / f"a.{ending}", exif=exif)
    found = pixels(tmp_path / f"a.{ending}", channels="grey")[0]
    assert found.shape == (32, 16)
    assert found[0].min() > 240
    assert found[-1].max() < 15
    if ending != "tif":  # Pillow turns these itself
        assert pixels(tmp_path / f"a.{ending}", **AS_STORED.model_dump()).shape == (3, 16, 32)


def test_exif_data_that_make_no_sense_do_not_spoil_an_image(tmp_path: Path) -> None:
    for number, junk in enumerate((b"Exif\0\0junk", b"Exif\0\0MM\0*\0\0\0\x08\0\x09\x01\x12", b"Exif\0\0")):
        file = tmp_path / f"{number}.jpg"
        Image.new("L", (4, 3), 90).save(file, exif=junk)
        (found,) = read_images([file], Preparation())
        assert isinstance(found, Prepared)
        assert found.pixels.shape == (1, 3, 4)


@pytest.mark.parametrize("ending", ["gif", "tif", "png", "webp"])
def test_the_first_of_several_frames_is_used_and_that_is_said(pets: Path, ending: str) -> None:
    first, *others = [Image.new("L", (5, 6), grey) for grey in (50, 100, 150)]
    first.save(pets / f"cat/film.{ending}", save_all=True, append_images=others)
    data = load(pets, channels="grey")
    (remark,) = data.remarks
    assert (
        remark == f"of images with several frames or pages (1, such as cat/film.{ending}) the first is used"
    )
    assert pixels(pets / f"cat/film.{ending}", channels="grey").max() == 50


def spoil(pets: Path) -> list[str]:
    """Add files that cannot be used; their names in order."""
    whole = (pets / "cat/0.png").read_bytes()
    (pets / "cat/cut.png").write_bytes(whole[: len(whole) // 2])
    (pets / "cat/empty.jpg").write_bytes(b"")
    (pets / "cat/text.png").write_bytes(b"no image")
    (pets / "dog/gone.png").symlink_to(pets / "nowhere")
    Image.fromarray(np.full((6, 5), np.nan, np.float32)).save(pets / "dog/nan.tif")
    Image.new("1", (400, 401)).save(pets / "dog/vast.png")
    return ["cat/cut.png", "cat/empty.jpg", "cat/text.png", "dog/gone.png", "dog/nan.tif", "dog/vast.png"]


def test_unusable_images_are_named_with_their_reasons(pets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 80_000)
    spoil(pets)
    with pytest.raises(BadInput) as caught:
        load(pets)
    assert str(caught.value) == (
        f"data folder {pets}: 6 of 16 images cannot be used: cat/cut.png (image file is truncated), "
        "cat/empty.jpg (not an image that Pillow knows), cat/text.png (not an image that Pillow knows), "
        "dog/gone.png (No such file or directory), dog/nan.tif (holds values that are not finite) "
        'and 1 more; data.on_error = "skip" leaves out such images'
    )
    bomb = read_image(pets / "dog/vast.png", Preparation())
    assert isinstance(bomb, Unusable)
    assert bomb.why.startswith("Image size (160400 pixels) exceeds limit of 160000 pixels")


def test_unusable_images_are_skipped_on_request(pets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clean = load(pets)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 80_000)
    names = spoil(pets)
    data = load(pets, on_error="skip")
    assert data.skipped == tuple(names)
    assert data.fingerprint == clean.fingerprint
    (remark,) = data.remarks
    assert remark.startswith("6 of 16 images cannot be used: cat/cut.png (image file is truncated), ")
    assert remark.endswith(" and 1 more; skipped")


def test_what_was_done_and_what_was_skipped_is_recorded_and_said(
    pets: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    (pets / "cat/text.png").write_bytes(b"no image")
    changes = [f'data={{name="folder", path="{pets}", size=[4, 3], channels="grey", on_error="skip"}}']
    experiment = load_experiment("digits", changes)
    plan = resolve(experiment, tmp_path_factory.mktemp("commons"), "r", Machine("cpu", slots=1, threads=1))
    dataset = json.loads(json.dumps(plan.header["dataset"]))
    assert dataset["shape"] == [1, 3, 4]
    assert dataset["skipped"] == ["cat/text.png"]
    assert dataset["preparation"] == {
        "size": [4, 3],
        "resize": "stretch",
        "filter": "antialiased bilinear",
        "channels": "grey",
        "numbers": "uint8",
        "upright": True,
    }
    assert Preparation.read(dataset["preparation"], "run r") == plan.data.preparation
    assert concerns(plan.experiment, plan.data, plan.machine, is_local=True)[0] == (
        "1 of 11 images cannot be used: cat/text.png (not an image that Pillow knows); skipped"
    )
    assert Experiment.from_mapping(tomllib.loads(experiment.to_toml())) == experiment


def test_a_class_that_is_skipped_as_a_whole(pets: Path) -> None:
    for file in (pets / "dog").iterdir():
        file.write_bytes(b"no image")
    with pytest.raises(BadInput, match=r": no image of class dog can be used$"):
        load(pets, on_error="skip")
    for part in ("train", "validation", "test"):
        (pets / part).mkdir()
        for name in ("cat", "dog"):
            (pets / part / name).mkdir()
            Image.new("L", (2, 2)).save(pets / part / name / "a.png")
    assert count(load(pets)) == 6
    (pets / "test/dog/a.png").write_bytes(b"no image")
    with pytest.raises(BadInput, match="test: class 'dog' has no images"):
        load(pets, on_error="skip")
    for file in pets.rglob("*.png"):
        file.write_bytes(b"no image")
    with pytest.raises(BadInput, match="6 of 6 images cannot be used"):
        load(pets, on_error="skip")


def test_large_images_and_odd_ones_print_no_warnings(pets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 20)  # Pillow warns of 30 pixels, and refuses 41
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert count(load(pets)) == 10


def test_files_and_folders_of_systems_are_no_images(pets: Path) -> None:
    clean = load(pets).fingerprint
    for name in (".DS_Store", "Thumbs.db", "Desktop.ini", "._0.png"):
        (pets / "cat" / name).write_bytes(b"junk")
        (pets / name).write_bytes(b"junk")
    for folder in (".thumbnails", "@eaDir"):
        (pets / "cat" / folder).mkdir()
        Image.new("L", (9, 9)).save(pets / "cat" / folder / "0.png")
    for folder in ("__MACOSX", ".git"):
        (pets / folder).mkdir()
    data = load(pets)
    assert (data.fingerprint, data.classes, data.remarks) == (clean, ("cat", "dog"), ())


def test_links_are_followed_once(pets: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    Image.fromarray(noise(6, 5)).save(elsewhere / "far.png")
    (pets / "cat/linked").symlink_to(elsewhere)
    (pets / "cat/round").symlink_to(pets / "cat")
    (pets / "cat/same.png").symlink_to(elsewhere / "far.png")
    found = [file.relative_to(pets / "cat").as_posix() for file in image_files(pets / "cat")]
    assert found == ["0.png", "1.png", "2.png", "3.png", "4.png", "linked/far.png", "same.png"]


@pytest.mark.skipif(os.name != "posix", reason="names are bytes on POSIX only")
def test_names_with_bytes_that_are_not_utf8(pets: Path) -> None:
    odd = Path(os.fsdecode(os.fsencode(pets / "cat") + b"/caf\xe9.png"))
    try:
        odd.write_bytes((pets / "cat/0.png").read_bytes())
    except OSError:
        pytest.skip("this file system takes no such names")
    assert count(load(pets)) == 11
    odd.write_bytes(b"no image")
    assert load(pets, on_error="skip").skipped == (r"cat/caf\xe9.png",)
    with pytest.raises(BadInput, match=r"cat/caf\\xe9\.png \(not an image"):
        load(pets)
    (pets / "cat").rename(os.fsdecode(os.fsencode(pets) + b"/\xe9tude"))
    assert load(pets, on_error="skip").classes == ("dog", r"\xe9tude")


def test_the_folder_of_one_class(pets: Path) -> None:
    with pytest.raises(BadInput) as caught:
        load(pets / "cat")
    assert str(caught.value) == (
        f"data folder {pets / 'cat'}: {pets / 'cat'} holds images (5), but no folder of a class; "
        "give the folder above"
    )
    Image.new("L", (5, 6)).save(pets / "loose.png")
    (remark,) = load(pets).remarks
    assert remark == f"images directly in {pets} (1) are left out: they are in no folder of a class"


def test_a_folder_above_the_folder_of_the_classes(tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        (tmp_path / "unpacked" / name).mkdir(parents=True)
        Image.new("L", (2, 2)).save(tmp_path / "unpacked" / name / "a.png")
    with pytest.raises(BadInput) as caught:
        load(tmp_path)
    assert str(caught.value).endswith(
        f"has only one class (unpacked); two are needed; if its folders cat, dog are the classes, give "
        f"{tmp_path / 'unpacked'}"
    )


def test_the_order_of_the_file_system_does_not_matter(pets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (pets / "cat/more").mkdir()
    Image.fromarray(noise(6, 5)).save(pets / "cat/more/5.png")
    first = load(pets).fingerprint
    entries, walk = Path.iterdir, os.walk
    monkeypatch.setattr(Path, "iterdir", lambda self: sorted(entries(self), reverse=True))
    monkeypatch.setattr(
        os, "walk", lambda top, **how: ((at, sub, names[::-1]) for at, sub, names in walk(top, **how))
    )
    assert [file.name for file in Path(pets).iterdir()] == ["dog", "cat"]
    assert load(pets).fingerprint == first


def test_resized_images_are_decoded_once(pets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (pets / "cat/text.png").write_bytes(b"no image")
    Image.new("L", (5, 6), 50).save(
        pets / "dog/film.gif", save_all=True, append_images=[Image.new("L", (5, 6), 90)]
    )
    how: dict[str, Any] = {"size": 4, "channels": "grey", "on_error": "skip"}
    opened: list[Path] = []
    read = images.read_image
    monkeypatch.setattr(images, "read_image", lambda file, how: (opened.append(file), read(file, how))[1])
    first = load(pets, **how)
    assert len(opened) == 12
    again = load(pets, **how)
    assert len(opened) == 12
    assert again.fingerprint == first.fingerprint
    assert (again.skipped, again.remarks) == (first.skipped, first.remarks)
    assert (again.preparation, len(again.remarks)) == (first.preparation, 2)
    with pytest.raises(BadInput, match="1 of 12 images cannot be used"):
        load(pets, **how | {"on_error": "stop"})
    opened.clear()
    assert load(pets, **how | {"resize": "crop"}).preparation != first.preparation
    assert len(opened) == 12
    Image.fromarray(noise(6, 5)).save(pets / "cat/0.png")
    assert load(pets, **how).fingerprint != first.fingerprint
    assert len(opened) == 24


def test_without_a_place_for_the_cache(
    pets: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("A4NN_CACHE", str(pets / "cat/0.png"))
    assert count(load(pets, size=4)) == 10
    assert "the resized images are not kept" in caplog.text


def test_a_fault_of_the_machine_skips_no_image(pets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(file: Path) -> None:
        raise OSError(errno.EIO, "Input/output error", str(file))

    monkeypatch.setattr(Image, "open", fail)
    with pytest.raises(BadInput, match=r"image .*cat/0\.png cannot be read: Input/output error"):
        load(pets, on_error="skip")


def test_progress_is_told(pets: Path) -> None:
    told: list[tuple[str, int, int]] = []
    with listening(lambda *what: told.append(what)):
        load(pets)
    assert told == [("reading images", done, 10) for done in range(1, 11)]
