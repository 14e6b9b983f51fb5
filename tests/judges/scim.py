#!/usr/bin/env python3
"""Judges people and groups by SCIM 2.0 with scim2-tester: every check that it has, against the real binary with a simulated
site. Then, as a directory would: a person who is deactivated there is cut here, with the session of their SIM.
Usage: scim.py SEKISHO
"""
import collections
import http.client
import json
import pathlib
import shutil
import sys
import tempfile
import time

from httpx2 import Client
from scim2_client.engines.httpx2 import SyncSCIMClient
from scim2_tester import Status, check_server

from api import ATTACHED, Site

BASE = "/signals/judge/scim/v2"


def made(site):
    """A source and a token that may do this and nothing else."""
    source = {"name": "judge", "kind": "scim", "groups": {"Office": "office"}}
    site.told("/api/v1/posture/sources", "POST", source)
    return site.told("/api/v1/tokens", "POST", {"label": "directory", "scopes": ["scim"]})["secret"]


def judged(site, token):
    """What scim2-tester says, by status, and what it found."""
    headers = {"Authorization": f"Bearer {token}"}
    with Client(base_url=f"http://127.0.0.1:{site.port}{BASE}", headers=headers, timeout=30) as client:
        results = check_server(SyncSCIMClient(client))
    counts = collections.Counter(r.status.name for r in results)
    bad = [r for r in results if r.status in (Status.ERROR, Status.CRITICAL)]
    return counts, [f"{r.title} {r.resource_type or ''}: {r.reason}" for r in bad]


def walked(site, token):
    """A directory's last word about somebody; what is wrong afterwards."""

    def scim(method, path, body=None):
        c = http.client.HTTPConnection("127.0.0.1", site.port, timeout=30)
        head = {"content-type": "application/scim+json", "authorization": f"Bearer {token}"}
        c.request(method, BASE + path, body=json.dumps(body) if body else None, headers=head)
        answer = c.getresponse()
        said = answer.read()
        if answer.status >= 300:
            raise SystemExit(f"{method} {path}: {answer.status} {said}")
        return json.loads(said)

    imsi = ATTACHED[0]
    user = scim("POST", "/Users", {"userName": "tanaka@example.jp", "externalId": "00u1", "active": True})
    scim("POST", "/Groups", {"displayName": "Office", "members": [{"value": user["id"]}]})
    site.run("sim", "link", imsi, "--person", "tanaka-2")
    if not any(s["imsi"] == imsi for s in site.told("/api/v1/sessions")["items"]):
        return ["the SIM has no session to lose"]
    scim("PATCH", f"/Users/{user['id']}", {"Operations": [{"op": "Replace", "path": "active", "value": "False"}]})
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        state = site.told(f"/api/v1/sims/{imsi}")["state"]
        live = any(s["imsi"] == imsi for s in site.told("/api/v1/sessions")["items"])
        if state == "suspended" and not live:
            return []
        time.sleep(0.05)
    return [f"a person was deactivated; the SIM is {state}, its session {'lives' if live else 'has ended'}"]


def main(binary):
    place = tempfile.mkdtemp(prefix="sekisho-scim-")
    site = Site(str(pathlib.Path(binary).resolve()), place)
    counts, found = {}, []
    began = time.monotonic()
    site.run("lab", "up", "--cards", str(site.cards))
    try:
        site.seed()
        token = made(site)
        counts, found = judged(site, token)
        if counts.get("SUCCESS", 0) < 60:
            found.append(f"{dict(counts)}: that is no judging")
        found += walked(site, token)
        if "panicked" in (site.place / "data/lab.log").read_text(errors="replace"):
            found.append("a thread has panicked")
    finally:
        site.run("lab", "down")
    shutil.rmtree(place, ignore_errors=True)
    for what in found:
        print(f"FOUND: {what}")
    said = {k: n for k, n in sorted(counts.items())}
    print(json.dumps({"seconds": round(time.monotonic() - began), "checks": said, "held": not found}))
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main(*sys.argv[1:])
