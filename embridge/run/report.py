"""One page with every table and figure of a results folder: ``report.html``, with nothing outside itself."""

import base64
import csv
import json
import platform
import time
from pathlib import Path

from embridge.datasets import SIMULATED
from embridge.provenance import commit, libraries

TEMPLATE = Path(__file__).with_name("report.html.j2")


def pages(folder: Path) -> list[dict]:
    """The ``results.json`` of every notebook in a results folder, in order, each with its "folder" added."""
    files = sorted(folder.glob("*/results.json"))
    return [{**json.loads(file.read_text(encoding="utf-8")), "folder": file.parent} for file in files]


def missing_files(page: Path) -> list[Path]:
    """The files that a ``results.json`` names and that are not there."""
    content = json.loads(page.read_text(encoding="utf-8"))
    names = [entry["file"] for entry in content["figures"]]
    names += [entry[kind] for entry in content["tables"] for kind in ("csv", "md")]
    return [page.parent / name for name in names if not (page.parent / name).exists()]


def _number(text: str) -> str | None:
    """A cell's number as it is shown (four significant digits), or None for text."""
    try:
        return text if text.lstrip("+-").isdecimal() else f"{float(text):.4g}"
    except ValueError:
        return None


def _rows(file: Path) -> list[list[str]]:
    with file.open(newline="", encoding="utf-8") as handle:
        return list(csv.reader(handle))


def _time(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(seconds))


def _claims(folder: Path) -> dict:
    """The claims' caption and table, {} where there are none; without rows where the papers claim nothing."""
    file = folder / "claims.csv"
    if not file.exists():
        return {}
    caption, _, table = file.with_suffix(".md").read_text(encoding="utf-8").partition("\n\n")
    return {"caption": caption, "rows": _rows(file) if table else []}


def write(folder: Path, parameters: dict) -> Path:
    """Write ``report.html`` into a results folder F and return its path.

    ``parameters`` are the run's; only tables and figures that the notebooks' ``results.json`` name are shown, each
    with its caption. The page needs no other file; its links lead to the executed notebooks beside it.
    """
    import jinja2  # whoever needs another function of this module need not load it

    found = pages(folder)
    for page in found:
        record = folder / "notebooks" / f"{page['notebook']}.key.json"
        page["ran"] = json.loads(record.read_text()) if record.exists() else {}
        for entry in page["tables"]:
            entry["rows"] = _rows(page["folder"] / entry["csv"])
        for entry in page["figures"]:
            entry["data"] = base64.b64encode((page["folder"] / entry["file"]).read_bytes()).decode("ascii")
    template = jinja2.Environment(autoescape=True, trim_blocks=True).from_string(TEMPLATE.read_text(encoding="utf-8"))
    html = template.render(
        {name: parameters.get(name, "") for name in ("dataset", "profile", "seeds")},
        simulated=parameters.get("dataset") in SIMULATED,
        written=_time(time.time()),
        commit=commit(),
        versions=", ".join(f"{name} {version}" for name, version in libraries().items()),
        machine=f"{platform.machine()}, {platform.system()}",
        pages=found,
        claims=_claims(folder),
        number=_number,
        time=_time,
    )
    file = folder / "report.html"
    file.write_text(html, encoding="utf-8")
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
