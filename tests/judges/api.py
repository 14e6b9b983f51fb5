#!/usr/bin/env python3
"""Judges the API by schemathesis: requests made from the committed openapi.json, right ones and wrong ones, against the real
binary with a simulated site and seeded data, with an owner's token.

What is left out, and which answers a check expects, stands with its reason in schemathesis.toml beside this file. Beyond
its checks: the token is never refused, every part is well at the end, no thread has panicked, and it was a judging at
all: one answer in twenty at least is a good one.
Usage: api.py SEKISHO SECONDS [SEED]
"""
import collections
import http.client
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import uuid

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
# Attached devices; the last one is banned then.
ATTACHED = ["001010000000001", "001010000000002", "001010000000003"]
# So often somebody has signed in before the judging begins: each sign-out takes one away.
SIGN_INS = 6


class Site:
    """A Sekisho with a simulated site, in a directory of its own."""

    def __init__(self, binary, place):
        self.binary, self.place = binary, pathlib.Path(place)
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.port = s.getsockname()[1]
        env = {k: v for k, v in os.environ.items() if not k.startswith("SEKISHO_")}
        env.update(
            SEKISHO_CONFIG=str(ROOT / "sekisho.example.toml"),
            SEKISHO_PATHS_DATA=str(self.place / "data"),
            SEKISHO_API_LISTEN=f"127.0.0.1:{self.port}",
            SEKISHO_API=f"http://127.0.0.1:{self.port}",
            LANG="C.UTF-8",
        )
        self.env = env
        self.token = self.run("init").strip()
        env["SEKISHO_TOKEN"] = self.token
        self.cards = self.place / "sims.csv"
        self.cards.write_text(self.run("lab", "cards", "40"))

    def run(self, *words):
        done = subprocess.run([self.binary, *words], env=self.env, capture_output=True, text=True)
        if done.returncode != 0:
            raise SystemExit(f"sekisho {' '.join(words)}: {done.stderr}")
        return done.stdout

    def ask(self, path, method="GET", body=None, token=None):
        """One call; its status and its words."""
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        headers = {"content-type": "application/json", "idempotency-key": uuid.uuid4().hex, "if-match": "*"}
        # Nobody has a token before he signs in.
        if token != "":
            headers["authorization"] = f"Bearer {token or self.token}"
        c.request(method, path, body=json.dumps(body) if body is not None else None, headers=headers)
        answer = c.getresponse()
        return answer.status, answer.read()

    def told(self, *call):
        status, said = self.ask(*call)
        if status >= 300:
            raise SystemExit(f"{call[1:2]} {call[0]}: {status} {said}")
        return json.loads(said) if said else None

    def sign_ins(self):
        """Tokens of an owner who has signed in several times, with a password that he chose."""
        body = {"name": "taro", "display": "Taro", "grants": [{"roles": ["owner"]}]}
        old = self.told("/api/v1/operators", "POST", body)["password"]
        new = uuid.uuid4().hex

        def sign_in(password):
            body = {"name": "taro", "password": password}
            return self.told("/api/v1/sign-in", "POST", body, "")["token"]

        self.told("/api/v1/me/password", "PUT", {"old": old, "new": new}, sign_in(old))
        return [sign_in(new) for _ in range(SIGN_INS)]

    def seed(self):
        """What an office of some days has: people, devices, sites, rules, traffic, a ban, a denied flow."""
        for words in [
            "data-network add corp --pool 10.60.0.0/16 --dns 10.10.0.53",
            "group add office --label Office",
            "group add factory",
            "app add intranet --prefix 10.10.0.10/32 --service tcp/80",
            "app add personnel --prefix 10.10.0.20/32 --service tcp/80",
            "rule add office-intranet --subject group:office --app intranet --verdict allow",
            "person add tanaka --name Tanaka --employee E-100",
            "site add osaka --name Osaka --tac 1 --cell 000000010",
            "device add pc-0042 --kind laptop --imei 490154203237518 --owner tanaka",
            f"sim import {self.cards}",
            "sim link 001010000000001 --device pc-0042 --person tanaka --site osaka",
            "operator add hanako --display Hanako --role soc",
            "token create playbook --role viewer",
        ]:
            self.run(*words.split())
        for imsi in ATTACHED:
            self.run("lab", "attach", imsi)
        self.run("lab", "open", ATTACHED[0], "10.10.0.10:80")
        self.run("lab", "send", ATTACHED[1])
        self.run("ban", ATTACHED[-1], "--reason", "seeded")


def judged(site, seconds, seed):
    """Runs schemathesis; whether it found nothing, the answers that it got by status, and refusals of the owner's token."""
    report = site.place / "report.ndjson"
    command = [
        "schemathesis", "--config-file", str(HERE / "schemathesis.toml"),
        "run", str(ROOT / "admin-web/openapi.json"), "--url", f"http://127.0.0.1:{site.port}",
        "--max-time", str(seconds), "--continue-on-failure", "--no-shrink",
        "--output-sanitize", "false", "--report", "ndjson", "--report-ndjson-path", str(report), *(["--seed", seed] if seed else []),
    ]
    env = dict(site.env, SCHEMATHESIS_HOOKS="api_hooks", PYTHONPATH=str(HERE), PYTHONDONTWRITEBYTECODE="1")
    env["SEKISHO_SESSIONS"] = ",".join(site.sign_ins())
    env["SEKISHO_KEPT"] = ",".join(t["id"] for t in site.told("/api/v1/tokens")["items"] if t["label"] != "playbook")
    ended = subprocess.run(command, cwd=site.place, env=env).returncode
    statuses, refused = collections.Counter(), []
    for request, response in (x for line in report.read_text().splitlines() for x in exchanges(json.loads(line))):
        status = response["status_code"]
        statuses[status] += 1
        shown = {k.lower(): v for k, v in request["headers"].items()}.get("authorization")
        # A sign-in is refused for its password, whatever token stands beside it.
        is_sign_in = request["uri"].endswith("/sign-in")
        if status == 401 and shown == [f"Bearer {site.token}"] and not is_sign_in:
            refused.append(f"{request['method']} {request['uri']}")
    return ended == 0, statuses, refused


def exchanges(node):
    """Requests with their answers, wherever in an event they stand."""
    if isinstance(node, dict):
        if isinstance(node.get("request"), dict) and isinstance(node.get("response"), dict):
            yield node["request"], node["response"]
        for v in node.values():
            yield from exchanges(v)
    elif isinstance(node, list):
        for v in node:
            yield from exchanges(v)


def main(binary, seconds, seed=None):
    seconds = int(seconds)
    place = tempfile.mkdtemp(prefix="sekisho-api-")
    site = Site(str(pathlib.Path(binary).resolve()), place)
    found = []
    began = time.monotonic()
    site.run("lab", "up", "--cards", str(site.cards))
    try:
        site.seed()
        well, statuses, refused = judged(site, seconds, seed)
        answers = sum(statuses.values())
        if not well:
            found.append("schemathesis found something")
        if refused:
            found.append(f"the owner's own token was refused {len(refused)} times: {refused[:5]}")
        good = sum(n for status, n in statuses.items() if status < 300)
        if good * 20 < answers or answers < 5 * seconds:
            found.append(f"{answers} answers, {good} of them good: that is no judging")
        if site.ask("/api/v1/me")[0] != 200:
            found.append("the token does not work any more")
        deadline = time.monotonic() + 20
        while site.ask("/readyz")[0] != 200 and time.monotonic() < deadline:
            time.sleep(0.2)
        if site.ask("/readyz")[0] != 200:
            found.append(f"it is not ready any more: {site.ask('/readyz')}")
        if "panicked" in (site.place / "data/lab.log").read_text(errors="replace"):
            found.append("a thread has panicked")
    finally:
        site.run("lab", "down")
    if found:
        print(f"what Sekisho said:\n{(site.place / 'data/lab.log').read_text(errors='replace')[-4000:]}")
    shutil.rmtree(place, ignore_errors=True)
    for what in found:
        print(f"FOUND: {what}")
    said = {str(k): n for k, n in sorted(statuses.items())}
    print(json.dumps({"seconds": round(time.monotonic() - began), "answers": answers, "by_status": said, "held": not found}))
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main(*sys.argv[1:])
