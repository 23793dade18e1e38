"""The contract as the tests use it: src/api/openapi.json, and answers checked against it.

support.http calls check_answer for every answer it reads. An answer of an operation must have one
of its statuses, a media type and a body as described, the described header fields, and no code the
operation does not list. Where no operation is known (an unknown path, bytes that a test sent by
itself) an error must still be one of the document's. Objects are closed here, though not in the
document: a member that it does not tell of is a fault of the document.
"""

import functools
import json
import pathlib
import re
import threading
from urllib.parse import parse_qsl

import jsonschema

DOCUMENT = pathlib.Path(__file__).resolve().parents[2] / "src" / "api" / "openapi.json"
METHODS = ("get", "put", "post", "delete", "patch")
# Each row of a list is like the others: of long ones both ends are looked at.
LIST_ENDS = 2
# Must be described where they are sent. Others (Date, CORS and so on) are of every answer.
TELLING_FIELDS = {"etag", "link", "migchat-cursor", "idempotent-replay", "retry-after", "www-authenticate", "allow",
                  "content-encoding", "content-security-policy", "referrer-policy"}
ERROR_FORMS = {"application/json": "Error", "application/problem+json": "Problem"}

_lock = threading.Lock()
checked = set()  # (method, path as in the document, status, code or None), of answers that passed


@functools.lru_cache(maxsize=None)
def document():
    return json.loads(DOCUMENT.read_text(encoding="utf-8"))


def find(reference):
    """What a reference names; KeyError when it names nothing."""
    assert reference.startswith("#/"), reference
    found = document()
    for step in reference[2:].split("/"):
        found = found[step.replace("~1", "/").replace("~0", "~")]
    return found


def resolved(node):
    return find(node["$ref"]) if "$ref" in node else node


def operations():
    """(method in capitals, path, operation, its parameters) of each operation."""
    for path, item in document()["paths"].items():
        for method in METHODS:
            if method in item:
                own = item.get("parameters", []) + item[method].get("parameters", [])
                yield method.upper(), path, item[method], [resolved(each) for each in own]


def inlined(schema, closed=False):
    """The schema without references; with `closed`, objects have no members that are not listed."""
    if isinstance(schema, list):
        return [inlined(each, closed) for each in schema]
    if not isinstance(schema, dict):
        return schema
    own = {name: inlined(each, closed) for name, each in schema.items() if name != "$ref"}
    if closed and own.get("type") == "object" and "properties" in own:
        own.setdefault("additionalProperties", False)
    if "$ref" not in schema:
        return own
    named = inlined(find(schema["$ref"]), closed)
    return {**own, "allOf": [named]} if own else named


def codes_of(schema):
    """The error codes that the body of an answer may have; None where it is no error."""
    code = resolved(schema).get("properties", {}).get("code") if "properties" not in schema \
        else schema["properties"].get("code")
    if code is None:
        return None
    groups = [resolved(each) for each in code.get("anyOf", [code])]
    return [each for group in groups for each in group["enum"]]


@functools.lru_cache(maxsize=None)
def errors():
    """code -> {"code", "status", "text"}"""
    return {each["code"]: each for each in document()["components"]["schemas"]["ErrorCode"]["x-errors"]}


@functools.lru_cache(maxsize=None)
def _routes():
    """(method, pattern of the path, path), literal paths first as the server prefers them."""
    found = [(method, re.compile("".join("[^/]+" if part.startswith("{") else re.escape(part)
                                         for part in re.split(r"(\{[^}]*\})", path))), path)
             for method, path, *_ in operations()]
    return sorted(found, key=lambda route: "{" in route[2])


def route_of(method, target):
    """(method, path) of the operation that a request names; None if it names none."""
    wanted = "GET" if method == "HEAD" else method
    path = target.split("?", 1)[0]
    return next(((wanted, form) for known, pattern, form in _routes()
                 if known == wanted and pattern.fullmatch(path)), None)


@functools.lru_cache(maxsize=None)
def _validator(pointer, closed):
    return jsonschema.Draft202012Validator(inlined(find(pointer), closed))


def _pointer(*steps):
    return "#/" + "/".join(str(step).replace("~", "~0").replace("/", "~1") for step in steps)


def _violation(pointer, value, closed=True):
    """What is wrong with a value by the schema at `pointer`; None if nothing is."""
    if isinstance(value, list) and len(value) > 2 * LIST_ENDS:
        value = value[:LIST_ENDS] + value[-LIST_ENDS:]
    fault = jsonschema.exceptions.best_match(_validator(pointer, closed).iter_errors(value))
    return f"{fault.json_path}: {fault.message:.400}" if fault else None


# --- answers --------------------------------------------------------------------------------------

def check_answer(method, target, response):
    """Fail unless the contract tells of this answer to this request."""
    route = route_of(method, target)
    if route is not None:
        fault = _fault_at(_response_pointer(route, response.status), method, response)
    else:  # below 400: OPTIONS, and requests in forms that have no operation's path
        fault = _error_fault(response) if response.status >= 400 and method != "HEAD" else None
    if fault:
        raise AssertionError(f"{method} {target}: not as in openapi.json: {fault}\n{response.describe()}")
    if route is not None:
        with _lock:
            checked.add((*route, response.status, response.code))


def _response_pointer(route, status):
    steps = ("paths", route[1], route[0].lower(), "responses")
    listed = find(_pointer(*steps))
    key = str(status) if str(status) in listed or status < 400 else "default"
    return listed[key]["$ref"] if "$ref" in listed.get(key, {}) else _pointer(*steps, key)


def _fault_at(pointer, method, response):
    """What of the answer differs from the description there; None if nothing does."""
    try:
        description = find(pointer)
    except KeyError:
        return f"status {response.status} is not listed"
    return _field_fault(description, response) or _body_fault(pointer, description, method, response)


def _field_fault(description, response):
    described = description.get("headers", {})
    for name, header in described.items():
        value = response.field(name)
        if value is None:
            if resolved(header).get("required"):
                return f"{name} is missing"
            continue
        fault = _violation(header["$ref"] + "/schema", value)
        if fault:
            return f"{name}: {fault}"
    sent = {name.lower() for name, _ in response.fields}
    unknown = (sent & TELLING_FIELDS) - {name.lower() for name in described}
    return f"not described: {sorted(unknown)}" if unknown else None


def _body_fault(pointer, description, method, response):
    content = description.get("content", {})
    media = response.field("content-type", "").split(";")[0].strip()
    if not content:
        return f"a body of {media}" if response.body or media else None
    if media not in content:
        return f"media type {media!r} is not one of {list(content)}"
    if method == "HEAD":
        return None
    value = response.json() if media.endswith("json") else response.text
    fault = _violation(f"{pointer}{_pointer('content', media, 'schema')[1:]}", value)
    if fault or response.status < 400:
        return fault
    # The codes of both forms stand with the first.
    schema = content["application/json"]["schema"]
    allowed = codes_of(schema)
    if value["code"] not in allowed:
        return f"code {value['code']!r} is not one of {allowed}"
    return _error_fault(response)


def _error_fault(response):
    """What is wrong with an error wherever it comes from: form, and status and text of its code."""
    form = ERROR_FORMS.get(response.field("content-type"))
    if form is None:
        return f"media type {response.field('content-type')!r}"
    value = response.json()
    fault = _violation(_pointer("components", "schemas", form), value)
    if fault:
        return fault
    error = errors()[value["code"]]
    told = (value["status"], value.get("detail", value.get("error")))
    if told != (error["status"], error["text"]) or response.status != error["status"]:
        return f"{response.status} and {told} do not belong to {value['code']}"
    return None


# --- requests -------------------------------------------------------------------------------------

def check_taken_request(method, target, fields, json_body):
    """Fail if the server took a request that the contract does not allow: it asks too much then.
    `json_body` is None where there is none."""
    route = route_of(method, target)
    if route is None:
        return
    item = document()["paths"][route[1]]
    operation = item[route[0].lower()]
    given = dict(parse_qsl(target.partition("?")[2], keep_blank_values=True))
    given_fields = {name.lower(): value for name, value in fields}
    for parameter in map(resolved, item.get("parameters", []) + operation.get("parameters", [])):
        places = {"query": given.get(parameter["name"]), "header": given_fields.get(parameter["name"].lower())}
        value = places.get(parameter["in"])
        if parameter["in"] == "query" and parameter.get("required"):
            assert value is not None, f"{method} {target} was taken without {parameter['name']}"
        if value is None or parameter["name"] == "X-Request-Id":  # a wrong one is replaced
            continue
        schema = inlined(parameter["schema"])
        number = int(value) if schema.get("type") == "integer" and value.isdigit() else value
        faults = list(jsonschema.Draft202012Validator(schema).iter_errors(number))
        assert not faults, f"{method} {target} was taken; openapi.json refuses {parameter['name']}: {faults}"
    if json_body is not None and "requestBody" in operation:
        fault = _violation(_pointer("paths", route[1], route[0].lower(), "requestBody", "content",
                                    "application/json", "schema"), json_body, closed=False)
        assert not fault, f"{method} {target} was taken; openapi.json refuses its body: {fault}"
