"""The workflows do nothing that is not tested: each command in them is run or parsed here, or is the README's."""

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
    """Of a script of simple commands, the words of each; without redirections."""
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
    """Of the README, the lines of a section; none where it is not there."""
    found = re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", README, re.M | re.S)
    return found[1] if found else ""


def fenced(text, language):
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.M | re.S)


def quick_start():
    """The commands of the README's two lines."""
    lines = "".join(fenced(section("Quick start"), "sh")).splitlines()
    return [words for line in lines for words in commands(line)]


def environments():
    """tox's, and what each runs."""
    told = configparser.ConfigParser(interpolation=None)
    told.read(ROOT / "tox.ini")
    return {name.partition(":")[2]: told[name]["commands"] for name in told.sections() if name.startswith("testenv:")}


def tox_calls(verb):
    """(file, environment, what follows `--`) of each call."""
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
    """Whether a test of this file runs or parses it, or it is a line of the README's."""
    program, rest = words[0], words[1:]
    if program == ".venv/bin/tox":
        return words[1] in ("run", "exec")  # parsed below
    if program.endswith("/python"):
        return rest[:2] == ["-m", "bench"] or rest[:3] == ["-m", "pip", "install"]  # parsed below
    if program == "python3":
        return rest[:2] == ["-m", "venv"] or rest[0] == ".ci/newest_artifact.py"  # run below
    return words in (["cat", "results/runs/*/comparison.md"], [".ci/run"])  # the first run, the second looked at below


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.name)
def test_every_command_is_one_that_is_run_or_parsed_by_a_test(path):
    assert [words for words in every_command(path) if not is_known(words)] == []


def test_the_fresh_clone_of_ci_writes_nothing_into_the_repository_of_a_hook_that_runs_it(tmp_path):
    ours, other = tmp_path / "ours", tmp_path / "other"
    for folder in (ours, other):
        (folder / ".ci").mkdir(parents=True)
        (folder / "file").write_text(folder.name)
        for words in (["init"], ["add", "file"], ["-c", "user.name=me", "-c", "user.email=me@h", "commit", "-m", "x"]):
            subprocess.run(["git", *words], cwd=folder, check=True, capture_output=True)
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8").partition("mapfile")[0]
    (ours / ".ci" / "run").write_text(f"{script}\ncat file\n")
    index = other / ".git" / "index"
    before = index.read_bytes()
    misleading = {"GIT_DIR": str(other / ".git"), "GIT_INDEX_FILE": str(index), "GIT_WORK_TREE": str(other)}
    command = ["bash", str(ours / ".ci" / "run")]
    done = subprocess.run(command, env={**os.environ, **misleading}, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "ours"), done.stderr
    assert index.read_bytes() == before


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_tox_is_installed_as_the_readme_does(path):
    installs = [words for words in every_command(path) if words[1:4] == ["-m", "pip", "install"]]
    assert all(words in quick_start() for words in installs)


def test_the_tests_are_the_readme_s_second_command_and_its_commands_in_a_clone():
    assert quick_start()[-1] in every_command(ROOT / ".github/workflows/tests.yml")
    assert [".ci/run"] in every_command(ROOT / ".github/workflows/tests.yml")
    assert os.access(ROOT / ".ci/run", os.X_OK)


@pytest.mark.parametrize("words", [words for words in every_command(EXAMPLE) if "-m" in words[:2]], ids=" ".join)
def test_the_example_s_commands_take_their_options(words):
    # Whatever comes before --help is parsed, and nothing is done.
    done = subprocess.run([sys.executable, *words[1:], "--help"], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_the_example_compares_the_environments_that_it_makes():
    made = {words[-1] for words in every_command(EXAMPLE) if words[1:3] == ["-m", "venv"]}
    [(asked, folder)] = [
        (words, step["working-directory"])
        for step in steps(EXAMPLE)
        for words in commands(step.get("run", ""))
        if words[1:3] == ["-m", "bench"]
    ]
    environments = [
        asked[0].removesuffix("/bin/python"),
        *(asked[asked.index(side) + 1] for side in ("--base", "--head")),
    ]
    assert {os.path.normpath(f"{folder}/{name}") for name in environments} == made


def test_the_example_installs_relubench_so_that_its_folder_is_all_that_other_interpreters_see_of_it():
    [install] = [words for words in every_command(EXAMPLE) if words[-1] == "relubench"]
    assert install[-4:] == ["--constraint", "relubench/constraints.txt", "--editable", "relubench"]


@pytest.mark.parametrize(("name", "environment", "given"), TOX_RUNS, ids=lambda value: str(value))
def test_tox_has_the_environment_and_pytest_takes_the_options(name, environment, given):
    command = environments()[environment]
    if environment in ("test", "floors"):
        assert given == []
        words = shlex.split(command)
        assert (words[0], words[-1]) == ("pytest", "{posargs}")
        return
    words = shlex.split(command.replace("{posargs}", shlex.join(given)))
    assert words[:3] == ["pytest", "bench", "--benchmark-only"]
    here = ["." if word == "origin/main" else word for word in words[1:]]  # a clone may have no such branch
    asked = [*PYTEST, *here, "--implementations", "numpy", "--collect-only", "-q"]
    done = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_pull_request_is_compared_with_main_by_verdicts_within_a_budget():
    [given] = [given for name, environment, given in TOX_RUNS if environment == "ab"]
    assert given == ["--against", "origin/main", "--passes", "auto", "--time-budget", "5m"]
    assert "--grid smoke" in environments()["ab"]


@pytest.mark.parametrize(("name", "environment", "given"), TOX_EXECS, ids=lambda value: str(value))
def test_what_runs_in_an_environment_runs_in_one_that_was_made_before(name, environment, given):
    assert (name, environment) in {(file, made) for file, made, _ in TOX_RUNS}
    assert given[:3] == ["python", "-m", "bench"]


def test_the_workflows_use_verbs():
    assert {words[0] for words in VERBS} == {"ab", "history"}


@pytest.mark.parametrize("words", VERBS, ids=" ".join)
def test_verbs_take_their_arguments(words):
    assert _parser().parse_args(words).verb == words[0]


def test_the_example_s_sizes_make_a_plan():
    [words] = [words for words in VERBS if words[0] == "ab"]
    options, skipped = [], {"--base", "--head", "--markdown", "--implementations"}
    for option, value in zip(words[1::2], words[2::2], strict=True):
        options += [] if option in skipped else [option, value]
    asked = [*PYTEST, "bench", "--benchmark-only", "--grid", "smoke", *options, "--collect-only", "-q"]
    done = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


def run_step(path, program, folder, **environment):
    """Run the one step that has a program, as GitHub does; what it appended to GITHUB_OUTPUT and the summary."""
    [script] = [script for script in scripts(path) if program in script]
    files = {name: folder / name for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
    for file in files.values():
        file.touch()
    given = os.environ | {name: str(file) for name, file in files.items()} | environment
    shell = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script]
    done = subprocess.run(shell, cwd=folder, env=given, capture_output=True, text=True, timeout=60)
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
    """A server that lists artifacts as GitHub's does: a job's environment, and the list."""
    (tmp_path / ".ci").symlink_to(ROOT / ".ci")
    listed: list[dict] = []

    class Api(BaseHTTPRequestHandler):
        def do_GET(self):
            url = urlsplit(self.path)
            asked = {name: values[0] for name, values in parse_qs(url.query).items()}
            page, size = int(asked["page"]), int(asked["per_page"])
            right = url.path == "/repos/owner/name/actions/artifacts" and self.headers["Authorization"] == "Bearer t"
            found = [one for one in listed if one["name"] == asked["name"]][(page - 1) * size : page * size]
            body = json.dumps({"total_count": len(listed), "artifacts": found}).encode()
            self.send_response(200 if right else 403)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Api) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        given = {
            "GITHUB_API_URL": f"http://127.0.0.1:{server.server_port}",
            "GITHUB_REPOSITORY": "owner/name",
            "GITHUB_TOKEN": "t",
            "no_proxy": "*",
        }
        yield given, listed
        server.shutdown()
        thread.join()


def artifact(number, day, name="history", branch="main", head=1, expired=False):
    run = {"id": number, "repository_id": 1, "head_repository_id": head, "head_branch": branch}
    created = f"2026-01-{day:02}T00:00:00Z"
    return {"id": number, "name": name, "created_at": created, "expired": expired, "workflow_run": run}


def newest(github, tmp_path, file="history.yml", **environment):
    workflow = ROOT / ".github" / "workflows" / file
    return run_step(workflow, ".ci/newest_artifact.py", tmp_path, **github[0] | environment)


def test_the_newest_history_of_main_is_found_and_no_fork_s(github, tmp_path):
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


def test_a_list_that_cannot_be_had_stops_the_job_and_is_not_taken_for_none(github, tmp_path):
    done, output, _ = newest(github, tmp_path, GITHUB_TOKEN="wrong")
    assert (done.returncode, output) == (1, "")
    assert done.stderr == "artifacts 'history' cannot be listed: HTTPError: HTTP Error 403: Forbidden\n"


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.name)
def test_a_workflow_may_only_read(path):
    told = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert told["permissions"] == {"contents": "read"}
    allowed = [job.get("permissions", {}) for job in jobs(path)]
    assert {may for permissions in allowed for may in permissions.values()} <= {"read"}
    assert "pull_request_target" not in path.read_text(encoding="utf-8")
    assert all(job["timeout-minutes"] for job in jobs(path))


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.name)
def test_actions_are_pinned_by_hash_and_say_their_version(path):
    lines = [line.partition("uses:")[2].strip() for line in path.read_text(encoding="utf-8").splitlines()]
    assert [use for use in lines if use and not PINNED.match(use)] == []


def test_one_action_has_one_pin():
    used = [use for path in ALL for use in PINNED.findall(path.read_text(encoding="utf-8"))]
    assert len(set(used)) == len({use.partition("@")[0] for use in used})


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.name)
def test_no_checkout_leaves_its_token_behind(path):
    checkouts = [step["with"] for step in steps(path) if step.get("uses", "").startswith("actions/checkout@")]
    assert checkouts
    assert all(given["persist-credentials"] is False for given in checkouts)


@pytest.mark.parametrize("name", ["gpu", "history"])
def test_histories_and_gpu_runs_go_one_at_a_time_and_none_is_cut_off(name):
    told = yaml.safe_load((ROOT / ".github" / "workflows" / f"{name}.yml").read_text(encoding="utf-8"))
    assert told["concurrency"] == {"group": name, "cancel-in-progress": False}


def test_a_history_is_downloaded_and_uploaded_where_the_run_adds_to_it():
    for file in ("gpu.yml", "history.yml"):
        uses = [step for step in steps(ROOT / ".github" / "workflows" / file) if "uses" in step]
        moved = {step["uses"].partition("@")[0]: step["with"] for step in uses}
        download, upload = moved["actions/download-artifact"], moved["actions/upload-artifact"]
        assert download["name"] == upload["name"]
        assert (download["path"], upload["path"]) == ("results/", "results/history.sqlite")


def test_lint_checks_every_workflow_and_the_example():
    told = environments()["lint"].replace("\\\n", " ").splitlines()
    [schema] = [shlex.split(line) for line in told if line.startswith("check-jsonschema")]
    [audit] = [shlex.split(line) for line in told if line.startswith("zizmor")]
    assert schema[1:3] == ["--builtin-schema", "vendor.github-workflows"]
    assert sorted(schema[3:]) == sorted(str(path.relative_to(ROOT)) for path in ALL)
    assert "--offline" in audit
    assert audit[-2:] == [".github/workflows", ".github/examples"]


def test_the_readme_s_workflow_is_the_example():
    told = section("Track regressions in CI")
    if not told:
        pytest.skip("the README has no section 'Track regressions in CI' yet")
    assert fenced(told, "yaml") == [EXAMPLE.read_text(encoding="utf-8")]
