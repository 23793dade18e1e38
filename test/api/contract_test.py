"""openapi.json and the server say the same, and the document is what it claims to be.

That every other test's answers are as described is checked where they are read (support/contract.py);
here it is seen that this check can fail, and coverage_test.py sees that it looked at every route.
"""

import base64
import gzip
import hashlib
import re

import jsonschema
import pytest

from support import contract
from support.http import Response
from support.server import run
from support.websocket import PATH, handshake_fields

DOCUMENT = contract.document()
OPERATIONS = list(contract.operations())
IDS = [f"{method} {path}" for method, path, *_ in OPERATIONS]
ASSETS = ("/openapi.json", "/docs")
each_operation = pytest.mark.parametrize("method, path, operation, parameters", OPERATIONS, ids=IDS)


def listed(command):
    done = run(command)
    assert done.returncode == 0, done.stderr
    return [tuple(line.split()) for line in done.stdout.splitlines() if line.strip()]


def nodes(node, place="#"):
    """(place, object) of every object in the document."""
    if isinstance(node, dict):
        yield place, node
    members = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for name, each in members:
        yield from nodes(each, f"{place}/{name}")


def statuses_of(operation):
    """status -> (error codes or None, field names)"""
    found = {}
    for status, response in operation["responses"].items():
        response = contract.resolved(response)
        schema = response.get("content", {}).get("application/json", {}).get("schema", {})
        found[status] = (contract.codes_of(schema) if status >= "400" else None, set(response["headers"]))
    return found


# --- the server and the document ------------------------------------------------------------------

def test_routes_and_operations_are_the_same():
    assert {f"{method} {path}" for method, path in listed("routes")} == set(IDS)


def test_error_codes_are_the_same():
    schema = DOCUMENT["components"]["schemas"]["ErrorCode"]
    assert [(each["code"], str(each["status"])) for each in schema["x-errors"]] == listed("errors")
    assert schema["enum"] == [each["code"] for each in schema["x-errors"]]


def test_the_document_has_the_servers_version():
    assert DOCUMENT["info"]["version"] == run("version").stdout.split()[1]


def asked_with(path):
    """The fields without which a request to this path is refused whatever else it asks."""
    return handshake_fields() if path == PATH else []


@each_operation
def test_a_token_is_asked_for_where_the_document_says_so(api, method, path, operation, parameters):
    response = api.request(method, re.sub(r"\{[^}]*\}", "1", path), fields=asked_with(path))
    is_open = operation.get("security", DOCUMENT["security"]) == []
    assert is_open == (response.code not in ("token_missing", "token_invalid")), response.describe()


@pytest.fixture(scope="module")
def token(api):
    return api.create().token


@each_operation
def test_what_any_operation_refuses_is_described(api, token, method, path, operation, parameters):
    """Nothing of this is carried out, so one token does for all; support.http checks the answers."""
    target = re.sub(r"\{[^}]*\}", "1", path)
    api.request(method, f"{target}?a=%zz", token, fields=asked_with(path)).expect(400)
    api.request(method, target, token, fields=[("Expect", "more")]).expect(417)
    api.request(method, target, token, body=b" " * (256 * 1024 + 1)).expect(413)
    if "requestBody" in operation:
        api.request(method, target, token, body=b"{}", fields=[("Content-Type", "text/plain")]).expect(415)
        api.request(method, target, token, json_body=[]).expect(422)


# --- the document as OpenAPI 3.1 ------------------------------------------------------------------

def test_it_has_what_openapi_asks_for():
    assert re.fullmatch(r"3\.1\.\d+", DOCUMENT["openapi"])
    assert {"title", "version"} <= set(DOCUMENT["info"])
    assert set(DOCUMENT) <= {"openapi", "info", "servers", "security", "tags", "paths", "components"}
    for path, item in DOCUMENT["paths"].items():
        assert path.startswith("/")
        assert set(item) <= {"parameters", *contract.METHODS}, path
    for place, node in nodes(DOCUMENT["components"]["headers"]):
        assert "name" not in node and "in" not in node, place


def test_references_lead_somewhere_and_nothing_is_there_in_vain():
    used = {node["$ref"] for _, node in nodes(DOCUMENT) if "$ref" in node}
    for reference in used:
        contract.find(reference)
    there = {f"#/components/{kind}/{name}" for kind, named in DOCUMENT["components"].items() for name in named}
    # Not of any operation, but of every server: told of in /docs.
    elsewhere = {f"#/components/responses/{name}" for name in ("RouteNotFound", "MethodNotAllowed", "MethodUnknown")}
    schemes = {f"#/components/securitySchemes/{name}" for need in DOCUMENT["security"] for name in need}
    assert used | elsewhere | schemes == there


def test_names_are_unique_and_tags_are_told_of():
    ids = [operation["operationId"] for _, _, operation, _ in OPERATIONS]
    assert len(ids) == len(set(ids))
    assert {tag for _, _, operation, _ in OPERATIONS for tag in operation["tags"]} == \
        {tag["name"] for tag in DOCUMENT["tags"]}
    forms = [re.sub(r"\{[^}]*\}", "{}", path) for path in DOCUMENT["paths"]]
    assert len(forms) == len(set(forms))


@each_operation
def test_an_operation_is_whole(method, path, operation, parameters):
    assert operation["summary"] and len(operation["tags"]) == 1
    assert all(each["in"] in ("path", "query", "header") and each["description"] for each in parameters)
    names = [(each["in"], each["name"].lower()) for each in parameters]
    assert len(names) == len(set(names))
    assert {each["name"] for each in parameters if each["in"] == "path"} == set(re.findall(r"\{([^}]*)\}", path))
    assert all(each["required"] for each in parameters if each["in"] == "path")
    assert "requestBody" not in operation or method != "GET"
    for status, response in operation["responses"].items():
        response = contract.resolved(response)
        assert response["description"], status
        assert "X-Request-Id" in response["headers"], status


@each_operation
def test_statuses_and_codes_make_sense(method, path, operation, parameters):
    answers = statuses_of(operation)
    is_open = operation.get("security") == []
    body = operation.get("requestBody")
    of_errors = dict(listed("errors"))
    assert len([status for status in answers if status < "300"]) == 1
    assert {"400", "503", "default"} <= set(answers)
    for status, (codes, fields) in answers.items():
        if status < "400":
            continue
        of_status = {of_errors[code] for code in codes}
        assert of_status == {status} or status == "default", status
        assert len(codes) == len(set(codes)), status
        assert ("WWW-Authenticate" in fields) == (status == "401")
        assert ("Retry-After" in fields) == (status in ("429", "503"))
        schema = contract.resolved(operation["responses"][status])["content"]["application/json"]["schema"]
        told = schema["properties"]["status"]
        assert {str(each) for each in told.get("enum", [told.get("const")])} == of_status, status
        problem = contract.resolved(operation["responses"][status])["content"]["application/problem+json"]
        assert problem["schema"] == {"$ref": "#/components/schemas/Problem"}, status
    assert is_open != {"token_missing", "token_invalid"}.issubset(answers.get("401", ((), ()))[0])
    assert (body is not None) == ({"413", "415", "422"} <= set(answers))
    assert ("json_malformed" in answers["400"][0]) == (body is not None)
    assert ("body_missing" in answers["400"][0]) == (body is not None and body["required"])
    assert ("outcome_unknown" in answers["503"][0]) == (method != "GET")
    tagged = [status for status, (_, fields) in answers.items() if "ETag" in fields]
    assert tagged == (["200", "304"] if "304" in answers else [])
    assert ("304" in answers) == any(each["name"] == "If-None-Match" for each in parameters)


def test_every_code_belongs_to_an_answer():
    answered = {code for *_, operation, _ in OPERATIONS for codes, _ in statuses_of(operation).values()
                for code in codes or ()}
    for name in ("RouteNotFound", "MethodNotAllowed", "MethodUnknown"):
        response = DOCUMENT["components"]["responses"][name]
        answered |= set(contract.codes_of(response["content"]["application/json"]["schema"]))
    nobodys = {"password_not_allowed",   # U+0000 is refused as json_malformed before
               "account_changed",        # the route begins again instead
               "invite_not_allowed", "invite_not_found", "path_not_allowed", "backup_running"}  # of the admin socket
    assert {code for code, _ in listed("errors")} - answered == nobodys


def test_schemas_are_schemas_and_examples_fit_them():
    seen = 0
    for place, node in nodes(DOCUMENT):
        if "schema" in node:
            schema = contract.inlined(node["schema"], closed=True)
            jsonschema.Draft202012Validator.check_schema(schema)
            if "example" in node:
                jsonschema.Draft202012Validator(schema).validate(node["example"])
                seen += 1
    assert seen > 20
    for name, schema in DOCUMENT["components"]["schemas"].items():
        jsonschema.Draft202012Validator.check_schema(contract.inlined(schema))
        assert set(schema.get("required", ())) <= set(schema.get("properties", ())), name


# --- how both are served --------------------------------------------------------------------------

def test_the_document_is_served_as_it_is(api):
    response = api.get("/openapi.json").expect(200)
    assert response.body == contract.DOCUMENT.read_bytes()
    assert response.field("content-type") == "application/json"


@pytest.mark.parametrize("path", ASSETS)
def test_gzip_is_for_those_who_take_it(api, path):
    plain = api.get(path).expect(200)
    packed = api.get(path, fields=[("Accept-Encoding", "br, gzip;q=0.5")]).expect(200)
    assert plain.field("content-encoding") is None and packed.field("content-encoding") == "gzip"
    assert gzip.decompress(packed.body) == plain.body
    assert len(packed.body) < len(plain.body) / 4
    assert packed.body[4:8] == b"\0\0\0\0", "a time stamp"
    assert plain.field("etag") != packed.field("etag")
    for value in ("gzip;q=0", "identity", "*", ""):
        assert api.get(path, fields=[("Accept-Encoding", value)]).expect(200).body == plain.body


@pytest.mark.parametrize("path", ASSETS)
@pytest.mark.parametrize("coding", ("gzip", "identity"))
def test_who_has_it_is_told_so(api, path, coding):
    fields = [("Accept-Encoding", coding)]
    first = api.get(path, fields=fields).expect(200)
    assert first.field("cache-control") == "no-cache" and first.field("vary") == "Accept-Encoding"
    again = api.get(path, fields=[*fields, ("If-None-Match", first.field("etag"))]).expect(304)
    assert again.body == b""
    for name in ("etag", "cache-control", "vary"):
        assert again.all(name) == first.all(name)
    api.get(path, fields=[*fields, ("If-None-Match", '"another"')]).expect(200)


@pytest.mark.parametrize("path", ASSETS)
def test_no_token_is_needed_and_a_wrong_one_does_not_matter(api, path):
    api.get(path, token="A" * 32).expect(200)
    api.get(path, token="no token").expect(200)
    api.post(path).expect(405, "method_not_allowed")
    api.get(f"{path}?a=%zz").expect(400, "query_malformed")


def test_many_whole_documents_leave_one_connection(api):
    """The body is not a copy: what is written of it must not be anything else's afterwards."""
    wanted = {path: api.get(path).body for path in ASSETS}
    token = api.create().token
    for _ in range(20):
        for path in ASSETS:
            assert api.get(path).expect(200).body == wanted[path]
            api.get("/api/account", token=token).expect(200)
            api.get("/nothing").expect(404)


def test_the_page_runs_nothing_and_fetches_nothing(api):
    response = api.get("/docs").expect(200)
    page = response.text
    styles = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    assert len(styles) == 1
    digest = base64.b64encode(hashlib.sha256(styles[0].encode()).digest()).decode()
    assert response.all("content-security-policy") == [
        f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"]
    assert response.field("x-content-type-options") == "nosniff"
    assert response.field("referrer-policy") == "no-referrer"
    assert response.field("content-type") == "text/html; charset=utf-8"
    assert not re.search(r"<script|<link|<img|<iframe|\sstyle=|\son\w+=|javascript:|url\(|@import", page, re.IGNORECASE)
    assert set(re.findall(r'href="([^#"][^"]*)"', page)) == {"/openapi.json"}


def test_the_page_has_every_operation_and_code_and_its_links_lead_somewhere(api):
    page = api.get("/docs").expect(200).text
    places = re.findall(r' id="([^"]*)"', page)
    assert len(places) == len(set(places))
    assert set(re.findall(r'href="#([^"]*)"', page)) <= set(places)
    for _, path, operation, _ in OPERATIONS:
        assert operation["operationId"] in places and f"<code>{path}</code>" in page
    assert {f"code-{code}" for code, _ in listed("errors")} <= set(places)
    assert set(DOCUMENT["components"]["schemas"]) <= set(places)
    assert '<meta name="viewport"' in page and "prefers-color-scheme: dark" in page


# --- the check of answers can fail ----------------------------------------------------------------

ERROR_BODY = '{"error":"%s","code":"%s","status":%d,"request_id":"r"}'


def made(status, body="", media="application/json", **fields):
    """An answer nobody gave."""
    response = Response(status, "Made", "HTTP/1.1", [("X-Request-Id", "r")])
    response.fields += [(name.replace("_", "-"), value) for name, value in fields.items()]
    if media:
        response.fields.append(("Content-Type", media))
    response.body = body.encode()
    return response


def error_made(status, code, text=None, **fields):
    text = text if text is not None else contract.errors()[code]["text"]
    return made(status, ERROR_BODY % (text, code, status), **fields)


ACCOUNT = '{"user_id":1,"username":"ada","created_at":"2026-11-24T09:00:00.000Z"}'
LIST_FIELDS = {"ETag": '"e.1.2.3"', "MigChat_Cursor": "e:2"}
MESSAGE = ('{"id":1,"from_username":"a","to_username":"b","content":"c",'
           '"created_at":"2026-11-24T09:00:00.000Z","seq":%s}')


@pytest.mark.parametrize("method, target, response", [
    ("GET", "/api/account", made(200, ACCOUNT)),
    ("HEAD", "/api/account", made(200)),
    ("POST", "/api/account/logout", made(204, media=None)),
    ("GET", "/api/messages?limit=1", made(200, f"[{MESSAGE % 1}]", **LIST_FIELDS)),
    ("GET", "/api/keys/a%20b", error_made(404, "keys_not_found")),
    ("GET", "/nothing", error_made(404, "route_not_found")),
    ("GET", "/health", error_made(431, "head_too_large")),
    ("GET", "/api/account", made(401, '{"type":"about:blank","title":"Unauthorized","status":401,"detail":'
                                 '"This needs a bearer token","code":"token_missing","request_id":"r"}',
                                 media="application/problem+json", WWW_Authenticate="Bearer")),
], ids=str)
def test_what_is_described_passes(method, target, response):
    contract.check_answer(method, target, response)


@pytest.mark.parametrize("method, target, response, why", [
    ("GET", "/api/account", made(200, ACCOUNT[:-1] + ',"more":1}'), "Additional properties"),
    ("GET", "/api/account", made(200, ACCOUNT.replace('"user_id":1,', "")), "required"),
    ("GET", "/api/account", made(200, ACCOUNT.replace("1,", '"1",')), "not of type"),
    ("GET", "/api/account", made(200, ACCOUNT.replace(".000Z", "Z")), "does not match"),
    ("GET", "/api/account", made(200, ACCOUNT, media="text/plain"), "media type"),
    ("GET", "/api/account", made(200, ACCOUNT, ETag='"e"'), "not described"),
    ("GET", "/api/account", made(201, ACCOUNT), "status 201 is not listed"),
    ("GET", "/api/account", error_made(409, "key_reused"), "one of"),
    ("GET", "/api/account", error_made(401, "token_invalid"), "WWW-Authenticate is missing"),
    ("GET", "/api/account", error_made(401, "credentials_wrong", WWW_Authenticate="Bearer"), "credentials_wrong"),
    ("GET", "/api/account", error_made(401, "token_invalid", "Other", WWW_Authenticate="Bearer"), "do not belong"),
    ("GET", "/api/account", error_made(503, "outcome_unknown", Retry_After="1"), "outcome_unknown"),
    ("POST", "/api/account/logout", made(204, "{}"), "a body"),
    ("GET", "/api/messages", made(200, f"[{MESSAGE % 1}]", MigChat_Cursor="e:2"), "ETag is missing"),
    ("GET", "/api/messages", made(200, f"[{MESSAGE % 1}]", **{**LIST_FIELDS, "MigChat_Cursor": "2"}), "MigChat-Cursor"),
    ("GET", "/api/messages", made(200, f"[{MESSAGE % 0}]", **LIST_FIELDS), "minimum"),
    ("GET", "/api/messages", made(200, f"[{','.join([MESSAGE % 9] * 30 + [MESSAGE % 0])}]", **LIST_FIELDS), "minimum"),
    ("GET", "/nothing", error_made(404, "code_unheard_of", "x"), "code_unheard_of"),
    ("GET", "/nothing", error_made(400, "route_not_found"), "do not belong"),
], ids=lambda value: value if isinstance(value, str) else "answer")
def test_what_is_not_described_fails(method, target, response, why):
    with pytest.raises(AssertionError, match="not as in openapi.json") as failure:
        contract.check_answer(method, target, response)
    assert why in str(failure.value).split("\nsent:")[0]


@pytest.mark.parametrize("method, target, fields, body", [
    ("POST", "/api/keys/claim", [], {"username": 7}),
    ("POST", "/api/keys/claim", [], {}),
    ("POST", "/api/account/create", [], {"username": "a/b", "password": "p"}),
    ("POST", "/api/messages/mark-read", [], None),
    ("POST", "/api/messages/send", [("Idempotency-Key", "")], {"to_username": "a", "content": "b"}),
    ("GET", "/api/messages?limit=0", [], None),
], ids=str)
def test_a_taken_request_that_the_document_refuses_fails(method, target, fields, body):
    with pytest.raises(AssertionError):
        contract.check_taken_request(method, target, fields, body)
