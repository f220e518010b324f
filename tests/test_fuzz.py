"""The fuzzer: it finds what is planted, and it finds nothing in the readers, for a moment."""

from __future__ import annotations

from pathlib import Path

import fuzz as command
import pytest
from fuzzing.child import Outcome
from fuzzing.harness import fuzz
from fuzzing.reader import Limits
from fuzzing.targets import TARGETS
from planted import Planted

LIMITS = Limits(seconds=0.5, bytes=200_000_000, tries=60, smaller_seconds=1.0)
MESSAGES = {
    Outcome.traceback: "IndexError: a planted traceback",
    Outcome.hang: "no answer after 0.5 s of computing",
    Outcome.growth: "memory grew by ",
    Outcome.crash: "the process died: SIGSEGV",
}


@pytest.mark.slow
@pytest.mark.integration
def test_planted_defects_are_found_and_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    found = fuzz(Planted, 600, 1, tmp_path, inputs=14, limits=LIMITS)
    failures = {failure.answer.outcome: failure for failure in found.failures.values()}
    assert set(failures) == set(MESSAGES)
    assert len(found.failures) == 4
    assert found.outcomes[Outcome.read] > 0
    assert found.outcomes[Outcome.refused] > 0
    assert found.outcomes.total() == 14
    for outcome, failure in failures.items():
        assert failure.again
        assert failure.path is not None
        assert failure.path.read_bytes() == failure.data
        told = failure.path.with_name(f"{failure.path.name}.txt").read_text()
        assert told.startswith(f"python tools/fuzz.py planted --replay {failure.path}\n")
        assert MESSAGES[outcome] in told
        assert "planted.py" in told
    monkeypatch.setitem(TARGETS, "planted", Planted)
    assert b"unit" not in failures[Outcome.traceback].data  # what does not matter was left out
    kept = failures[Outcome.traceback].path
    assert command.main(["planted", "--replay", str(kept)]) == 1
    assert "IndexError: a planted traceback" in capfd.readouterr().out


@pytest.mark.slow
@pytest.mark.integration
@pytest.mark.parametrize("name", TARGETS)
def test_no_reader_fails_for_a_moment(name: str) -> None:
    target = TARGETS[name]
    found = fuzz(target, 600, 1, inputs=len(target.seeds()) + 12)
    assert {place: failure.answer.text for place, failure in found.failures.items()} == {}
    assert found.outcomes[Outcome.read] > 0
    # inputs of fits are numbers in the right places, which are hardly ever refused
    assert found.outcomes[Outcome.refused] > 0 or name == "fits"


def test_an_unknown_target_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        command.main(["journal"])
    assert "there is no target 'journal'; targets: journals, events," in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        command.main(["--replay", "x"])
    assert "--replay needs one TARGET" in capsys.readouterr().err
