"""One page with every table and figure of a results folder: ``report.html``, with nothing outside itself."""

import base64
import json
import platform
import re
import time
from pathlib import Path

from embridge.datasets import SIMULATED
from embridge.provenance import commit, libraries
from embridge.run.pages import NUMBERS, STEMS, TITLES

TEMPLATE = Path(__file__).with_name("report.html.j2")
HEADINGS = {STEMS[name]: f"{NUMBERS[name]} · {title}" for name, title in TITLES.items()}  # as each notebook's first
# What a claim's verdict begins with
NO_END, NO_ROWS = "cannot tell: baseline not trained to its end", "cannot tell: no rows"
VERDICTS = ("holds", "does not hold", "cannot tell on this dataset", NO_END, NO_ROWS)


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


def _table(file: Path) -> dict:
    """A table's Markdown (:func:`embridge.paper.table_cells.markdown`): its caption, rows of cells and footnotes."""
    head, bar, rest = file.read_text(encoding="utf-8").partition("\n\n|")
    lines = (bar + rest).splitlines()
    rows = [re.split(r" (?<!\\)\| ", line[2:-2]) for line in lines if line.startswith("|")]
    notes = [line for line in lines if line and not line.startswith(("|", "Source: "))]
    rows = [[cell.replace("\\|", "|") for cell in row] for row in rows]
    return {"caption": head.strip(), "rows": rows[:1] + rows[2:], "notes": notes}


def _result(table: dict, dataset: str) -> None:
    """Keep of Table 2 the dataset's own lines and of these the system's name, its scores and the papers' values.

    A mark that stands behind both is ours, and goes behind ours: the paper's stand in a line of their own here.
    """
    head, *rows = table["rows"]
    own = [row for row in rows if (head[0], row[0]) == ("dataset", dataset)] or rows  # one dataset has no such column
    columns = slice(head.index("system"), head.index("source"))
    cells = [[cell.replace(" | not in the source", "") for cell in row[columns]] for row in (head, *own)]
    table["rows"] = [[re.sub(r"( \| paper \S+)( †\d*)$", r"\2\1", cell) for cell in row] for row in cells]


def _time(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(seconds))


def write(folder: Path, parameters: dict) -> Path:
    """Write ``report.html`` into a results folder F and return its path.

    ``parameters`` are the run's. Table 2 and the claims come first; then only tables and figures that the notebooks'
    ``results.json`` name, each with its caption. The page needs no other file; its links lead to the executed
    notebooks beside it.
    """
    import jinja2  # whoever needs another function of this module need not load it

    found = pages(folder)
    for page in found:
        record = folder / "notebooks" / f"{page['notebook']}.key.json"
        page["title"] = HEADINGS.get(page["notebook"], page["notebook"])
        page["ran"] = json.loads(record.read_text()) if record.exists() else {}
        for entry in page["tables"]:
            entry |= {k: v for k, v in _table(page["folder"] / entry["md"]).items() if k != "caption"}
        for entry in page["figures"]:
            entry["data"] = base64.b64encode((page["folder"] / entry["file"]).read_bytes()).decode("ascii")
    result = [entry for page in found for entry in page["tables"] + page["figures"] if entry["name"] == "table2"]
    for entry in result:
        if "rows" in entry:
            _result(entry, parameters.get("dataset", ""))
    claims = _table(folder / "claims.md") if (folder / "claims.md").exists() else {}
    template = jinja2.Environment(autoescape=True, trim_blocks=True).from_string(TEMPLATE.read_text(encoding="utf-8"))
    html = template.render(
        {name: parameters.get(name, "") for name in ("dataset", "profile", "seeds")},
        simulated=parameters.get("dataset") in SIMULATED,
        written=_time(time.time()),
        commit=commit(),
        versions=", ".join(f"{name} {version}" for name, version in libraries().items()),
        machine=f"{platform.machine()}, {platform.system()}",
        pages=found,
        result=result,
        claims=claims,
        verdicts={v: sum(row[2].startswith(v) for row in claims["rows"][1:]) for v in VERDICTS if claims},
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
