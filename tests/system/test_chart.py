"""The Helm chart: rendered by Helm, by the schemas of Kubernetes; a daemon starts with the config that it writes."""

import json
import os
import re
import ssl
import subprocess
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from auditor.commands.working import share_of
from auditor.config import load
from tests.logins import a_certificate
from tests.small import a_small_cloud
from tests.system.conftest import PEERS, ROOT, free_ports, running, tool

CHART = ROOT / "deploy" / "chart"
PLAIN = ROOT / "deploy" / "kubernetes.yaml"
EXAMPLE = CHART / "examples" / "plain.yaml"
VERSIONS = ("1.31", "1.37")
"""Of Kubernetes: the oldest that its providers still run, and the newest that there are schemas of."""
TOKEN = "t" * 40
LEAST = {
    "image": {"repository": "registry.example.com/cmek-auditor", "tag": "1"},
    "config": '[[bucket]]\nurl = "gs://data"\nlayout = "{org}/{namespace}/"\n',
    "web": {"tls": {"secret": "tls"}, "token": {"secret": "token"}},
}


def helm(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([tool("helm"), *arguments], capture_output=True, text=True, timeout=60, check=False)


def rendered(values: Path) -> str:
    done = helm("template", "cmek-auditor", str(CHART), "--namespace", "audit", "-f", str(values))
    assert done.returncode == 0, done.stderr
    return done.stdout


def documents(text: str) -> list[dict[str, Any]]:
    script = "import json, sys, yaml; print(json.dumps([one for one in yaml.safe_load_all(sys.stdin) if one]))"
    python = PEERS / "bin" / "python"
    done = subprocess.run([python, "-c", script], input=text, capture_output=True, text=True, timeout=60, check=True)
    told: list[dict[str, Any]] = json.loads(done.stdout)
    return told


def values_of(folder: Path, **more: Any) -> Path:
    path = folder / "values.yaml"
    # JSON is YAML.
    path.write_text(json.dumps({**LEAST, **more}))
    return path


def made(folder: Path, **more: Any) -> dict[str, dict[str, Any]]:
    """Kind -> what is rendered of it; the rules of Prometheus are two."""
    return {one["kind"]: one for one in documents(rendered(values_of(folder, **more)))}


def pod_of(told: dict[str, dict[str, Any]]) -> dict[str, Any]:
    spec: dict[str, Any] = told["StatefulSet"]["spec"]["template"]["spec"]
    return spec


def test_helm_finds_nothing_to_say_against_it(tmp_path: Path) -> None:
    done = helm("lint", "--strict", str(CHART), "-f", str(values_of(tmp_path)))
    assert done.returncode == 0, done.stdout
    assert "[WARNING]" not in done.stdout


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("kind", ["none", "gke", "eks-irsa", "eks-pod-identity"])
def test_kubernetes_knows_all_of_it(tmp_path: Path, version: str, kind: str) -> None:
    identity = {"kind": kind, "role": "arn:aws:iam::111122223333:role/auditor"}
    egress = [{"ports": [{"protocol": "TCP", "port": 5432}]}]
    policy = {"from": [{"podSelector": {}}], "egress": egress}
    more = {"identity": identity, "networkPolicy": policy, "files": {"names.csv": "a,b\n"}, "nodeSelector": {"a": "b"}}
    (tmp_path / "all.yaml").write_text(rendered(values_of(tmp_path, **more)))
    check = [tool("kubernetes-validate"), "--strict", "-k", version, str(tmp_path / "all.yaml")]
    done = subprocess.run(check, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    broken = (tmp_path / "all.yaml").read_text().replace("serviceAccountName:", "serviceAcountName:")
    (tmp_path / "all.yaml").write_text(broken)
    assert subprocess.run(check, capture_output=True, timeout=60, check=False).returncode != 0, "it would notice"


@pytest.mark.parametrize("version", VERSIONS)
def test_kubernetes_knows_the_workers_and_the_command_knows_what_they_say(version: str) -> None:
    path = ROOT / "deploy" / "workers.yaml"
    check = [tool("kubernetes-validate"), "--strict", "-k", version, str(path)]
    done = subprocess.run(check, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    job, policy = documents(path.read_text())
    jobs = job["spec"]["jobTemplate"]["spec"]
    pod = jobs["template"]
    (container,) = pod["spec"]["containers"]
    index, count = container["args"][-3], container["args"][-1]
    assert (index, count) == (f"$({container['env'][0]['name']})", str(jobs["completions"])), "each index has a worker"
    share = share_of(int(index.replace(index, "0")), int(count))
    assert share is not None
    assert container["args"][0] == "scan"
    assert policy["spec"]["podSelector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()
    daemon = pod_of(made_of(PLAIN.read_text()))
    assert pod["spec"]["securityContext"] == daemon["securityContext"], "as restricted as the daemon"
    assert container["securityContext"] == daemon["containers"][0]["securityContext"]
    # As in the daemon's pod, the image says which command it is.
    assert container.keys() & {"command"} == daemon["containers"][0].keys() & {"command"}


def made_of(text: str) -> dict[str, dict[str, Any]]:
    return {one["kind"]: one for one in documents(text)}


def test_its_pod_may_run_where_only_restricted_ones_may(tmp_path: Path) -> None:
    spec = pod_of(made(tmp_path))
    own = spec["securityContext"]
    assert (own["runAsNonRoot"], own["runAsUser"], own["fsGroup"]) == (True, 10001, 10001)
    assert own["seccompProfile"] == {"type": "RuntimeDefault"}
    assert f"USER {own['runAsUser']}:{own['runAsGroup']}" in (ROOT / "Dockerfile").read_text()
    (container,) = spec["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert not {"hostNetwork", "hostPID", "hostIPC", "initContainers"} & spec.keys()
    assert all({"configMap", "secret", "emptyDir"} & one.keys() for one in spec["volumes"])
    assert spec["automountServiceAccountToken"] is False


def test_secrets_are_named_and_never_written(tmp_path: Path) -> None:
    monitor = {"enabled": True, "serverName": "auditor.example.com"}
    told = documents(rendered(values_of(tmp_path, serviceMonitor=monitor)))
    assert not [one for one in told if one["kind"] == "Secret"]
    by_kind = {one["kind"]: one for one in told}
    (variable,) = pod_of(by_kind)["containers"][0]["env"]
    assert variable["valueFrom"] == {"secretKeyRef": {"name": "token", "key": "token"}}
    (endpoint,) = by_kind["ServiceMonitor"]["spec"]["endpoints"]
    assert endpoint["authorization"] == {"type": "Bearer", "credentials": {"name": "token", "key": "token"}}
    assert endpoint["tlsConfig"]["ca"] == {"secret": {"name": "tls", "key": "ca.crt"}}
    assert (endpoint["scheme"], endpoint["path"], endpoint["port"]) == ("https", "/metrics", "https")
    assert {"targetLabel": "installation", "replacement": "main"} in endpoint["relabelings"]


def test_nobody_may_call_in_until_somebody_is_named(tmp_path: Path) -> None:
    policy = made(tmp_path)["NetworkPolicy"]["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert "ingress" not in policy, "an empty list of those who may would be everybody"
    assert all(one["ports"] for one in policy["egress"])
    named = made(tmp_path, networkPolicy={"from": [{"podSelector": {}}]})["NetworkPolicy"]["spec"]
    assert named["ingress"] == [{"from": [{"podSelector": {}}], "ports": [{"protocol": "TCP", "port": "https"}]}]


def test_only_who_gets_credentials_from_the_machine_may_ask_it(tmp_path: Path) -> None:
    def asked(kind: str) -> set[str]:
        told = made(tmp_path, identity={"kind": kind, "role": "r"})["NetworkPolicy"]["spec"]["egress"]
        return {to["ipBlock"]["cidr"] for one in told for to in one.get("to", ())}

    assert asked("none") == asked("eks-irsa") == set()
    assert asked("eks-pod-identity") == {"169.254.170.23/32"}
    assert asked("gke") == {"169.254.169.254/32", "169.254.169.252/32"}


REFUSED = {
    "no config": ({"config": ""}, "config: give auditor.toml"),
    "a web side of its own": ({"config": '[[bucket]]\n[web]\nlisten = "x"\n'}, "leave [web] away"),
    "a web side in quotes": ({"config": '[[bucket]]\n[ "web" ]\nlisten = "x"\n'}, "leave [web] away"),
    "a web side without a table": ({"config": 'web.listen = "x"\n[[bucket]]\n'}, "leave [web] away"),
    "a web side in one line": ({"config": "'web' = {listen = 'x'}\n[[bucket]]\n"}, "leave [web] away"),
    "a state in quotes": ({"config": '"state" = "x"\n[[bucket]]\n'}, "leave `state` away"),
    "a state of its own": ({"config": 'state = "x"\n[[bucket]]\n'}, "leave `state` away"),
    "no image": ({"image": {"tag": "1"}}, "image.repository"),
    "an image of no version": ({"image": {"repository": "r"}}, "image.tag or image.digest"),
    "no certificate": ({"web": {"token": {"secret": "t"}}}, "web.tls.secret"),
    "no token": ({"web": {"tls": {"secret": "t"}}}, "web.token.secret"),
    "no role": ({"identity": {"kind": "eks-irsa"}}, "eks-irsa needs the ARN"),
    "another kind of identity": ({"identity": {"kind": "azure"}}, "identity.kind"),
    "a misspelt value": ({"netwrokPolicy": {}}, "netwrokPolicy"),
    "a monitor of no name": ({"serviceMonitor": {"enabled": True}}, "serviceMonitor.serverName"),
    "a file in the config's place": ({"files": {"auditor.toml": ""}}, "files"),
}


@pytest.mark.parametrize(("more", "why"), REFUSED.values(), ids=REFUSED)
def test_what_would_not_run_is_refused_before_anything_is_there(tmp_path: Path, more: dict[str, Any], why: str) -> None:
    done = helm("template", "cmek-auditor", str(CHART), "-f", str(values_of(tmp_path, **more)))
    assert done.returncode != 0
    assert why in done.stderr


def test_what_yaml_would_read_as_no_text_stays_one(tmp_path: Path) -> None:
    files = {"no": "a\n", "null": "\t", "0x10": "\r\n", "2026-01-01": "{{ x }}"}
    web = {"tls": {"secret": "123"}, "token": {"secret": "1e3", "key": "true"}}
    monitor = {"enabled": True, "serverName": "x", "interval": "60"}
    path = values_of(tmp_path, files=files, web=web, serviceMonitor=monitor, serviceAccount={"name": "null"})
    done = helm("template", "1", str(CHART), "-f", str(path))
    told = {one["kind"]: one for one in documents(done.stdout)}
    data = told["ConfigMap"]["data"]
    assert {name: data[name] for name in files} == files
    pod = pod_of(told)
    assert pod["serviceAccountName"] == told["ServiceAccount"]["metadata"]["name"] == "null"
    assert pod["containers"][0]["env"][0]["valueFrom"]["secretKeyRef"] == {"name": "1e3", "key": "true"}
    assert "123" in {one.get("secret", {}).get("secretName") for one in pod["volumes"]}
    (endpoint,) = told["ServiceMonitor"]["spec"]["endpoints"]
    assert endpoint["interval"] == "60"
    assert endpoint["authorization"]["credentials"] == {"name": "1e3", "key": "true"}
    assert endpoint["tlsConfig"]["ca"]["secret"]["name"] == "123"
    assert told["Service"]["spec"]["selector"]["app.kubernetes.io/instance"] == "1"


def test_a_key_that_is_called_web_elsewhere_is_no_web_side(tmp_path: Path) -> None:
    config = '[[bucket]]\nurl = "gs://web"\n# [web]\n[[key]]\nowner = "web"\nstate = "x"\nweb = "y"\n'
    assert config in made(tmp_path, config=config)["ConfigMap"]["data"]["auditor.toml"]


def test_its_alerts_are_those_of_this_project_and_prometheus_takes_them(tmp_path: Path) -> None:
    told = documents(rendered(values_of(tmp_path, prometheusRule={"enabled": True})))
    rules = [one for one in told if one["kind"] == "PrometheusRule"]
    names = ("data", "answer")
    assert len(rules) == len(names)
    for one, name in zip(rules, names, strict=True):
        assert one["spec"] == documents((ROOT / "grafana" / "alerts" / f"{name}.yml").read_text())[0]
        path = tmp_path / f"{name}.yaml"
        path.write_text(json.dumps(one["spec"]))
        subprocess.run([tool("promtool"), "check", "rules", str(path)], check=True, capture_output=True, timeout=60)


def test_its_daemon_starts_with_the_config_that_it_writes_and_lets_nobody_in_without_the_token(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    with a_small_cloud(tmp_path) as small:
        own = small.config.read_text()
        own = own.replace('state = "state"\n', "").replace('[web]\nlisten = "127.0.0.1:0"\n', "")
        web = {"port": port, **LEAST["web"]}  # type: ignore[dict-item]  # its values differ
        told = made(tmp_path, config=own, web=web)
        text = told["ConfigMap"]["data"]["auditor.toml"]
        certificate = a_certificate(tmp_path, "auditor.example.com")
        for there, here in {"/tls/tls.crt": certificate.cert, "/tls/tls.key": certificate.key}.items():
            assert there in text
            text = text.replace(there, str(here))
        state = "/var/lib/cmek-auditor/state"
        mounts = {one["mountPath"]: one["name"] for one in pod_of(told)["containers"][0]["volumeMounts"]}
        assert {mounts[str(Path(one).parent)] for one in (state, "/tls/tls.crt", "/config/auditor.toml")} == {
            *("state", "tls", "config")
        }
        config = tmp_path / "mounted.toml"
        config.write_text(text.replace(state, str(tmp_path / "state")))
        container = pod_of(told)["containers"][0]
        (probe,) = {json.dumps(container[f"{one}Probe"]["httpGet"]) for one in ("startup", "readiness", "liveness")}
        asked = json.loads(probe)
        assert (asked["scheme"], asked["port"]) == ("HTTPS", container["ports"][0]["name"])
        address = f"https://127.0.0.1:{container['ports'][0]['containerPort']}"
        command = [tool("cmek-auditor"), *container["args"][:-1], str(config)]
        env = {**os.environ, container["env"][0]["name"]: TOKEN}
        with running(*command, ready=f"{address}{asked['path']}", env=env):
            assert answer(f"{address}{asked['path']}") == (200, b"ok\n")
            assert answer(f"{address}/metrics")[0] == 401
            code, metrics = answer(f"{address}/metrics", TOKEN)
            assert code == 200
            assert b"cmek_build_info" in metrics


def answer(address: str, token: str = "") -> tuple[int, bytes]:
    """As something in the cluster asks, which calls the pod by an address that the certificate does not name."""
    any_certificate = ssl._create_unverified_context()  # noqa: S323, SLF001 - as a kubelet's probe does
    request = urllib.request.Request(address, headers={"Authorization": f"Bearer {token}"} if token else {})
    try:
        with urllib.request.urlopen(request, timeout=10, context=any_certificate) as told:
            return told.status, told.read()
    except urllib.error.HTTPError as error:
        return error.code, b""


def test_the_values_that_the_docs_show_are_enough(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "kubernetes.md").read_text()
    (shown,) = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    (tmp_path / "values.yaml").write_text(shown)
    told = documents(rendered(tmp_path / "values.yaml"))
    assert {one["kind"] for one in told} == {
        *("ConfigMap", "NetworkPolicy", "PrometheusRule", "Service", "ServiceAccount", "ServiceMonitor", "StatefulSet"),
    }
    account = next(one for one in told if one["kind"] == "ServiceAccount")
    assert account["metadata"]["annotations"] == {
        "eks.amazonaws.com/role-arn": "arn:aws:iam::111122223333:role/cmek-auditor"
    }
    config = tmp_path / "auditor.toml"
    config.write_text(next(one for one in told if one["kind"] == "ConfigMap")["data"]["auditor.toml"])
    assert load(config).web.asks
    # What it calls by name is called so.
    assert {one["metadata"]["name"] for one in told if one["kind"] == "StatefulSet"} == {"cmek-auditor"}
    assert "exec cmek-auditor-0 -- /opt/cmek-auditor/bin/cmek-auditor doctor --config /config/auditor.toml" in text
    assert 'ENTRYPOINT ["/opt/cmek-auditor/bin/cmek-auditor"]' in (ROOT / "Dockerfile").read_text()
    assert all(version in text for version in VERSIONS)


def test_the_plain_manifests_are_what_it_renders() -> None:
    kept = [line for line in rendered(EXAMPLE).splitlines() if "managed-by: Helm" not in line]
    assert documents(PLAIN.read_text()) == documents("\n".join(kept)), "make manifests"
