"""One page with every table and figure of a results folder: ``report.html``, with nothing outside itself."""

import base64
import csv
import json
import platform
import time
from html import escape
from pathlib import Path

from embridge.datasets import SIMULATED
from embridge.provenance import commit, libraries

STYLE = """
:root { color-scheme: light; }
body { margin: 0 auto; max-width: 60rem; padding: 1rem 1.5rem 4rem; background: #fff; color: #1b1f24;
       font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
h1 { font-size: 1.7rem; margin: 1rem 0 .3rem; }
h2 { font-size: 1.3rem; margin: 2.5rem 0 .5rem; padding-top: .8rem; border-top: 1px solid #d4d9df; }
a { color: #0b57a4; }
.simulated { background: #fff3cd; border: 1px solid #b88600; padding: .6rem .9rem; margin: 1rem 0; font-weight: 600; }
.facts, .small { color: #4d5661; font-size: .88rem; }
nav ol { columns: 2 20rem; padding-left: 1.2rem; font-size: .92rem; }
figure { margin: 1.6rem 0; }
figure img { max-width: 100%; height: auto; }
figcaption { margin: .4rem 0; max-width: 48rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .86rem; font-variant-numeric: tabular-nums; }
th, td { padding: .22rem .7rem; text-align: left; white-space: nowrap; border-bottom: 1px solid #e3e7eb; }
th { border-bottom: 2px solid #8a949e; }
td.number { text-align: right; }
#claims td { white-space: normal; vertical-align: top; min-width: 6rem; }
@media print { .scroll { overflow: visible; } h2 { break-after: avoid; } figure { break-inside: avoid; } }
"""


def pages(folder: Path) -> list[dict]:
    """The ``results.json`` of every notebook in a results folder, in order, each with its "folder" added."""
    found = []
    for file in sorted(folder.glob("*/results.json")):
        found.append({**json.loads(file.read_text(encoding="utf-8")), "folder": file.parent})
    return found


def missing_files(page: Path) -> list[Path]:
    """The files that a ``results.json`` names and that are not there."""
    content = json.loads(page.read_text(encoding="utf-8"))
    names = [entry["file"] for entry in content["figures"]]
    names += [entry[kind] for entry in content["tables"] for kind in ("csv", "md")]
    return [page.parent / name for name in names if not (page.parent / name).exists()]


def _number(text: str) -> str | None:
    """A cell's number as it is shown (four significant digits), or None for text."""
    try:
        value = float(text)
    except ValueError:
        return None
    return text if text.lstrip("+-").isdecimal() else f"{value:.4g}"


def table_html(file: Path) -> str:
    """A CSV file as an HTML table: numbers shortened and to the right, everything else as it stands."""
    with file.open(newline="", encoding="utf-8") as handle:
        head, *body = list(csv.reader(handle))
    lines = ["<tr>" + "".join(f"<th>{escape(cell)}</th>" for cell in head) + "</tr>"]
    for row in body:
        shown = [(_number(cell), cell) for cell in row]
        cells = [f"<td>{escape(t)}</td>" if n is None else f'<td class="number">{escape(n)}</td>' for n, t in shown]
        lines.append("<tr>" + "".join(cells) + "</tr>")
    return '<div class="scroll"><table>\n' + "\n".join(lines) + "\n</table></div>"


def _caption(entry: dict) -> str:
    source = f' <span class="small">Source: {escape(entry["source"])}.</span>' if entry.get("source") else ""
    return f"<figcaption>{escape(entry['caption'])}{source}</figcaption>"


def _anchor(page: dict, entry: dict) -> str:
    return escape(f"{page['notebook']}-{entry['name']}", quote=True)


def _section(page: dict, notebooks: Path) -> str:
    """One notebook's part: when it ran, its page, its tables and figures."""
    name, folder = page["notebook"], page["folder"]
    record = notebooks / f"{name}.key.json"
    if record.exists():
        ran = json.loads(record.read_text())
        when = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(ran["finished"]))
        facts = f'run {when}, {ran["seconds"]:.0f} s; <a href="notebooks/{escape(name)}.html">executed notebook</a>'
    else:
        facts = "not run here: these are the results that came with the repository or from an unfinished run"
    parts = [f'<h2 id="{escape(name)}">{escape(name)}</h2>', f'<p class="facts">{facts}</p>']
    for entry in page["tables"]:
        body = table_html(folder / entry["csv"])
        parts.append(f'<figure id="{_anchor(page, entry)}">{_caption(entry)}{body}</figure>')
    for entry in page["figures"]:
        data = base64.b64encode((folder / entry["file"]).read_bytes()).decode("ascii")
        image = f'<img src="data:image/png;base64,{data}" alt="{escape(entry["caption"], quote=True)}">'
        parts.append(f'<figure id="{_anchor(page, entry)}">{image}{_caption(entry)}</figure>')
    return "\n".join(parts)


def _claims(folder: Path) -> str:
    """The claims table, where there is one."""
    file = folder / "claims.csv"
    if not file.exists():
        return ""
    caption, _, table = file.with_suffix(".md").read_text(encoding="utf-8").partition("\n\n")
    shown = table_html(file) if table else ""  # of some datasets the papers claim nothing
    return (
        '<h2 id="claims">What the papers claim, and what holds here</h2>\n'
        f"<figure><figcaption>{escape(caption)}</figcaption>{shown}</figure>"
    )


def _contents(found: list[dict], claims: bool) -> str:
    lines = ['<li><a href="#claims">claims</a> (table)</li>'] if claims else []
    for page in found:
        entries = [("table", entry) for entry in page["tables"]] + [("figure", entry) for entry in page["figures"]]
        inner = "".join(
            f'<li><a href="#{_anchor(page, entry)}">{escape(entry["name"])}</a> ({kind})</li>'
            for kind, entry in entries
        )
        lines.append(f'<li><a href="#{escape(page["notebook"])}">{escape(page["notebook"])}</a><ul>{inner}</ul></li>')
    return "<nav><ol>\n" + "\n".join(lines) + "\n</ol></nav>"


def write(folder: Path, parameters: dict) -> Path:
    """Write ``report.html`` into a results folder F and return its path.

    ``parameters`` are the run's; only tables and figures that the notebooks' ``results.json`` name are shown, each
    with its caption. The page needs no other file; its links lead to the executed notebooks beside it.
    """
    found = pages(folder)
    dataset, profile = parameters.get("dataset", ""), parameters.get("profile", "")
    versions = ", ".join(f"{name} {version}" for name, version in libraries().items())
    banner = ""
    if dataset in SIMULATED:
        banner += (
            '<p class="simulated">Simulated data. Every number below comes from a forearm simulator; none is a result '
            "on recordings of people.</p>"
        )
    if profile == "smoke":
        banner += (
            '<p class="simulated">Smoke profile: it shows that the parts fit together. Its numbers mean nothing.</p>'
        )
    facts = (
        f"Dataset {dataset}, profile {profile}, seeds {parameters.get('seeds', '')}; written "
        f"{time.strftime('%Y-%m-%d %H:%M UTC', time.gmtime())}; commit {commit()}; {versions}; "
        f"{platform.machine()}, {platform.system()}."
    )
    body = "\n".join(_section(page, folder / "notebooks") for page in found)
    claims, title = _claims(folder), f"EMBridge: {dataset}, {profile}"
    page = (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n<title>{escape(title)}</title>\n'
        f"<style>{STYLE}</style>\n</head>\n<body>\n<h1>{escape(title)}</h1>\n"
        f'<p class="facts">{escape(facts)}</p>\n{banner}\n{_contents(found, bool(claims))}\n{claims}\n{body}\n'
        "</body>\n</html>\n"
    )
    file = folder / "report.html"
    file.write_text(page, encoding="utf-8")
    return file


def show(folder: Path) -> None:
    """Print every table and figure of a results folder with its path, and the report's path."""
    if (folder / "claims.md").exists():
        print(f"\nclaims\n  {folder / 'claims.md'}")
    for page in pages(folder):
        print(f"\n{page['notebook']}")
        for kind, entry in [("csv", e) for e in page["tables"]] + [("file", e) for e in page["figures"]]:
            print(f"  {page['folder'] / entry[kind]}\n      {entry['caption']}")
    print(f"\nreport: {folder / 'report.html'}")
