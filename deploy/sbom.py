#!/usr/bin/python3
"""Writes the SBOM (SPDX 2.3, JSON) of a Debian package of ours to stdout.

usage: deploy/sbom.py PACKAGE.deb LLHTTP_FOLDER

What the program is made of are the libraries of deps/packages.tsv with purpose build. One whose
source package also gives a package in the .deb's Depends is linked dynamically, at a version that
the target's distribution decides; the others became part of the program (llhttp, the header of
xxHash), at the version found here. LLHTTP_FOLDER is where deps/fetch-llhttp puts it on Debian 12.
The compiler and its kind are told as build tools. The output depends on nothing but these:
SOURCE_DATE_EPOCH is its time.
"""

import datetime
import hashlib
import json
import os
import pathlib
import re
import subprocess
import sys
import urllib.parse

ROOT = pathlib.Path(__file__).resolve().parent.parent
# By package of purpose build that is a library: licence of what ends up in or beside the program.
LICENCES = {
    "libc6-dev": "LGPL-2.1-or-later",
    "libuv1-dev": "MIT",
    "libllhttp-dev": "MIT",
    "libsqlite3-dev": "blessing",
    "libcjson-dev": "MIT",
    "libcrypt-dev": "LGPL-2.1-or-later",
    "libmd-dev": "BSD-3-Clause AND BSD-2-Clause AND ISC AND Beerware",
    "libxxhash-dev": "BSD-2-Clause",
    "libwslay-dev": "MIT",
}


def release():
    lines = pathlib.Path("/etc/os-release").read_text(encoding="utf-8").splitlines()
    return {name: value.strip('"') for name, _, value in (line.partition("=") for line in lines)}


def build_packages(codename):
    rows = [line.split("\t") for line in (ROOT / "deps/packages.tsv").read_text(encoding="utf-8").splitlines()
            if line and not line.startswith("#")]
    names = {name for name, purpose, suite, _ in rows if purpose == "build" and suite in ("any", codename)}
    # Where the distribution has none, deps/fetch-llhttp got it.
    return sorted(names | {"libllhttp-dev"})


def installed(name):
    """(version, source package, architecture) of an installed package, or None."""
    done = subprocess.run(["dpkg-query", "-W", "-f",
                           "${db:Status-Status}\t${Version}\t${source:Package}\t${Architecture}\n", name],
                          capture_output=True, text=True, check=False)
    for line in done.stdout.splitlines():
        status, *rest = line.split("\t")
        if status == "installed":
            return tuple(rest)
    return None


def found(name, llhttp_folder):
    package = installed(name)
    if package is None and name == "libllhttp-dev":
        return (llhttp_folder / "version").read_text(encoding="utf-8").strip(), "node-undici", None
    if package is None:
        sys.exit(f"sbom: {name} of deps/packages.tsv is not installed")
    return package


def control(deb, field):
    return subprocess.run(["dpkg-deb", "-f", deb, field], capture_output=True, text=True,
                          check=True).stdout.strip()


def spdx_id(name):
    return "SPDXRef-" + re.sub(r"[^A-Za-z0-9.-]", "-", name)


def package(name, version, licence, **more):
    return {"name": name, "SPDXID": spdx_id(name), "versionInfo": version, "downloadLocation": "NOASSERTION",
            "filesAnalyzed": False, "licenseConcluded": licence, "licenseDeclared": licence,
            "copyrightText": "NOASSERTION", **more}


def debian_package(name, version, licence, architecture, distribution):
    place = f"pkg:deb/debian/{urllib.parse.quote(name)}@{urllib.parse.quote(version, safe='')}"
    place += f"?arch={architecture}&distro={distribution}" if architecture else f"?distro={distribution}"
    return package(name, version, licence, supplier="Organization: Debian", externalRefs=[
        {"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": place}])


def document(deb, llhttp_folder):
    os_release = release()
    distribution = f"debian-{os_release.get('VERSION_ID', 'unknown')}"
    name = control(deb, "Package")
    digest = hashlib.sha256(deb.read_bytes()).hexdigest()
    packages = [package(name, control(deb, "Version"), "MIT", supplier="Organization: MigChat contributors",
                        packageFileName=deb.name, primaryPackagePurpose="APPLICATION",
                        checksums=[{"algorithm": "SHA256", "checksumValue": digest}])]
    relations = [("SPDXRef-DOCUMENT", "DESCRIBES", spdx_id(name))]

    needed = {re.split(r"[ (:]", each.strip())[0] for each in control(deb, "Depends").split(",")}
    needed_of = {installed(each)[1]: each for each in needed if installed(each)}
    for each in build_packages(os_release.get("VERSION_CODENAME")):
        version, source, architecture = found(each, llhttp_folder)
        licence = LICENCES.get(each)
        if licence is None:
            if each.startswith("lib"):
                sys.exit(f"sbom: deploy/sbom.py knows no licence of {each}")
            packages.append(debian_package(each, version, "NOASSERTION", architecture, distribution))
            relations.append((spdx_id(each), "BUILD_TOOL_OF", spdx_id(name)))
        elif source in needed_of:
            at_run_time = needed_of.pop(source)
            version, _, architecture = installed(at_run_time)
            packages.append(debian_package(at_run_time, version, licence, architecture, distribution))
            relations.append((spdx_id(name), "DYNAMIC_LINK", spdx_id(at_run_time)))
        else:
            suite = distribution if installed(each) else "debian-13"
            packages.append(debian_package(each, version, licence, architecture, suite))
            relations.append((spdx_id(name), "STATIC_LINK", spdx_id(each)))
    if needed_of:
        sys.exit(f"sbom: {', '.join(needed_of.values())} in Depends belong to no library of deps/packages.tsv")

    made = datetime.datetime.fromtimestamp(int(os.environ["SOURCE_DATE_EPOCH"]), datetime.timezone.utc)
    return {
        "spdxVersion": "SPDX-2.3", "dataLicense": "CC0-1.0", "SPDXID": "SPDXRef-DOCUMENT", "name": deb.stem,
        # No address: an identifier that is this document's alone.
        "documentNamespace": f"urn:migchat:sbom:{digest}",
        "creationInfo": {"created": made.strftime("%Y-%m-%dT%H:%M:%SZ"),
                         "creators": ["Organization: MigChat contributors", "Tool: deploy-sbom.py"]},
        "packages": packages,
        "relationships": [{"spdxElementId": one, "relationshipType": kind, "relatedSpdxElement": other}
                          for one, kind, other in relations],
    }


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__.split("\n\n")[1])
    text = json.dumps(document(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])), indent=1)
    print(text)


if __name__ == "__main__":
    main()
