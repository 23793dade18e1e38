"""render_docs - makes the page GET /docs of openapi.json, when the server is built.

render_docs.py openapi.json docs.html

One page that needs nothing else: no script, no file beside it, its style in one element (its hash
goes into the Content-Security-Policy, so there are no style attributes). It knows as much of
OpenAPI 3.1 as the document uses, and stops at what it does not know.
"""

import html
import json
import pathlib
import re
import sys

METHODS = ("get", "put", "post", "delete", "patch")
SCHEMA_WORDS = {"$ref", "type", "format", "pattern", "minimum", "maximum", "minLength", "maxLength", "maxItems",
                "items", "required", "properties", "enum", "const", "anyOf", "title", "description", "x-errors"}

ANSWERS = ' class="answers"'
STYLE = """
:root { color-scheme: light dark; --text: #1c2126; --dim: #5a646e; --page: #fff; --box: #f4f6f8;
  --line: #d9dfe5; --link: #0b5cad; --get: #0b6e4f; --post: #0b5cad; --delete: #b3261e; }
@media (prefers-color-scheme: dark) { :root { --text: #e3e7eb; --dim: #9aa5b0; --page: #14181c;
  --box: #1e242a; --line: #343c44; --link: #7db7f5; --get: #5fd0a5; --post: #7db7f5; --delete: #ff8f86; } }
* { box-sizing: border-box; }
html { scroll-padding-top: 1rem; -webkit-text-size-adjust: 100%; }
body { margin: 0 auto; max-width: 58rem; padding: 1.5rem 1rem 4rem; background: var(--page);
  color: var(--text); font: 1rem/1.55 system-ui, sans-serif; overflow-wrap: break-word; }
a { color: var(--link); text-decoration-thickness: 1px; text-underline-offset: 2px; }
code, pre { font: .9em/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
code { overflow-wrap: anywhere; }
pre { background: var(--box); border-radius: .4rem; margin: .4rem 0; overflow-x: auto; padding: .6rem .8rem; }
h1 { line-height: 1.2; margin: 0; }
h2 { border-bottom: 1px solid var(--line); margin: 3rem 0 .5rem; padding-bottom: .25rem; }
h3 { display: flex; flex-wrap: wrap; align-items: baseline; gap: .25rem .6rem; font-size: 1.05rem;
  margin: 0; }
h4 { color: var(--dim); font-size: .8rem; letter-spacing: .05em; margin: 1rem 0 .2rem;
  text-transform: uppercase; }
p { margin: .4rem 0; }
ul { padding-left: 1.2rem; }
section.part { border: 1px solid var(--line); border-radius: .5rem; margin: 1rem 0; padding: .9rem 1rem; }
section.part:target { border-color: var(--link); }
nav ul { list-style: none; margin: .2rem 0 .8rem; padding: 0; }
nav li { margin: .15rem 0; }
nav .what, .dim { color: var(--dim); }
.method { font-weight: 700; min-width: 4rem; display: inline-block; }
.get { color: var(--get); } .post, .put, .patch { color: var(--post); } .delete { color: var(--delete); }
.open { border: 1px solid var(--line); border-radius: 1rem; color: var(--dim); font-size: .75rem;
  font-weight: 400; padding: 0 .55rem; }
dl { margin: 0; }
dl > div { border-top: 1px solid var(--line); display: grid; gap: 0 1rem; grid-template-columns: 13rem 1fr;
  padding: .3rem 0; }
dl > div:first-child { border-top: 0; }
dt { font-weight: 600; min-width: 0; }
dd { margin: 0; min-width: 0; }
dd p { margin: 0; }
dl.answers > div { grid-template-columns: 4.5rem 1fr; }
@media (max-width: 40rem) { dl > div, dl.answers > div { grid-template-columns: 1fr; }
  section.part { padding: .7rem; } }
@media print { nav { display: none; } section.part { break-inside: avoid; } }
"""


def text(value):
    return html.escape(str(value))


def code(value):
    return f"<code>{text(value)}</code>"


def prose(markdown):
    """The little of CommonMark that descriptions use: paragraphs, lists with -, `code`."""
    blocks = []
    for block in markdown.split("\n\n"):
        lines = block.split("\n")
        if all(line.startswith("- ") for line in lines):
            blocks.append("<ul>" + "".join(f"<li>{inline(line[2:])}</li>" for line in lines) + "</ul>")
        else:
            blocks.append(f"<p>{inline(block)}</p>")
    return "\n".join(blocks)


def inline(line):
    parts = re.split(r"`([^`]+)`", line)
    return "".join(code(part) if index % 2 else text(part) for index, part in enumerate(parts))


def rows(pairs, form=""):
    """Names with what is said about them: beside each other, below each other on a phone."""
    return f"<dl{form}>\n" + "\n".join(f"<div><dt>{name}</dt><dd>{what}</dd></div>" for name, what in pairs) + "\n</dl>"


def example(value):
    return f"<pre>{text(json.dumps(value, ensure_ascii=False, indent=2))}</pre>"


class Page:
    def __init__(self, document):
        self.document = document
        self.components = document["components"]

    def resolved(self, node):
        """What `node` is or refers to."""
        if set(node) != {"$ref"}:
            return node
        found = self.document
        for step in node["$ref"].removeprefix("#/").split("/"):
            found = found[step]
        return found

    # -- schemas -----------------------------------------------------------------------------------

    def kind(self, schema):
        """A schema in a few words."""
        unknown = set(schema) - SCHEMA_WORDS
        if unknown:
            sys.exit(f"render_docs: schema words it cannot show: {unknown}")
        if "$ref" in schema:
            name = schema["$ref"].rpartition("/")[2]
            return f'<a href="#{text(name)}">{text(name)}</a>'
        if "anyOf" in schema:
            return " or ".join(self.kind(each) for each in schema["anyOf"])
        if "const" in schema:
            return code(json.dumps(schema["const"]))
        if "enum" in schema:
            return "one of " + ", ".join(code(each) for each in schema["enum"])
        if schema.get("type") == "array":
            most = f", at most {schema['maxItems']}" if "maxItems" in schema else ""
            return f"list of {self.kind(schema['items'])}{most}"
        names = {"string": "text", "integer": "whole number", "boolean": "true or false", "null": "null",
                 "object": "object"}
        return names[schema["type"]] + self.limits(schema)

    @staticmethod
    def limits(schema):
        found = []
        if "minimum" in schema or "maximum" in schema:
            largest = f" to {schema['maximum']:,}" if "maximum" in schema else " or more"
            found.append(f"{schema.get('minimum', 0)}{largest}")
        if "maxLength" in schema:
            found.append(f"{schema.get('minLength', 0)} to {schema['maxLength']:,} characters")
        elif "minLength" in schema:
            found.append("not empty")
        if "format" in schema:
            found.append(text(schema["format"]))
        if "pattern" in schema:
            found.append(code(schema["pattern"]))
        return "".join(f", {each}" for each in found)

    def members(self, schema):
        """The members of an object, each with its kind and what is said of it."""
        required = schema.get("required", ())
        return rows((code(name) + ("" if name in required else ' <span class="dim">optional</span>'),
                     self.kind(member) + self.said(member))
                    for name, member in schema["properties"].items())

    @staticmethod
    def said(node):
        return f'<p class="dim">{inline(node["description"])}</p>' if "description" in node else ""

    def schema_part(self, name, schema):
        shown = f"<p>{self.kind(schema)}</p>"
        if schema.get("type") == "object":
            shown = self.members(schema)
        elif name == "ErrorCode":
            shown = '<p>One of <a href="#codes">these</a>.</p>'
        said = prose(schema["description"]) if "description" in schema else ""
        return f'<section class="part" id="{text(name)}">\n<h3>{text(name)}</h3>\n{said}\n{shown}\n</section>'

    # -- operations --------------------------------------------------------------------------------

    def operations(self):
        for path, item in self.document["paths"].items():
            for method in METHODS:
                if method in item:
                    yield method, path, item[method], item.get("parameters", [])

    def operation_part(self, method, path, operation, shared):
        is_open = operation.get("security") == []
        parts = [f'<section class="part" id="{text(operation["operationId"])}">',
                 f"<h3>{self.method(method)} {code(path)}"
                 + (' <span class="open">open: needs no token</span>' if is_open else "") + "</h3>",
                 f"<p><strong>{text(operation['summary'])}.</strong></p>"]
        if "description" in operation:
            parts.append(prose(operation["description"]))
        own = [self.resolved(each) for each in operation.get("parameters", [])]
        own += [parameter for each in shared
                if (parameter := self.resolved(each))["in"] == "path"]
        if own:
            parts += ["<h4>Parameters</h4>", rows(map(self.parameter, own))]
        if "requestBody" in operation:
            parts += self.body(operation["requestBody"])
        answers = (self.answer(*each) for each in operation["responses"].items())
        parts += ["<h4>Answers</h4>", rows(answers, ANSWERS)]
        return "\n".join([*parts, "</section>"])

    @staticmethod
    def method(method):
        return f'<span class="method {method}">{method.upper()}</span>'

    def parameter(self, parameter):
        optional = "" if parameter.get("required") else ' <span class="dim">optional</span>'
        return (code(parameter["name"]) + optional,
                f'{self.kind(parameter["schema"])} <span class="dim">in the {text(parameter["in"])}</span>'
                + self.said(parameter))

    def body(self, body):
        media = body["content"]["application/json"]
        optional = "" if body.get("required") else " (optional)"
        yield f"<h4>Body, application/json{optional}</h4>"
        yield self.members(self.resolved(media["schema"]))
        yield example(media["example"])

    def answer(self, status, response):
        """One row: the status, and what comes with it."""
        if status == "default":
            return "others", '<a href="#Transport">those of any request</a>'
        response = self.resolved(response)
        said = [f"<p>{inline(response['description'])}</p>"]
        for media, content in response.get("content", {}).items():
            if "code" in content["schema"].get("properties", {}):
                said.append(f"<p>{self.codes(content['schema'])}</p>")
            elif media != "application/problem+json":
                kind = "" if media == "text/html" else f": {self.kind(content['schema'])}"
                said.append(f'<p><span class="dim">{text(media)}</span>{kind}</p>')
            if "example" in content:
                said.append(example(content["example"]))
        fields = [name for name in response.get("headers", {}) if name != "X-Request-Id"]
        if fields:
            said.append('<p class="dim">with ' + ", ".join(code(name) for name in fields) + "</p>")
        return code(status), "\n".join(said)

    def codes(self, schema):
        """The codes an answer may have; groups that many answers share are named."""
        shown = []
        for group in self.grouped(schema["properties"]["code"]):
            if "$ref" in group:
                name = group["$ref"].rpartition("/")[2]
                shown.append(f'<a href="#{text(name)}">{text(self.resolved(group)["title"])}</a>')
            else:
                shown += [f'<a href="#code-{text(each)}">{code(each)}</a>' for each in group["enum"]]
        return ", ".join(shown)

    @staticmethod
    def grouped(schema):
        return schema.get("anyOf", [schema])

    # -- the page ----------------------------------------------------------------------------------

    def contents(self):
        by_tag = {tag["name"]: [] for tag in self.document["tags"]}
        for method, path, operation, _ in self.operations():
            by_tag[operation["tags"][0]].append(
                f'<li>{self.method(method)} <a href="#{text(operation["operationId"])}">{code(path)}</a>'
                f' <span class="what">{text(operation["summary"])}</span></li>')
        parts = [f"<h4>{text(tag)}</h4>\n<ul>\n" + "\n".join(entries) + "\n</ul>"
                 for tag, entries in by_tag.items()]
        parts.append('<h4>For all</h4>\n<ul><li><a href="#Transport">Answers to any request</a></li>'
                     '<li><a href="#schemas">Schemas</a></li><li><a href="#codes">Error codes</a></li></ul>')
        return "<nav>\n" + "\n".join(parts) + "\n</nav>"

    def any_request(self):
        shown = []
        for name in ("Transport", "RouteNotFound", "MethodNotAllowed", "MethodUnknown"):
            response = self.components["responses"][name]
            schema = response["content"]["application/json"]["schema"]
            status = schema["properties"]["status"]
            statuses = ", ".join(str(each) for each in status.get("enum", [status.get("const")]))
            shown.append((code(statuses), f"<p>{inline(response['description'])}</p><p>{self.codes(schema)}</p>"))
        headers = [(code(name), self.said(self.components["headers"][component]))
                   for name, component in self.header_names()]
        return ('<h2>Any request</h2>\n<section class="part" id="Transport">\n<h3>Answers</h3>\n' + rows(shown)
                + '\n</section>\n<section class="part" id="headers">\n<h3>Header fields of answers</h3>\n'
                + rows(headers) + "\n</section>")

    def header_names(self):
        """(field name, component) of each header field, in the order of the components."""
        names = {}
        responses = [response for *_, operation, _ in self.operations()
                     for response in operation["responses"].values()]
        responses += self.components["responses"].values()
        for response in responses:
            for name, header in self.resolved(response).get("headers", {}).items():
                names[header["$ref"].rpartition("/")[2]] = name
        return [(names[component], component) for component in self.components["headers"]]

    def error_codes(self):
        errors = self.components["schemas"]["ErrorCode"]["x-errors"]
        listed = "\n".join(f'<div id="code-{text(each["code"])}"><dt>{code(each["code"])}</dt>'
                           f'<dd>{each["status"]} <span class="dim">{text(each["text"])}</span></dd></div>'
                           for each in errors)
        return f'<h2 id="codes">Error codes</h2>\n<dl>\n{listed}\n</dl>'

    def whole(self):
        details = self.document["info"]
        parts = [f"<h1>{text(details['title'])}</h1>",
                 f'<p class="dim">{text(details["summary"])} Version {text(details["version"])};'
                 ' for programs: <a href="/openapi.json">openapi.json</a></p>',
                 prose(details["description"]), self.contents()]
        for tag in self.document["tags"]:
            parts.append(f"<h2>{text(tag['name'])}</h2>\n<p>{inline(tag['description'])}</p>")
            parts += [self.operation_part(*each) for each in self.operations()
                      if each[2]["tags"] == [tag["name"]]]
        parts += [self.any_request(), '<h2 id="schemas">Schemas</h2>']
        parts += [self.schema_part(*each) for each in self.components["schemas"].items()]
        parts.append(self.error_codes())
        return "\n".join([
            "<!DOCTYPE html>", '<html lang="en">', "<head>", '<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{text(details['title'])}: the API</title>", f"<style>{STYLE}</style>", "</head>",
            "<body>", *parts, "</body>", "</html>", ""])


def main():
    source, target = map(pathlib.Path, sys.argv[1:])
    document = json.loads(source.read_text(encoding="utf-8"))
    target.write_text(Page(document).whole(), encoding="utf-8")


main()
