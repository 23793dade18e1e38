"""What the server takes as JSON, beside Python's parser: the documents every parser must take or
refuse, those RFC 8259 leaves open, and random ones.

json_reader (json_reader.c) answers for the server: its verdict, and what it reads of the members t,
n and l. Python's parser is made as strict as the contract here, so that both must agree on each.
MIGCHAT_SEED=N begins elsewhere; ./run torture has 100,000 random documents.
"""

import json
import math
import os
import pathlib
import random
import struct
import subprocess

import pytest

from differential import json_documents as documents
from support import torture

# It asks a program of the sanitizer build, in ./run torture one of its own; there is none in the release build.
pytestmark = pytest.mark.slow

PROGRAMS = os.environ.get("MIGCHAT_PROGRAMS") or pathlib.Path(os.environ["MIGCHAT_SERVER"]).parent / "test_bin"
READER = pathlib.Path(PROGRAMS) / "differential.json_reader"
COUNT = torture.size(4_000, 100_000)
READER_DEADLINE_S = 900

# json_check.h
DEPTH_MAX, MEMBERS_MAX, VALUES_MAX, NUMBER_MAX_BYTES = 32, 256, 16384, 63
INTEGER_MAX = 2 ** 53 - 1


def asked(texts):
    """The reader's line for each document."""
    given = b"".join(struct.pack("<I", len(text)) + text for text in texts)
    done = subprocess.run([READER], input=given, capture_output=True, timeout=READER_DEADLINE_S, check=False)
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    lines = done.stdout.decode("ascii").splitlines()
    assert len(lines) == len(texts)
    return lines


# ---- Python's parser, made as strict ---------------------------------------------------------------

class Refused(Exception):
    pass


class Number(str):
    """As it is written."""


def number(text):
    if len(text) > NUMBER_MAX_BYTES:
        raise Refused("number")
    return Number(text)


def members(pairs):
    if len(pairs) > MEMBERS_MAX:
        raise Refused("members")
    if len({name for name, _ in pairs}) != len(pairs):
        raise Refused("doubled")
    return dict(pairs)


def constant(text):
    raise Refused(text)


def look(value, depth=0):
    """How many values there are; refuses depth and characters that the contract does."""
    if isinstance(value, (dict, list)):
        if depth == DEPTH_MAX:
            raise Refused("depth")
        inside = value.values() if isinstance(value, dict) else value
        for name in value if isinstance(value, dict) else ():
            look(name, depth)
        return 1 + sum(look(item, depth + 1) for item in inside)
    if isinstance(value, str) and any(c == "\0" or "\ud800" <= c <= "\udfff" for c in value):
        raise Refused("characters")
    return 1


def expected(text):
    """What the reader must say."""
    try:
        value = json.loads(text.decode("utf-8"), parse_int=number, parse_float=number,
                           parse_constant=constant, object_pairs_hook=members)
        if look(value) > VALUES_MAX:
            raise Refused("values")
    except (Refused, ValueError, RecursionError):
        return "no"
    return "yes " + read(value)


def read(value):
    if not isinstance(value, dict):
        return "shape"
    text, whole, texts = (value.get(name) for name in "tnl")
    if text is not None and (not isinstance(text, str) or isinstance(text, Number)):
        return "shape"
    if whole is not None and not (isinstance(whole, Number) and is_whole(float(whole))):
        return "shape"
    if texts is not None and not (isinstance(texts, list) and all(
            isinstance(item, str) and not isinstance(item, Number) for item in texts)):
        return "shape"
    shown = "-" if texts is None else "".join(item.encode().hex() + "," for item in texts)
    return (f"t={'-' if text is None else text.encode().hex()}"
            f" n={'-' if whole is None else integer(float(whole))} l={shown}")


def is_whole(value):
    return math.isinf(value) or value == math.floor(value)


def integer(value):
    """0 for what no id can be."""
    return int(value) if 1 <= value <= INTEGER_MAX else 0


# ---- the documents of the suite --------------------------------------------------------------------

def test_documents_every_parser_takes_are_taken_and_read_as_python_does():
    names, texts = zip(*documents.VALID.items())
    for name, text, line in zip(names, texts, asked(texts)):
        assert line.startswith("yes "), name
        assert line == expected(text), name
    in_lists = [b'{"l":' + text.strip() + b"}" for text in texts if text.strip().startswith(b'["')]
    assert len(in_lists) > 30
    for text, line in zip(in_lists, asked(in_lists)):
        assert line == expected(text), text


def test_documents_no_parser_takes_are_refused():
    names, texts = zip(*documents.INVALID.items())
    for name, line in zip(names, asked(texts)):
        assert line == "no", name


def test_what_we_refuse_though_others_take_it_is_listed_with_its_reason():
    for name, (text, reason) in documents.VALID_REFUSED.items():
        assert asked([text]) == ["no"] and reason, name
        json.loads(text)  # Python takes them all


def test_what_is_left_open_is_decided_as_listed(tell):
    for name, (text, is_taken, reason) in documents.OPEN.items():
        assert asked([text])[0].startswith("yes" if is_taken else "no") and reason, name
    tell(f"{len(documents.VALID)} valid and {len(documents.INVALID)} invalid documents, {len(documents.OPEN)} left "
         f"open and decided, {len(documents.VALID_REFUSED)} refused though others take them")


def test_every_document_cut_short_or_with_more_behind_it_is_judged_as_by_python():
    texts = [text for text in [*documents.VALID.values(), *(text for text, *_ in documents.OPEN.values())]
             if len(text) < 200]
    cut = [text[:end] for text in texts for end in range(len(text))]
    more = [text + behind for text in texts for behind in (b"x", b",", b"]", b"\0", b" ", b"\xef\xbb\xbf")]
    for text, line in zip(cut + more, asked(cut + more)):
        assert line == expected(text), text


# ---- random ones -----------------------------------------------------------------------------------

PIECES = ["a", "é", "\u20ac", "\U0001d11e", "\uffff", "\x7f", "\\n", "\\/", "\\u0041", "\\u00e9", "\\uD834\\uDD1E",
          "\\ud834", "\\uDD1E", "\\u0000", "\\u001f", "\\\"", "\\\\", "\\x", "\\u12g4", "\t", "\0", "t", "n", "l"]
NUMBERS = ["0", "-0", "1", "-1", "10", "1.0", "1.5", "1e3", "1E+2", "1e-2", "100e-2", "9007199254740991",
           "9007199254740992", "9007199254740993", "1e999", "-1e999", "1e-999", "01", "1.", ".5", "+1", "-", "1e",
           "0x1", "NaN", "Infinity", "1" * 63, "1" * 64, "0." + "3" * 61, "0." + "3" * 62]
SPACE = ["", "", "", "", " ", "\n", "\t\r\n ", "\x0b", "\u00a0"]


def string(chance):
    return '"' + "".join(chance.choice(PIECES if chance.random() < 0.15 else PIECES[:11])
                         for _ in range(chance.randrange(5))) + '"'


def value(chance, depth=0):
    kind = chance.random()
    if depth > 40 or kind < 0.25:
        return string(chance)
    if kind < 0.45:
        return chance.choice(NUMBERS if chance.random() < 0.2 else NUMBERS[:17])
    if kind < 0.6:
        return chance.choice(["true", "false", "null", "null", "nul", "True"][:6 if chance.random() < 0.1 else 4])
    count = chance.choice([0, 1, 1, 2, 3])
    if kind < 0.62:
        return "[" * 29 + value(chance, depth + 29) + "]" * 29
    if kind < 0.8:
        return "[" + space(chance) + ",".join(value(chance, depth + 1) for _ in range(count)) + space(chance) + "]"
    names = [chance.choice(['"t"', '"n"', '"l"', '"\\u0074"', string(chance)]) for _ in range(count)]
    return "{" + space(chance) + ",".join(name + space(chance) + ":" + value(chance, depth + 1)
                                          for name in names) + space(chance) + "}"


def space(chance):
    return chance.choice(SPACE if chance.random() < 0.02 else SPACE[:7])


def wanted(chance):
    """An object with the members that are read."""
    texts = "[" + ",".join(string(chance) for _ in range(chance.randrange(4))) + "]"
    found = [f'"t":{string(chance)}', f'"n":{chance.choice(NUMBERS[:17])}', f'"l":{texts}',
             f'{string(chance)}:{value(chance)}']
    chance.shuffle(found)
    return "{" + ",".join(found[:chance.randrange(5)]) + "}"


def random_document(chance):
    text = (wanted if chance.random() < 0.4 else value)(chance).encode("utf-8", "surrogatepass")
    if chance.random() < 0.3 and text:  # a byte changed, taken out, put in or doubled
        at = chance.randrange(len(text))
        byte = bytes([chance.choice(b'"\\{}[],:0123456789eE+-.tfnu \n\0\x1f\x7f\x80\xbf\xc0\xe0\xed\xf4\xff')])
        text = text[:at] + chance.choice([byte, b"", byte + text[at:at + 1], text[at:at + 1] * 2]) + text[at + 1:]
    return text


def test_random_documents_are_judged_and_read_as_by_python(capsys):
    chance = random.Random(torture.SEED)
    texts = [random_document(chance) for _ in range(COUNT)]
    taken = read_whole = 0
    for text, line in zip(texts, asked(texts)):
        wanted_line = expected(text)
        assert line == wanted_line, (torture.SEED, text)
        taken += line != "no"
        read_whole += line.startswith("yes t=")
    with capsys.disabled():
        print(f"\n{COUNT} random documents (seed {torture.SEED}): {taken} taken, {read_whole} read, all as by Python")
    assert COUNT * 0.3 < taken < COUNT * 0.9 and read_whole > COUNT * 0.1
