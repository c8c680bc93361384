"""Claims that the two papers make in words and that a table of ours can answer: claims.toml beside this module.

"E" is the EMBridge paper; "C" is CPEP's, which is known here by a third party's summary only. Claims about users'
convenience, costs or future work are left out: no number of ours speaks to them. So are causes that E only
supposes (averaged queries behind CPEP's better probe) and how fast a loss falls (C, of random weights).
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

from embridge import experiments as registry
from embridge.experiments import MULTIMODAL, REMOVED
from embridge.files import read_toml
from embridge.grids import GRIDS
from embridge.paper.numbers import CELLS

# of systems, by what claims.toml calls them: the upper bound, which reads pose, and EMBridge are in none
GROUPS = {"unimodal": registry.UNIMODAL[1:], "rivals": MULTIMODAL[:-1], "parts": REMOVED}
ZS = (("ZS", "in"), ("ZS", "unseen"))
CHANCE = 0.25
MARGIN = 0.05  # of balanced accuracy: what still counts as robust, ten times what E Table 4 shows for EMBridge
PRINTED = {"batch_size": "B = {}", "class": "gesture {}", "shots_fraction": "{} of shots"}  # others: "k_c = 10"


@dataclass(frozen=True)
class Cell:
    """One measured number."""

    system: str  # or a pair "A - B"
    measure: str  # "LP", "ZS" or another
    classes: str
    param: str = ""  # what differs from the system as it is, or the "class" that is looked at; "": nothing
    value: str = ""

    @property
    def name(self) -> str:
        """The system and what differs: "EMBridge, k_c = 10"."""
        if not self.param:
            return self.system
        if self.param == "paired_fraction":
            return f"{self.system}, {float(self.value):.0%} of pairs"
        return f"{self.system}, {PRINTED.get(self.param, f'{self.param} = {{}}').format(self.value)}"


@dataclass(frozen=True)
class Comparison:
    """A weighted sum of cells and constants that the claim says is above 0 (or, of a robust one, near 0)."""

    label: str
    terms: tuple[tuple[float, Cell | float], ...]


@dataclass(frozen=True)
class Claim:
    """One claim, our paraphrase with the section that it stands in; all comparisons must hold."""

    text: str
    source: str
    comparisons: tuple[Comparison, ...]
    about: str = "emg2pose"  # the paper's dataset, or "ninapro", for which a simulation may stand
    robust: bool = False  # the claim is that the sums stay within MARGIN of 0, not that they are above it
    relative: bool = False  # the numbers tell the ratio of the first cell to the second, too


def over(a: Cell, b: Cell) -> Comparison:
    """The first cell is above the second."""
    if a.measure == b.measure:
        label = f"{a.name} over {b.name}, {a.measure} {a.classes}"
    else:
        label = f"{a.name} {a.measure} over {b.name} {b.measure}, {a.classes}"
    return Comparison(label, ((1, a), (-1, b)))


def beats(systems, rivals, cells=ZS, theirs: str = "") -> tuple[Comparison, ...]:
    """Each system is above each rival in each (protocol, classes); names, or (name, param, value).

    ``theirs``: the rivals' protocol, where it is another.
    """
    named = [[(s,) if isinstance(s, str) else s for s in names] for names in (systems, rivals)]
    return tuple(
        over(Cell(a, p, c, *with_a), Cell(b, theirs or p, c, *with_b))
        for (a, *with_a), (b, *with_b), (p, c) in itertools.product(*named, cells)
    )


def _systems(named: list) -> list[str | tuple[str, str, str]]:
    """What a list of claims.toml names, as :func:`beats` takes systems."""
    found = []
    for name in named:
        if isinstance(name, str):
            found += GROUPS.get(name, (name,))
        else:
            values = name.get("values", GRIDS.get(name["param"]))
            found += [(name.get("system", "EMBridge"), name["param"], f"{value}") for value in values]
    return found


def _comparisons(said: dict) -> Iterator[Comparison]:
    """What must hold for a claim of claims.toml, as its head says."""
    for one in said.get("beats", ()):
        cells = [cell for cell in CELLS if one.get("on", "ZS") in " ".join(cell)]
        yield from beats(_systems(one["of"]), _systems(one["over"]), cells, one.get("theirs", ""))
    if system := said.get("chance"):
        terms = ((1, Cell(system, "ZS", "unseen")), (-1, CHANCE))
        yield Comparison(f"{system} over chance ({CHANCE:g}), ZS unseen", terms)
    for rival, (label, *cells) in itertools.product(("CPEP", "Q-Former"), said.get("lead", ())):
        ours, theirs = ([Cell(system, *cell.split()) for cell in cells] for system in ("EMBridge", rival))
        yield Comparison(f"lead over {rival}, {label}", ((1, ours[0]), (-1, theirs[0]), (-1, ours[1]), (1, theirs[1])))
    gain = said.get("gain")
    for pair in ("EMBridge - CPEP", "EMBridge - Q-Former") if gain else ():
        if isinstance(gain, dict):
            terms = ((w, Cell(pair, "F1", "unseen", "class", f"{k}")) for k, w in enumerate(gain["weights"]))
            yield Comparison(f"{pair}, {gain['label']}", tuple(terms))
            continue
        for of in [("class", f"{k}") for k in range(4)] if gain == "F1" else [()]:
            cell = Cell(pair, gain, "unseen", *of)
            yield Comparison(f"{cell.name}, {gain} unseen", ((1, cell),))


_READ = read_toml(__file__, "claims.toml")
RULE = _READ["rule"].format(margin=MARGIN)
CLAIMS = tuple(
    Claim(**{k: said[k] for k in ("text", "source", "about", "robust", "relative") if k in said},
          comparisons=tuple(_comparisons(said)))
    for said in _READ["claim"]
)  # fmt: skip
