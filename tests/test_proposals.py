"""Genomes that come from elsewhere: from a function, another program, a person. Nothing is known of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command import A4NN, SMALL, a4nn
from fakes import FakeExecutor, search
from fakes import experiment as an_experiment
from hypothesis import given, settings
from hypothesis import strategies as st
from test_kinds_of_spaces import small

from a4nn_core import Commons, run
from a4nn_core.commons.check import check
from a4nn_core.commons.cookbook import COOKBOOK
from a4nn_core.errors import BadInput
from a4nn_core.experiment import Experiment
from a4nn_core.search import function
from a4nn_core.search.base import STRATEGIES, Outcome, Rejected, Study
from a4nn_core.search.function import CallableSearch
from a4nn_core.search.history import History, Trial
from a4nn_core.search.lines import Lines
from a4nn_core.search.proposals import ProposalStrategy
from a4nn_core.search.random_search import Random
from a4nn_core.search.variation import Proposal
from a4nn_core.spaces import SPACES
from a4nn_core.training.segment import Segment
from a4nn_core.vocabulary import Rejection
from a4nn_core.workflow.search import Search
from a4nn_core.workflow.shadow import shadow_experiment
from a4nn_core.workflow.summary import summarise

BITS = [[0, 1, 1, 0, 1, 1, 1], [0, 0, 0, 0, 1, 1, 0]]


def proposing(proposer: object, **settings: Any) -> Experiment:
    """The small experiment of the tests of the loop, with genomes from a function."""
    plain = an_experiment()
    before = Random(networks=8, batch=4, objectives=plain.search.objectives)
    made = CallableSearch.of(proposer, before).model_copy(update=settings)
    return plain.model_copy(update={"search": made})


def sampled(history: History, count: int) -> list[Any]:
    """Random genomes, which follow from the history."""
    rng = np.random.default_rng([history.seed, len(history.trials), len(history.rejected)])
    return [history.space.sample(rng) for _ in range(count)]


def careless(history: History, count: int) -> Iterator[Any]:
    """Every second genome is wrong, in turn in every way."""
    wrong: list[Any] = ["not JSON [", [1, 2], [[0, 1], [7]], {"a": 1}, None, 1j, float("nan"), "[[1]]"]
    for place, genome in enumerate(sampled(history, count)):
        yield wrong[(len(history.trials) + place) % len(wrong)]
        yield genome
        yield genome


class Killed(BaseException):
    """Stands for a process that dies."""


def dies_at(number: int) -> Callable[[Segment], None]:
    def outcome(segment: Segment) -> None:
        if segment.network == number:
            raise Killed

    return outcome


# a function


def test_a_function_is_given_the_history_and_its_genomes_are_trained(tmp_path: Path) -> None:
    seen: list[History] = []

    def propose(history: History, count: int) -> list[Any]:
        seen.append(history)
        return sampled(history, count)

    one = search(proposing(propose), tmp_path, FakeExecutor())
    assert [len(history.trials) for history in seen] == [0, 4]  # a batch of four, and another when it is told
    last = seen[-1]
    assert [trial.number for trial in last.trials] == [0, 1, 2, 3]
    assert {trial.status for trial in last.trials} == {"completed"}
    for trial in last.trials:
        assert trial.genome == one.candidates[trial.number].genome
        assert trial.fitness == one.networks[trial.number].fitness
    assert {"error_percent", "mflops"} <= set(last.trials[0].fitness or {})
    front = {row.network for row in Commons(tmp_path).front("r") if row.network < 4}
    assert front <= {trial.number for trial in last.front()}
    assert [row.operator for row in Commons(tmp_path).networks("r")] == ["proposed"] * 8


def test_genomes_that_are_not_valid_are_told_recorded_and_never_trained(tmp_path: Path) -> None:
    executor = FakeExecutor()
    one = search(proposing(careless), tmp_path, executor)
    rejected = Commons(tmp_path).rejected("r")
    assert len(one.networks) == 8
    assert len(executor.trained) <= 8
    assert [row.number for row in rejected] == list(range(len(rejected)))
    by_reason = {row.reason for row in rejected}
    assert by_reason == {Rejection.not_json, Rejection.not_in_space, Rejection.duplicate}
    known = {row.genome for row in Commons(tmp_path).networks("r")}
    for row in rejected:
        assert row.explanation
        assert (row.genome is None) == (row.reason == Rejection.not_json)
        assert (row.genome in known) == (row.reason == Rejection.duplicate)
    assert any(row.text == "not JSON [" for row in rejected)
    assert check(tmp_path, checkpoints=False).problems == []
    line = summarise(Commons(tmp_path), "r").invalid
    share = 100 * len(rejected) / (len(rejected) + 8)
    assert line.startswith(
        f"{len(rejected)} of {len(rejected) + 8} proposed genomes not valid ({share:.1f} %)"
    )


def test_the_share_that_is_not_valid_can_be_queried(tmp_path: Path) -> None:
    search(proposing(careless), tmp_path, FakeExecutor())
    [recipe] = [one for one in COOKBOOK if one.name == "invalid-proposals"]
    rows = Commons(tmp_path).answer(recipe.query).to_pylist()
    rejected = Commons(tmp_path).rejected("r")
    for generation in (0, 1):
        of_it = [row for row in rows if row["generation"] == generation]
        assert sum(row["percent"] for row in of_it) == pytest.approx(100, abs=0.3)
        counted = {row["outcome"]: row["genomes"] for row in of_it}
        assert counted["asked for"] == 4
        for reason in Rejection:
            held = sum(row.generation == generation and row.reason == reason for row in rejected)
            assert counted.get(reason, 0) == held


def test_bounds_and_images_count(tmp_path: Path) -> None:
    bounded = proposing(sampled).search.model_copy(update={"constraints": None})
    largest = max(
        row.parameters or 0
        for row in search(proposing(sampled), tmp_path / "free", FakeExecutor()).networks.values()
    )
    tables = {"parameters": {"most": largest - 1}}
    bounded = STRATEGIES.make({**bounded.model_dump(), "constraints": tables}, "[search]")
    what = an_experiment().model_copy(update={"search": bounded})
    search(what, tmp_path / "bounded", FakeExecutor())
    rejected = Commons(tmp_path / "bounded").rejected("r")
    assert {row.reason for row in rejected} == {Rejection.out_of_bounds}
    networks = Commons(tmp_path / "bounded").networks("r")
    assert all((row.parameters or 0) < largest for row in networks)


def test_a_genome_that_builds_no_network_for_the_images() -> None:
    def decode(genome: Any) -> Any:
        del genome
        raise BadInput("images of 2 x 2 pixels are too small")

    space = small("macro")
    strategy = CallableSearch.of(sampled, Random(networks=4)).begin(space, 1, lambda _: 0.0, Study(decode, 4))
    assert strategy.ask(2) == []
    assert [one.reason for one in strategy.rejected()] == [Rejection.undecodable] * 2


def check_resumed(what: Experiment, folder: Path) -> Search:
    """A search that was killed and goes on is the one that was not; returns the latter."""
    whole = search(what, folder / "whole", FakeExecutor(one_at_a_time=True))
    with pytest.raises(Killed):
        search(what, folder / "cut", FakeExecutor(dies_at(5), one_at_a_time=True))
    resumed = search(what, folder / "cut", FakeExecutor(one_at_a_time=True))
    assert [c.genome for c in resumed.candidates.values()] == [c.genome for c in whole.candidates.values()]
    assert Commons(folder / "cut").rejected("r") == Commons(folder / "whole").rejected("r")
    return whole


@pytest.mark.parametrize("schedule", ["generational", "steady"])
@pytest.mark.parametrize("proposer", [sampled, careless])
def test_a_function_of_the_history_repeats_and_is_resumed(
    proposer: Any, schedule: str, tmp_path: Path
) -> None:
    what = proposing(proposer, schedule=schedule)
    check_resumed(what, tmp_path)


def test_what_was_proposed_is_not_asked_for_again(tmp_path: Path) -> None:
    """A language model answers otherwise each time; a search is resumed all the same."""
    calls: list[int] = []
    chance = np.random.default_rng()

    def whim(history: History, count: int) -> list[Any]:
        calls.append(len(history.trials))
        return [[0, 1], *(history.space.sample(chance) for _ in range(count))]

    with pytest.raises(Killed):
        search(proposing(whim), tmp_path, FakeExecutor(dies_at(5), one_at_a_time=True))
    before, rejected = list(calls), Commons(tmp_path).rejected("r")
    assert before == [0, 4]
    assert len(rejected) == 2
    resumed = search(proposing(whim), tmp_path, FakeExecutor(one_at_a_time=True))
    assert calls == before  # all eight had been asked for
    assert len(resumed.networks) == 8
    assert Commons(tmp_path).rejected("r") == rejected


def test_a_proposer_that_is_never_right_ends_the_search_and_can_be_corrected(tmp_path: Path) -> None:
    asked: list[int] = []

    def wrong(history: History, count: int) -> list[Any]:
        asked.append(len(history.rejected))
        return [[0]] * count if len(history.trials) >= 3 else sampled(history, 1)

    what = proposing(wrong, invalid_in_a_row=5)
    with pytest.raises(
        BadInput, match=r"the last 5 genomes .* not valid \(invalid_in_a_row = 5\), the last"
    ) as said:
        search(what, tmp_path, FakeExecutor())
    assert "run it again to go on" in str(said.value)
    assert len(Commons(tmp_path).networks("r")) == 3
    assert len(Commons(tmp_path).rejected("r")) == 5
    with pytest.raises(BadInput, match="the last 5 genomes"):  # it gets as many again, not for ever
        search(what, tmp_path, FakeExecutor())
    assert len(Commons(tmp_path).rejected("r")) == 10
    assert isinstance(what.search, CallableSearch)
    function._GIVEN[what.search.function] = sampled
    one = search(what, tmp_path, FakeExecutor())
    assert len(one.networks) == 8


def test_a_proposer_that_has_nothing_more_ends_the_search(tmp_path: Path, caplog: Any) -> None:
    def three(history: History, count: int) -> list[Any]:
        del count
        return sampled(history, 1) if len(history.trials) < 3 else []

    one = search(proposing(three), tmp_path, FakeExecutor())
    assert len(one.networks) == 3
    assert "the search ends after 3 of 8 networks: callable proposes no more" in caplog.text


def test_parents_can_be_told(tmp_path: Path) -> None:
    def children(history: History, count: int) -> list[Any]:
        new = sampled(history, count)
        if not history.trials:
            return new
        return [Proposal(genome, (history.front()[0].number,), "my mutation") for genome in new]

    search(proposing(children), tmp_path, FakeExecutor())
    made = [row for row in Commons(tmp_path).networks("r") if row.generation]
    assert {row.operator for row in made} == {"my mutation"}
    assert all(row.parents and row.parents[0] < 4 for row in made)

    def orphan(history: History, count: int) -> list[Any]:
        return [Proposal(genome, (99,)) for genome in sampled(history, count)]

    with pytest.raises(BadInput, match="proposed a child of network 99, which was never asked for"):
        search(proposing(orphan), tmp_path / "other", FakeExecutor())


# generators and objects, which have a state


def sequence(history: History) -> Iterator[Any]:
    """A generator that looks at the history as it goes."""
    rng = np.random.default_rng(history.seed)
    while True:
        best = history.front()
        yield [3] if rng.random() < 0.3 else history.space.sample(rng)
        assert len(best) <= len(history.trials)


class Player:
    """An object with ask and tell."""

    def __init__(self, history: History) -> None:
        self.history = history
        self.rng = np.random.default_rng(history.seed)
        self.told: list[Trial] = []
        self.wrong: list[Rejected] = []

    def ask(self, count: int) -> list[Any]:
        good = [self.history.space.sample(self.rng) for _ in range(count)]
        return [[len(self.told)], *good]

    def tell(self, trial: Trial) -> None:
        self.told.append(trial)

    def refused(self, rejected: Rejected) -> None:
        self.wrong.append(rejected)


@pytest.mark.parametrize("proposer", [sequence, Player])
@pytest.mark.parametrize("schedule", ["generational", "steady"])
def test_what_has_a_state_is_asked_again_when_a_search_is_resumed(
    proposer: Any, schedule: str, tmp_path: Path
) -> None:
    what = proposing(proposer, schedule=schedule)
    assert len(check_resumed(what, tmp_path).networks) == 8


def test_an_object_is_told_each_network_once(tmp_path: Path) -> None:
    space = an_experiment().space
    player = Player(History(space, {}, 8, 3, (), ()))
    search(proposing(player), tmp_path, FakeExecutor())
    assert sorted(trial.number for trial in player.told) == list(range(8))
    assert all(trial.status == "completed" for trial in player.told)
    assert [one.genome for one in player.wrong] == [[0], [4]]


@pytest.mark.parametrize("proposer", [sampled, sequence, Player])
def test_anybody_can_begin_with_genomes_of_earlier_runs(proposer: Any) -> None:
    strategy = proposing(proposer).search.start(small("macro"), 1)
    assert isinstance(strategy, ProposalStrategy)
    space = small("macro")
    genomes = [space.sample(np.random.default_rng(seed)) for seed in (11, 12)]
    strategy.sow(genomes)
    first = strategy.ask(2)
    assert [(one.genome, one.operator) for one in first] == [(genome, "prior") for genome in genomes]
    for candidate in first:
        strategy.tell(Outcome(candidate.number, {"error_percent": 5.0, "mflops": 1.0}))
    assert [one.operator for one in strategy.ask(2)] == ["proposed"] * 2
    assert len(strategy.history().trials) == 4


def test_a_generator_that_changed_its_mind_is_refused(tmp_path: Path) -> None:
    chance = np.random.default_rng()

    def fickle(history: History) -> Iterator[Any]:
        while True:
            yield history.space.sample(chance)

    with pytest.raises(Killed):
        search(proposing(fickle), tmp_path, FakeExecutor(dies_at(3), one_at_a_time=True))
    with pytest.raises(BadInput, match="cannot be resumed: for network 0 the strategy now asks for"):
        search(proposing(fickle), tmp_path, FakeExecutor())


def test_a_shadow_needs_no_proposer(tmp_path: Path) -> None:
    what = proposing(sampled)
    search(what, tmp_path, FakeExecutor())
    assert isinstance(what.search, CallableSearch)
    del function._GIVEN[what.search.function]
    shadow = shadow_experiment(Commons(tmp_path), "r")
    assert shadow.search.name == "repeat"
    assert shadow.search.objectives == what.search.objectives


# bad input


def no_genomes(history: History, count: int) -> None:
    del history, count


def three_arguments(one: int, two: int, three: int) -> None:
    del one, two, three


def not_a_generator(history: History) -> list[Any]:
    return sampled(history, 1)


def breaks(history: History, count: int) -> list[Any]:
    del history, count
    raise KeyError("no answer")


def answers_in_words(history: History, count: int) -> str:
    del history, count
    return "[[0, 1]]"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("nothing", "it is not of the form module:function"),
        ("no_such_module:f", "module no_such_module cannot be imported: No module named"),
        ("json:no_such_function", "module json has no no_such_function"),
        ("json:__doc__", "neither a function nor a generator, nor has it methods ask and tell"),
        ("json:JSONDecoder", "class json:JSONDecoder has no methods ask and tell"),
        ("__main__:propose", "handed over by a program, and cannot be imported"),
    ],
)
def test_what_cannot_propose_is_refused_when_it_is_read(name: str, said: str) -> None:
    with pytest.raises(BadInput, match=rf"\[search\] function = '{name}': .*{said}"):
        STRATEGIES.make({"name": "callable", "function": name}, "[search]")


@pytest.mark.parametrize(
    ("what", "said"),
    [
        (three_arguments, r"it takes \(one: 'int', two: 'int', three: 'int'\).*\(history, count\)"),
        (not_a_generator, "takes one argument but is no generator"),
        (3, "builtins:int is neither a function nor a generator"),
    ],
)
def test_what_cannot_propose_is_refused_when_it_is_handed_over(what: object, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        CallableSearch.of(what, Random())


@pytest.mark.parametrize(
    ("proposer", "said"),
    [
        (no_genomes, "no_genomes returned NoneType; a list of genomes is needed"),
        (answers_in_words, "answers_in_words returned str; a list of genomes is needed"),
        (breaks, r"breaks failed: KeyError: 'no answer' \(test_proposals.py, line \d+\).*run it again"),
    ],
)
def test_a_function_that_fails_interrupts_the_search(proposer: Any, said: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=said):
        search(proposing(proposer), tmp_path, FakeExecutor())


# every space refuses what it is not


@pytest.mark.parametrize("name", [n for n in SPACES.names() if SPACES.package(n) == "a4nn_core"])
@settings(max_examples=25)
@given(
    genome=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
        max_leaves=10,
    )
)
def test_any_json_is_a_genome_or_rejected(name: str, genome: Any) -> None:
    space = small(name)
    made = CallableSearch.of(lambda *_: [genome], Random(networks=4))
    strategy = made.begin(space, 1, lambda _: 0.0, Study(lambda g: space.decode(g, (1, 8, 8), 2), 4))
    assert isinstance(strategy, ProposalStrategy)
    found = strategy.ask(1)
    assert len(found) + len(strategy.rejected()) == 1
    for candidate in found:
        space.check(candidate.genome)


def test_a_strategy_takes_no_outcome_twice() -> None:
    strategy = CallableSearch.of(sampled, Random(networks=4)).start(small("macro"), 1)
    [candidate] = strategy.ask(1)
    strategy.tell(Outcome(candidate.number, None))
    with pytest.raises(ValueError, match="told before"):
        strategy.tell(Outcome(candidate.number, None))
    with pytest.raises(ValueError, match="never asked"):
        strategy.tell(Outcome(7, None))


# from Python and from files


@pytest.mark.integration
def test_run_takes_a_function_and_another_process_resumes_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = """
        import numpy as np

        def propose(history, count):
            rng = np.random.default_rng([history.seed, len(history.trials)])
            return [history.space.sample(rng) for _ in range(count)]
        """
    (tmp_path / "mine_to_propose.py").write_text(textwrap.dedent(module))
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    from mine_to_propose import propose  # type: ignore[import-not-found]

    from a4nn_core import load_experiment

    small_search = ["search.networks=3", "training.epochs=1"]
    run_id = run(load_experiment("digits", small_search), "commons", "r", strategy=propose)
    networks = Commons("commons").networks(run_id)
    assert [row.status for row in networks] == ["completed"] * 3
    header = Commons("commons").run("r").settings("search")
    assert (header["name"], header["function"]) == ("callable", "mine_to_propose:propose")
    again = a4nn("run", "--run-id", "r", "--commons", tmp_path / "commons", cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert "is complete" in again.stderr


# another program

PROGRAM = """
    import json, sys
    import numpy as np

    for line in sys.stdin:
        asked = json.loads(line)
        rng = np.random.default_rng([asked["seed"], len(asked["trials"]), len(asked["rejected"])])
        bits = rng.integers(0, 2, (asked["ask"], 2, 7)).tolist()
        print(json.dumps({answer}), flush=True)
        {then}
    """


def program(folder: Path, answer: str = '{"genomes": bits}', then: str = "pass") -> Experiment:
    path = folder / "propose.py"
    path.write_text(textwrap.dedent(PROGRAM).replace("{answer}", answer).replace("{then}", then))
    plain = an_experiment()
    command = [sys.executable, str(path)]
    tables = {"name": "script", "command": command, "networks": 8, "batch": 4, "invalid_in_a_row": 6}
    space = {"name": "macro", "phases": 2, "nodes": 4, "channels": 4}
    return Experiment.from_mapping({**plain.to_mapping(), "search": tables, "space": space})


@pytest.mark.parametrize(
    ("answer", "then"),
    [('{"genomes": bits}', "pass"), ("bits", "pass"), ("bits", "break"), ("[*bits, [1]]", "break")],
)
def test_a_program_is_asked_in_lines_of_json(answer: str, then: str, tmp_path: Path) -> None:
    """It may live as long as the search, or end after each answer."""
    what = program(tmp_path, answer, then)
    whole = search(what, tmp_path / "whole", FakeExecutor(one_at_a_time=True))
    assert len(whole.networks) == 8
    with pytest.raises(Killed):
        search(what, tmp_path / "cut", FakeExecutor(dies_at(5), one_at_a_time=True))
    resumed = search(what, tmp_path / "cut", FakeExecutor(one_at_a_time=True))
    assert [c.genome for c in resumed.candidates.values()] == [c.genome for c in whole.candidates.values()]


@pytest.mark.parametrize(
    ("answer", "then", "said"),
    [
        ("sys.exit(3)", "pass", "ended with status 3 before it answered; .* run it again to go on"),
        ('"what?"', "pass", "the last 6 genomes that were proposed are not valid"),
        ("[[9]] * 8", "pass", "the last 6 genomes that were proposed are not valid"),
    ],
)
def test_a_program_that_does_not_answer(answer: str, then: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=said):
        search(program(tmp_path, answer, then), tmp_path / "c", FakeExecutor())


def test_a_program_that_is_not_there(tmp_path: Path) -> None:
    tables = {"name": "script", "command": ["/no/such/program"]}
    what = Experiment.from_mapping({**an_experiment().to_mapping(), "search": tables})
    with pytest.raises(BadInput, match="command /no/such/program cannot be started: No such file"):
        search(what, tmp_path, FakeExecutor())


# a person


def typing(lines: Sequence[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody has typed lines and left."""
    read, write = os.pipe()
    os.write(write, "".join(f"{line}\n" for line in lines).encode())
    os.close(write)
    monkeypatch.setattr(sys, "stdin", os.fdopen(read))


def person(networks: int = 3) -> Experiment:
    tables = {"name": "person", "networks": networks}
    space = {"name": "macro", "phases": 2, "nodes": 4, "channels": 4}
    return Experiment.from_mapping({**an_experiment().to_mapping(), "search": tables, "space": space})


def test_a_person_types_what_is_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    typing(["", "?", json.dumps(BITS), json.dumps(BITS), "[1, 2", "random"], monkeypatch)
    with pytest.raises(BadInput, match="its input has ended, and so nobody can type a genome; run it again"):
        search(person(), tmp_path, FakeExecutor())
    networks = Commons(tmp_path).networks("r")
    assert [row.operator for row in networks] == ["typed", "sampling"]
    assert json.loads(networks[0].genome or "") == BITS
    reasons = [row.reason for row in Commons(tmp_path).rejected("r")]
    assert reasons == [Rejection.duplicate, Rejection.not_json]
    said = capsys.readouterr().err
    assert "0 of 3 networks asked for, 0 in training" in said
    assert "not trained, duplicate: network 0 has this genome already" in said
    assert "Type one genome a line, as JSON" in said

    typing(["end"], monkeypatch)  # the terminal was closed; another one
    one = search(person(), tmp_path, FakeExecutor(lambda _: pytest.fail("trained again")))
    assert len(one.networks) == 2
    shown = capsys.readouterr().err
    assert "2 of 3 networks asked for" in shown
    assert "2 genomes not valid" in shown
    assert "Pareto front:" in shown
    assert json.dumps(BITS, separators=(",", ":")) in shown


@pytest.mark.integration
def test_a_person_at_the_command_line(tmp_path: Path) -> None:
    command = [*A4NN, "run", *SMALL, "--set", 'search={name="person",networks=2}', "--run-id", "r"]
    typed = f"{json.dumps(BITS)}\n[[1]]\nrandom\n"
    done = subprocess.run(
        [*command, "--commons", str(tmp_path / "c")], input=typed, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "genome of the next network (random, end, or ? for help):" in done.stderr
    assert "not trained, not_in_space" in done.stderr
    assert "1 of 3 proposed genomes not valid (33.3 %): 1 not_in_space" in done.stdout
    status = a4nn("status", "r", "--commons", tmp_path / "c")
    assert "1 of 3 proposed genomes not valid (33.3 %): 1 not_in_space" in status.stdout
    shown = json.loads(a4nn("front", "r", "--json", "--commons", tmp_path / "c").stdout)
    assert shown["rejected"] == {"not_in_space": 1}


def test_lines_come_as_they_are_typed() -> None:
    read, write = os.pipe()
    lines = Lines(read)
    assert lines.next() is None
    os.write(write, b"one\ntw")
    assert (lines.next(), lines.next(), lines.ended) == ("one", None, False)
    os.write(write, b"o\r\nthree")
    assert (lines.next(), lines.next()) == ("two", None)
    os.close(write)
    assert (lines.next(), lines.next(), lines.ended) == ("three", None, True)
    os.close(read)
