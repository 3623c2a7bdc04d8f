"""The images and the services of a team's installation, as far as their files tell."""

import json
import re
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator

ROOT = Path(__file__).parents[2]
COMPOSE_TEXT = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load(COMPOSE_TEXT)
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
SECRETS = {
    "POSTGRES_PASSWORD",
    "REDIS_PASSWORD",
    "RANKSCOPE_SECRET",
    "RANKSCOPE_ADMIN_NAME",
    "RANKSCOPE_ADMIN_PASSWORD",
}
NOT_SECRET = {"RANKSCOPE_PUBLIC_URL", "RANKSCOPE_PUBLISH"}


def test_the_compose_file_is_valid_by_the_compose_specification() -> None:
    schema = json.loads((ROOT / "tests/fixtures/compose-spec/compose-spec.json").read_text())
    problems = [
        f"{error.json_path}: {error.message}"
        for error in Draft202012Validator(schema).iter_errors(COMPOSE)
    ]
    assert problems == []


def test_a_misspelt_key_would_be_found() -> None:
    schema = json.loads((ROOT / "tests/fixtures/compose-spec/compose-spec.json").read_text())
    broken = {"services": {"web": {"image": "x", "enviroment": {}}}}
    assert not Draft202012Validator(schema).is_valid(broken)


def test_every_secret_is_required_and_none_has_a_default() -> None:
    # $$NAME is the container's own variable
    references = re.findall(r"(?<!\$)\$\{?(\w+)(:?[-?+][^}]*)?", COMPOSE_TEXT.replace("$$", ""))
    assert {name for name, _ in references} == SECRETS | NOT_SECRET
    for name, rule in references:
        if name in SECRETS:
            assert rule.startswith(":?"), f"{name}{rule}"
            assert "set it in .env" in rule


def test_no_password_stands_in_a_file() -> None:
    for service in COMPOSE["services"].values():
        for name, value in service.get("environment", {}).items():
            if re.search("PASSWORD|SECRET|_URL", name) and value:
                assert "${" in value, f"{name}={value}"
    example = (ROOT / ".env.example").read_text(encoding="utf-8")
    given = dict(re.findall(r"^(\w+)=(.*)$", example, re.MULTILINE))
    assert given == dict.fromkeys(SECRETS, "")
    assert ".env" in (ROOT / ".gitignore").read_text(encoding="utf-8").split()


def test_every_service_says_whether_it_is_well_but_the_one_that_ends() -> None:
    checks = {name: service["healthcheck"] for name, service in COMPOSE["services"].items()}
    assert checks.keys() == {"web", "worker", "migrate", "postgres", "redis"}
    assert checks.pop("migrate") == {"disable": True}
    assert all(check["test"] for check in checks.values())


def test_web_and_worker_wait_for_the_migration_to_succeed() -> None:
    services = COMPOSE["services"]
    for name in ("web", "worker"):
        assert services[name]["depends_on"]["migrate"] == {
            "condition": "service_completed_successfully"
        }
    assert services["migrate"]["depends_on"]["postgres"] == {"condition": "service_healthy"}
    assert services["migrate"]["restart"] == "no"


def test_web_and_worker_share_the_folder_of_the_runs_and_nothing_else_is_published() -> None:
    services = COMPOSE["services"]
    assert services["web"]["volumes"] == services["worker"]["volumes"] == ["runs:/data"]
    assert "RANKSCOPE_HOME=/data" in DOCKERFILE
    published = {name for name, service in services.items() if "ports" in service}
    assert published == {"web"}
    assert services["web"]["ports"] == ["${RANKSCOPE_PUBLISH:-127.0.0.1:7860}:7860"]
    used = {mount.split(":")[0] for s in services.values() for mount in s.get("volumes", [])}
    assert used == set(COMPOSE["volumes"])


def test_a_stopped_worker_has_time_to_save_and_gives_its_runs_back() -> None:
    worker = COMPOSE["services"]["worker"]
    assert worker["environment"]["RANKSCOPE_ON_SHUTDOWN"] == "requeue"
    assert worker["stop_grace_period"] == "60s"


def test_every_service_of_ours_runs_read_only_and_without_privileges() -> None:
    for name, service in COMPOSE["services"].items():
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        if name != "postgres":
            assert service["read_only"] is True, name


def test_every_target_that_compose_builds_exists_and_runs_as_a_user_without_rights() -> None:
    built = {s["build"]["target"] for s in COMPOSE["services"].values() if "build" in s}
    assert built == {"web", "worker"}
    for target in built:
        assert re.search(r"^USER rankscope$", _stage(target), re.MULTILINE)
        assert "HEALTHCHECK" in _stage(target)


def test_the_web_image_never_sees_torch() -> None:
    """Its packages come from the extras without torch, and none of its ancestors has more."""
    name, seen = "web", set()
    while name in _stages():
        seen.add(name)
        stage = _stage(name)
        copied = re.findall(r"--from=([\w-]+)", stage)
        seen.update(copied)
        assert "worker-packages" not in copied
        assert "train.txt" not in re.sub(r"open\('train.txt'.*", "", stage)
        name = _stages()[name]
    assert "web-packages" in seen
    assert "--requirement web.txt" in _stage("web-packages")
    assert "TORCH_INDEX" in _stage("worker-packages")
    assert "COPY --from=worker-packages" in _stage("worker")


def test_versions_in_the_images_are_the_tested_ones() -> None:
    installs = re.findall(r"pip install (.*)", DOCKERFILE)
    assert installs
    assert all("--constraint constraints.txt" in i or "--no-deps" in i for i in installs)


def _stages() -> dict[str, str]:
    """Every stage of the Dockerfile and what it starts from."""
    return {
        name: base for base, name in re.findall(r"^FROM (\S+) AS (\S+)$", DOCKERFILE, re.MULTILINE)
    }


def _stage(name: str) -> str:
    """The instructions of a stage."""
    found = re.search(
        rf"^FROM \S+ AS {re.escape(name)}\n(.*?)(?=^FROM |\Z)", DOCKERFILE, re.MULTILINE | re.DOTALL
    )
    assert found is not None, f"no stage {name}"
    return found[1]
