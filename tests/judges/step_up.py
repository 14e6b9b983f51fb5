#!/usr/bin/env python3
"""Judges the page inside the closed network: a simulated device, whose kernel stands in a namespace of its own behind a
radio, walks from a closed app to the page, to an identity provider (oidc-provider-mock, with TLS) and back, against the
real binary.

With a third word, a browser walks it as well: `node BROWSER ARGUMENTS` is started in the device's namespace.
Usage: step_up.py SEKISHO [BROWSER]
"""
import base64
import http.client
import json
import os
import pathlib
import re
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import uuid

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
PAGE, IDP, HR, DATA = "10.255.0.1", "10.10.0.10", "10.10.0.20", "10.10.0.10"
PORT = 8443
HERS, HIS, NOBODYS = "001010000000001", "001010000000002", "001010000000003"

# The provider: whoever is named proves to be that person. Suzuki has no second factor.
PROVIDER = """
import sys
from werkzeug.serving import run_simple
from oidc_provider_mock._app import app
from oidc_provider_mock._storage import User
mfa = {"amr": ["pwd", "mfa"]}
people = [User(sub="sub-tanaka", claims={"name": "Tanaka", **mfa}), User(sub="sub-sato", claims={"name": "Sato", **mfa}),
          User(sub="sub-suzuki", claims={"name": "Suzuki", "amr": ["pwd"]})]
it = app(require_nonce=True, user_claims=people)
it.debug = False
run_simple(sys.argv[1], int(sys.argv[2]), it, ssl_context=(sys.argv[3], sys.argv[4]), threaded=True)
"""


def say(what):
    print(f"{time.monotonic() - BEGAN:6.1f} s  {what}", flush=True)


def must(holds, what):
    if not holds:
        raise SystemExit(f"FOUND {what}")


class Site:
    """A Sekisho with a simulated site, a page and a provider, in a directory of its own."""

    def __init__(self, binary, place):
        self.binary, self.place = binary, pathlib.Path(place)
        # The page's process is nobody, and reads its certificate before.
        self.place.chmod(0o755)
        self.certificates()
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.port = s.getsockname()[1]
        self.config = self.place / "sekisho.toml"
        secret = self.place / "oidc.secret"
        secret.write_text("a secret of the walk\n")
        secret.chmod(0o600)
        self.config.write_text(
            (ROOT / "sekisho.example.toml").read_text()
            + f"""
[oidc]
name = "Corp"
issuer = "https://{IDP}:{PORT}"
client_id = "sekisho"
client_secret_file = "{secret}"
base_url = "http://127.0.0.1:{self.port}"
ca = "{self.place}/ca.pem"

[[oidc.grant]]
group = "net"
role = "viewer"

[service]
address = "{PAGE}"
url = "https://{PAGE}"
certificate = "{self.place}/page.pem"
private_key = "{self.place}/page.key"
minutes = 30
"""
        )
        env = {k: v for k, v in os.environ.items() if not k.startswith("SEKISHO_")}
        env.update(
            SEKISHO_CONFIG=str(self.config),
            SEKISHO_PATHS_DATA=str(self.place / "data"),
            SEKISHO_API_LISTEN=f"127.0.0.1:{self.port}",
            SEKISHO_API=f"http://127.0.0.1:{self.port}",
            LANG="C.UTF-8",
        )
        self.env = env
        self.token = self.run("init").strip()
        env["SEKISHO_TOKEN"] = self.token
        self.cards = self.place / "sims.csv"
        self.cards.write_text(self.run("lab", "cards", "3"))
        self.children = []

    def certificates(self):
        """An authority, and what it says of page and provider."""

        def openssl(*words):
            subprocess.run(["openssl", *words], cwd=self.place, check=True, capture_output=True)

        key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        openssl("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=walk")
        for name, address in [("page", PAGE), ("idp", IDP)]:
            openssl("req", *key, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={address}")
            (self.place / "san").write_text(f"subjectAltName=IP:{address}\n")
            ca = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "san"]
            openssl("x509", "-req", "-in", f"{name}.csr", "-out", f"{name}.pem", *ca)

    def run(self, *words):
        done = subprocess.run([self.binary, *words], env=self.env, capture_output=True, text=True)
        if done.returncode != 0:
            raise SystemExit(f"sekisho {' '.join(words)}: {done.stderr}")
        return done.stdout

    def api(self, method, path, body=None):
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        headers = {"content-type": "application/json", "idempotency-key": uuid.uuid4().hex, "if-match": "*",
                   "authorization": f"Bearer {self.token}"}
        c.request(method, path, body=json.dumps(body) if body is not None else None, headers=headers)
        answer = c.getresponse()
        said = answer.read()
        if answer.status >= 300:
            raise SystemExit(f"{method} {path}: {answer.status} {said}")
        return json.loads(said) if said else None

    def seed(self):
        for words in [
            "data-network add corp --pool 10.60.0.0/16",
            "group add office",
            f"app add hr --prefix {HR}/32 --service tcp/80 --service tcp/443",
            f"app add data --prefix {DATA}/32 --service tcp/80",
            "rule add hr --subject group:office --app hr --verdict step-up",
            "rule add data --subject group:office --app data --verdict step-up",
            f"sim import {self.cards}",
        ]:
            self.run(*words.split())
        for person, imsi in [("tanaka", HERS), ("suzuki", HIS)]:
            body = {"id": person, "name": person.capitalize(), "external": f"sub-{person}"}
            self.api("POST", "/api/v1/people", body)
            self.run("sim", "link", imsi, "--person", person)

    def processes(self):
        """Command lines of this site's processes."""
        parents, lines = {}, {}
        for p in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                lines[int(p.name)] = (p / "cmdline").read_bytes().split(b"\0")
                parents[int(p.name)] = int((p / "stat").read_text().rsplit(")", 1)[1].split()[1])
            except (FileNotFoundError, ProcessLookupError):
                pass

        def is_ours(pid):
            while pid > 1:
                if str(self.config).encode() in lines.get(pid, []):
                    return True
                pid = parents.get(pid, 0)
            return False

        return {pid: line for pid, line in lines.items() if is_ours(pid)}

    def hosts(self):
        """Processes whose namespace is a host's, by their addresses."""
        found = {}
        for pid, line in self.processes().items():
            if b"lab-host" in line:
                told = self.inside(pid, "ip", "-o", "-4", "addr").stdout
                for address in re.findall(r"inet ([0-9.]+)", told):
                    if not address.startswith("127."):
                        found[address] = pid
        return found

    def inside(self, pid, *words, **more):
        c = ["nsenter", "-t", str(pid), "-n", *words]
        return subprocess.run(c, capture_output=True, text=True, **more)

    def provider(self, pid):
        """The provider, in the namespace of the company's servers."""
        script = self.place / "provider.py"
        script.write_text(PROVIDER)
        words = [sys.executable, str(script), IDP, str(PORT), str(self.place / "idp.pem"), str(self.place / "idp.key")]
        log = open(self.place / "provider.log", "w")
        self.children.append(subprocess.Popen(["nsenter", "-t", str(pid), "-n", *words], stdout=log, stderr=log))

    def device(self, pid, language="ja,en;q=0.5"):
        return Device(self, pid, language)

    def end(self):
        """The page's process goes with the rest."""
        page = [pid for pid, line in self.processes().items() if b"--page" in line]
        for child in self.children:
            child.terminate()
        subprocess.run([self.binary, "lab", "down"], env=self.env, capture_output=True)
        deadline = time.monotonic() + 5
        while any(pathlib.Path(f"/proc/{pid}").exists() for pid in page):
            must(time.monotonic() < deadline, "the page's process is left behind")
            time.sleep(0.05)


class Device:
    """A person's browser, as far as cookies and redirects go, behind a simulated radio."""

    def __init__(self, site, pid, language):
        self.site, self.pid, self.language, self.cookies = site, pid, language, {}

    def get(self, url, form=None, patience=15):
        """One request: status, headers, text; or the word of the error."""
        host = re.match(r"https?://([^/]+)", url).group(1)
        ask = {"url": url, "form": form, "language": self.language, "patience": patience, "ca": str(self.site.place / "ca.pem"),
               "cookie": "; ".join(f"{n}={v}" for n, v in self.cookies.get(host, {}).items())}
        done = self.site.inside(self.pid, sys.executable, str(HERE / "step_up.py"), "--ask", json.dumps(ask), timeout=60)
        must(done.returncode == 0, f"the device's request: {done.stderr}")
        answer = json.loads(done.stdout)
        for cookie in answer.get("cookies", []):
            name, value = cookie.split(";")[0].split("=", 1)
            self.cookies.setdefault(host, {})[name] = value
        return answer

    def prove(self, app, sub, back=None):
        """From the page to the provider and back; the last answer, and the address that led there."""
        there = self.get(f"https://{PAGE}/prove?app={app}")
        must(there["status"] == 303, f"the way out: {there}")
        at = there["location"]
        must(at.startswith(f"https://{IDP}:{PORT}/oauth2/authorize?"), f"the provider's door: {at}")
        for word in ["code_challenge_method=S256", "state=", "nonce=", "response_type=code"]:
            must(word in at, f"{word} is missing in {at}")
        form = self.get(at)
        must(form["status"] == 200, f"the provider's form: {form}")
        come = self.get(at, {"sub": sub})
        must(come["status"] in (302, 303), f"the provider's answer: {come}")
        return self.get(come["location"]), come["location"]


def ask(words):
    """One request of a device, made in its namespace. Nothing of its environment is used."""
    q = json.loads(words)
    scheme, host, path = re.match(r"(https?)://([^/]+)(/?.*)", q["url"]).groups()
    try:
        if scheme == "https":
            context = ssl.create_default_context(cafile=q["ca"])
            c = http.client.HTTPSConnection(host, timeout=q["patience"], context=context)
        else:
            c = http.client.HTTPConnection(host, timeout=q["patience"])
        headers = {"accept-language": q["language"], "accept": "text/html", "cookie": q["cookie"]}
        body = None
        if q["form"] is not None:
            body = "&".join(f"{k}={v}" for k, v in q["form"].items())
            headers["content-type"] = "application/x-www-form-urlencoded"
        c.request("POST" if body is not None else "GET", path or "/", body=body, headers=headers)
        r = c.getresponse()
        text = r.read().decode("utf-8", "replace")
        cookies = [v for n, v in r.getheaders() if n.lower() == "set-cookie"]
        location = r.getheader("location")
        print(json.dumps({"status": r.status, "location": location, "cookies": cookies, "text": text[:20000],
                          "headers": dict(r.getheaders())}))
    except OSError as e:
        print(json.dumps({"status": 0, "error": type(e).__name__, "text": ""}))


def metric(site, what):
    c = http.client.HTTPConnection("127.0.0.1", site.port, timeout=30)
    c.request("GET", "/metrics", headers={"authorization": f"Bearer {site.token}"})
    told = c.getresponse().read().decode()
    found = re.search(rf'sekisho_proofs_total{{what="{what}"}} (\d+)', told)
    return int(found.group(1)) if found else 0


def confined(site):
    """The page's process is nobody, may nothing, and stands in a namespace with one way out."""
    page = [pid for pid, line in site.processes().items() if b"service" in line and b"--page" in line]
    must(len(page) == 1, f"the page's processes: {page}")
    status = pathlib.Path(f"/proc/{page[0]}/status").read_text()
    for line in [r"Uid:\s+65534\s+65534\s+65534", r"Gid:\s+65534", r"Groups:\s*\n", r"CapEff:\s+0+\n", r"CapPrm:\s+0+\n",
                 r"NoNewPrivs:\s+1", r"Threads:\s+1\n"]:
        must(re.search(line, status), f"the page's process has more than it needs: {line} in {status}")
    links = site.inside(page[0], "ip", "-o", "link").stdout.splitlines()
    must([line.split(":")[1].strip() for line in links] == ["lo", "service"], f"its ways out: {links}")


def walk(site, browser):
    site.run("lab", "up", "--cards", str(site.cards))
    site.seed()
    addresses = {}
    for imsi in [HERS, HIS, NOBODYS]:
        before = set(site.hosts())
        site.run("lab", "attach", imsi)
        addresses[imsi] = (set(site.hosts()) - before).pop()
    hosts = site.hosts()
    site.provider(hosts[IDP])
    hers, his, nobodys = (site.device(hosts[addresses[i]]) for i in [HERS, HIS, NOBODYS])
    say("three devices are attached, the provider is started")
    built_in = site.api("GET", "/api/v1/system")["built_in_apps"]
    must([(a["name"], a["prefixes"]) for a in built_in] == [("identity-provider", [f"{IDP}/32"])], f"built in: {built_in}")
    deadline = time.monotonic() + 20
    while hers.get(f"https://{IDP}:{PORT}/.well-known/openid-configuration")["status"] != 200:
        must(time.monotonic() < deadline, "the provider is not reached from a device")
        time.sleep(0.2)
    while hers.get(f"https://{PAGE}/")["status"] == 0:
        must(time.monotonic() < deadline, "the page is not reached from a device")
        time.sleep(0.2)

    found = [f["code"] for f in site.api("GET", "/api/v1/system/findings")["items"]]
    must("page-provider-closed" not in found, f"the way to the provider: {found}")
    confined(site)
    closed = hers.get(f"http://{HR}/salaries")
    must((closed["status"], closed.get("location")) == (303, f"https://{PAGE}/?app=hr"), f"a plain request: {closed}")
    reset = hers.get(f"https://{HR}/")
    must(reset["status"] == 0 and reset["error"] in ("ConnectionRefusedError", "ConnectionResetError"), f"TLS: {reset}")
    bare = hers.get(f"http://{PAGE}/?app=hr")
    must((bare["status"], bare["location"]) == (308, f"https://{PAGE}/?app=hr"), f"the page without TLS: {bare}")
    page = hers.get(closed["location"])
    must(page["status"] == 200, f"the page: {page}")
    for word in [HERS, "Tanaka", addresses[HERS], "本人確認", "/prove?app=hr", "ルール: hr", "/?app=data"]:
        must(word in page["text"], f"{word} is missing on the page: {page['text']}")
    english = site.device(hers.pid, "en").get(f"https://{PAGE}/?app=hr")["text"]
    must("Prove it is you at Corp" in english and "日本語" in english, f"in English: {english}")
    must("<script" not in page["text"] and "no-store" in page["headers"]["cache-control"], "the page's own rules")
    switched = hers.get(f"https://{PAGE}/?lang=en")["text"]
    must("Access to company apps" in switched, f"the switch of languages: {switched}")
    say("a closed app leads to the page, which says whose SIM it is and why it is closed")

    done, callback = hers.prove("hr", "sub-tanaka")
    must((done["status"], done["location"]) == (303, "/?app=hr"), f"back from the provider: {done}")
    opened = hers.get(f"http://{HR}/")
    must(opened["status"] == 200, f"hr behind the proof: {opened}")
    must("It is open to you" in hers.get(f"https://{PAGE}/?app=hr")["text"], "the page says that it is open")
    for device, app in [(hers, DATA), (his, HR), (nobodys, HR)]:
        other = device.get(f"http://{app}/")
        must(other["status"] == 303, f"a proof opened more than its app for its SIM: {other}")
    say("the proof opens that app for that SIM, and nothing else")

    again = hers.get(callback)
    must(again["status"] == 400, f"the way back counts twice: {again}")
    stolen = his.get(callback)
    must(stolen["status"] == 400, f"another device comes back: {stolen}")
    weak, _ = his.prove("hr", "sub-suzuki")
    must(weak["status"] == 403 and "location" not in weak["headers"], f"without a second factor: {weak}")
    other, _ = his.prove("hr", "sub-tanaka")
    must(other["status"] == 403, f"as somebody else: {other}")
    must(his.get(f"http://{HR}/")["status"] == 303, "it stays closed")
    must("/prove" not in nobodys.get(f"https://{PAGE}/?app=hr")["text"], "a SIM of nobody is offered a proof")
    must(metric(site, "proved") == 1 and metric(site, "assurance") == 1, "the counters")
    must(metric(site, "other-person") == 1 and metric(site, "not-begun") >= 1, "the counters of refusals")
    audit = json.dumps(site.api("GET", "/api/v1/audit?limit=200"))
    for word in ["proof.refused", "grant.create", "provider Corp", "person:tanaka"]:
        must(word in audit, f"{word} is missing in the audit")
    say("replayed, stolen, weak and others' proofs are refused, counted and in the audit")

    if browser:
        words = ["node", browser, f"https://{PAGE}", f"http://{DATA}/", "data", "sub-tanaka"]
        seen = site.inside(hers.pid, *words, timeout=120)
        must(seen.returncode == 0, f"the browser: {seen.stdout}{seen.stderr}")
        say("a browser walks it")

    grant = next(g for g in site.api("GET", "/api/v1/grants")["items"] if g["app"] == "hr")
    site.api("POST", f"/api/v1/grants/{grant['id']}/revoke", {"reason": "the walk is over"})
    must(hers.get(f"http://{HR}/")["status"] == 303, "a proof that was taken back still opens")
    site.run("sim", "ban", HERS, "--state", "stolen", "--reason", "the walk is over")
    must(hers.get(f"https://{PAGE}/", patience=2)["status"] == 0, "a banned SIM reaches the page")
    say("what is taken back is closed, and a banned SIM reaches nothing")


def main():
    if sys.argv[1] == "--ask":
        return ask(sys.argv[2])
    binary, browser = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else None
    place = tempfile.mkdtemp(prefix="sekisho-step-up-")
    site = Site(os.path.abspath(binary), place)
    try:
        walk(site, browser)
    except BaseException:
        log = site.place / "data" / "lab.log"
        for file in [log, site.place / "provider.log"]:
            if file.exists():
                print(f"--- {file}\n" + "\n".join(file.read_text().splitlines()[-40:]), flush=True)
        raise
    finally:
        site.end()
        shutil.rmtree(place, ignore_errors=True)
    print(json.dumps({"step_up": "held", "seconds": round(time.monotonic() - BEGAN, 1)}))


BEGAN = time.monotonic()
main()
