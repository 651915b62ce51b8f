#!/usr/bin/env python3
"""Writes what the programs are made of: the licence texts of every dependency, and a CycloneDX list of them.

usage: dependencies.py LICENCE_FOLDER SBOM_FILE

Both come from `cargo metadata` and from the sources that cargo has fetched; nothing is looked up elsewhere.
"""

import json
import os
import re
import subprocess
import sys
import tomllib
from datetime import datetime, timezone
from pathlib import Path

PROGRAMS = ("agent-runner", "agent-runner-fleet")
TARGETS = ("x86_64-unknown-linux-musl", "aarch64-unknown-linux-musl", "x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu")
LICENCE_FILE = re.compile(r"^(licen[cs]e|copying|notice|copyright|unlicense)", re.IGNORECASE)

# The agents are linked with it, and no package of cargo's brings its text.
MUSL = """musl, the C library of the agents
https://musl.libc.org

Copyright (c) 2005-2020 Rich Felker, et al.

Permission is hereby granted, free of charge, to any person obtaining
a copy of this software and associated documentation files (the
"Software"), to deal in the Software without restriction, including
without limitation the rights to use, copy, modify, merge, publish,
distribute, sublicense, and/or sell copies of the Software, and to
permit persons to whom the Software is furnished to do so, subject to
the following conditions:

The above copyright notice and this permission notice shall be
included in all copies or substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND,
EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF
MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT.
IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY
CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT,
TORT OR OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE
SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
"""


def metadata():
    command = ["cargo", "metadata", "--locked", "--format-version", "1"]
    for target in TARGETS:
        command += ["--filter-platform", target]
    return json.loads(subprocess.check_output(command))


def shipped(data):
    """The packages that end up in a program, with what each depends on: no build scripts' and no tests' own."""
    nodes = {node["id"]: node for node in data["resolve"]["nodes"]}
    packages = {package["id"]: package for package in data["packages"]}
    open_ids = [package["id"] for package in data["packages"] if package["name"] in PROGRAMS and not package["source"]]
    graph = {}
    while open_ids:
        package_id = open_ids.pop()
        if package_id in graph:
            continue
        graph[package_id] = sorted(
            dependency["pkg"]
            for dependency in nodes[package_id]["deps"]
            if any(kind["kind"] is None for kind in dependency["dep_kinds"])
        )
        open_ids += graph[package_id]
    return packages, graph


def checksums():
    lock = tomllib.loads(Path("Cargo.lock").read_text())
    return {(package["name"], package["version"]): package.get("checksum") for package in lock["package"]}


def purl(package):
    return f"pkg:cargo/{package['name']}@{package['version']}"


def component(package, checksum):
    made = {
        "type": "application" if package["name"] in PROGRAMS else "library",
        "bom-ref": purl(package),
        "name": package["name"],
        "version": package["version"],
        "purl": purl(package),
    }
    if package["license"]:
        # Older packages write a slash for "or".
        made["licenses"] = [{"expression": package["license"].replace("/", " OR ")}]
    if checksum:
        made["hashes"] = [{"alg": "SHA-256", "content": checksum}]
    if package["repository"]:
        made["externalReferences"] = [{"type": "vcs", "url": package["repository"]}]
    return made


def rust():
    """The standard library and the C library that the agents are linked with."""
    said = subprocess.check_output(["rustc", "-vV"], text=True)
    release = re.search(r"^release: (\S+)", said, re.MULTILINE).group(1)
    return [
        {
            "type": "library",
            "bom-ref": f"rust-std@{release}",
            "name": "rust-std",
            "version": release,
            "licenses": [{"expression": "MIT OR Apache-2.0"}],
        },
        {"type": "library", "bom-ref": "musl", "name": "musl", "licenses": [{"expression": "MIT"}]},
    ]


def bill(packages, graph):
    sums = checksums()
    chosen = sorted((packages[package_id] for package_id in graph), key=purl)
    when = datetime.fromtimestamp(int(os.environ["SOURCE_DATE_EPOCH"]), timezone.utc)
    dependencies = [
        {"ref": purl(packages[package_id]), "dependsOn": sorted(purl(packages[other]) for other in others)}
        for package_id, others in graph.items()
    ]
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.5.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "timestamp": when.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "component": {"type": "application", "bom-ref": "release", "name": "agent-runner"},
        },
        "components": [component(package, sums.get((package["name"], package["version"]))) for package in chosen] + rust(),
        "dependencies": sorted(dependencies, key=lambda dependency: dependency["ref"]),
    }


def texts(package):
    folder = Path(package["manifest_path"]).parent
    files = {path for path in folder.iterdir() if path.is_file() and LICENCE_FILE.match(path.name)}
    for path in folder.iterdir():
        if path.is_dir() and path.name.lower() in ("licenses", "license"):
            files.update(inner for inner in path.iterdir() if inner.is_file())
    if package["license_file"]:
        files.add(folder / package["license_file"])
    return sorted(files)


def write_licences(folder, foreign):
    """One file a package; returns those that bring no text of their own."""
    without = []
    for package in foreign:
        found = texts(package)
        if not found:
            without.append(package)
        parts = [f"{package['name']} {package['version']}\n{package['license'] or 'see below'}\n{package['repository'] or ''}\n"]
        parts += [f"---- {path.name}\n\n{path.read_text(errors='replace').strip()}\n" for path in found]
        if not found:
            parts.append("It brings no text of its own; that of the Apache License 2.0 is in ../LICENSE.\n")
        (folder / f"{package['name']}-{package['version']}.txt").write_text("\n".join(parts))
    return without


def write_notices_of_libraries(folder):
    documents = Path(subprocess.check_output(["rustc", "--print", "sysroot"], text=True).strip()) / "share/doc/rust"
    source = documents / "COPYRIGHT-library.html"
    if source.is_file():
        (folder / "rust-std.html").write_bytes(source.read_bytes())
    else:
        print(f"warning: this toolchain has no {source}", file=sys.stderr)
    (folder / "musl.txt").write_text(MUSL)


def main():
    folder, sbom = Path(sys.argv[1]), Path(sys.argv[2])
    packages, graph = shipped(metadata())
    foreign = sorted((packages[package_id] for package_id in graph if packages[package_id]["source"]), key=purl)
    folder.mkdir(parents=True, exist_ok=True)
    without = write_licences(folder, foreign)
    write_notices_of_libraries(folder)
    wrong = [purl(package) for package in without if "Apache-2.0" not in (package["license"] or "")]
    if wrong:
        sys.exit(f"error: no licence text for {', '.join(wrong)}")
    sbom.write_text(json.dumps(bill(packages, graph), indent=1) + "\n")
    print(f"{len(foreign)} dependencies; {len(without)} without a text of their own, all Apache-2.0")


main()
