"""Results: the tidy row, one measured number; what one notebook shows on a :class:`Page`; all rows in one CSV.

A row lies in one place: an experiment's in its record (:mod:`embridge.paper.records`), what a notebook compares or
computes itself in ``folder/<notebook>/results.json``, which also names the records that the page read.
``folder/results.csv`` and, of single users' recalls, ``folder/user_recalls.json`` (:func:`collect`) merge both, and
tables and figures are made from these alone.
``folder/provenance.json`` says what merged them.
"""

import io
import json
import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import Path

import numpy as np
import pandas as pd

from embridge import __version__
from embridge.config import RESULTS_VERSION, as_json, for_windows, profile
from embridge.datasets import for_dataset, window_config
from embridge.errors import InputError
from embridge.files import sha256, write_atomically
from embridge.paper.table_cells import markdown
from embridge.provenance import ROOT, libraries, provenance

COLUMNS = (
    "dataset", "profile", "seed", "system", "protocol", "classes", "gallery", "pooling", "metric", "class", "user",
    "true", "predicted", "param", "param_value", "n_train", "draw", "batch_size", "options", "value", "low", "high",
    "interval_kind", "n", "paper_value", "paper_source", "run_key", "origin", "version",
)  # fmt: skip
INTEGERS = ("seed", "class", "true", "predicted", "n_train", "draw", "batch_size", "n", "version")
NUMBERS = ("value", "low", "high", "paper_value")
# "origin": "" for a row of this run, "long run, <date>, <commit>" for a committed one; a "+"
# behind the commit: tracked files outside figures/ differed from it when the row was made. "version": RESULTS_VERSION
# what a row measures: two rows that agree in all of these contradict each other
_NOT_KEY = ("n_train", *NUMBERS, "interval_kind", "n", "paper_source", "run_key", "origin", "version")
KEY = tuple(c for c in COLUMNS if c not in _NOT_KEY)
EACH = ("class", "user", "true", "predicted", "draw", "value", "low", "high", "n")  # differ from row to row of a kind
MERGED = ("results.csv", "user_recalls.json")  # the second: single users' recalls, of which there are most
STOPPED, IMPROVING = "stopped improving", "still improving"  # options of a regressor's row of "epochs"
CONSTANT = "no better than a constant pose"  # a third, whether it stopped or not
SCREEN_WIDTH = 800  # CSS pixels of a figure in a notebook: its type is then as large as the text's


# ---- rows -------------------------------------------------------------------------------------------------------


def row(**fields) -> dict:
    """One tidy row with every column of COLUMNS, "" or None (numbers) where it does not apply.

    Counts and codes must be ints, NaN becomes None; ``version`` is RESULTS_VERSION unless given. ``dataset``,
    ``profile`` and ``metric`` are required. Raises InputError for an unknown column, a missing one, a wrong type or an
    infinite number.
    """
    unknown = sorted(set(fields) - set(COLUMNS))
    if unknown:
        raise InputError(f"results row: expected columns of embridge.paper.results.COLUMNS, found {', '.join(unknown)}")
    found = {column: _field(column, fields.get(column)) for column in COLUMNS}
    found["version"] = found["version"] or RESULTS_VERSION
    missing = [column for column in ("dataset", "profile", "metric") if not found[column]]
    if missing:
        raise InputError(f"results row: expected a value for {', '.join(missing)}, found none in {fields}")
    return found


def _field(column, value):
    value = plain(value)
    if column not in (*INTEGERS, *NUMBERS):
        return "" if value is None else str(value)
    if value is None or value == "":
        return None
    kind, expected = (int, "an int") if column in INTEGERS else (int | float, "a number")
    if isinstance(value, bool) or not isinstance(value, kind):
        raise InputError(f"results row: expected {expected} in column {column}, found {value!r}")
    return value if column in INTEGERS else float(value)


def plain(value):
    """A JSON value: numpy scalars and arrays, tuples, paths as plain ones, NaN as None; infinity is refused."""
    if isinstance(value, np.generic | np.ndarray):
        value = value.tolist()
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, float) and not math.isfinite(value):
        if math.isnan(value):
            return None
        raise InputError(f"results: expected a finite number or NaN, found {value}")
    if value is None or isinstance(value, str | int | float):
        return value
    raise InputError(f"results: expected text, numbers, lists or dicts, found {type(value).__name__}")


# ---- a page -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Record:
    """Rows of one experiment in a file; ``origin``: theirs; ``about``: what else the file says."""

    file: Path
    origin: str
    rows: list[dict]
    about: dict

    @property
    def name(self) -> str:
        """The file within the folder of all results, such as "simulated-quick/rows/cpep-seed0.json"."""
        return "/".join(self.file.parts[-3:])


class Page:
    """The results of one notebook: rows, figures, tables and notes in ``folder/name/``.

    name : the notebook's stem
    folder : of all pages of one dataset and profile
    context : goes into results.json. ``simulated`` (true) marks every caption and stamps every figure;
        ``development`` (text, or true: "one development subject") says whose real recordings these are
    """

    def __init__(self, name: str, folder: str | Path, *, context: dict):
        self.name, self.context = _slug(name), plain(context)
        self.folder = Path(folder) / self.name
        self.folder.mkdir(parents=True, exist_ok=True)
        self._rows, self._figures, self._tables, self._notes = [], [], [], {}
        self._records: dict[str, Record] = {}
        pd.set_option("display.max_colwidth", None)  # or a page cuts sentences of its tables off with "..."

    @property
    def prefix(self) -> str:
        """The beginning of every caption; the smoke profile's numbers are never shown as results (METHOD 10)."""
        smoke = "Smoke profile: no result. " * (self.context.get("profile") == "smoke")
        if self.context.get("simulated"):
            return f"Simulated data. {smoke}"
        if subject := self.context.get("development"):
            return f"Real recordings, {subject if isinstance(subject, str) else 'one development subject'}. {smoke}"
        return smoke

    def figure(self, fig, name: str, caption: str, source: str = "", *, data: bool = True):
        """Save a matplotlib figure as ``name.png`` (150 dpi, 256 colours), show it, and return its caption as Markdown.

        On simulated data the words stand below its right corner, where they cover nothing; ``data=False`` says that
        the figure is a drawing and shows no data at all.
        """
        import PIL.Image  # matplotlib's own, which the runner need not load

        entry = self._entry(self._figures, name, caption, source, data)
        # Axes and legends get their places when drawn, and saving crops the figure, with which its legends would move.
        fig.draw_without_rendering()
        fig.set_layout_engine("none")
        for legend in fig.legends:
            legend.set_bbox_to_anchor((0, 0, 1, 1), fig.transFigure)
        if data and self.context.get("simulated"):
            bottom = fig.get_tightbbox().y0 / fig.get_figheight()  # legends may hang below the figure
            fig.text(1.0, bottom - 0.01, "simulated data", ha="right", va="top", fontsize=9, color="0.4")
        drawn, small = io.BytesIO(), io.BytesIO()
        fig.savefig(drawn, dpi=150, bbox_inches="tight")
        with PIL.Image.open(drawn) as picture:  # a palette: a third of the bytes, and the colours of small parts kept
            few = picture.convert("RGB").quantize(256, PIL.Image.Quantize.MAXCOVERAGE, 1, dither=PIL.Image.Dither.NONE)
        few.save(small, "png", optimize=True)
        return self._shown(small.getvalue(), name, entry)

    def animation(self, png: bytes, name: str, caption: str, source: str = ""):
        """As :meth:`figure`, of an animated PNG that is stamped already."""
        return self._shown(png, name, self._entry(self._figures, name, caption, source))

    def _shown(self, png: bytes, name: str, entry: dict):
        from IPython.display import Image, Markdown, display  # the runner need not load it

        write_atomically(self.folder / f"{name}.png", png)
        self._figures.append(entry | {"file": f"{name}.png"})
        # the file itself: drawing the figure again for the screen would take as long as saving it did
        display(Image(filename=str(self.folder / f"{name}.png"), width=SCREEN_WIDTH))
        return Markdown(f"> {entry['caption']}")  # the last thing of a cell: it stands below the picture

    def table(
        self, df: pd.DataFrame, name: str, caption: str, source: str = "", *, numbers=None, data: bool = True
    ) -> pd.DataFrame:
        """Save a frame as ``name.csv`` and ``name.md`` with its caption; returns the frame. A named index is kept.

        Prints whose data it shows and what its marks mean (``df.attrs["footnotes"]``): a frame cannot be stamped as a
        figure is.

        ``numbers``: the frame's cells as numbers (:func:`embridge.paper.tables.numbers`), for the CSV. ``data=False``:
        they are not of the page's recordings, and the caption says of which.
        """
        entry = self._entry(self._tables, name, caption, source, data)
        tidy = df if numbers is None else numbers
        named = any(label is not None for label in tidy.index.names)
        write_atomically(self.folder / f"{name}.csv", tidy.to_csv(index=named, lineterminator="\n"))
        origin = f"\nSource: {source}\n" if source else ""
        exact = tidy if df.dtypes.equals(tidy.dtypes) else df  # not rounded twice
        write_atomically(self.folder / f"{name}.md", f"{entry['caption']}\n\n{markdown(exact)}{origin}")
        self._tables.append(entry | {"csv": f"{name}.csv", "md": f"{name}.md"})
        for note in filter(None, (self.prefix.strip() * data, *df.attrs.get("footnotes", ()))):
            print(note)
        return df

    def _entry(self, entries, name, caption, source, data=True):
        if _slug(name) in [e["name"] for e in entries]:
            raise InputError(f"page {self.name}: expected each name once, found {name!r} again")
        return {"name": name, "caption": (self.prefix if data else "") + " ".join(caption.split()), "source": source}

    def read(self, records: Iterable[Record]) -> None:
        """Show the rows of records; results.json names the files, from which :func:`collect` takes them."""
        self._records |= {record.name: record for record in records}

    def rows(self, rows: Iterable[dict]) -> None:
        """Add tidy rows of the page's own (dicts of COLUMNS); each is checked as by :func:`row`."""
        self._rows += [row(**fields) for fields in rows]

    def frame(self, beside: Iterable[dict] = ()) -> pd.DataFrame:
        """The rows read and added so far, as :func:`collect` would return them, with tidy rows that others keep."""
        read = (fields for record in self._records.values() for fields in record.rows)
        return as_frame([*self._rows, *read, *beside])

    def note(self, key: str, value) -> None:
        """Keep a plain value under a name: sentences, counts, timings."""
        self._notes[key] = plain(value)

    def write(self) -> Path:
        """Write ``results.json`` in one go, without empty fields; returns its path.

        Figures and tables that an earlier run left in the folder and this one did not make go: they show other rows.
        """
        _refuse_repeats([(self.name, fields) for fields in self._rows])
        shown = (*self._figures, *self._tables)
        made = {entry[kind] for entry in shown for kind in ("file", "csv", "md") if kind in entry}
        for left in self.folder.iterdir():
            if left.suffix in (".png", ".csv", ".md") and left.name not in made:
                left.unlink()
        page = {"notebook": self.name, "context": self.context, "figures": self._figures, "tables": self._tables}
        page |= {"notes": self._notes, "records": {name: record.origin for name, record in self._records.items()}}
        path = self.folder / "results.json"
        write_atomically(path, as_text(page, self._rows))
        return path


def versions() -> str:
    """Python and the libraries that decide numbers, for a notebook's first output."""
    return f"embridge {__version__} · " + " · ".join(f"{name} {version}" for name, version in libraries().items())


# ---- all pages --------------------------------------------------------------------------------------------------


def collect(folder: str | Path) -> pd.DataFrame:
    """Merge the rows of every page below ``folder``, and of the records that these read, into the files of MERGED.

    Returns them, sorted. Those of another RESULTS_VERSION, which an earlier run left, are not taken: they measure
    something else. Raises InputError where a file cannot be read, or two rows claim the same measurement (naming both
    places).
    """
    folder, found, records = Path(folder), [], {}
    for path in sorted(folder.glob("*/results.json")):
        about, rows = read_rows(path, "a page's results.json", "run its notebook again")
        found += [(path.parent.name, fields) for fields in rows]
        records |= about.get("records", {})
    for name, origin in sorted(records.items()):
        file = folder.parent / name  # what is committed lies in the repository alone
        file = file if file.exists() else ROOT / "figures" / name
        rows = read_rows(file, "an experiment's rows", "run the notebooks again", origin)[1]
        found += [(name, fields) for fields in rows]
    found = [(name, fields) for name, fields in found if fields["version"] == RESULTS_VERSION]
    _refuse_repeats(found)
    results = as_frame([fields for _, fields in found])
    scores = results[results["metric"] != "user_recall"]
    write_atomically(folder / MERGED[0], scores.to_csv(index=False, lineterminator="\n"))
    # as blocks: a third of the bytes, of which git keeps what changed, as it cannot of a packed file
    recalls = [fields for _, fields in found if fields["metric"] == "user_recall"]
    order = sorted(COLUMNS, key=lambda c: c in EACH)
    recalls.sort(key=lambda fields: [str(fields[c]) for c in order])
    write_atomically(folder / MERGED[1], as_text({}, recalls))
    return results


def read_rows(file: Path, what: str, remedy: str, origin: str = "") -> tuple[dict, list[dict]]:
    """A file of :func:`as_text`, each row checked and with its origin; InputError says ``what`` it should be."""
    try:
        return _parsed(file.read_bytes(), origin)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:  # not JSON, or a row that is none
        raise InputError(f"{file}: expected {what}, found {error!r}; {remedy}") from error


def _parsed(text: bytes, origin: str = "") -> tuple[dict, list[dict]]:
    about = json.loads(text)
    same = {"version": 1} | about.pop("every row", {})  # 1 wrote none
    given = {"origin": origin} if origin else {}
    found = (fields for block in about.pop("rows") for fields in _rows_of(**block))
    return about, [row(**same | fields | given) for fields in found]


def _rows_of(columns=(), values=((),), **same) -> Iterator[dict]:
    """The rows of a block: what is the same in all, and each one's values in columns; without these one row."""
    return (same | dict(zip(columns, own, strict=True)) for own in values)


def as_text(about: dict, rows: list[dict]) -> str:
    """JSON of ``about`` and its ``rows``, a row a line: a file that git can show, and small.

    Fields that are empty are left out, and what is the same in every row stands once, in "every row". Neighbours that
    differ in fields of EACH alone are a block: what they share, the "columns" that differ, and a list of "values" each.
    """
    full = [{c: v for c, v in fields.items() if v not in (None, "")} for fields in rows]
    same = dict(set.intersection(*(set(fields.items()) for fields in full))) if len(full) > 1 else {}
    same = {c: same[c] for c in COLUMNS if c in same}
    own = ({c: v for c, v in fields.items() if c not in same} for fields in full)
    blocks = groupby(own, lambda fields: {c: v for c, v in fields.items() if c not in EACH})
    lines = ",\n".join(_block(shared, list(members)) for shared, members in blocks)
    head = _json(about | {"every row": same}, indent=1)[:-2]
    return f'{head},\n "rows": [\n{lines}\n]}}\n'


def _block(shared: dict, members: list[dict]) -> str:
    """JSON of rows with the same fields but EACH's."""
    if len(members) == 1:
        return _json(members[0])
    columns = [c for c in EACH if any(c in fields for fields in members)]
    lines = ",\n".join(_json([fields.get(c) for c in columns]) for fields in members)
    return f'{_json(shared | {"columns": columns})[:-1]}, "values": [\n{lines}\n]}}'


_json = partial(json.dumps, ensure_ascii=False, allow_nan=False)


def write_provenance(folder: Path, parameters: dict) -> Path:
    """Write ``provenance.json``: what merged the pages into MERGED and the claims, and each page's SHA-256.

    ``parameters``: the run's, of which dataset, profile and seeds are kept. Each page's results.json says what made its
    own numbers.
    """
    pages = sorted(folder.glob("*/results.json"))
    dataset, tokens = parameters["dataset"], parameters.get("tokens", "")
    size = for_windows(for_dataset(profile(parameters["profile"]), dataset), window_config(dataset), tokens)
    about = {
        "made": [name for name in (*MERGED, "claims.csv", "claims.md") if (folder / name).exists()],
        **{name: parameters.get(name) for name in ("dataset", "profile", "seeds", "tokens")},
        **provenance(),
        "inputs": {f"{page.parent.name}/{page.name}": sha256(page) for page in pages},
        "configuration": as_json(size),
    }
    write_atomically(folder / "provenance.json", json.dumps(about, indent=1) + "\n")
    return folder / "provenance.json"


def read_results(*files) -> pd.DataFrame:
    """Read the files of MERGED (paths, or open ones), or some of them, into the types that :func:`collect` returns."""
    kinds, rows = dict.fromkeys(INTEGERS, int) | dict.fromkeys(NUMBERS, float), []
    for file in files:
        text = file.read() if hasattr(file, "read") else Path(file).read_bytes()
        if text.startswith(b"{"):
            rows += _parsed(text)[1]
            continue
        lines = pd.read_csv(io.BytesIO(text), dtype=str, keep_default_na=False).to_dict("records")
        rows += [row(**{c: kinds.get(c, str)(v) for c, v in fields.items() if v}) for fields in lines]
    return as_frame(rows)


def real_results(name: str) -> pd.DataFrame:
    """The committed rows of real recordings, ``figures/real/<name>.csv``, that are of this RESULTS_VERSION."""
    file = ROOT / "figures" / "real" / f"{name}.csv"
    found = read_results(file) if file.exists() else as_frame([])
    return found[found["version"] == RESULTS_VERSION].reset_index(drop=True)


def as_frame(rows: Iterable[dict]) -> pd.DataFrame:
    """Tidy rows as a frame, sorted by KEY: text ("" where empty), nullable ints, floats (nan where empty)."""
    ordered = sorted(rows, key=lambda fields: [(v is not None, 0 if v is None else v) for v in map(fields.get, KEY)])
    frame = pd.DataFrame(ordered, columns=list(COLUMNS))
    kinds = {c: "Int64" if c in INTEGERS else float if c in NUMBERS else str for c in COLUMNS}
    return frame.astype(kinds)


def _refuse_repeats(rows) -> None:
    first = {}
    for page, fields in rows:
        key = tuple(fields[c] for c in KEY)
        if key in first:
            what = ", ".join(f"{c}={v}" for c, v in zip(KEY, key, strict=True) if v not in (None, ""))
            raise InputError(f"results: expected each row once, found pages {first[key]} and {page} both with {what}")
        first[key] = page


def _slug(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", name):
        raise InputError(f"results: expected a name of letters, digits, '-', '_' and '.', found {name!r}")
    return name
