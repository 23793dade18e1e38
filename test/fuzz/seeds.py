#!/usr/bin/python3
"""Writes what each harness begins with, a file each: seeds.py FOLDER makes FOLDER/seeds/NAME/* and FOLDER/kept/NAME/*.

Seeds are made of texts here and of documents other tests have, so that they can be read; the rest is what
fuzz.py --keep chose for corpus/NAME.txt of what runs found. What is found later stays in build/fuzz/corpus, and what
broke something in test/fuzz/crashers.
"""

import hashlib
import json
import pathlib
import struct
import sys

TEST = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TEST))

from differential import json_documents  # noqa: E402  (its folder is known only now)

CORPUS = TEST / "fuzz/corpus"
SEED_MAX_BYTES = 1024  # larger ones only slow a harness down
CUTS = b"\x51\x33"     # what chooses the cuts
ANN, BOB = "AnnAnnAnnAnnAnnAnnAnnAnnAnnAnn01", "BobBobBobBobBobBobBobBobBobBob02"


def request(method, target, body=None, token=ANN, *fields):
    lines = [f"{method} {target} HTTP/1.1", "Host: a", *fields]
    lines += [f"Authorization: Bearer {token}"] if token else []
    data = b"" if body is None else json.dumps(body).encode()
    lines += [] if body is None else ["Content-Type: application/json", f"Content-Length: {len(data)}"]
    return "\r\n".join([*lines, "", ""]).encode() + data


def requests():
    """One of every route, and some behind one another."""
    keys = {"key_bundle": {"identity_key": "i", "signed_prekey": "s", "signed_prekey_signature": "g",
                           "one_time_prekeys": ["k", "l"]}}
    send = {"to_username": "bob", "content": "text \u20ac"}
    found = [
        request("GET", "/health", token=None), request("GET", "/livez", token=None),
        request("GET", "/readyz", token=None), request("HEAD", "/api/messages"),
        request("POST", "/api/account/create", {"username": "carl", "password": "secret"}, None),
        request("POST", "/api/account/login", {"username": "nobody", "password": "x", "label": "l"}, None),
        request("POST", "/api/account/logout", {}), request("GET", "/api/account"),
        request("POST", "/api/account/update-username", {"new_username": "Ann"}),
        request("GET", "/api/sessions"), request("DELETE", "/api/sessions/1"),
        request("POST", "/api/messages/send", send),
        request("POST", "/api/messages/send", {**send, "client_id": "k"}, ANN, "Idempotency-Key: k"),
        request("GET", "/api/messages?limit=1&before=2&after=0"), request("GET", "/api/messages?limit=1001"),
        request("GET", "/api/messages/filtered?with_user=%62ob&limit=2"),
        request("POST", "/api/messages/mark-read?with_user=ann", {"up_to": 1}, BOB),
        request("POST", "/api/messages/mark-read?with_user=ann", None, BOB),
        request("GET", "/api/conversations?limit=5", None, BOB, 'If-None-Match: "a"'),
        request("PUT", "/api/blocks/bob"), request("DELETE", "/api/blocks/bob"), request("GET", "/api/blocks"),
        request("GET", "/api/events?since=AAAAAAAAAAAAAAAA:1&wait=0&limit=3"), request("GET", "/api/events"),
        request("GET", "/api/events/stream", None, ANN, "Last-Event-ID: x:1"),
        request("GET", "/api/ws", None, ANN, "Upgrade: websocket", "Connection: Upgrade",
                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13"),
        request("POST", "/api/typing?with_user=bob"), request("POST", "/api/keys/upload", keys),
        request("POST", "/api/keys/claim", {"username": "bob"}), request("GET", "/api/keys/bob", None, None),
        request("GET", "/api/keys"), request("OPTIONS", "/api/messages/send", None, None, "Origin: https://a",
                                             "Access-Control-Request-Method: POST"),
        request("GET", "/api/nothing", None, ANN, "Accept: application/problem+json", "X-Request-Id: abc"),
        request("POST", "/api/messages/send", None, ANN, "Content-Type: application/json",
                "Transfer-Encoding: chunked") + b"1;a=b\r\n{\r\n1\r\n}\r\n0\r\nT: x\r\n\r\n",
        request("POST", "/api/messages/send", None, ANN, "Expect: 100-continue", "Content-Length: 0"),
    ]
    return found + [found[11] + found[16] + found[18], found[19] + found[11] + found[23]]


def refused():
    """What test/api/badinput_test.py sends over sockets."""
    for line in (TEST / "api/badinput.jsonl").read_text().splitlines():
        sent = json.loads(line).get("send")
        if isinstance(sent, str):
            yield sent.replace("{{HOST}}", "a").replace("{{TOKEN}}", ANN).encode("latin-1", "replace")


def frame(payload=b"", opcode=1, fin=True, rsv=0, mask=b"\1\2\3\4", length=None):
    said = len(payload) if length is None else length
    head = bytes([fin << 7 | rsv << 4 | opcode])
    bit = 0x80 if mask else 0
    if said < 126:
        head += bytes([bit | said])
    elif said < 1 << 16:
        head += bytes([bit | 126]) + struct.pack(">H", said)
    else:
        head += bytes([bit | 127]) + struct.pack(">Q", said)
    return head + mask + (bytes(b ^ mask[i % 4] for i, b in enumerate(payload)) if mask else payload)


def frames():
    close = struct.pack(">H", 1000)
    return [frame(b"text"), frame("\u20ac".encode()), frame(b"a", 1, False) + frame(b"b", 0), frame(b"x", 2),
            frame(b"p", 9), frame(b"", 10), frame(close + b"bye", 8), frame(b"", 8), frame(b"x", 8),
            frame(close + b"\xff", 8), frame(b"a", 1, False) + frame(b"p", 9) + frame(b"b", 0),
            frame(b"x" * 200), frame(b"x" * 126, 9), frame(length=1 << 40), frame(length=0xdede, opcode=0),
            frame(b"x", rsv=4), frame(b"x", 3), frame(b"x", mask=b""), frame(b"\xff\xfe"),
            frame(b"a", 1, False) + frame(b"c", 1), frame() + frame(b"{}") + frame(close, 8) + frame(b"late")]


def harnesses():
    texts = [text for text in [*json_documents.VALID.values(), *json_documents.INVALID.values()]]
    texts += [text for text, *_ in [*json_documents.VALID_REFUSED.values(), *json_documents.OPEN.values()]]
    texts += [b'{"t":"\\u20ac","n":12,"l":["a","b"],"o":{"t":"x"}}', b'{"n":9007199254740993,"l":[]}']
    whole = requests()
    return {
        "json": texts,
        "http_feed": [CUTS + text for text in [*whole, *refused()]],
        "request": [*whole, *refused()],
        "query": [b"/api/messages?limit=1&before=2", b"/a/%C3%A4/b+c?with_user=a+b%20c&a=&b&&=x", b"*", b"%zz", b"%00",
                  b"http://a:80/api?x=1", b"/?a=1&a=2", b"%e2%82%ac", b"%ed%a0%80", b"/" + b"a=&" * 70],
        "websocket": [CUTS + text for text in frames()],
        "cursor": [b"k3J9QdTz0aBcWx7y:5", b"k3J9QdTz0aBcWx7y:1000001", b"k3J9QdTz0aBcWx7y:0", b"k3J9QdTz0aBcWx7y:007",
                   b"AAAAAAAAAAAAAAAA:1", b"k3J9QdTz0aBcWx7y:9007199254740993", b":", b"k3J9QdTz0aBcWx7y", b""],
    }


def kept(harness):
    """What fuzz.py kept, an input a line, its bytes that are no ASCII text as \\xNN."""
    path = CORPUS / f"{harness}.txt"
    lines = path.read_text().splitlines() if path.exists() else []
    return [line.encode("ascii").decode("unicode_escape").encode("latin-1") for line in lines]


def write(folder, inputs):
    folder.mkdir(parents=True, exist_ok=True)
    for each in inputs:
        if len(each) <= SEED_MAX_BYTES:
            (folder / hashlib.sha256(each).hexdigest()[:16]).write_bytes(each)


def main():
    folder = pathlib.Path(sys.argv[1])
    for harness, seeds in harnesses().items():
        write(folder / "seeds" / harness, seeds)
        write(folder / "kept" / harness, kept(harness))


if __name__ == "__main__":
    main()
