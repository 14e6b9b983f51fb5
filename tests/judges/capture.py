#!/usr/bin/env python3
"""Judges a capture of N2 and N3 (NEA0) by two independent decoders: tshark and pycrate.

tshark must find nothing malformed; both must see the same NGAP procedures, AMF UE NGAP IDs and NAS messages in the
same order; pycrate must write each NGAP message back to the same octets; and the story must be in them.
Usage: capture.py FILE.pcap
"""
import struct
import subprocess
import sys

from pycrate_asn1dir import NGAP
from pycrate_mobile.NAS5G import parse_NAS5G

# 5GMM message types that the story must hold in this order (TS 24.501 table 9.7.1).
STORY = [0x41, 0x56, 0x57, 0x5D, 0x5E, 0x42, 0x43, 0x67, 0x68, 0x47, 0x41, 0x56, 0x57, 0x5D, 0x5E, 0x44]


def fail(why):
    print(f"capture: {why}")
    sys.exit(1)


def tshark(path, *args):
    cmd = ["tshark", "-o", "nas-5gs.null_decipher:TRUE", "-r", path, *args]
    return subprocess.run(cmd, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout


def frames(path):
    """The Ethernet frames of a pcap file."""
    with open(path, "rb") as f:
        magic = f.read(24)[:4]
        order = "<" if magic == b"\xd4\xc3\xb2\xa1" else ">"
        while head := f.read(16):
            length = struct.unpack(order + "IIII", head)[2]
            yield f.read(length)


def ngap_of(frame):
    """NGAP messages of a frame: SCTP DATA chunks with payload protocol 60 inside UDP port 9899 (RFC 6951)."""
    if frame[12:14] != b"\x08\x00" or frame[23] != 17:
        return
    udp = frame[14 + 4 * (frame[14] & 15):]
    if 9899 not in struct.unpack("!HH", udp[:4]):
        return
    chunks = udp[8 + 12:]
    while len(chunks) >= 4:
        kind, flags, length = struct.unpack("!BBH", chunks[:4])
        if length < 4:
            return
        if kind == 0 and struct.unpack("!I", chunks[12:16])[0] == 60:
            if flags & 3 != 3:
                fail("an NGAP message is fragmented, which this judge does not put together")
            yield chunks[16:length]
        chunks = chunks[(length + 3) & ~3:]


def ies(value):
    return {ie["id"]: ie["value"][1] for ie in value[1]["protocolIEs"]}


def nas_types(octets):
    """5GMM message types in a NAS message, the outer one first."""
    message, err = parse_NAS5G(octets, null_cipher=True)
    if err:
        fail(f"pycrate cannot read the NAS message {octets.hex()}: error {err}")
    found = []

    def walk(element):
        name = element._name
        if name == "5GMMHeader":
            found.append(element["Type"].get_val())
        for inner in getattr(element, "_content", None) or []:
            if hasattr(inner, "_name"):
                walk(inner)

    walk(message)
    return found


def main(path):
    malformed = tshark(path, "-Y", "_ws.malformed || _ws.expert.severity == error")
    if malformed.strip():
        fail("tshark complains:\n" + malformed)

    fields = ["ngap.procedureCode", "ngap.AMF_UE_NGAP_ID", "nas_5gs.mm.message_type"]
    rows = tshark(path, "-Y", "ngap", "-T", "fields", *[a for f in fields for a in ("-e", f)])
    theirs = [[], [], []]
    for line in rows.splitlines():
        for column, cell in zip(theirs, line.split("\t") + [""] * 3):
            column.extend(int(v, 0) for v in cell.split(",") if v)

    ours = [[], [], []]
    messages = 0
    pdu = NGAP.NGAP_PDU_Descriptions.NGAP_PDU
    for frame in frames(path):
        for octets in ngap_of(frame):
            messages += 1
            pdu.from_aper(octets)
            if pdu.to_aper() != octets:
                fail(f"pycrate writes {octets.hex()} as {pdu.to_aper().hex()}")
            body = pdu.get_val()[1]
            ours[0].append(body["procedureCode"])
            found = ies(body["value"])
            if 10 in found:
                ours[1].append(found[10])
            if 114 in found:
                ours[1].append(found[114][1]["aMF-UE-NGAP-ID"])
            if 38 in found:
                ours[2].extend(nas_types(found[38]))
            for item in found.get(74, []):
                if "pDUSessionNAS-PDU" in item:
                    ours[2].extend(nas_types(item["pDUSessionNAS-PDU"]))

    for name, mine, other in zip(fields, ours, theirs):
        if mine != other:
            fail(f"{name}: pycrate reads {mine}, tshark {other}")
    rest = iter(ours[2])
    missing = [hex(m) for m in STORY if m not in rest]
    if missing:
        fail(f"the story's messages {missing} are not there in their order: {[hex(m) for m in ours[2]]}")
    print(f"capture: {messages} NGAP messages, {len(ours[2])} NAS messages: both decoders agree, nothing is malformed")


main(sys.argv[1])
