"""Every number of the papers that ours are printed beside, each with its source (METHOD 8).

"E" is the EMBridge paper, "C" a third party's summary of CPEP. C's approximate cells contradict E, so they are
listed but looked up only by the name of their table. TABLES holds every cell of every printed table, also those that a
source leaves empty; E Table 1's counts are in :data:`embridge.data.splits.PAPER`. Figs. 3c, 4 and 8 are images without
numbers.
"""

from dataclasses import dataclass

NOT_IN_SOURCE = "not in the source"
CELLS = (("LP", "in"), ("LP", "unseen"), ("ZS", "in"), ("ZS", "unseen"))  # order of the numbers below
BATCH_SIZE = 256  # E A.6


@dataclass(frozen=True)
class PaperNumber:
    """One published number, or a cell that its source leaves empty (``value`` None).

    ``dataset``: "emg2pose" or "ninapro"; ``class_``: class order of METHOD 1; ``approx``: its source only estimates it.
    """

    system: str
    protocol: str
    classes: str
    value: float | None
    source: str
    dataset: str = "emg2pose"
    metric: str = "balanced_accuracy"
    class_: int | None = None
    batch_size: int = BATCH_SIZE
    approx: bool = False


def _cells(values: dict, source: str, **more) -> list[PaperNumber]:
    """Rows of four cells in the order of CELLS; None: empty in the source."""
    return [
        PaperNumber(system, protocol, classes, value, source, **more)
        for system, row in values.items()
        for (protocol, classes), value in zip(CELLS, row, strict=True)
    ]


def _unseen(values: dict, source: str, metric: str, **more) -> list[PaperNumber]:
    """A zero-shot number on unseen gestures for each system."""
    return [PaperNumber(s, "ZS", "unseen", v, source, metric=metric, **more) for s, v in values.items()]


_ = None
EMPTY = (_, _, _, _)
# LP in, LP unseen, ZS in, ZS unseen. The supervised and unimodal systems have no zero-shot.
TABLE_2 = {
    "Upper bound": (0.851, 0.649, _, _),
    "EMG-MAE": (0.347, 0.334, _, _),
    "NeuroPose": (0.692, 0.248, _, _),
    "emg2pose": (0.734, 0.405, _, _),
    "Vemg2pose": (0.650, 0.312, _, _),
    "PoseT": (0.705, 0.433, _, _),
    "CPEP": (0.782, 0.536, 0.757, 0.481),
    "CPEP-LS": (0.780, 0.538, 0.759, 0.487),
    "Q-Former": (0.782, 0.493, 0.763, 0.498),
    "Q-Former-LS": (0.777, 0.495, 0.760, 0.498),
    "EMBridge": (0.785, 0.505, 0.777, 0.528),
}
TABLE_2_NINAPRO = {
    "Upper bound": (0.769, 0.632, _, _),
    "EMG-MAE": (0.283, 0.256, _, _),
    **dict.fromkeys(("NeuroPose", "emg2pose", "Vemg2pose"), EMPTY),  # "/"
    "PoseT": (0.694, 0.425, _, _),
    # the multi-modal rows have one line of numbers each, emg2pose's
    **dict.fromkeys(("CPEP", "CPEP-LS", "Q-Former", "Q-Former-LS"), EMPTY),
}
TABLE_2_UNLABELLED = {"EMBridge": (0.703, 0.492, 0.692, 0.447)}  # the last row carries no name: METHOD 8 infers it
TABLE_3 = {
    "EMBridge w/o Q-Former": (0.793, 0.538, 0.763, 0.494),
    "EMBridge w/o MPRL": (0.783, 0.494, 0.764, 0.516),
    "EMBridge w/o CASCLe": (0.784, 0.485, 0.764, 0.509),
    "Label Smoothing": (0.777, 0.489, 0.759, 0.511),
    "SoftCLIP": (0.788, 0.490, 0.760, 0.510),
    "CASCLe": (0.785, 0.505, 0.777, 0.528),  # EMBridge itself
}
TABLE_4 = {
    256: {"CPEP": 0.481, "Q-Former": 0.498, "EMBridge": 0.528},
    512: {"CPEP": 0.413, "Q-Former": 0.431, "EMBridge": 0.526},
    1024: {"CPEP": 0.316, "Q-Former": 0.328, "EMBridge": 0.523},
}
# C calls its baseline "emg2pose". It is E's Vemg2pose (0.650 / 0.312), not E's emg2pose (0.734 / 0.405): only from
# these numbers do C's gains of 21 % and 72 % follow (METHOD 3)
CPEP_MAIN = {"Vemg2pose": (0.647, 0.312, _, _), "CPEP": (0.782, 0.536, 0.757, 0.481)}
CPEP_MAIN_APPROX = {"EMG-MAE": (0.55, 0.30, _, _), "PoseT": (0.60, 0.35, _, _), "Upper bound": (0.85, 0.65, _, _)}
CPEP_ABLATION = {
    "CPEP, EMG encoder frozen": (0.372, 0.326, 0.344, 0.298),
    "CPEP, random initialisation": (0.748, 0.479, 0.701, 0.454),
    "CPEP, average pooling": (0.761, 0.518, 0.711, 0.454),
    "CPEP, longer EMG patches": EMPTY,  # "degrade performance": no number
    "CPEP, both encoders trained": EMPTY,  # "fails to converge": no number
    "CPEP": (0.782, 0.536, 0.757, 0.481),
}
CPEP_GAIN = {"in": 0.21, "unseen": 0.72}  # CPEP's linear probe over Vemg2pose's, C's own abstract
F1_CLASS_1 = {"CPEP": 0.439, "Q-Former": 0.494, "EMBridge": 0.513}
F1_CLASS_3 = {"CPEP": 0.436, "Q-Former": 0.458, "EMBridge": 0.504}
USER_F1 = {"CPEP": 0.457, "Q-Former": 0.473, "EMBridge": 0.522}
USER_GAIN = {"CPEP": 0.160, "Q-Former": 0.116}  # EMBridge over the named system, mean of users' relative gains
OVERALL_GAIN = {"CPEP": 0.142, "Q-Former": 0.102}  # ratio of the mean F1s, less 1

_BLEND = "EMGBlend (arXiv:2609.25582), real emg2pose, Table"  # Jia et al.: 20 test users, probes learn from 12 others
# In none of TABLES: it is printed beside ours, never looked up and so never scored
EMGBLEND = (
    *_cells(
        {
            "random weights, frozen": (0.494, 0.362, _, _),
            "masked autoencoder on waveforms, frozen": (0.541, 0.377, _, _),
            "masked spectral codes, frozen": (0.704, 0.466, _, _),
        },
        f"{_BLEND} 4",
    ),
    *_cells(
        {"EMBridge, trained by them": (0.766, 0.494, 0.748, 0.472), "EMGBlend": (0.818, 0.617, 0.797, 0.560)},
        f"{_BLEND} 1, a single run",
    ),
)

_NO_F1 = dict.fromkeys(F1_CLASS_1)  # Fig. 3a shows these two classes in an image only
_SECONDARY = "secondary source"
TABLES: dict[str, tuple[PaperNumber, ...]] = {  # earlier tables win a look-up: E before C
    "E Table 2": (
        *_cells(TABLE_2, "E Table 2"),
        *_cells(TABLE_2_NINAPRO, "E Table 2", dataset="ninapro"),
        *_cells(TABLE_2_UNLABELLED, "E Table 2, unlabelled row (inferred)", dataset="ninapro"),
    ),
    "E Table 3": tuple(_cells({"EMBridge" if s == "CASCLe" else s: v for s, v in TABLE_3.items()}, "E Table 3")),
    "E Table 4": tuple(
        n for b, row in TABLE_4.items() for n in _unseen(row, "E Table 4", "balanced_accuracy", batch_size=b)
    ),
    "E Fig. 3a": tuple(
        n
        for k, row in enumerate((_NO_F1, F1_CLASS_1, _NO_F1, F1_CLASS_3))
        for n in _unseen(row, "E 3.3", "class_f1", class_=k)
    ),
    "E Fig. 3b": (
        *_unseen(USER_F1, "E 3.3", "user_f1"),
        *_unseen(USER_GAIN, "E 3.3", "user_gain"),
        *_unseen(OVERALL_GAIN, "E 3.3", "overall_gain"),
    ),
    "C main": (
        *_cells(CPEP_MAIN, f"C, {_SECONDARY}"),
        *_cells(CPEP_MAIN_APPROX, f"C, approx., {_SECONDARY}", approx=True),
        *(
            PaperNumber("CPEP", "LP", classes, gain, "C, per a summary", metric="gain_over_vemg2pose")
            for classes, gain in CPEP_GAIN.items()
        ),
    ),
    "C ablation": tuple(_cells(CPEP_ABLATION, f"C ablation, {_SECONDARY}")),
}
NUMBERS = tuple(number for cells in TABLES.values() for number in cells if number.value is not None)
_DATASETS = {"simulated": "emg2pose", "simulated-ninapro": "ninapro"}  # whose numbers stand beside a simulation's


def lookup(
    system: str,
    protocol: str,
    classes: str,
    dataset: str = "emg2pose",
    *,
    metric: str = "balanced_accuracy",
    class_: int | None = None,
    batch_size: int = BATCH_SIZE,
    table: str | None = None,
) -> tuple[float | None, str]:
    """The published number for a cell and its source; (None, "not in the source") where there is none.

    Parameters
    ----------
    protocol, classes : "LP" or "ZS", "in" or "unseen"
    dataset : "simulated" stands for "emg2pose", "simulated-ninapro" for "ninapro"
    table : a key of TABLES: its numbers alone, approximate ones too, whose source says so. None: all tables, and no
        approximate number (METHOD: printed, never scored)
    """
    wanted = (system, protocol, classes, _DATASETS.get(dataset, dataset), metric, class_, batch_size)
    for n in NUMBERS if table is None else TABLES[table]:
        cell = (n.system, n.protocol, n.classes, n.dataset, n.metric, n.class_, n.batch_size)
        if cell == wanted and n.value is not None and not (n.approx and table is None):
            return n.value, n.source
    return None, NOT_IN_SOURCE
