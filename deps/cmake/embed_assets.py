"""embed_assets - turns files into one C file, each as it is and compressed with gzip.

embed_assets.py OUTPUT.c NAME=FILE...

Defines `asset_NAME` for each as src/api/asset.h declares it. The same input gives the same bytes: gzip
gets no time stamp. A page (*.html) gets a Content-Security-Policy that allows its own style
elements, by their hashes, and nothing else.
"""

import base64
import gzip
import hashlib
import pathlib
import re
import sys

TAG_DIGITS = 32
LITERAL_BYTES = 32  # of one string literal; the compiler joins them
POLICY = ("default-src 'none'; style-src {styles}; base-uri 'none'; form-action 'none'; "
          "frame-ancestors 'none'")
# What a policy without 'unsafe-inline' would make a browser ignore in silence.
REFUSED_IN_PAGES = re.compile(rb"<script|<link|\sstyle=|\son\w+=", re.IGNORECASE)
STYLE = re.compile(rb"<style>(.*?)</style>", re.DOTALL)


def literal(data):
    """A C string literal of any bytes. Three digits each, so no digit behind one joins it."""
    lines = (data[at:at + LITERAL_BYTES] for at in range(0, len(data), LITERAL_BYTES))
    return "\n    ".join('"' + "".join(f"\\{byte:03o}" for byte in line) + '"' for line in lines)


def form(data):
    tag = hashlib.sha256(data).hexdigest()[:TAG_DIGITS]
    return f'{{{{{literal(data)},\n     {len(data)}}},\n    STR_INIT("\\"{tag}\\"")}}'


def policy(page):
    refused = REFUSED_IN_PAGES.search(page)
    if refused:
        sys.exit(f"embed_assets: a page has {refused.group().decode()!r}, which its policy forbids")
    hashes = [base64.b64encode(hashlib.sha256(style).digest()).decode() for style in STYLE.findall(page)]
    return POLICY.format(styles=" ".join(f"'sha256-{each}'" for each in hashes) or "'none'")


def asset(name, path):
    data = path.read_bytes()
    compressed = gzip.compress(data, compresslevel=9, mtime=0)
    rows = [form(data), form(compressed),
            f'STR_INIT("{policy(data)}")' if path.suffix == ".html" else "{NULL, 0}"]
    return f"const struct asset asset_{name} = {{\n    " + ",\n    ".join(rows) + "};\n"


def main():
    output = pathlib.Path(sys.argv[1])
    named = [argument.split("=", 1) for argument in sys.argv[2:]]
    parts = ["/* Made by deps/cmake/embed_assets.py. */\n"
             '#include "api/asset.h"\n\n'
             "#include <stddef.h>\n\n"
             "#define STR_INIT(text) {(text), sizeof(text) - 1}\n"]
    parts += [asset(name, pathlib.Path(path)) for name, path in named]
    output.write_text("\n".join(parts), encoding="ascii")


main()
