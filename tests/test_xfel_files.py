"""Patterns on disk: written in the published layout or compactly, read back, resumed, refused."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from a4nn_core.cli.app import app
from a4nn_core.data.base import DATA_SOURCES, ImageData
from a4nn_core.data.xfel import reading, writing
from a4nn_core.data.xfel.detector import FLUENCES, SQUARE_ANGSTROMS, Detector
from a4nn_core.data.xfel.layout import beam_name, image_path, parse_name
from a4nn_core.data.xfel.orientations import Orientations
from a4nn_core.data.xfel.preview import preview, radial_profile
from a4nn_core.data.xfel.simulator import Counts, Simulator
from a4nn_core.data.xfel.structure_files import load_structure
from a4nn_core.data.xfel.structures import adenylate_kinase
from a4nn_core.data.xfel.writing import Writing
from a4nn_core.errors import BadInput
from a4nn_core.progress import listening

SIZE, ORIENTATIONS = 16, 30
BEAMS = tuple(FLUENCES.values())


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A4NN_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def simulator() -> Simulator:
    return Simulator(adenylate_kinase(), Detector(SIZE), Orientations(5))


def written(simulator: Simulator, out: Path, form: str = "tiff", fluences: Sequence[float] = BEAMS) -> int:
    return Writing(simulator, out, tuple(fluences), ORIENTATIONS, "adk", form).run()  # type: ignore[arg-type]


def loaded(out: Path, **settings: object) -> ImageData:
    return DATA_SOURCES.make({"name": "xfel-files", "path": str(out)} | settings, "[data]").load()


def digest(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_names_are_the_published_ones() -> None:
    # the names of the published samples, doi 10.7910/DVN/JS9FR6
    path = image_path(beam_name(1e14), "trainset", "ef2", "1n0vc", 7957)
    assert str(path) == "1e14/images/trainset/ef2_1n0vc_ptm07957.tiff"
    assert parse_name("ef2_1n0vc_ptm07957.tiff") == ("1n0vc", 7957)
    assert parse_name("ef2_1n0u_ptm39576.tif") == ("1n0u", 39576)
    assert parse_name("7957.tiff") is None
    assert [beam_name(fluence) for fluence in (1e14, 2.5e15, 1e16)] == ["1e14", "2.5e15", "1e16"]


def test_tiffs_hold_the_patterns(simulator: Simulator, tmp_path: Path) -> None:
    assert written(simulator, tmp_path / "out") == ORIENTATIONS * 2 * 3
    counts = simulator.patterns(0, ORIENTATIONS, BEAMS)
    for number in (0, 5, 6, 29):
        for label, name in enumerate(("open", "closed")):
            for beam, fluence in enumerate(BEAMS):
                # a fifth of the orientations, the first ones, test
                subset = "testset" if number < 6 else "trainset"
                path = tmp_path / "out" / image_path(beam_name(fluence), subset, "adk", name, number + 1)
                with Image.open(path) as image:
                    assert (image.mode, image.size) == ("F", (SIZE, SIZE))  # 32-bit floats, as published
                    np.testing.assert_array_equal(np.asarray(image), counts[number, label, beam])
    lines = (tmp_path / "out" / "1e15" / "angles_list.txt").read_text().splitlines()
    assert lines[0].split(" ") == ["id", "conformation", "phi", "theta", "psi"]
    assert len(lines) == 1 + 2 * ORIENTATIONS
    identity, conformation, *angles = lines[8].split(" ")
    assert (identity, conformation) == ("4", "closed")
    np.testing.assert_allclose(np.array(angles, float), simulator.orientations.angles(3, 4)[0], atol=1e-6)


@pytest.mark.parametrize("form", ["tiff", "npz"])
def test_what_was_interrupted_goes_on_without_a_different_bit(
    simulator: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    written(simulator, tmp_path / "whole", form)
    monkeypatch.setattr(writing, "BLOCK", 7)
    calls = 0

    def patterns(start: int, stop: int, fluences: Sequence[float]) -> Counts:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise KeyboardInterrupt
        return simulator.patterns(start, stop, fluences)

    other = Simulator(adenylate_kinase(), Detector(SIZE), Orientations(5))
    monkeypatch.setattr(other, "patterns", patterns)
    with pytest.raises(KeyboardInterrupt):
        written(other, tmp_path / "out", form)
    assert written(other, tmp_path / "out", form) == (ORIENTATIONS - 14) * 2 * 3
    assert digest(tmp_path / "out") == digest(tmp_path / "whole")
    assert written(other, tmp_path / "out", form) == 0


def test_lost_and_torn_images_are_made_again(simulator: Simulator, tmp_path: Path) -> None:
    out = tmp_path / "out"
    written(simulator, out, fluences=[1e15])
    before = digest(out)
    images = sorted(out.rglob("*.tiff"))
    images[3].unlink()
    images[40].write_bytes(images[40].read_bytes()[:100])
    assert written(simulator, out, fluences=[1e15]) == 2
    assert digest(out) == before


def test_a_damaged_block_is_named(
    simulator: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    monkeypatch.setattr(Writing, "_pack", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        written(simulator, out, "npz")
    monkeypatch.undo()
    block = next((out / ".blocks").iterdir())
    block.write_bytes(block.read_bytes()[:500])
    with pytest.raises(BadInput, match=r"000000\.npz is damaged; delete it"):
        written(simulator, out, "npz")


def test_another_data_set_is_not_touched(simulator: Simulator, tmp_path: Path) -> None:
    out = tmp_path / "out"
    written(simulator, out, "npz", [1e15])
    before = digest(out)
    with pytest.raises(BadInput, match=r"out already holds another data set: it differs in form, beams"):
        written(simulator, out)
    other = Simulator(adenylate_kinase(), Detector(SIZE), Orientations(6))
    with pytest.raises(BadInput, match="differs in seed"):
        written(other, out, "npz", [1e15])
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("dear to someone")
    with pytest.raises(BadInput, match="is not empty and holds no data set"):
        written(simulator, tmp_path / "mine")
    assert digest(out) == before
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize("form", ["tiff", "npz"])
def test_what_is_written_is_read(simulator: Simulator, tmp_path: Path, form: str) -> None:
    written(simulator, tmp_path / "out", form)
    data = loaded(tmp_path / "out", beam="high")
    counts = simulator.patterns(0, ORIENTATIONS, [1e16])[:, :, 0]
    assert data.classes == ("closed", "open")  # sorted, as no order is written
    assert (len(data.train), len(data.validation), len(data.test)) == (48, 6, 6)
    np.testing.assert_array_equal(data.train.images[:, 0], counts[6:, ::-1].reshape(-1, SIZE, SIZE))
    np.testing.assert_array_equal(data.train.labels, [0, 1] * 24)
    # each orientation of the test set validates or tests, with all its conformations
    parts = [{image.tobytes() for image in part.images} for part in (data.validation, data.test)]
    of_tests = [{counts[n, c].astype(data.test.images.dtype).tobytes() for c in range(2)} for n in range(6)]
    assert all(any(images <= part for part in parts) for images in of_tests)
    assert data.test.images.dtype == np.min_scalar_type(int(counts.max()))
    assert loaded(tmp_path / "out", beam="high").fingerprint == data.fingerprint


def test_both_forms_hold_the_same(simulator: Simulator, tmp_path: Path) -> None:
    for form in ("tiff", "npz"):
        written(simulator, tmp_path / form, form)
    for beam in FLUENCES:
        prints = {loaded(tmp_path / form, beam=beam).fingerprint for form in ("tiff", "npz")}
        assert len(prints) == 1


def test_images_are_read_once(simulator: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out"
    written(simulator, out)
    told: list[tuple[str, int, int]] = []
    with listening(lambda *what: told.append(what)):
        first = loaded(out)
    assert told[-1] == ("reading diffraction patterns", 60, 60)
    with monkeypatch.context() as patch:
        patch.setattr(reading, "_read_image", None)
        assert loaded(out).fingerprint == first.fingerprint
    # a changed image is seen
    path = next((out / "1e15").rglob("*ptm00009.tiff"))
    Image.fromarray(np.full((SIZE, SIZE), 300, np.float32)).save(path)
    again = loaded(out)
    assert again.fingerprint != first.fingerprint
    assert again.train.images.dtype == np.uint16


def test_numbers_that_are_no_counts_are_kept(simulator: Simulator, tmp_path: Path) -> None:
    out = tmp_path / "out"
    written(simulator, out)
    path = next((out / "1e15" / "images" / "trainset").iterdir())
    Image.fromarray(np.full((SIZE, SIZE), 0.25, np.float32)).save(path)
    data = loaded(out)
    assert data.train.images.dtype == np.float32
    assert (data.train.images == 0.25).sum() == SIZE * SIZE


def test_all_troubles_are_told_together(simulator: Simulator, tmp_path: Path) -> None:
    out = tmp_path / "out"
    written(simulator, out)
    folder = out / "1e15" / "images" / "trainset"
    images = sorted(folder.glob("*_open_*"))
    for path in images[:6]:
        path.unlink()
    images[6].write_bytes(b"no image")
    Image.fromarray(np.zeros((8, 8), np.float32)).save(images[7])
    Image.fromarray(np.full((SIZE, SIZE), np.nan, np.float32)).save(images[8])
    Image.fromarray(np.full((SIZE, SIZE), -1, np.float32)).save(images[9])
    (folder / "notes.txt").write_text("hello")
    (folder / ".hidden").write_text("skipped, as in the published loader")
    shutil.copy(images[10], images[10].with_suffix(".tif"))
    with pytest.raises(BadInput) as caught:
        loaded(out)
    said = str(caught.value)
    for part in (
        f"{out / '1e15' / 'images'}: ",
        "1 of 56 files are not named <protein>_<conformation>_ptm<id>.tiff: notes.txt",
        "1 of 56 patterns are there twice: open 17",
        "trainset is unbalanced: 24 of closed, 19 of open",
        f"1 of 55 images cannot be read: {images[6].name}",
        f"1 of 55 images hold values that are not finite: {images[8].name}",
        f"1 of 55 images hold negative counts: {images[9].name}",
        f"images must be of one size, but there are 53 of 16 x 16 (such as adk_closed_ptm00007.tiff), "
        f"1 of 8 x 8 (such as {images[7].name})",
    ):
        assert part in said, said
    assert not (tmp_path / "cache" / "xfel-files").exists()


def test_what_is_missing_is_named(simulator: Simulator, tmp_path: Path) -> None:
    out = tmp_path / "out"
    written(simulator, out, fluences=[1e14])
    with pytest.raises(BadInput, match=r"neither 1e16/images nor 1e16\.npz; beams there: 1e14"):
        loaded(out, beam="high")
    with pytest.raises(BadInput, match="nowhere does not exist"):
        loaded(tmp_path / "nowhere")
    shutil.rmtree(out / "1e14" / "images" / "testset")
    for path in (out / "1e14").rglob("*_open_*"):
        path.unlink()
    with pytest.raises(BadInput, match=r"no folder testset; there is only one conformation \(closed\)"):
        loaded(out, beam="low")


def test_a_smaller_class_can_be_allowed(simulator: Simulator, tmp_path: Path) -> None:
    out = tmp_path / "out"
    written(simulator, out)
    for path in sorted((out / "1e15" / "images" / "trainset").glob("*_open_*"))[:8]:
        path.unlink()
    with pytest.raises(BadInput, match="unbalanced: 24 of closed, 16 of open"):
        loaded(out)
    assert len(loaded(out, imbalance=0.5).train) == 40


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"x": np.zeros((4, 3, 3))}, "has no array 'y'"),
        ({"x": np.zeros(4), "y": np.zeros(4), "id": np.zeros(4), "set": np.zeros(4)}, r"not \(4,\)"),
        (
            {"x": np.zeros((2, 3, 3)), "y": ["a", "b"], "id": [1, 2], "set": ["testset", "else"]},
            "1 of 2 sets are unknown: else",
        ),
    ],
)
def test_bad_archives(tmp_path: Path, arrays: dict[str, object], words: str) -> None:
    np.savez(tmp_path / "1e15.npz", **arrays)  # type: ignore[arg-type]
    with pytest.raises(BadInput, match=words):
        loaded(tmp_path)


@pytest.mark.slow
def test_the_command(tmp_path: Path) -> None:
    out, picture = tmp_path / "out", tmp_path / "picture.png"
    arguments = [
        "simulate",
        "xfel",
        "--structures",
        "adk-open",
        "adk-closed",
        "--beam",
        "1e15",
        "--images",
        "20",
    ]
    arguments += ["--size", "32", "--out", str(out), "--preview", str(picture), "--json"]
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    facts = json.loads(result.stdout)
    assert facts == {
        "structures": ["open", "closed"],
        "beams": ["1e15"],
        "size": 32,
        "preview": str(picture),
        "out": str(out),
        "images": 20,
        "made": 20,
    }
    assert len(list(out.rglob("*.tiff"))) == 20
    assert "writing diffraction patterns: 20 of 20" in result.stderr
    again = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert json.loads(again.stdout)["made"] == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--out", "OUT", "--images", "7"], "--images 7 is not a multiple of 2"),
        (["adk-open", "--out", "OUT"], "single conformation"),
        (["--out", "OUT", "--beam", "weak"], "--beam 'weak' is not one of low, medium, high"),
        (["--out", "OUT", "--beam", "10"], "a fluence must be between"),
        (["--out", "OUT", "--wavelength", "0"], "wavelength = 0"),
        (["--out", "OUT", "--device", "nonsense"], "--device 'nonsense' cannot be used"),
        (["--out", "OUT", "--protein", "a_b"], "protein 'a_b' must be letters"),
        (["--out", "OUT", "--geodesic", "1"], "a geodesic grid of frequency 1 has 12"),
        (["--preview", "OUT.txt"], "must end in .png"),
        ([], "nothing to do"),
    ],
)
def test_bad_commands_write_nothing(tmp_path: Path, arguments: list[str], words: str) -> None:
    out = str(tmp_path / "out")
    given = [argument.replace("OUT", out) for argument in arguments]
    with pytest.raises(BadInput) as caught:
        CliRunner().invoke(app, ["simulate", "xfel", "--size", "16", *given], catch_exceptions=False)
    assert words in str(caught.value)
    assert [path.name for path in tmp_path.iterdir() if path.name != "cache"] == []


@pytest.mark.slow
def test_the_preview_shows_the_patterns(simulator: Simulator, tmp_path: Path) -> None:
    preview(simulator, BEAMS, tmp_path / "a.png")
    preview(simulator, BEAMS, tmp_path / "b.png")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    preview(simulator, BEAMS, tmp_path / "other.png", number=1)
    assert (tmp_path / "a.png").read_bytes() != (tmp_path / "other.png").read_bytes()
    with Image.open(tmp_path / "a.png") as image:
        pixels = np.asarray(image.convert("RGB")).reshape(-1, 3)
    assert image.size[0] > 1000
    colours = {tuple(pixel) for pixel in pixels[::7]}
    assert len(colours) > 500  # silhouettes and counts are shaded
    assert (128, 128, 128) in colours  # the beam stop


def test_radial_profiles() -> None:
    simulator = Simulator(adenylate_kinase(), Detector(64), Orientations(0))
    radius = simulator.detector.radius
    q, profile = radial_profile(radius, simulator)
    assert (np.diff(q) > 0).all()
    # q = r * pitch near the axis; a ring holds radii of one pixel's width
    np.testing.assert_allclose(profile * simulator.detector.pitch, q, rtol=0.003)
    assert profile[0] >= simulator.detector.stop


@pytest.mark.slow
@pytest.mark.golden
def test_the_published_samples_are_patterns_of_this_simulator(reference_data: Path) -> None:
    """The orientation is the likeliest one for the three samples, found by benchmarks/xfel_samples.py; facts
    on the samples: lit pixels 92, 703 and 3,579 (counted in the files)."""
    structure = load_structure(f"{reference_data}/structures/1n0v_chainC.pdb")
    simulator = Simulator([structure], Detector(), Orientations(0))
    angles = np.array([[-172.4, 75.07, 266.3]])
    expected = simulator.expected(0, angles, SQUARE_ANGSTROMS)[0]
    elsewhere = simulator.expected(0, simulator.orientations.angles(0, 20), SQUARE_ANGSTROMS)
    seen = simulator.detector.photons > 0
    for fluence, published in zip(BEAMS, (92, 703, 3579), strict=True):
        name = f"{beam_name(fluence)}_ef2_1n0vc_ptm07957.jpg"
        lit = np.asarray(Image.open(reference_data / "icpp23" / name).convert("L")) > 127
        assert lit.sum() == published
        assert not lit[simulator.detector.radius < 16].any()
        chance = -np.expm1(-expected * fluence / SQUARE_ANGSTROMS)
        spread = np.sqrt((chance * (1 - chance)).sum())
        assert abs(chance.sum() - published) < 2 * spread

        def likelihood(photons: np.ndarray, lit: np.ndarray = lit, fluence: float = fluence) -> float:
            mean = np.maximum(photons[seen] * fluence / SQUARE_ANGSTROMS, 1e-9)
            return float(np.where(lit[seen], np.log(-np.expm1(-mean)), -mean).sum())

        assert likelihood(expected) > max(likelihood(other) for other in elsewhere)
