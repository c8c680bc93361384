"""Where results go: tidy rows, figures and tables of one notebook on a :class:`Page`, all pages in one CSV.

``folder/<notebook>/results.json`` is a page; ``folder/results.csv`` (:func:`collect`) merges every page's rows, and
tables and figures are made from it alone. ``folder/provenance.json`` says what merged them.
"""

import json
import re
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from embridge import __version__
from embridge.config import RESULTS_VERSION, as_json, for_windows, profile
from embridge.datasets import for_dataset, window_config
from embridge.errors import InputError
from embridge.files import sha256, write_atomically
from embridge.provenance import libraries, provenance
from embridge.rows import (
    COLUMNS,
    INTEGERS,
    KEY,
    NUMBERS,
    as_text,
    compare_predictions,
    evaluate_predictions,
    plain,
    row,
)
from embridge.table_cells import markdown

SCREEN_WIDTH = 800  # CSS pixels of a figure in a notebook: its type is then as large as the text's

__all__ = [
    "COLUMNS",
    "Page",
    "collect",
    "compare_predictions",
    "evaluate_predictions",
    "read_results",
    "row",
    "versions",
]


class Page:
    """What one notebook leaves behind: rows, figures, tables and notes in ``folder/name/``.

    Parameters
    ----------
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

    @property
    def prefix(self) -> str:
        """What every caption begins with."""
        if self.context.get("simulated"):
            return "Simulated data. "
        subject = self.context.get("development")
        if subject:
            return f"Real recordings, {subject if isinstance(subject, str) else 'one development subject'}. "
        return ""

    def figure(self, fig, name: str, caption: str, source: str = "", *, data: bool = True):
        """Save a matplotlib figure as ``name.png`` (150 dpi) with its caption; returns the picture to show.

        On simulated data the words stand below its right corner, where they cover nothing; ``data=False`` says that
        the figure is a drawing and shows no data at all.
        """
        from IPython.display import Image  # a notebook has it, and the runner need not load it

        entry = self._entry(self._figures, name, caption, source, data)
        # Axes and legends get their places when drawn, and saving crops the figure, with which its legends would move.
        fig.draw_without_rendering()
        fig.set_layout_engine("none")
        for legend in fig.legends:
            legend.set_bbox_to_anchor((0, 0, 1, 1), fig.transFigure)
        if data and self.context.get("simulated"):
            bottom = fig.get_tightbbox().y0 / fig.get_figheight()  # legends may hang below the figure
            fig.text(1.0, bottom - 0.01, "simulated data", ha="right", va="top", fontsize=9, color="0.4")
        fig.savefig(self.folder / f"{name}.png", dpi=150, bbox_inches="tight", metadata={"Software": None})
        self._figures.append(entry | {"file": f"{name}.png"})
        # the file itself: drawing the figure again for the screen would take as long as saving it did
        return Image(filename=str(self.folder / f"{name}.png"), width=SCREEN_WIDTH)

    def table(
        self, df: pd.DataFrame, name: str, caption: str, source: str = "", *, numbers: pd.DataFrame | None = None
    ) -> pd.DataFrame:
        """Save a frame as ``name.csv`` and ``name.md`` with its caption; returns the frame. A named index is kept.

        Prints whose data it shows and what its marks mean (``df.attrs["footnotes"]``): a frame cannot be stamped as a
        figure is.

        ``numbers``: the frame's cells as numbers (from a function of :mod:`embridge.tables` that ends in ``_rows``),
        for the CSV.
        """
        entry = self._entry(self._tables, name, caption, source)
        tidy = df if numbers is None else numbers
        named = any(label is not None for label in tidy.index.names)
        write_atomically(self.folder / f"{name}.csv", tidy.to_csv(index=named, lineterminator="\n"))
        origin = f"\nSource: {source}\n" if source else ""
        write_atomically(self.folder / f"{name}.md", f"{entry['caption']}\n\n{markdown(df)}{origin}")
        self._tables.append(entry | {"csv": f"{name}.csv", "md": f"{name}.md"})
        for note in filter(None, (self.prefix.strip(), *df.attrs.get("footnotes", ()))):
            print(note)
        return df

    def _entry(self, entries, name, caption, source, data=True):
        if _slug(name) in [e["name"] for e in entries]:
            raise InputError(f"page {self.name}: expected each name once, found {name!r} again")
        return {"name": name, "caption": (self.prefix if data else "") + " ".join(caption.split()), "source": source}

    def rows(self, rows) -> None:
        """Add tidy rows (dicts of COLUMNS); each is checked as by :func:`row`."""
        self._rows += [row(**fields) for fields in rows]

    def frame(self, beside: Iterable[dict] = ()) -> pd.DataFrame:
        """The rows added so far, as :func:`collect` would return them, with rows that another page keeps."""
        return as_frame(sorted([*self._rows, *(row(**fields) for fields in beside)], key=_order))

    def note(self, key: str, value) -> None:
        """Keep a plain value under a name: sentences, counts, timings."""
        self._notes[key] = plain(value)

    def write(self) -> Path:
        """Write ``results.json`` in one go, without empty fields; returns its path.

        Figures and tables that an earlier run left in the folder and this one did not make go: they show other rows.
        """
        _refuse_repeats([(self.name, fields) for fields in self._rows])
        made = {
            entry[kind] for entry in (*self._figures, *self._tables) for kind in ("file", "csv", "md") if kind in entry
        }
        for left in self.folder.iterdir():
            if left.suffix in (".png", ".csv", ".md") and left.name not in made:
                left.unlink()
        page = {
            "notebook": self.name,
            "context": self.context,
            "figures": self._figures,
            "tables": self._tables,
            "notes": self._notes,
        }
        path = self.folder / "results.json"
        write_atomically(path, as_text(page, self._rows))
        return path


def versions() -> str:
    """Python and the libraries that decide numbers, for a notebook's first output."""
    return f"embridge {__version__} · " + " · ".join(f"{name} {version}" for name, version in libraries().items())


def collect(folder: str | Path) -> pd.DataFrame:
    """Merge the rows of every page below ``folder`` into ``folder/results.csv`` and return them, sorted.

    Those of another RESULTS_VERSION, which an earlier run left, are not taken: they measure something else.
    Raises InputError where a page cannot be read, or two rows claim the same measurement (naming both pages).
    """
    folder, found = Path(folder), []
    for path in sorted(folder.glob("*/results.json")):
        try:
            page = json.loads(path.read_text(encoding="utf-8"))
            rows = [(page["notebook"], row(**{"version": 1} | fields)) for fields in page["rows"]]  # 1 wrote none
            found += [(name, fields) for name, fields in rows if fields["version"] == RESULTS_VERSION]
        except (ValueError, KeyError, TypeError) as error:  # ValueError: not JSON, or a row that is none
            raise InputError(
                f"{path}: expected a page's results.json, found {error!r}; run its notebook again"
            ) from error
    _refuse_repeats(found)
    rows = sorted((fields for _, fields in found), key=_order)
    results = as_frame(rows)
    write_atomically(folder / "results.csv", results.to_csv(index=False, lineterminator="\n"))
    return results


def write_provenance(folder: Path, parameters: dict) -> Path:
    """Write ``provenance.json``: what merged the pages into ``results.csv`` and the claims, and each page's SHA-256.

    ``parameters``: the run's, of which dataset, profile and seeds are kept. Each page's results.json says what made its
    own numbers.
    """
    pages = sorted(folder.glob("*/results.json"))
    dataset, tokens = parameters["dataset"], parameters.get("tokens", "")
    size = for_windows(for_dataset(profile(parameters["profile"]), dataset), window_config(dataset), tokens)
    about = {
        "made": [name for name in ("results.csv", "claims.csv", "claims.md") if (folder / name).exists()],
        **{name: parameters.get(name) for name in ("dataset", "profile", "seeds", "tokens")},
        **provenance(),
        "inputs": {f"{page.parent.name}/{page.name}": sha256(page) for page in pages},
        "configuration": as_json(size),
    }
    write_atomically(folder / "provenance.json", json.dumps(about, indent=1) + "\n")
    return folder / "provenance.json"


def read_results(path: str | Path) -> pd.DataFrame:
    """Read a ``results.csv`` into the types that :func:`collect` returns."""
    text = pd.read_csv(path, dtype=str, keep_default_na=False)
    return as_frame([row(**{c: _parse(c, v) for c, v in fields.items()}) for fields in text.to_dict("records")])


def _parse(column, text):
    if not text:
        return None
    return int(text) if column in INTEGERS else float(text) if column in NUMBERS else text


def as_frame(rows: Iterable[dict]) -> pd.DataFrame:
    """Tidy rows as a frame: text ("" where empty), nullable ints, floats (nan where empty)."""
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    kinds = {c: "Int64" if c in INTEGERS else float if c in NUMBERS else str for c in COLUMNS}
    return frame.astype(kinds)


def _order(fields):
    return tuple((fields[c] is not None, fields[c] if fields[c] is not None else 0) for c in KEY)


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
