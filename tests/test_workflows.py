"""Tests that every command in the workflows is run or parsed by a test, or is the README's."""

from __future__ import annotations

import configparser
import json
import os
import re
import shlex
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from bench.__main__ import _parser
from bench.analyse.change import gate
from bench.glue import against
from bench.report.change.unpaired import Comparison

yaml = pytest.importorskip("yaml", reason="PyYAML is not installed: pip install -e '.[test]'")

ROOT = Path(__file__).parent.parent
WORKFLOWS = sorted((ROOT / ".github" / "workflows").iterdir())
EXAMPLE = ROOT / ".github" / "examples" / "upgrade.yml"
ALL = [*WORKFLOWS, EXAMPLE]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PINNED = re.compile(r"actions/[a-z-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+")
PYTEST = (sys.executable, "-m", "pytest", "-c", str(ROOT / "pyproject.toml"), "-p", "no:cacheprovider")


def jobs(path):
    return yaml.safe_load(path.read_text(encoding="utf-8"))["jobs"].values()


def steps(path):
    return [step for job in jobs(path) for step in job["steps"]]


def scripts(path):
    return [step["run"].strip() for step in steps(path) if "run" in step]


def commands(script):
    """Yield the words of each command of a script of simple commands, without redirections."""
    for line in script.splitlines():
        words: list[str] = []
        lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        for word in lexer:
            if word == "&&":
                yield words
                words = []
            else:
                words.append(word)
        yield words[: words.index(">>")] if ">>" in words else words


def every_command(path):
    return [words for script in scripts(path) for words in commands(script)]


def section(title):
    """Return the text of a section of the README; empty where there is none."""
    match = re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", README, re.M | re.S)
    return match[1] if match else ""


def fenced(text, language):
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.M | re.S)


def quick_start():
    """Return the commands of the README's quick start."""
    lines = "".join(fenced(section("Quick start"), "sh")).splitlines()
    return [words for line in lines for words in commands(line)]


def environments():
    """Return the commands of tox's environments by name."""
    tox = configparser.ConfigParser(interpolation=None)
    tox.read(ROOT / "tox.ini")
    return {name.partition(":")[2]: tox[name]["commands"] for name in tox.sections() if name.startswith("testenv:")}


def tox_calls(verb):
    """Yield (file, environment, arguments after `--`) of each call of tox."""
    for path in ALL:
        for words in every_command(path):
            if words[:2] == [".venv/bin/tox", verb]:
                split = words.index("--")
                yield path.name, words[words.index("-e") + 1], words[split + 1 :]


TOX_RUNS = list(tox_calls("run"))
TOX_EXECS = list(tox_calls("exec"))
VERBS = [
    words[words.index("bench") + 1 :]
    for words in [*(words for path in ALL for words in every_command(path)), *(rest for *_, rest in TOX_EXECS)]
    if words[0].endswith("python") and words[1:3] == ["-m", "bench"]
]


def is_known(words):
    """Return whether a test of this file runs or parses a command, or it is the README's."""
    program, rest = words[0], words[1:]
    if program == ".venv/bin/tox":
        return words[1] in ("run", "exec")  # parsed below
    if program.endswith("/python"):
        return rest[:2] == ["-m", "bench"] or rest[:3] == ["-m", "pip", "install"]  # parsed below
    if program == "python3":
        return rest[:2] == ["-m", "venv"] or rest[0] == ".ci/newest_artifact.py"  # run below
    return words in (["cat", "results/runs/*/comparison.md"], [".ci/run"])  # the first is run below, the second checked


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.name)
def test_every_command_is_known(path):
    assert [words for words in every_command(path) if not is_known(words)] == []


def test_ci_run_in_a_hook_does_not_change_the_hooks_repository(tmp_path):
    clone, hooked = tmp_path / "clone", tmp_path / "hooked"
    for folder in (clone, hooked):
        (folder / ".ci").mkdir(parents=True)
        (folder / "file").write_text(folder.name)
        for words in (["init"], ["add", "file"], ["-c", "user.name=me", "-c", "user.email=me@h", "commit", "-m", "x"]):
            subprocess.run(["git", *words], cwd=folder, check=True, capture_output=True)
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8").partition("mapfile")[0]
    (clone / ".ci" / "run").write_text(f"{script}\ncat file\n")
    index = hooked / ".git" / "index"
    index_before = index.read_bytes()
    of_hook = {"GIT_DIR": str(hooked / ".git"), "GIT_INDEX_FILE": str(index), "GIT_WORK_TREE": str(hooked)}
    command = ["bash", str(clone / ".ci" / "run")]
    done = subprocess.run(command, env={**os.environ, **of_hook}, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "clone"), done.stderr
    assert index.read_bytes() == index_before


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_tox_is_installed_as_in_the_readme(path):
    installs = [words for words in every_command(path) if words[1:4] == ["-m", "pip", "install"]]
    assert all(words in quick_start() for words in installs)


def test_tests_run_the_readmes_command_and_ci_run():
    assert quick_start()[-1] in every_command(ROOT / ".github/workflows/tests.yml")
    assert [".ci/run"] in every_command(ROOT / ".github/workflows/tests.yml")
    assert os.access(ROOT / ".ci/run", os.X_OK)


@pytest.mark.parametrize("words", [words for words in every_command(EXAMPLE) if "-m" in words[:2]], ids=" ".join)
def test_the_examples_commands_accept_their_options(words):
    # Options before --help are parsed, and nothing is run.
    done = subprocess.run([sys.executable, *words[1:], "--help"], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_the_example_compares_the_environments_it_makes():
    made = {words[-1] for words in every_command(EXAMPLE) if words[1:3] == ["-m", "venv"]}
    [(command, folder)] = [
        (words, step["working-directory"])
        for step in steps(EXAMPLE)
        for words in commands(step.get("run", ""))
        if words[1:3] == ["-m", "bench"]
    ]
    environments = [
        command[0].removesuffix("/bin/python"),
        *(command[command.index(side) + 1] for side in ("--base", "--head")),
    ]
    assert {os.path.normpath(f"{folder}/{name}") for name in environments} == made


def test_the_example_installs_relubench_as_editable():
    [install] = [words for words in every_command(EXAMPLE) if words[-1] == "relubench"]
    assert install[-4:] == ["--constraint", "relubench/constraints.txt", "--editable", "relubench"]


@pytest.mark.parametrize(("name", "environment", "arguments"), TOX_RUNS, ids=lambda value: str(value))
def test_tox_environments_exist_and_pytest_accepts_the_options(name, environment, arguments):
    command = environments()[environment]
    if environment in ("test", "floors"):
        assert arguments == []
        words = shlex.split(command)
        assert (words[0], words[-1]) == ("pytest", "{posargs}")
        return
    words = shlex.split(command.replace("{posargs}", shlex.join(arguments)))
    assert words[:3] == ["pytest", "bench", "--benchmark-only"]
    local = ["." if word == "origin/main" else word for word in words[1:]]  # a clone may have no such branch
    collect = [*PYTEST, *local, "--implementations", "numpy", "--collect-only", "-q"]
    done = subprocess.run(collect, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_pull_request_is_compared_with_main_within_a_budget():
    [arguments] = [arguments for name, environment, arguments in TOX_RUNS if environment == "ab"]
    assert arguments == ["--against", "origin/main", "--passes", "auto", "--time-budget", "5m"]
    assert "--grid smoke" in environments()["ab"]


@pytest.mark.parametrize(("name", "environment", "arguments"), TOX_EXECS, ids=lambda value: str(value))
def test_tox_exec_uses_an_environment_that_tox_run_made(name, environment, arguments):
    assert (name, environment) in {(file, made) for file, made, _ in TOX_RUNS}
    assert arguments[:3] == ["python", "-m", "bench"]


def test_the_workflows_use_verbs():
    assert {words[0] for words in VERBS} == {"ab", "history"}


@pytest.mark.parametrize("words", VERBS, ids=" ".join)
def test_verbs_accept_their_arguments(words):
    assert _parser().parse_args(words).verb == words[0]


def test_the_examples_sizes_make_a_plan():
    [words] = [words for words in VERBS if words[0] == "ab"]
    options, skipped = [], {"--base", "--head", "--markdown", "--implementations"}
    for option, value in zip(words[1::2], words[2::2], strict=True):
        options += [] if option in skipped else [option, value]
    collect = [*PYTEST, "bench", "--benchmark-only", "--grid", "smoke", *options, "--collect-only", "-q"]
    done = subprocess.run(collect, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


def run_step(path, program, folder, **environment):
    """Run the step with a program as GitHub does; return the process, GITHUB_OUTPUT and the summary."""
    [script] = [script for script in scripts(path) if program in script]
    files = {name: folder / name for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
    for file in files.values():
        file.touch()
    variables = os.environ | {name: str(file) for name, file in files.items()} | environment
    shell = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script]
    done = subprocess.run(shell, cwd=folder, env=variables, capture_output=True, text=True, timeout=60)
    return done, *(file.read_text(encoding="utf-8") for file in files.values())


def test_the_step_summary_of_a_pull_request_is_the_comparison(tmp_path):
    run = tmp_path / "results" / "runs" / "2026-01-01T00-00-00-smoke"
    run.mkdir(parents=True)
    against.write(Comparison("base", "head", gate.outcome([])), run)
    workflow = ROOT / ".github/workflows/regressions.yml"
    done, _, summary = run_step(workflow, "GITHUB_STEP_SUMMARY", tmp_path)
    assert done.returncode == 0, done.stderr
    assert summary
    assert summary == (run / "comparison.md").read_text(encoding="utf-8")
    [condition] = [step["if"] for step in steps(workflow) if step.get("name") == "summary"]
    [pattern] = re.findall(r"hashFiles\('(.*?)'\)", condition)
    assert [*tmp_path.glob(pattern)] == [run / "comparison.md"]


@pytest.fixture
def github(tmp_path) -> Iterator[tuple[dict[str, str], list[dict]]]:
    """Serve a list of artifacts as GitHub does; yield a job's environment and the list."""
    (tmp_path / ".ci").symlink_to(ROOT / ".ci")
    artifacts: list[dict] = []

    class Api(BaseHTTPRequestHandler):
        def do_GET(self):
            url = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(url.query).items()}
            page, size = int(query["page"]), int(query["per_page"])
            path, token = url.path, self.headers["Authorization"]
            is_allowed = (path, token) == ("/repos/owner/name/actions/artifacts", "Bearer t")
            named = [artifact for artifact in artifacts if artifact["name"] == query["name"]]
            listed = named[(page - 1) * size : page * size]
            body = json.dumps({"total_count": len(artifacts), "artifacts": listed}).encode()
            self.send_response(200 if is_allowed else 403)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Api) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        variables = {
            "GITHUB_API_URL": f"http://127.0.0.1:{server.server_port}",
            "GITHUB_REPOSITORY": "owner/name",
            "GITHUB_TOKEN": "t",
            "no_proxy": "*",
        }
        yield variables, artifacts
        server.shutdown()
        thread.join()


def artifact(number, day, name="history", branch="main", head=1, expired=False):
    run = {"id": number, "repository_id": 1, "head_repository_id": head, "head_branch": branch}
    created = f"2026-01-{day:02}T00:00:00Z"
    return {"id": number, "name": name, "created_at": created, "expired": expired, "workflow_run": run}


def newest(github, tmp_path, file="history.yml", **environment):
    workflow = ROOT / ".github" / "workflows" / file
    return run_step(workflow, ".ci/newest_artifact.py", tmp_path, **github[0] | environment)


def test_the_newest_history_of_main_is_found_and_no_forks(github, tmp_path):
    github[1].extend(
        [
            artifact(1, 3),
            artifact(2, 5),
            artifact(3, 4),
            artifact(4, 9, expired=True),
            artifact(5, 9, branch="feature"),
            artifact(6, 9, head=2),
            artifact(7, 9, name="history-gpu"),
        ]
    )
    done, output, _ = newest(github, tmp_path)
    assert (done.returncode, output) == (0, "run-id=2\n"), done.stderr
    assert newest(github, tmp_path, "gpu.yml")[1].endswith("run-id=7\n")


def test_a_history_behind_many_artifacts_of_forks_is_found(github, tmp_path):
    github[1].extend([*(artifact(number, 9, head=2) for number in range(2, 250)), artifact(1, 3)])
    assert newest(github, tmp_path)[1] == "run-id=1\n"


def test_the_first_history_has_none_before_it(github, tmp_path):
    done, output, _ = newest(github, tmp_path)
    assert (done.returncode, output) == (0, "")


def test_an_unavailable_list_stops_the_job(github, tmp_path):
    done, output, _ = newest(github, tmp_path, GITHUB_TOKEN="wrong")
    assert (done.returncode, output) == (1, "")
    assert done.stderr == "artifacts 'history' cannot be listed: HTTPError: HTTP Error 403: Forbidden\n"


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.name)
def test_a_workflow_may_only_read(path):
    workflow = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert workflow["permissions"] == {"contents": "read"}
    allowed = [job.get("permissions", {}) for job in jobs(path)]
    assert {access for permissions in allowed for access in permissions.values()} <= {"read"}
    assert "pull_request_target" not in path.read_text(encoding="utf-8")
    assert all(job["timeout-minutes"] for job in jobs(path))


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.name)
def test_actions_are_pinned_by_hash_with_their_version(path):
    lines = [line.partition("uses:")[2].strip() for line in path.read_text(encoding="utf-8").splitlines()]
    assert [use for use in lines if use and not PINNED.match(use)] == []


def test_each_action_has_one_pin():
    used = [use for path in ALL for use in PINNED.findall(path.read_text(encoding="utf-8"))]
    assert len(set(used)) == len({use.partition("@")[0] for use in used})


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.name)
def test_no_checkout_keeps_its_token(path):
    checkouts = [step["with"] for step in steps(path) if step.get("uses", "").startswith("actions/checkout@")]
    assert checkouts
    assert all(checkout["persist-credentials"] is False for checkout in checkouts)


@pytest.mark.parametrize("name", ["gpu", "history"])
def test_history_and_gpu_runs_are_serial_and_not_cancelled(name):
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / f"{name}.yml").read_text(encoding="utf-8"))
    assert workflow["concurrency"] == {"group": name, "cancel-in-progress": False}


def test_a_history_is_downloaded_and_uploaded_at_the_same_path():
    for file in ("gpu.yml", "history.yml"):
        uses = [step for step in steps(ROOT / ".github" / "workflows" / file) if "uses" in step]
        inputs = {step["uses"].partition("@")[0]: step["with"] for step in uses}
        download, upload = inputs["actions/download-artifact"], inputs["actions/upload-artifact"]
        assert download["name"] == upload["name"]
        assert (download["path"], upload["path"]) == ("results/", "results/history.sqlite")


def test_lint_checks_every_workflow_and_the_example():
    lines = environments()["lint"].replace("\\\n", " ").splitlines()
    [schema] = [shlex.split(line) for line in lines if line.startswith("check-jsonschema")]
    [audit] = [shlex.split(line) for line in lines if line.startswith("zizmor")]
    assert schema[1:3] == ["--builtin-schema", "vendor.github-workflows"]
    assert sorted(schema[3:]) == sorted(str(path.relative_to(ROOT)) for path in ALL)
    assert "--offline" in audit
    assert audit[-2:] == [".github/workflows", ".github/examples"]


def test_the_readmes_workflow_is_the_example():
    text = section("Track regressions in CI")
    if not text:
        pytest.skip("the README has no section 'Track regressions in CI' yet")
    assert fenced(text, "yaml") == [EXAMPLE.read_text(encoding="utf-8")]
