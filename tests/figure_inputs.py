"""Small inputs for every figure, and each figure drawn from them once; used by test_figures and test_figure_data."""

import functools
import itertools

import matplotlib

matplotlib.use("agg")

import numpy as np
import pandas as pd

from embridge import figures as f
from embridge.data.emg2pose import IN_CLASSES, JOINTS, STAGES, UNSEEN_CLASSES
from embridge.experiments import LOG_POWER_LDA, NO_NETWORK

RNG = np.random.default_rng(0)
DB1 = [f"E1-{i:02d}" for i in (1, 5, 9, 12)]
EMG, POSE = RNG.normal(size=(300, 16)), RNG.uniform(-0.3, 1.2, (300, 20))
FAILURES = np.zeros(300, dtype=bool)
FAILURES[100:140] = FAILURES[200:210] = True
LABELS, XY = RNG.integers(0, 4, 90), RNG.normal(size=(90, 2))
MASK = np.array([True, False, False, True, True])
SOFT = RNG.dirichlet(np.full(24, 0.3), size=24)
BATCH = RNG.integers(0, 5, 24)
CONFUSIONS = {name: RNG.integers(0, 60, (4, 4)) for name in ("CPEP", "Q-Former", "EMBridge")}
F1 = {name: np.array([0.2, 0.4, np.nan, 0.6]) for name in CONFUSIONS}
USERS = pd.DataFrame(RNG.uniform(0.2, 0.7, (9, 3)), columns=list(CONFUSIONS), index=[f"user{i}" for i in range(9)])
LOG = pd.DataFrame({"epoch": [0, 1], "loss": [3.5, 1.5], "mprl": [0.02, 0.03]})


def scores():
    """Tidy rows: three systems, both protocols, two class sets, three galleries."""
    rows = []
    for system in CONFUSIONS:
        for classes in ("in", "unseen"):
            for protocol, galleries in (("ZS", ("all", "not-self", "other-users")), ("LP", ("",))):
                for gallery in galleries:
                    value = RNG.uniform(0.3, 0.8)
                    rows.append(
                        {"system": system, "classes": classes, "protocol": protocol, "gallery": gallery,
                         "value": value, "low": value - 0.05, "high": value + 0.04, "paper_value": None,
                         "origin": ""}
                    )  # fmt: skip
    rows[0]["paper_value"] = 0.757
    return pd.DataFrame(rows)


SCORES = scores()
HEADLINE = SCORES[SCORES["gallery"].isin(["all", ""])]
DIFFERENCES = pd.DataFrame(
    [
        (classes, gallery, f"EMBridge - {other}", value, value - 0.03, value + 0.03)
        for classes in ("in", "unseen")
        for gallery in ("all", "other-users")
        for other, value in (("CPEP", 0.05), ("Q-Former", 0.01))
    ],
    columns=["classes", "gallery", "systems", "difference", "low", "high"],
)
STEPS = pd.DataFrame(
    [
        (classes, system, step, value, value - 0.03, value + 0.03)
        for classes in ("in", "unseen")
        for system in CONFUSIONS
        for step, value in (("all - not-self", 0.05), ("not-self - other-users", 0.01))
    ],
    columns=["classes", "system", "step", "difference", "low", "high"],
)


def cells(**levels):
    """A row for each combination of the given columns' levels, with a value and its interval."""
    rows = pd.DataFrame(list(itertools.product(*levels.values())), columns=list(levels))
    value = RNG.uniform(0.3, 0.8, len(rows))
    return rows.assign(value=value, low=value - 0.05, high=value + 0.04, paper_value=np.nan, origin="")


GROWN = cells(
    system=["EMG-MAE", "CPEP", "CPEP on waveforms", "EMBridge"],
    size=[(1000, 19), (4000, 19), (4000, 76), (36000, 176)],
    protocol=["ZS", "LP"], classes=["in", "unseen"],
)  # fmt: skip
GROWN = GROWN.assign(windows=GROWN["size"].str[0], users=GROWN["size"].str[1])
FRACTIONS = cells(system=list(CONFUSIONS), classes=["in", "unseen"], fraction=[0.2, 0.4, 0.6, 0.8, 1.0])
SHOTS = cells(system=["CPEP", "EMBridge"], classes=["in", "unseen"], shots=[10, 20, 40, 60, 80])
BASELINES = cells(system=["EMG-MAE", "NeuroPose", "emg2pose", "Vemg2pose", "PoseT"], classes=["in", "unseen"])
LINES = cells(system=list(NO_NETWORK), protocol=["LP"], classes=["in", "unseen"])
FRONT_ENDS = cells(
    system=[*NO_NETWORK, "Untrained encoder", "EMG-MAE", "CPEP", "EMBridge"], protocol=["LP", "ZS"],
    classes=["in", "unseen"], tokens=["waveform", "features"],
)  # fmt: skip
FRONT_ENDS = FRONT_ENDS[(FRONT_ENDS["protocol"] == "LP") | FRONT_ENDS["system"].isin(CONFUSIONS)]
FEWER = cells(system=[LOG_POWER_LDA], classes=["in", "unseen"], shots=[10, 20, 40, 60, 80])
SIZES = cells(system=list(CONFUSIONS), convention=["same epochs", "same steps"], batch_size=[256, 512, 1024])
SIZES.loc[SIZES["convention"] == "same epochs", "paper_value"] = 0.481
SWEPT = pd.concat(
    [
        cells(param=[p], param_value=v, protocol=["ZS"] if p == "k" else ["ZS", "LP"], classes=["in", "unseen"])
        for p, v in {
            "tau_s": ["0.02", "0.05", "0.1", "0.2", "0.5"],
            "k_c": ["1", "3", "5", "10", "20", "all"],
            "alpha": ["0.25", "1"],
            "lambda": ["1.0", "2"],
            "r": ["0.25", "0.5", "0.75"],
            "M": ["8", "16", "32"],
            "metric": ["cosine", "l1", "l2"],
            "k": ["1", "5", "10", "20", "50"],
        }.items()
    ],
    ignore_index=True,
)
USUAL = {
    "tau_s": "0.1", "k_c": "5", "alpha": "1", "lambda": "1.0", "r": "0.5", "M": "16", "metric": "cosine", "k": "10",
}  # fmt: skip
SWEPT["default"] = SWEPT["param_value"] == SWEPT["param"].map(USUAL)
ABLATION = cells(
    system=["CPEP, EMG encoder frozen", "CPEP, random initialisation", "CPEP, both encoders trained", "CPEP"],
    protocol=["LP", "ZS"], classes=["in", "unseen"],
)  # fmt: skip
ABLATION.loc[0, ["origin", "paper_value"]] = ["long run, 2026-11-21, abc1234", 0.372]
BOTH = {
    "CPEP": pd.DataFrame({"epoch": range(8), "loss": np.linspace(5, 3, 8)}),
    "CPEP, both encoders trained": pd.DataFrame({"epoch": range(8), "loss": [5, 4, 6, 9, 20, np.inf, np.nan, np.nan]}),
}
AT_THE_END = cells(system=list(BOTH), protocol=["LP", "ZS"], classes=["in", "unseen"])
CHOICES = pd.concat(
    [
        cells(option=["EMG normalisation"], alternative=["channel", "recording"], system=["EMBridge"],
              protocol=["ZS", "LP"], classes=["in", "unseen"]),
        cells(option=["InfoNCE"], alternative=["one-way"], system=["CPEP", "EMBridge"], protocol=["ZS", "LP"],
              classes=["in", "unseen"]),
        cells(option=["gallery exclusion"], alternative=["other-users"], system=["EMBridge"], protocol=["ZS"],
              classes=["in", "unseen"]),
    ], ignore_index=True,
)  # fmt: skip
CHOICES[["value", "low", "high"]] -= 0.5
CHOICES.loc[CHOICES["alternative"] == "recording", ["value", "low", "high"]] = np.nan
CHOICES.loc[CHOICES["alternative"] == "channel", "origin"] = "long run, 2026-11-21, abc1234"
SHIFTED = cells(classes=["in", "unseen"], shift=[0.0, 0.5, 1.0, 1.5, 2.0])
MOVED = cells(classes=["in", "unseen"], shift=[0.5, 1.0, 1.5, 2.0])
MOVED[["value", "low", "high"]] -= 0.5
USES = ("own poses", "others' and own poses", "own EMG", "others' poses and own EMG", "probe of own EMG")
OWN = pd.concat(
    [cells(classes=["in", "unseen"], system=["others' poses"], n=["0"]),
     cells(classes=["in", "unseen"], n=["1", "2", "4", "8", "all"], system=list(USES))], ignore_index=True,
)  # fmt: skip
OWN = OWN[(OWN["system"] != USES[-1]) | (OWN["n"] != "1")]
ANGLES = cells(system=["decoded from EMG", "constant pose"], classes=["in", "unseen"], joint=list(JOINTS))

COVERED = pd.DataFrame({"coverage": np.arange(1, 11) / 10, "value": np.linspace(0.8, 0.6, 10)})
COVERED = COVERED.assign(low=COVERED["value"] - 0.05, high=COVERED["value"] + 0.04)
SHARES = cells(classes=["in", "unseen", "other stages"], bin=np.linspace(-2, 2, 30)).assign(value=1 / 30)
FAMILY = np.append(np.repeat(np.arange(6), (1, 6, 6, 2, 6, 4)), [-1] * 4)

# fmt: off
FIGURES = {
    "method": lambda: f.method_drawing(),
    "traces": lambda: f.recording_traces(EMG, POSE, 2000.0, joint_names=JOINTS, failures=FAILURES),
    "glove": lambda: f.recording_traces(EMG[:, :10] * 1e-6, POSE, 100.0, joint_names=["glove"] * 20),
    "filter": lambda: f.filter_response(
        np.linspace(0, 1000, 60), np.linspace(2, 1, 60), np.linspace(2, 0.01, 60), bandpass=(2, 250), notch=60),
    "no filter": lambda: f.filter_response(np.linspace(0, 50, 9), np.ones(9), np.ones(9), bandpass=None, notch=None),
    "windows": lambda: f.window_channels({"as stored": EMG.T, "z-scored": EMG.T / 3}, 2000.0),
    "hands": lambda: f.hands_of_classes({s: POSE[:5] for s in IN_CLASSES}, times=np.arange(5) / 4),
    "loss": lambda: f.masked_error_curves(
        {"EMG-MAE": LOG, "Pose-MAE": LOG},
        {n: {n: 0.4, "mean of the visible patches": 0.9} for n in ("EMG-MAE", "Pose-MAE")},
    ),
    "alignment": lambda: f.alignment_curves(
        {"CPEP": LOG, "Q-Former": LOG, "EMBridge": LOG.drop(columns="mprl")}, {"loss": "InfoNCE (nat)", "mprl": "MPRL"},
        lines={"loss": {"guessing": 5.5}, "mprl": {"no EMG": 0.01}}, unseen={"loss": {"CPEP": 4.0, "EMBridge": 4.5}}),
    "reconstructions": lambda: f.reconstructions(
        POSE.T[:3], POSE.T[:3] + 1, MASK, sample_rate=150.0, names=JOINTS[:3], unit="angle (°)", colour="#B87400"),
    "contrast": lambda: f.tsne_panels({"pose": XY, "EMG": XY * 3}, {"gesture": (LABELS, dict(enumerate(IN_CLASSES)))}),
    "tsne": lambda: f.tsne_panels(
        {"before": XY, "after": XY, "pose": XY},
        {"gesture": (LABELS, dict(enumerate(UNSEEN_CLASSES))),
         "user": (np.arange(90) % 10, {u: f"user {u}" for u in range(8)})}),
    "cosines": lambda: f.cosine_histogram({"own": RNG.uniform(0.2, 1, 300), "other": RNG.uniform(-0.2, 1, 300)}),
    "communities": lambda: f.communities(XY, np.arange(90) % 12, {k: POSE[k] for k in range(8)}),
    "communities, glove": lambda: f.communities(XY, LABELS, {0: None, 1: None}),
    "similarity": lambda: f.similarity_matrix(RNG.uniform(size=(24, 24)), BATCH, STAGES),
    "attention": lambda: f.attention_maps(
        {"first": SOFT[:8, :21], "second": SOFT[:8, :21]}, 2.0, {"first": np.array([0.9, *([0.1 / 7] * 7)])}),
    "mask": lambda: f.attention_mask(np.tri(9, dtype=bool), {"queries": 4, "visible pose": 3, "masked pose": 2}),
    "soft targets": lambda: f.soft_targets_heatmap(SOFT, np.sort(BATCH), STAGES, dict(enumerate(POSE[:5]))),
    "soft targets, glove": lambda: f.soft_targets_heatmap(SOFT, np.sort(BATCH), STAGES, {}),
    "grid": lambda: f.soft_targets_grid({(k, t): SOFT for k in (1, "all") for t in (0.05, 0.1, 0.5)}),
    "pipeline": lambda: f.affinity_pipeline(SOFT[:, :7], SOFT[:, :7], SOFT @ SOFT.T, SOFT),
    "table 2": lambda: f.table2_bars(HEADLINE),
    "table 2, no network": lambda: f.table2_bars(pd.concat([LINES, HEADLINE], ignore_index=True)),
    "front ends": lambda: f.front_ends(FRONT_ENDS),
    "confusions": lambda: f.confusion_matrices(CONFUSIONS, UNSEEN_CLASSES, f1=F1),
    "confusions, db1": lambda: f.confusion_matrices({"CPEP": np.eye(4, 5, dtype=int)}, DB1),
    "users": lambda: f.per_user_f1(USERS),
    "galleries": lambda: f.gallery_audit(SCORES[SCORES["protocol"] == "ZS"], STEPS),
    "ablation": lambda: f.ablation_bars(ABLATION, "CPEP"),
    "ablation, no network": lambda: f.ablation_bars(pd.concat([LINES, ABLATION], ignore_index=True), "CPEP"),
    "data efficiency": lambda: f.data_efficiency(FRACTIONS, BASELINES),
    "data efficiency, no network": lambda: f.data_efficiency(FRACTIONS, pd.concat([LINES, BASELINES])),
    "growth": lambda: f.growth(GROWN),
    "few shots": lambda: f.few_shot(SHOTS, BASELINES),
    "few shots, no network": lambda: f.few_shot(pd.concat([FEWER, SHOTS], ignore_index=True), BASELINES),
    "batch size": lambda: f.batch_size(SIZES),
    "sensitivity": lambda: f.sensitivity(SWEPT),
    "sensitivity, no network": lambda: f.sensitivity(SWEPT, LINES),
    "divergence": lambda: f.divergence(BOTH, AT_THE_END),
    "choices": lambda: f.choice_forest(CHOICES),
    "open set": lambda: f.open_set(COVERED, COVERED.iloc[[8]], SHARES, -0.6),
    "stage confusions": lambda: f.stage_confusions(RNG.integers(0, 30, (29, 29)), STAGES, FAMILY),
    "forest": lambda: f.difference_forest(DIFFERENCES),
    "moved band": lambda: f.moved_band(SHIFTED, MOVED),
    "own windows": lambda: f.own_windows(OWN),
    "joint errors": lambda: f.joint_errors(ANGLES),
}
# fmt: on


@functools.cache
def drawn(name):
    """The named figure with its layout done."""
    figure = FIGURES[name]()
    figure.draw_without_rendering()
    return figure
