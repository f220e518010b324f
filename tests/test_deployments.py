"""What an operator is given: deployments, work pools, image and compose file, checked as far as it can be
without Docker, Kubernetes and a GPU."""

from __future__ import annotations

import asyncio
import configparser
import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import jsonschema
import pytest
import yaml
from prefect.cli.deploy._models import PrefectYamlModel
from prefect.client.schemas.objects import FlowRun
from prefect.flows import Flow, load_flow_from_entrypoint
from prefect.workers.process import ProcessJobConfiguration

from a4nn_core.errors import BadInput
from a4nn_core.experiment import Experiment, load_experiment, presets
from a4nn_core.workflow.slots import LOCK_FOLDER
from a4nn_flows.deploy import deploy
from a4nn_flows.parameters import form, name_of, resolve

ROOT = Path(__file__).parent.parent
DEPLOYMENTS = ROOT / "deployments"
POOLS = DEPLOYMENTS / "work-pools"


def yaml_file(path: Path) -> dict[str, Any]:
    class Loader(yaml.SafeLoader):
        pass

    Loader.add_constructor("!reset", lambda *_: None)
    loaded: dict[str, Any] = yaml.load(path.read_text(), Loader)
    return loaded


def deployments() -> dict[str, dict[str, Any]]:
    return {one["name"]: one for one in yaml_file(DEPLOYMENTS / "prefect.yaml")["deployments"]}


# prefect.yaml


def test_prefects_own_model_takes_the_file() -> None:
    PrefectYamlModel.model_validate(yaml_file(DEPLOYMENTS / "prefect.yaml"))


@pytest.mark.parametrize("name", list(deployments()))
def test_a_deployment_names_a_flow_and_gives_it_what_it_takes(name: str) -> None:
    one = deployments()[name]
    flow = load_flow_from_entrypoint(one["entrypoint"], use_placeholder_flow=False)
    assert isinstance(flow, Flow)
    schema = flow.parameters.model_dump()
    known = schema["properties"]
    given = one.get("parameters", {})
    assert set(given) <= set(known)
    assert all(known[parameter].get("description") for parameter in known), "the form explains everything"
    jsonschema.Draft202012Validator.check_schema(schema)
    if name != "segment":
        jsonschema.validate(given, schema)
    for schedule in one.get("schedules", []):
        assert schedule["slug"]
        assert ("cron" in schedule) == ("timezone" in schedule)
    # a lease of a deployment's limit that cannot be renewed ends the run; a kernel lock cannot be lost
    assert "concurrency_limit" not in one


def test_recurring_searches_make_a_new_run_each_time() -> None:
    recurring = [one for one in deployments().values() if "recurring" in one.get("tags", [])]
    kinds = {("cron" if "cron" in s else "interval") for one in recurring for s in one["schedules"]}
    assert kinds == {"cron", "interval"}
    assert not any("run_id" in one["parameters"] for one in recurring)


def test_segments_named_in_deployments_exist() -> None:
    flows = {one["name"]: one["entrypoint"] for one in deployments().values()}
    named = [
        p["segments"] for one in deployments().values() if (p := one.get("parameters", {})).get("segments")
    ]
    assert named == ["a4nn-segment/segment"]
    assert flows["segment"] == "a4nn_flows.segment.segment"


# the form of an experiment


@pytest.mark.parametrize("preset", list(presets()))
def test_the_form_takes_every_preset_by_name_and_spelt_out(preset: str) -> None:
    jsonschema.validate(preset, form())
    jsonschema.validate(load_experiment(preset).to_mapping(), form())
    assert resolve(preset, []) == load_experiment(preset)


def test_the_form_offers_every_part_with_its_settings() -> None:
    choices = form()["anyOf"]
    assert choices[0]["enum"] == list(presets())
    whole = choices[2]["properties"]
    names = {ref["$ref"].rpartition("/")[2] for ref in whole["data"]["anyOf"]}
    assert {"Digits", "Xfel", "ImageFolder"} <= names
    assert "published" not in json.dumps(whole["training"])
    epochs = form()["$defs"]["Training"]["properties"]["epochs"]
    assert (epochs["default"], epochs["minimum"]) == (25, 1)
    assert epochs["description"] == "the budget of each network"


@pytest.mark.parametrize(
    "bad",
    [
        "nosuch",
        {"name": "x"},
        {**load_experiment("digits").to_mapping(), "data": {"name": "digits", "sed": 1}},
        {**load_experiment("digits").to_mapping(), "training": {"epochs": 0}},
        {**load_experiment("digits").to_mapping(), "termination": {"name": "nosuch"}},
    ],
)
def test_the_form_refuses_what_the_library_refuses(bad: Any) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(bad, form())
    with pytest.raises(BadInput):
        resolve(Experiment.from_mapping(bad) if isinstance(bad, dict) else bad, [])


def test_changes_go_with_a_name() -> None:
    assert resolve("digits", ["training.epochs=2"]).training.epochs == 2
    with pytest.raises(BadInput, match="changes needs a preset or a file"):
        resolve(load_experiment("digits"), ["training.epochs=2"])


@pytest.mark.parametrize(
    ("experiment", "name"),
    [("quick", "quick"), ("/a/my run.toml", "my-run"), ({"name": "x"}, "x"), ("..", "run")],
)
def test_a_run_is_called_after_its_experiment(experiment: Any, name: str) -> None:
    assert name_of(experiment) == name


# work pools


def template(kind: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((POOLS / f"{kind}.json").read_text())
    return loaded


@pytest.mark.parametrize("kind", ["process", "docker", "kubernetes"])
def test_a_template_uses_the_variables_it_has(kind: str) -> None:
    pool = template(kind)
    used = set(re.findall(r"{{ (\w+) }}", json.dumps(pool["job_configuration"])))
    assert used == set(pool["variables"]["properties"])
    for name, variable in pool["variables"]["properties"].items():
        jsonschema.Draft202012Validator.check_schema(variable)
        assert variable["description"]
        if "default" in variable:
            jsonschema.validate(variable["default"], variable), name


def configure(kind: type[Any], name: str, values: dict[str, Any]) -> Any:
    """A job as Prefect's worker makes it from a template and a deployment's job variables; the server, whose
    blocks and variables the templates do not use, is not asked."""
    job = asyncio.run(kind.from_template_and_values(template(name), values, client=object()))
    job.prepare_for_flow_run(FlowRun(flow_id=uuid4(), name="a run"))
    return job


def test_prefects_process_worker_takes_its_template(tmp_path: Path) -> None:
    job = configure(
        ProcessJobConfiguration,
        "process",
        {"working_dir": str(tmp_path), "env": {"CUDA_VISIBLE_DEVICES": "1"}},
    )
    assert job.working_dir == tmp_path
    assert job.env["CUDA_VISIBLE_DEVICES"] == "1"
    assert configure(ProcessJobConfiguration, "process", {}).env["DO_NOT_TRACK"] == "1"


def container(values: dict[str, Any]) -> dict[str, Any]:
    """What Prefect's worker sends to Docker to create a flow run's container."""
    worker = pytest.importorskip("prefect_docker.worker", reason="needs a4nn[docker]")
    containers = pytest.importorskip("docker.models.containers")
    job = configure(worker.DockerWorkerJobConfiguration, "docker", values)
    docker = SimpleNamespace(version=lambda: {"Version": "28.2.2"})
    settings = worker.DockerWorker(work_pool_name="a4nn")._build_container_settings(docker, job)
    created: dict[str, Any] = containers._create_container_args({**settings, "version": "1.43"})
    return created


@pytest.mark.slow
def test_containers_share_the_locks_of_the_gpus_they_all_see(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_HOME", "/home/operator/.prefect")
    # a deployment's own variables and volumes take neither locks nor home from it
    made = container({"env": {"A": "1"}, "volumes": ["/data/commons:/srv/a4nn/commons"]})
    host = made["host_config"]
    assert made["image"] == "a4nn:latest"
    assert made["environment"]["A"] == "1"
    assert made["environment"]["PREFECT_HOME"] == image_environment()["PREFECT_HOME"]
    assert host["Binds"] == ["/data/commons:/srv/a4nn/commons"]
    (locks,) = host["Mounts"]
    assert (locks["Type"], locks["Target"]) == ("volume", image_environment()[LOCK_FOLDER])
    compose = yaml_file(DEPLOYMENTS / "compose.yaml")
    assert compose["volumes"]["locks"]["name"] == locks["Source"] == "a4nn-locks"
    assert f"locks:{locks['Target']}" in compose["services"]["worker"]["volumes"]
    # of a number, Docker makes the first so many: the same GPU for every container
    (gpu,) = host["DeviceRequests"]
    assert (gpu["Driver"], gpu["Count"], gpu["Capabilities"]) == ("nvidia", -1, [["gpu"]])
    assert (host["ShmSize"], host["Init"]) == (2**30, True)
    assert host["SecurityOpt"] == ["no-new-privileges:true"]


def test_a_container_that_does_not_train_has_no_gpu() -> None:
    made = container(deployments()["sweep"]["work_pool"]["job_variables"])
    assert [request["Count"] for request in made["host_config"]["DeviceRequests"]] == [0]
    assert made["host_config"]["Binds"] == ["/srv/a4nn/commons:/srv/a4nn/commons"]


def job_manifest(values: dict[str, Any]) -> dict[str, Any]:
    """A job as Prefect's worker sends it to Kubernetes, with nothing in it that the API does not know."""
    worker = pytest.importorskip("prefect_kubernetes.worker", reason="needs a4nn[kubernetes]")
    client = pytest.importorskip("kubernetes_asyncio.client")
    jsonschema.validate(values, template("kubernetes")["variables"])
    manifest: dict[str, Any] = configure(
        worker.KubernetesWorkerJobConfiguration, "kubernetes", values
    ).job_manifest
    check_manifest(manifest, "V1Job", client.models)
    # the client's own reading, which also misses what is required
    with_types = client.ApiClient.__new__(client.ApiClient)._ApiClient__deserialize(manifest, "V1Job")
    assert with_types.spec.template.spec.containers[0].name == "prefect-job"
    return manifest


@pytest.mark.slow
def test_prefects_kubernetes_worker_takes_its_template(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_HOME", "/home/operator/.prefect")
    manifest = job_manifest({"gpus": 2, "env": {"A": "1"}})
    assert (manifest["spec"]["backoffLimit"], manifest["spec"]["ttlSecondsAfterFinished"]) == (0, 3600)
    pod = manifest["spec"]["template"]["spec"]
    (job,) = pod["containers"]
    assert job["resources"] == {
        "requests": {"cpu": "2", "memory": "8Gi"},
        "limits": {"memory": "32Gi", "nvidia.com/gpu": 2},
    }
    environment = {one["name"]: one["value"] for one in job["env"]}
    assert environment["A"] == "1"
    assert environment["PREFECT_HOME"] == image_environment()["PREFECT_HOME"]
    assert job["volumeMounts"] == [
        {"name": "commons", "mountPath": image_environment()["A4NN_COMMONS"]},
        {"name": "shared-memory", "mountPath": "/dev/shm"},
    ]
    assert pod["volumes"] == [
        {"name": "commons", "persistentVolumeClaim": {"claimName": "a4nn-commons"}},
        {"name": "shared-memory", "emptyDir": {"medium": "Memory", "sizeLimit": "1Gi"}},
    ]
    # Kubernetes' restricted pod security standard
    user = int(arguments()["USER_ID"])
    assert pod["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": user,
        "runAsGroup": user,
        "fsGroup": user,
        "fsGroupChangePolicy": "OnRootMismatch",
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert job["securityContext"] == {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    assert pod["automountServiceAccountToken"] is False
    assert pod["restartPolicy"] == "Never"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["maintain", "sweep", "many-machines"])
def test_what_does_not_train_needs_no_gpu(name: str) -> None:
    manifest = job_manifest(deployments()[name]["work_pool"]["job_variables"])
    (job,) = manifest["spec"]["template"]["spec"]["containers"]
    assert job["resources"]["limits"]["nvidia.com/gpu"] == 0
    small = {"cpu": "500m", "memory": "1Gi"}
    assert (job["resources"]["requests"] == small) == (name != "many-machines")


def test_a_limit_that_is_left_out_is_not_a_limit_of_nothing() -> None:
    # null would reach Kubernetes, which reads it as 0
    for name in ("cpu_limit", "memory_limit"):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({name: None}, template("kubernetes")["variables"])


def check_manifest(value: Any, kind: str, models: Any, at: str = "") -> None:
    """That a manifest has only keys which Kubernetes' published API types have, with values of their kind."""
    if kind.startswith("list["):
        assert isinstance(value, list), at
        for position, inner in enumerate(value):
            check_manifest(inner, kind[5:-1], models, f"{at}[{position}]")
    elif kind.startswith("dict("):
        assert isinstance(value, dict), at
    elif hasattr(models, kind):
        model = getattr(models, kind)
        keys = {model.attribute_map[name]: inner for name, inner in model.openapi_types.items()}
        assert isinstance(value, dict), at
        assert set(value) <= set(keys), f"{at} has no {set(value) - set(keys)}"
        for key, inner in value.items():
            check_manifest(inner, keys[key], models, f"{at}.{key}")
    else:
        assert isinstance(value, {"str": str, "int": int, "bool": bool}.get(kind, object)), (
            f"{at} is no {kind}"
        )


# image and compose file


def dockerfile() -> list[list[str]]:
    """Instructions, in words."""
    text = (DEPLOYMENTS / "Dockerfile").read_text().replace("\\\n", " ")
    return [line.split() for line in text.splitlines() if line.strip() and not line.startswith("#")]


def arguments() -> dict[str, str]:
    return dict(words[1].split("=", 1) for words in dockerfile() if words[0] == "ARG")


def image_environment() -> dict[str, str]:
    """The variables that the image sets."""
    lines = dockerfile()
    last = lines[[words[0] for words in lines].index("FROM", 2) :]
    return dict(pair.split("=", 1) for words in last if words[0] == "ENV" for pair in words[1:])


def test_the_image_is_built_in_stages_and_not_run_as_root() -> None:
    lines = dockerfile()
    stages = [words for words in lines if words[0] == "FROM"]
    assert [words[2:] for words in stages] == [["AS", "build"], ["AS", "run"]]
    last = lines[[words[0] for words in lines].index("FROM", 2) :]
    assert not any("build-essential" in words for words in last), "no compiler in the image that runs"
    assert [words[1] for words in last if words[0] == "USER"] == ["${USER_ID}:${USER_ID}"]
    assert int(arguments()["USER_ID"]) >= 10000
    assert image_environment()["A4NN_COMMONS"] == "/srv/a4nn/commons"
    # containerd mounts an empty, ephemeral folder for a VOLUME that lies within a mount
    assert "VOLUME" not in [words[0] for words in lines]
    # with `all`, a pod that asks for no GPU gets every GPU
    assert "NVIDIA_VISIBLE_DEVICES" not in image_environment()
    (made,) = [words for words in last if words[0] == "RUN" and "mkdir" in words]
    assert {image_environment()[name] for name in ("A4NN_COMMONS", LOCK_FOLDER, "PREFECT_HOME")} <= set(made)


def test_what_the_image_copies_is_there_and_not_ignored() -> None:
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    for words in dockerfile():
        if words[0] == "COPY" and not words[1].startswith("--from"):
            for source in words[1:-1]:
                assert (ROOT / source).exists()
                assert source == "." or source.split("/")[0] in kept
    # whatever the package is built from, as the Makefile counts it
    sources = re.search(r"find (.*?) -type f.*?\) (.*)", (ROOT / "Makefile").read_text())
    assert sources
    assert set(sources[1].split()) | set(sources[2].split()) <= kept
    assert all((ROOT / name).exists() for name in kept)


def test_compose_brings_server_database_and_a_worker_with_gpus() -> None:
    services = yaml_file(DEPLOYMENTS / "compose.yaml")["services"]
    assert set(services) == {"database", "server", "deploy", "worker"}
    url = services["server"]["environment"]["PREFECT_API_DATABASE_CONNECTION_URL"]
    assert url.startswith("postgresql+asyncpg://prefect:${POSTGRES_PASSWORD:?")
    (device,) = services["worker"]["deploy"]["resources"]["reservations"]["devices"]
    assert (device["driver"], device["capabilities"]) == ("nvidia", ["gpu"])
    for service in services.values():
        for other, how in service.get("depends_on", {}).items():
            assert how["condition"] != "service_healthy" or "healthcheck" in services[other]
    assert "0.0.0.0" not in services["server"]["ports"][0], "this machine only, as it may have no password"
    # given without a value, a variable that is unset stays unset; an empty password would shut everybody out
    assert services["server"]["environment"]["PREFECT_SERVER_API_AUTH_STRING"] is None
    for client in ("deploy", "worker"):
        environment = services[client]["environment"]
        assert set(environment) == {"PREFECT_API_URL", "PREFECT_API_AUTH_STRING"}
        assert environment["PREFECT_API_AUTH_STRING"] is None


def test_docker_compose_takes_its_file() -> None:
    docker = shutil.which("docker")
    if not docker or subprocess.run([docker, "compose", "version"], capture_output=True).returncode:
        pytest.skip("docker compose is not installed")
    for more in ([], ["-f", str(DEPLOYMENTS / "compose.cpu.yaml")]):
        done = subprocess.run(
            [docker, "compose", "-f", str(DEPLOYMENTS / "compose.yaml"), *more, "config", "--quiet"],
            env={"PATH": "/usr/bin:/bin:/usr/local/bin", "POSTGRES_PASSWORD": "x"},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", ["a4nn-server", "a4nn-worker", "a4nn-metrics"])
def test_systemd_takes_the_units(name: str) -> None:
    file = DEPLOYMENTS / f"systemd/{name}.service"
    unit = configparser.ConfigParser(interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]  keys are case-sensitive
    unit.read(file)
    service = unit["Service"]
    assert service["Restart"] == "always"
    assert unit["Unit"]["StartLimitIntervalSec"] == "0", "or it would give up after a few starts"
    # a flow of a worker that was killed goes on
    assert (service.get("KillMode") == "process") == (name == "a4nn-worker")
    shell, option, script = shlex.split(service["ExecStart"])
    assert (shell, option) == ("/bin/sh", "-c")
    settings, command = script.split(" && exec ")
    assert (ROOT / settings.removeprefix(". ")).exists()
    assert command in (ROOT / "docs/operations.md").read_text()
    assert "--background" not in command
    verify = shutil.which("systemd-analyze")
    if verify:
        done = subprocess.run([verify, "verify", str(file)], capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")


def test_what_is_deployed_at_every_start_keeps_what_an_operator_changed() -> None:
    _, _, command = yaml_file(DEPLOYMENTS / "compose.yaml")["services"]["deploy"]["command"]
    made, deployed = command.split(" && ", 1)
    assert made.startswith("{ prefect work-pool inspect a4nn > /dev/null || prefect work-pool create a4nn ")
    assert "--overwrite" not in made
    assert deployed == "cd deployments && python -m a4nn_flows.deploy"
    assert subprocess.run(["sh", "-n", "-c", command]).returncode == 0
    pages = [(ROOT / "docs/operations.md").read_text(), (DEPLOYMENTS / "prefect.yaml").read_text()]
    assert all(f"({deployed})" in page for page in pages)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (None, "cannot be read: No such file or directory"),
        ("deployments: [", "is not a prefect.yaml: while parsing a flow node"),
        ("name: a4nn", "lacks 'deployments'; it lists deployments, each with name and entrypoint"),
        ("deployments: [{ name: nightly }]", "lacks 'entrypoint'; it lists deployments"),
    ],
)
def test_a_file_that_cannot_be_deployed(text: str | None, sentence: str, tmp_path: Path) -> None:
    file = tmp_path / "prefect.yaml"
    if text is not None:
        file.write_text(text)
    with pytest.raises(BadInput) as caught:
        deploy(file)
    assert str(caught.value).startswith(f"{file} {sentence}")


# docs/operations.md


def test_the_operators_page_names_every_deployment_and_begins_with_seven_commands() -> None:
    page = (ROOT / "docs/operations.md").read_text()
    flows = {
        "search": "a4nn-search",
        "segment": "a4nn-segment",
        "maintain": "a4nn-maintain",
        "sweep": "a4nn-sweep",
    }
    named = set(re.findall(r"^\| `(a4nn-\w+/[\w-]+)` \|", page, re.MULTILINE))
    there = {f"{flows[one['entrypoint'].rpartition('.')[2]]}/{name}" for name, one in deployments().items()}
    assert named == there
    block = re.search(r"## From nothing[^#]*?\n\n((?:    [^\n]*\n)+)", page)
    assert block
    commands = [line.strip() for line in block[1].splitlines()]
    assert len(commands) == 7
    for file in re.findall(r"deployments/[\w./-]+", page):
        assert (ROOT / file.replace("KIND", "docker").rstrip(".")).exists(), file
