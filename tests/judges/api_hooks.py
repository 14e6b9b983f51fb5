"""What a caller of the API knows and a generator of requests cannot: fresh keys, current versions, what is there.

Only requests that are right are changed, and only so that they get further; schemathesis looks at what is sent, and
not at what it had made.
"""
import itertools
import os
import re
import uuid

import schemathesis

OWNER = os.environ["SEKISHO_TOKEN"]
# Sign-ins of one operator: what only somebody who has signed in may do is done by the first, each sign-out takes another.
SIGNED_IN_BY, *TO_END = os.environ["SEKISHO_SESSIONS"].split(",")
to_end = itertools.cycle(TO_END)
# Ids of the tokens that all of this is done with: those stay, and so does the operator who has signed in.
KEPT = os.environ["SEKISHO_KEPT"].split(",")
SIGNED_IN = "taro"
KEY = re.compile(r"[!-~]{1,128}")
ETAG = re.compile(r'\*|(W/)?"[0-9]+"')
# Things that were seeded, by the collection that they are in.
SEEDED = {
    "sims": [f"0010100000000{n:02}" for n in range(1, 41)],
    "groups": ["office", "factory"],
    "apps": ["intranet", "personnel"],
    "rules": ["office-intranet"],
    "people": ["tanaka"],
    "devices": ["pc-0042"],
    "sites": ["osaka"],
    "operators": ["hanako"],
    "data-networks": ["corp"],
}
# What a body names is there, every second time.
NAMED = {
    "owner": "tanaka", "person": "tanaka", "site": "osaka", "device_id": "pc-0042", "app": "intranet",
    "subject": "group:office", "groups": ["office"], "dnns": ["corp"], "emergency_apps": ["intranet"],
    "remediation_apps": ["intranet"], "services": ["tcp/443"], "prefixes": ["10.10.1.0/24"], "imsis": ["001010000000007"],
}
PARAMETERS = ("imsi", "name", "id", "dnn")
turn = itertools.count()


@schemathesis.auth(refresh_interval=None)
class Tokens:
    def get(self, case, context):
        path = case.operation.path
        if path == "/api/v1/sign-out":
            return next(to_end)
        return SIGNED_IN_BY if path.startswith("/api/v1/me") else OWNER

    def set(self, case, data, context):
        case.headers["Authorization"] = f"Bearer {data}"


@schemathesis.hook
def before_call(context, case, kwargs):
    headers, n = case.headers, next(turn)
    # A key that was used before gets the answer that was given then, or a refusal; both have tests of their own.
    if KEY.fullmatch(str(headers.get("Idempotency-Key", ""))):
        headers["Idempotency-Key"] = str(uuid.uuid4())
    # Every second change is of the version that is there, whichever that is.
    if ETAG.fullmatch(str(headers.get("If-Match", ""))) and n % 2:
        headers["If-Match"] = "*"
    path = case.operation.path
    values = case.path_parameters or {}
    collection = path.removeprefix("/api/v1/").split("/")[0]
    if n % 3 and collection in SEEDED:
        for name in PARAMETERS:
            if name in values:
                values[name] = SEEDED[collection][n % len(SEEDED[collection])]
    if case.body.__class__ is dict and n % 2:
        for name, value in NAMED.items():
            if isinstance(case.body.get(name), type(value)):
                case.body[name] = value
    # A cursor comes from the page before; one of chance is refused, once in a while that is looked at.
    if case.query and isinstance(case.query.get("cursor"), str) and n % 4:
        del case.query["cursor"]
    if path in ("/api/v1/tokens/{id}", "/api/v1/me/sign-ins/{id}") and values.get("id") in KEPT:
        values["id"] = "0" * len(KEPT[0])
    if collection == "operators" and values.get("name") == SIGNED_IN:
        values["name"] = SEEDED["operators"][0]

