"""Claims that the two papers make in words and that a table of ours can answer, in our own words.

"E" is the EMBridge paper; "C" is CPEP's, which is known here by a third party's summary only. Claims about users'
convenience, costs or future work are left out: no number of ours speaks to them. So are causes that E only
supposes (averaged queries behind CPEP's better probe) and how fast a loss falls (C, of random weights).
"""

import itertools
from dataclasses import dataclass

from embridge import experiments as registry
from embridge.data.splits import SETS
from embridge.experiments import MULTIMODAL
from embridge.experiments import REMOVED as PARTS
from embridge.grids import BATCH_SIZES, GRIDS
from embridge.paper.numbers import CELLS

UNIMODAL = registry.UNIMODAL[1:]  # the first is the upper bound, which reads pose
RIVALS = MULTIMODAL[:-1]  # EMBridge is the last
ZS, LP = (("ZS", "in"), ("ZS", "unseen")), (("LP", "in"), ("LP", "unseen"))
CHANCE = 0.25
MARGIN = 0.05  # of balanced accuracy: what still counts as robust, ten times what E Table 4 shows for EMBridge
C = "C, per a summary"


PRINTED = {"batch_size": "B = {}", "class": "gesture {}", "shots_fraction": "{} of shots"}  # others: "k_c = 10"


@dataclass(frozen=True)
class Cell:
    """One measured number: a system, or a pair "A - B", under "LP", "ZS" or another measure, on a class set.

    ``param`` and ``value``: what differs from the system as it is, or the "class" that is looked at; "": nothing.
    """

    system: str
    measure: str
    classes: str
    param: str = ""
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
    """One claim.

    Attributes
    ----------
    text, source : our paraphrase and the section that it stands in
    comparisons : all must hold
    about : the paper's dataset, "emg2pose" or "ninapro", for which a simulation may stand
    robust : the claim is that the sums stay within MARGIN of 0, not that they are above it
    relative : the numbers tell the ratio of the first cell to the second, too
    """

    text: str
    source: str
    comparisons: tuple[Comparison, ...]
    about: str = "emg2pose"
    robust: bool = False
    relative: bool = False


def over(a: Cell, b: Cell) -> Comparison:
    """The first cell is above the second."""
    if a.measure == b.measure:
        label = f"{a.name} over {b.name}, {a.measure} {a.classes}"
    else:
        label = f"{a.name} {a.measure} over {b.name} {b.measure}, {a.classes}"
    return Comparison(label, ((1, a), (-1, b)))


def beats(systems, rivals, cells=ZS) -> tuple[Comparison, ...]:
    """Each system is above each rival in each (protocol, classes); names, or (name, param, value)."""
    named = [[(s,) if isinstance(s, str) else s for s in names] for names in (systems, rivals)]
    return tuple(
        over(Cell(a, p, c, *with_a), Cell(b, p, c, *with_b))
        for (a, *with_a), (b, *with_b), (p, c) in itertools.product(*named, cells)
    )


def above_probes(system: str, rivals, setting: tuple = (), protocol: str = "ZS", sets=SETS) -> tuple[Comparison, ...]:
    """A system under one protocol is above rivals' linear probes."""
    return tuple(
        over(Cell(system, protocol, c, *setting), Cell(rival, "LP", c)) for rival, c in itertools.product(rivals, sets)
    )


def above_chance(system: str) -> tuple[Comparison, ...]:
    """A system retrieves unseen gestures better than chance."""
    terms = ((1, Cell(system, "ZS", "unseen")), (-1, CHANCE))
    return (Comparison(f"{system} over chance ({CHANCE:g}), ZS unseen", terms),)


def wider(label: str, rival: str, first: tuple[str, str], second: tuple[str, str]) -> Comparison:
    """EMBridge's lead over a rival is wider in the first (protocol, classes) than in the second."""
    (p, c), (q, d) = first, second
    terms = ((1, Cell("EMBridge", p, c)), (-1, Cell(rival, p, c)), (-1, Cell("EMBridge", q, d)), (1, Cell(rival, q, d)))
    return Comparison(f"lead over {rival}, {label}", terms)


def single(system: str, measure: str, *setting: str) -> Comparison:
    """A measured difference, on unseen gestures, is above 0."""
    cell = Cell(system, measure, "unseen", *setting)
    return Comparison(f"{cell.name}, {measure} unseen", ((1, cell),))


def swept(param: str, values, system: str = "EMBridge") -> tuple[tuple[str, str, str], ...]:
    """A system with other values of a parameter, as :func:`beats` takes systems."""
    return tuple((system, param, f"{value}") for value in values)


F1_GAINS = tuple(f"EMBridge - {rival}" for rival in ("CPEP", "Q-Former"))
BATCH = (("ZS", "unseen"),)
HALF = ("shots_fraction", "0.5")

CLAIMS = (
    # ---- E: Table 2 and what the text says of it
    Claim("By probe, EMG pre-trained alone tells gestures apart less than pose does", "E 1, Fig. 1a, Table 2",
          beats(["Upper bound"], ["EMG-MAE"], LP)),
    Claim("The pose encoder's probe is an upper bound for every system on EMG", "E 3.3",
          beats(["Upper bound"], [*UNIMODAL, *RIVALS, "EMBridge"], LP)),
    Claim("Aligning with pose makes EMG's embeddings more discriminative (by probe)", "E 1, 3.3, A.3",
          beats(["CPEP", "Q-Former", "EMBridge"], ["EMG-MAE"], LP)),
    Claim("Gestures that no training saw can be retrieved without training on them", "E abstract, 1",
          above_chance("EMBridge")),
    Claim("EMBridge is best in zero-shot", "E 3.3, Table 2", beats(["EMBridge"], RIVALS)),
    Claim("EMBridge's probe is best on known gestures", "E 3.3, Table 2",
          beats(["EMBridge"], [*UNIMODAL, *RIVALS], [("LP", "in")])),
    Claim("EMBridge's probe is above every unimodal system's on unseen gestures", "E 3.3, Table 2",
          beats(["EMBridge"], UNIMODAL, [("LP", "unseen")])),
    Claim("EMBridge's zero-shot is above every unimodal system's linear probe", "E 3.3, Table 2",
          above_probes("EMBridge", UNIMODAL)),
    Claim("EMBridge gains more in zero-shot than in the probe", "E 3.3, Table 2",
          tuple(wider(f"ZS less LP, {c}", r, ("ZS", c), ("LP", c)) for r in ("CPEP", "Q-Former") for c in SETS)),
    Claim("EMBridge gains more on unseen than on known gestures (zero-shot)", "E 3.3, Table 2",
          tuple(wider("ZS, unseen less in", r, ("ZS", "unseen"), ("ZS", "in")) for r in ("CPEP", "Q-Former"))),
    Claim("CPEP's probe is above EMBridge's on unseen gestures", "E 3.3, Table 2",
          beats(["CPEP"], ["EMBridge"], [("LP", "unseen")])),
    Claim("With half the probe's shots EMBridge stays above all unimodal probes on all shots", "E 3.3",
          above_probes("EMBridge", UNIMODAL, HALF, "LP")),
    Claim("With half the shots EMBridge is above all baselines on all shots, on unseen gestures", "E A.4, Fig. 8",
          above_probes("EMBridge", [*UNIMODAL, *RIVALS], HALF, "LP", ["unseen"])),
    Claim("Half the shots are about as good as all, on unseen gestures", "E A.4, Fig. 8",
          beats([("EMBridge", *HALF)], ["EMBridge"], [("LP", "unseen")]), robust=True),
    # ---- E on NinaPro
    Claim("EMBridge is best in zero-shot on NinaPro, too", "E 3.3", beats(["EMBridge"], RIVALS), about="ninapro"),
    Claim("EMBridge's zero-shot is above the unimodal probes on NinaPro, too (E Table 2's unlabelled row, if it is "
          "EMBridge's, has 0.692 where PoseT's probe has 0.694)", "E 3.3, Table 2",
          above_probes("EMBridge", ["EMG-MAE", "PoseT"]), about="ninapro"),
    Claim("EMBridge's probe is best on known gestures of NinaPro, too", "E 3.3",
          beats(["EMBridge"], ["EMG-MAE", "PoseT", *RIVALS], [("LP", "in")]), about="ninapro"),
    Claim("On NinaPro EMBridge gains most in zero-shot on known gestures", "E 3.3",
          tuple(wider(f"ZS in less {p} {c}", r, ("ZS", "in"), (p, c)) for r in ("CPEP", "Q-Former") for p, c in CELLS
                if (p, c) != ("ZS", "in")), about="ninapro"),
    Claim("CPEP's probe is above EMBridge's on unseen gestures of NinaPro, too", "E 3.3",
          beats(["CPEP"], ["EMBridge"], [("LP", "unseen")]), about="ninapro"),
    # ---- E: classes and users
    Claim("EMBridge has the higher F1 in every unseen gesture (zero-shot)", "E 3.3, Fig. 3a",
          tuple(single(pair, "F1", "class", f"{k}") for pair in F1_GAINS for k in range(4))),
    Claim("EMBridge's F1 gains most in gestures 1 and 3 (zero-shot, unseen)", "E 3.3, Fig. 3a",
          tuple(Comparison(f"{pair}, F1 of gestures 1, 3 less that of 0, 2", tuple(
              (w, Cell(pair, "F1", "unseen", "class", f"{k}")) for k, w in enumerate((-0.5, 0.5, -0.5, 0.5))
          )) for pair in F1_GAINS)),
    Claim("A held-out user's F1 is higher with EMBridge, on average (zero-shot, unseen)", "E 3.3, Fig. 3b",
          tuple(single(pair, "user F1") for pair in F1_GAINS)),
    Claim("Users' own relative gains in F1 are positive on average (E: 16.0 % over CPEP, 11.6 % over the Q-Former)",
          "E 3.3, Fig. 3b", tuple(single(pair, "relative gain of user F1") for pair in F1_GAINS)),
    Claim("The gain is consistent across held-out users (judged by their majority; zero-shot, unseen)",
          "E 3.3, Fig. 3b", tuple(single(pair, "share of users with a higher F1 less 0.5") for pair in F1_GAINS)),
    # ---- E: Table 3
    Claim("Each of Q-Former, MPRL and CASCLe adds to zero-shot", "E 4, Table 3", beats(["EMBridge"], PARTS)),
    Claim("Without the Q-Former the probe is slightly better", "E 4, Table 3", beats([PARTS[0]], ["EMBridge"], LP)),
    Claim("Without MPRL or CASCLe unseen gestures suffer", "E 4, Table 3",
          beats(["EMBridge"], PARTS[1:], [("LP", "unseen"), ("ZS", "unseen")])),
    # CPEP as it is has the symmetric InfoNCE; beside it two things would change
    Claim("CASCLe improves CPEP (both with E's one-way InfoNCE), too", "E 4, Table 3",
          beats([PARTS[0]], [("CPEP", "InfoNCE", "one-way")], CELLS)),
    Claim("CASCLe is above label smoothing and SoftCLIP in zero-shot", "E 4, Table 3",
          beats(["EMBridge"], ["Label Smoothing", "SoftCLIP"])),
    # ---- E: batch size, pairs, hyper-parameters
    Claim("Batches larger than 256 hurt CPEP and the Q-Former (zero-shot, unseen, same epochs)", "E A.6, Table 4",
          tuple(c for s in ("CPEP", "Q-Former") for c in beats([s], swept("batch_size", BATCH_SIZES, s), BATCH))),
    Claim("EMBridge is robust to the batch size (zero-shot, unseen, same epochs)", "E A.6, Table 4",
          beats(swept("batch_size", BATCH_SIZES), ["EMBridge"], BATCH), robust=True),
    Claim("With 40 % of the pairs EMBridge's zero-shot is above every unimodal probe on all data", "E 4, Fig. 3c",
          above_probes("EMBridge", UNIMODAL, ("paired_fraction", "0.4"))),
    Claim("k_c of 10 and 20 is worse than 5", "E 4, Fig. 4b", beats(["EMBridge"], swept("k_c", (10, 20)), CELLS)),
    Claim("A moderate temperature of the soft targets is best", "E 4, Fig. 4",
          beats(["EMBridge"], swept("tau_s", (0.02, 0.5)))),
    Claim("EMBridge is robust to lambda, alpha and the mask ratio r", "E 4, Fig. 4",
          tuple(c for p in ("lambda", "alpha", "r") for c in beats(swept(p, GRIDS[p]), ["EMBridge"], CELLS)),
          robust=True),
    Claim("8 and 32 queries are worse than 16", "E 4, Fig. 4", beats(["EMBridge"], swept("M", (8, 32)), CELLS)),
    Claim("L1 and L2 distances are worse than the dot product (E's equation; its text says cosine) in CASCLe",
          "E 4, Fig. 4", beats(["EMBridge"], swept("metric", ("l1", "l2")), CELLS)),
    Claim("L1 and L2 distances are worse than cosines in CASCLe (E's text; its equation has the dot product)",
          "E 4, Fig. 4", beats(swept("metric", ("cosine",)), swept("metric", ("l1", "l2")), CELLS)),
    Claim("More neighbours help zero-shot", "E 4, Fig. 4f",
          (*beats(["EMBridge"], swept("k", (1,))), *beats(swept("k", (50,)), ["EMBridge"]))),
    # ---- C
    Claim("CPEP retrieves gestures that no training saw", C, above_chance("CPEP")),
    # C says "emg2pose", and its numbers are those of E's Vemg2pose (embridge.paper.numbers)
    Claim("CPEP's probe gains over Vemg2pose's (C: 21 % on known, 72 % on unseen gestures)", C,
          beats(["CPEP"], ["Vemg2pose"], LP), relative=True),
    Claim("CPEP's zero-shot on unseen gestures is above Vemg2pose's probe (C: 0.481 over 0.312)", C,
          above_probes("CPEP", ["Vemg2pose"], sets=["unseen"])),
    Claim("A frozen EMG encoder is worse", C, beats(["CPEP"], ["CPEP, EMG encoder frozen"], CELLS)),
    Claim("Starting from random weights is worse", C, beats(["CPEP"], ["CPEP, random initialisation"], CELLS)),
    Claim("Average pooling is worse than [CLS]", C, beats(["CPEP"], ["CPEP, average pooling"], CELLS)),
    Claim("Longer EMG patches are worse", C, beats(["CPEP"], ["CPEP, longer EMG patches"], CELLS)),
    Claim("Training both encoders fails (judged by its scores: CPEP's must be above them)", f"{C}; E 5",
          beats(["CPEP"], ["CPEP, both encoders trained"], CELLS)),
)  # fmt: skip
