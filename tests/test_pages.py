"""What the pages point to exists: the targets of links, and the source files and names that are mentioned."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

import pytest

from a4nn_core.experiment import load_experiment

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
FOLDERS = "a4nn_core|benchmarks|cpp|deployments|docs|flows|tests|tools"
FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")
FILE = re.compile(rf"(?<![\w./-])(?:{FOLDERS})/[\w./-]*\.(?:py|hpp|cpp|md|toml|yaml|json|png|csv)\b")
SHORT = re.compile(r"`([a-z_]+/[a-z_/]+\.py)`")
NAME = re.compile(r"`(a4nn_core(?:\.\w+)+)`")

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def prose(page: Path) -> str:
    """A page without its blocks of code, in which a # is no heading."""
    return FENCE.sub("", page.read_text(encoding="utf-8"))


def anchors(page: Path) -> set[str]:
    """The names of a page's sections, as GitHub makes them of headings."""
    found: set[str] = set()
    for heading in re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE):
        slug = re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")
        again = sum(
            name == slug or re.fullmatch(rf"{re.escape(slug)}-\d+", name) is not None for name in found
        )
        found.add(f"{slug}-{again}" if again else slug)
    return found


@each_page
def test_relative_links_lead_somewhere(page: Path) -> None:
    for link in LINK.findall(prose(page)):
        if "://" in link or link.startswith("mailto:"):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{page.name}: {link}"
        if anchor:
            assert anchor in anchors(target), f"{page.name}: {link}"


@each_page
def test_files_that_are_mentioned_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    mentioned = set(FILE.findall(text.replace("KIND.json", "docker.json")))
    for file in mentioned:
        assert (ROOT / file).is_file(), f"{page.name}: {file}"
    for file in SHORT.findall(prose(page)):  # rooms are named without the folder above them
        assert any((ROOT / folder / file).is_file() for folder in ("", "a4nn_core")), f"{page.name}: {file}"


@each_page
def test_names_that_are_mentioned_can_be_imported(page: Path) -> None:
    for name in NAME.findall(prose(page)):
        module = ROOT.joinpath(*name.split("."))
        if module.is_dir() or module.with_suffix(".py").is_file():
            continue  # not imported: some need an extra
        package, _, last = name.rpartition(".")
        assert hasattr(import_module(package), last), f"{page.name}: {name}"


def test_the_experiment_of_the_readme_loads(tmp_path: Path) -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    file = tmp_path / "mine.toml"
    file.write_text(text.split("```toml\n")[1].split("```")[0], encoding="utf-8")
    experiment = load_experiment(str(file))
    assert set(experiment.search.constraints) == {"parameters", "mflops"}
    [setting] = re.findall(r"--set (search\.constraints\S+?)='([^']+)'", text)
    assert "parameters" in load_experiment("quick", ["=".join(setting)]).search.constraints


def test_what_the_checks_look_for_is_there() -> None:
    """The patterns match something, so that the tests above mean something."""
    text = "\n".join(map(prose, PAGES))
    for pattern in (FILE, SHORT, NAME):
        assert len(pattern.findall(text)) > 2
    assert sum("://" not in link for link in LINK.findall(text)) > 20
