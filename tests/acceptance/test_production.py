"""The production profile, started from its document alone: PostgreSQL, the units, nginx with a login.

What stands in docs/production.md is run as it stands there, below a temporary folder that takes the place of
`/`; packages, users and git are taken as given, and `systemctl` is tests/unit_files.py.
"""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from receiving import Webhook, webhook
from revops import ROOT, Revops, free_port, sandbox_company
from unit_files import Units, settings
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

NAME, PASSWORD = "ann", "correct horse battery staple"
START = """
mutation Start($job: ExecutionParams!) {
  launchRun(executionParams: $job) { __typename ... on LaunchRunSuccess { run { runId } } }
}"""
JOB = {
    "selector": {
        "repositoryLocationName": "orchestration.definitions",
        "repositoryName": "__repository__",
        "jobName": "revenue_pipeline",
    }
}
#: In the order of the document.
BLOCKS = ("machine", "project", "services", "login", "command", "backup", "upgrade")
#: What the document's commands and the units name, and is below the temporary folder here.
PLACES = (
    *("/opt/revops-warehouse", "/etc/revops", "/etc/nginx", "/etc/systemd/system", "/var/lib/revops"),
    *("/var/backups/revops", "/run/revops", "/run/postgresql", "/usr/local/bin/revops"),
)
#: A user of this machine is taken to exist or not to be needed; nginx's is there with nginx.
SHIMS = {
    "apt-get": "exit 0",
    "useradd": "exit 0",
    "make": "exit 0",
    "git": "exit 0",
    "sudo": '[ "$1" = -u ] || exec "$@"\n'
    'user="$2"; shift 2\n'
    'exec env -i PATH="$PATH" HOME="$UNITS_ROOT/var/lib/revops" UNITS_ROOT="$UNITS_ROOT"'
    ' PGHOST="$UNITS_ROOT/run/postgresql" PGUSER="$user" "$@"',
    "install": 'kept=""\nfor one in "$@"; do case "$before $one" in\n'
    '-g|-o) ;; "-g "*|"-o "*) [ "$one" = www-data ] && [ "$(id -u)" = 0 ] && kept="$kept -g www-data" ;;\n'
    '" -g"|*" -g"|*" -o") ;; *) kept="$kept $one" ;; esac; before="$one"; done\nexec /usr/bin/install $kept',
    "systemctl": f'exec {sys.executable} {ROOT}/tests/unit_files.py "$@"',
}
NGINX = """
{user}
pid {root}/run/nginx.pid;
error_log {root}/nginx.error.log;
events {{ }}
http {{
    access_log off;
    client_body_temp_path {root}/tmp/body;
    proxy_temp_path {root}/tmp/proxy;
    fastcgi_temp_path {root}/tmp/fastcgi;
    uwsgi_temp_path {root}/tmp/uwsgi;
    scgi_temp_path {root}/tmp/scgi;
    include {root}/etc/nginx/conf.d/*.conf;
}}
"""


def programs() -> tuple[Path, str]:
    """PostgreSQL's folder and nginx; without them the test is skipped."""
    found = [*Path("/usr/lib/postgresql").glob("*/bin/initdb"), shutil.which("initdb")]
    nginx = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    initdb = next((Path(one) for one in found if one), None)
    if initdb is None or nginx is None:
        pytest.skip("PostgreSQL or nginx is absent; `make test` installs them as root")
    return initdb.parent, nginx


class Machine:
    """A folder in the place of `/`, on which the document's commands run."""

    def __init__(self, root: Path, postgres: Path, nginx: str) -> None:
        self.root, self.postgres = root, postgres
        self.units = Units(root)
        self.ports = {"80": free_port(), "443": free_port(), "3000": free_port()}
        text = (ROOT / "docs" / "production.md").read_text(encoding="utf-8")
        blocks = re.findall(r"```bash\n(.*?)```", text, re.DOTALL)
        self.blocks = dict(zip(BLOCKS, blocks, strict=True))
        for folder in ("bin", "tmp", "run", "usr/local/bin", "var/backups", "etc/systemd/system"):
            (root / folder).mkdir(parents=True)
        (root / "etc/nginx/conf.d").mkdir(parents=True)
        for name, script in {**SHIMS, "nginx": f'exec {nginx} -c {root}/etc/nginx/nginx.conf "$@"'}.items():
            shim = root / "bin" / name
            shim.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
            shim.chmod(0o755)
        project = root / "opt/revops-warehouse"
        project.mkdir(parents=True)
        (project / ".venv").symlink_to(Path(sys.prefix))
        for file in (ROOT / "deploy").rglob("*"):
            if file.is_file():
                copy = project / file.relative_to(ROOT)
                copy.parent.mkdir(parents=True, exist_ok=True)
                copy.write_text(self.here(file.read_text(encoding="utf-8")), encoding="utf-8")
                copy.chmod(file.stat().st_mode)

    def here(self, text: str) -> str:
        """The same with this machine's paths and ports."""
        for place in PLACES:
            text = re.sub(rf"(?<![\w/.]){place}\b", f"{self.root}{place}", text)
        text = text.replace("host=/run", f"host={self.root}/run")
        for port in ("80", "443"):
            text = text.replace(f"listen {port}", f"listen 127.0.0.1:{self.ports[port]}")
        text = text.replace("--port 3000", f"--port {self.ports['3000']}")
        return text.replace("127.0.0.1:3000", f"127.0.0.1:{self.ports['3000']}")

    def run(self, block: str, exits: int = 0, said: str = "") -> str:
        """Run a block of the document, to its first command that fails; `said` is typed in."""
        script = self.here(self.blocks[block]).replace("openssl passwd -6", "openssl passwd -6 -stdin")
        path = f"{self.root}/bin:{self.root}/usr/local/bin:{self.postgres}:{os.environ['PATH']}"
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            env={"PATH": path, "UNITS_ROOT": str(self.root)},
            input=said,
            capture_output=True,
            text=True,
            timeout=600,
        )
        assert done.returncode == exits, f"{script}\n{done.stdout}\n{done.stderr}\n{self.logs()}"
        return done.stdout + done.stderr

    def logs(self) -> str:
        """The end of what the units said."""
        return "\n".join(f"== {log.name}\n{log.read_text()[-3000:]}" for log in self.root.glob("*.log"))

    def ask(
        self, path: str, body: Any = None, login: bool = True, headers: Mapping[str, str] | None = None
    ) -> tuple[int, str]:
        """What nginx answers a browser: status and text."""
        request = urllib.request.Request(
            f"https://127.0.0.1:{self.ports['443']}{path}",
            None if body is None else json.dumps(body).encode(),
            {"Content-Type": "application/json", "Host": "dagster.example.com", **(headers or {})},
        )
        if login:
            request.add_header("Authorization", self.authorization)
        try:
            with urllib.request.urlopen(request, timeout=60, context=anyone()) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as exc:
            return exc.code, exc.read().decode()

    @property
    def authorization(self) -> str:
        return f"Basic {base64.b64encode(f'{NAME}:{PASSWORD}'.encode()).decode()}"

    def query(self, query: str, **variables: Any) -> Any:
        status, text = self.ask("/graphql", {"query": query, "variables": variables})
        assert status == 200, text
        return json.loads(text)["data"]

    def is_up(self) -> bool:
        """Whether the web server answers and has the code."""
        if self.ask("/server_info")[0] != 200:
            return False
        found = self.query(
            "{ workspaceOrError { ... on Workspace { locationEntries { name locationOrLoadError {"
            " ... on RepositoryLocation { name } ... on PythonError { message } } } } } }"
        )
        (location,) = found["workspaceOrError"]["locationEntries"]
        self.loaded = location["locationOrLoadError"]
        return "name" in (self.loaded or {})

    def only_alerts(self) -> list[str]:
        """Stop what would start runs of its own while the test looks. Out: what was on."""
        found = self.query(
            "{ repositoriesOrError { ... on RepositoryConnection { nodes {"
            " schedules { name scheduleState { id status } }"
            " sensors { name sensorState { id status } } } } } }"
        )
        (repository,) = found["repositoriesOrError"]["nodes"]
        schedules = {one["name"]: one["scheduleState"] for one in repository["schedules"]}
        sensors = {one["name"]: one["sensorState"] for one in repository["sensors"]}
        for name, state in {**schedules, **sensors}.items():
            if name != "alerts":
                kind = "stopRunningSchedule" if name in schedules else "stopSensor"
                done = self.query(
                    f"mutation Stop($id: String!) {{ {kind}(id: $id) {{ __typename }} }}", id=state["id"]
                )
                assert "Error" not in done[kind]["__typename"], done
        return [name for name, state in {**schedules, **sensors}.items() if state["status"] == "RUNNING"]

    def rows(self, sql: str) -> list[str]:
        """What PostgreSQL answers."""
        asked = [
            str(self.postgres / "psql"),
            "-h",
            f"{self.root}/run/postgresql",
            "-U",
            "revops",
            "-Atc",
            sql,
        ]
        return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.splitlines()


def until(is_so: Callable[[], Any], seconds: float) -> None:
    """Wait for it; fails the test if it takes too long."""
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(1)


def answers(address: str) -> bool:
    """Whether anybody does there, whatever it says."""
    try:
        urllib.request.urlopen(address, timeout=60).close()
    except urllib.error.HTTPError:
        return True
    except urllib.error.URLError:
        return False
    return True


def anyone() -> ssl.SSLContext:
    """The test's certificate is nobody's."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


@pytest.fixture(scope="module")
def root() -> Iterator[Path]:
    """Where PostgreSQL's own user may go, too; sockets need a short path."""
    folder = Path(tempfile.mkdtemp(prefix="rw"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def machine(root: Path) -> Iterator[Machine]:
    """With PostgreSQL running, as the package leaves it, and nginx's own configuration."""
    postgres, nginx = programs()
    made = Machine(root, postgres, nginx)
    owner: dict[str, Any] = {"user": "nobody"} if os.getuid() == 0 else {}
    data = root / "postgres"
    for folder in (data, root / "run/postgresql"):
        folder.mkdir()
        if owner:
            shutil.chown(folder, "nobody")
    (root / "etc/nginx/nginx.conf").write_text(
        NGINX.format(root=root, user="user www-data;" if owner else ""), encoding="utf-8"
    )
    (root / "etc/systemd/system/nginx.service").write_text(
        f"[Service]\nExecStart={root}/bin/nginx -g 'daemon off;'\n", encoding="utf-8"
    )
    certificate = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-subj",
        "/CN=dagster.example.com",
    ]
    files = ["-keyout", f"{root}/etc/nginx/revops.key", "-out", f"{root}/etc/nginx/revops.crt"]
    subprocess.run([*certificate, *files], check=True, capture_output=True)
    initdb = [str(postgres / "initdb"), "-D", str(data), "-U", "postgres", "-A", "trust", "--no-sync"]
    subprocess.run(initdb, check=True, capture_output=True, cwd="/", **owner)
    with (root / "postgres.log").open("w", encoding="utf-8") as log:
        server = subprocess.Popen(
            [str(postgres / "postgres"), "-D", str(data), "-h", "", "-k", f"{root}/run/postgresql"],
            cwd="/",
            stdout=log,
            stderr=log,
            **owner,
        )
    until((root / "run/postgresql/.s.PGSQL.5432").exists, 30)
    try:
        yield made
    finally:
        for unit in ("nginx", "revops-webserver", "revops-daemon", "revops-code"):
            made.units.stop(unit)
        server.terminate()
        server.wait(60)


@pytest.fixture(scope="module")
def hook() -> Iterator[Webhook]:
    with webhook() as found:
        yield found


@pytest.fixture(scope="module")
def company(machine: Machine, hook: Webhook) -> Iterator[Revops]:
    """Set up as the document says, with a fictional company's systems in the place of the vendors'."""
    machine.run("machine")
    machine.run("project")
    made = sandbox_company(machine.root / "etc/revops", 40, 12, "\n[thresholds]\nhold_share = 0\n")
    made = Revops(machine.root / "var/lib/revops", made.config)
    made.home.mkdir(parents=True)
    with (machine.root / "etc/revops/secrets.env").open("a", encoding="utf-8") as secrets:
        secrets.write(f"ALERTS__ADDRESSES='json://127.0.0.1:{hook.port}/'\n")
    address = re.search(r"port = (\d+)", made.config.read_text(encoding="utf-8"))
    assert address
    with made.start("sandbox", "serve") as vendors:
        try:
            until(lambda: answers(f"http://127.0.0.1:{address[1]}/"), 60)
            machine.run("services")
            machine.run("login", said=f"{PASSWORD}\n")
            until(machine.is_up, 300)
            yield made
        finally:
            vendors.terminate()
            vendors.wait(60)


def test_the_instance_file_differs_in_the_storage_only() -> None:
    own, production = (
        yaml.safe_load((ROOT / file).read_text(encoding="utf-8"))
        for file in ("dagster.yaml", "deploy/dagster.yaml")
    )
    del own["event_log_storage"]
    assert production.pop("storage") == {"postgres": {"postgres_url": {"env": "REVOPS_POSTGRES_URL"}}}
    assert production == own


def test_units_hold_each_key_once_and_keys_are_the_codes_only() -> None:
    units = {file.stem: settings(file) for file in (ROOT / "deploy/systemd").glob("*.service")}
    assert set(units) == {"revops-code", "revops-daemon", "revops-webserver"}
    for name, unit in units.items():
        assert unit["User"] == ["revops"]
        assert ("/etc/revops/secrets.env" in unit["EnvironmentFile"]) == (name == "revops-code")
    assert " --host 127.0.0.1 " in units["revops-webserver"]["ExecStart"][0]


def test_who_does_not_log_in_sees_nothing(machine: Machine, company: Revops) -> None:
    address = f"wss://127.0.0.1:{machine.ports['443']}/graphql"
    for path in ("/", "/graphql", "/server_info", "/runs"):
        assert machine.ask(path, login=False)[0] == 401
    wrong = base64.b64encode(f"{NAME}:{PASSWORD}!".encode()).decode()
    assert machine.ask("/", login=False, headers={"Authorization": f"Basic {wrong}"})[0] == 401
    with pytest.raises(InvalidStatus, match="401"), connect(address, ssl=anyone()):
        pass
    elsewhere = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors"}
    assert machine.ask("/graphql", {"query": "{ version }"}, headers=elsewhere)[0] == 403
    assert machine.ask("/runs", headers={**elsewhere, "Sec-Fetch-Mode": "navigate"})[0] == 200
    status, page = machine.ask("/")
    assert status == 200 and 'id="initialization-data"' in page


def test_the_job_runs_and_publishes_and_its_history_is_in_postgresql(
    machine: Machine, company: Revops, hook: Webhook
) -> None:
    assert {"daily", "alerts"} <= set(machine.only_alerts())
    started = machine.query(START, job=JOB)["launchRun"]
    assert started["__typename"] == "LaunchRunSuccess", started
    run_id = started["run"]["runId"]
    query = "query Run($id: ID!) { runOrError(runId: $id) { ... on Run { status } } }"
    deadline = time.monotonic() + 900
    status = ""
    while status not in ("SUCCESS", "FAILURE", "CANCELED"):
        assert time.monotonic() < deadline, machine.logs()
        time.sleep(2)
        status = machine.query(query, id=run_id)["runOrError"]["status"]
    assert status == "SUCCESS", machine.logs()
    assert len(company.published()) >= 14
    assert machine.rows("select run_id, status from runs") == [f"{run_id}|SUCCESS"]
    assert int(machine.rows("select count(*) from event_logs")[0]) > 100
    assert not list((company.home / "dagster").rglob("*.db"))

    until(lambda: hook.received, 300)
    (alert,) = hook.taken()
    assert alert["title"].startswith("KPIs held back: ") and "won_without_billing" in alert["title"]
    assert alert["message"].endswith(f"/runs/{run_id}")


def test_a_run_is_followed_through_the_web_socket(machine: Machine, company: Revops) -> None:
    (run_id,) = machine.rows("select run_id from runs order by id limit 1")
    headers = {"Authorization": machine.authorization}
    followed = (
        "subscription Log($id: ID!) { pipelineRunLogs(runId: $id, cursor: null) {"
        " ... on PipelineRunLogsSubscriptionSuccess { messages { __typename } } } }"
    )
    with connect(
        f"wss://127.0.0.1:{machine.ports['443']}/graphql",
        ssl=anyone(),
        additional_headers=headers,
        subprotocols=["graphql-ws"],  # type: ignore[list-item]
        max_size=None,
    ) as socket:
        socket.send(json.dumps({"type": "connection_init"}))
        asked = {"query": followed, "variables": {"id": run_id}}
        socket.send(json.dumps({"type": "start", "id": "1", "payload": asked}))
        told: list[dict[str, Any]] = []
        while not told or told[-1]["type"] != "data":
            told.append(json.loads(socket.recv(30)))
    messages = told[-1]["payload"]["data"]["pipelineRunLogs"]["messages"]
    assert {"RunStartEvent", "MaterializationEvent"} & {one["__typename"] for one in messages}


def test_the_command_works_beside_the_services_on_the_same_history(
    machine: Machine, company: Revops, hook: Webhook
) -> None:
    said = machine.run("command", exits=2)
    assert "1 json: sent" in said
    assert "Held at their last good value" in said
    assert machine.rows("select status from runs") == ["SUCCESS", "SUCCESS"]
    assert [alert["title"] for alert in hook.taken()] == ["A test of revops alerts"]


def test_a_backup_holds_warehouse_and_history(machine: Machine, company: Revops) -> None:
    machine.run("backup")
    folder = machine.root / "var/backups/revops"
    listed = subprocess.run(
        ["tar", "-tzf", str(folder / "state.tar.gz")], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert {"./warehouse.duckdb", "./gaps.parquet", "./marts/"} <= set(listed)
    history = [str(machine.postgres / "pg_restore"), "--list", str(folder / "dagster.dump")]
    assert "TABLE DATA public runs" in subprocess.run(history, capture_output=True, text=True).stdout


def test_an_upgrade_stops_everything_and_starts_it_again(machine: Machine, company: Revops) -> None:
    machine.run("upgrade")
    until(machine.is_up, 300)
    runs = "{ runsOrError { ... on Runs { results { status } } } }"
    assert len(machine.query(runs)["runsOrError"]["results"]) == 2
    for unit in ("nginx", "revops-webserver", "revops-daemon", "revops-code"):
        machine.units.stop(unit)
    assert machine.units.running() == []
