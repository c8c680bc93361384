"""E Table 3, C's two tables, and the supervised baselines' regression error."""

import itertools

import pandas as pd

from embridge.experiments import NO_NETWORK
from embridge.splits import SETS
from embridge.tables.cells import beside, cell_frame, prefer_own, select, summary, text_table
from embridge.tables.headline import headline_rows

REMOVED = ("EMBridge w/o Q-Former", "EMBridge w/o MPRL", "EMBridge w/o CASCLe")
OBJECTIVES = ("Label Smoothing", "SoftCLIP", "EMBridge")  # Table 3's CASCLe row is EMBridge itself
CPEP_MAIN = (*NO_NETWORK, "Vemg2pose", "EMG-MAE", "PoseT", "CPEP", "Upper bound")
CPEP_BASELINE = {"Vemg2pose": "Vemg2pose (C: emg2pose)"}  # C's name for it is that of another system of E's
CPEP_ABLATION = (
    *NO_NETWORK,
    "CPEP, EMG encoder frozen",
    "CPEP, random initialisation",
    "CPEP, average pooling",
    "CPEP, longer EMG patches",
    "CPEP, both encoders trained",
    "CPEP",
)
REGRESSORS = ("PoseT", "NeuroPose", "emg2pose", "Vemg2pose")


def table3_rows(results: pd.DataFrame, dataset: str, **options) -> pd.DataFrame:
    """E Table 3 as numbers; columns and ``options`` as in :func:`~embridge.tables.headline_rows`."""
    cells = headline_rows(results, dataset, systems=(*NO_NETWORK, *REMOVED, *OBJECTIVES), table="E Table 3", **options)
    groups = dict.fromkeys(REMOVED, "component removed") | dict.fromkeys(OBJECTIVES, "soft objective")
    return cells.assign(group=cells["system"].map(groups).fillna(cells["group"]))


def table3(results: pd.DataFrame, dataset: str, **options) -> pd.DataFrame:
    """E Table 3 as text: a component removed, or CASCLe replaced, under LP and ZS on both class sets."""
    cells = table3_rows(results, dataset, **options).replace({"system": {"EMBridge": "CASCLe (EMBridge)"}})
    return text_table(cells, ["group", "system"], ["protocol", "classes"])


def cpep_main_rows(results: pd.DataFrame, dataset: str, **options) -> pd.DataFrame:
    """C's main table as numbers; its approximate ones among them, which their source marks."""
    return headline_rows(results, dataset, systems=CPEP_MAIN, table="C main", **options)


def cpep_main(results: pd.DataFrame, dataset: str, **options) -> pd.DataFrame:
    """C's main table as text; the paper's column is C's, which contradicts E in places (METHOD)."""
    cells = cpep_main_rows(results, dataset, **options).replace({"system": CPEP_BASELINE})
    return text_table(cells, ["system"], ["protocol", "classes"])


def cpep_gain(results: pd.DataFrame, dataset: str) -> pd.DataFrame:
    """C's claim: how much CPEP's linear probe gains over Vemg2pose's, ``CPEP / Vemg2pose - 1``, as text.

    Empty where the table above has no line of Vemg2pose, as on NinaPro.
    """
    main, cells = cpep_main_rows(results, dataset), []
    for (rival, name), classes in itertools.product(CPEP_BASELINE.items(), SETS):
        probes = select(main, protocol="LP", classes=classes).set_index("system")
        if rival not in probes.index:
            continue
        gain = probes.loc["CPEP", "value"] / probes.loc[rival, "value"] - 1
        origin = "; ".join(sorted(set(probes.loc[["CPEP", rival], "origin"]) - {""}))
        paper = beside("CPEP", "LP", classes, dataset, metric="gain_over_vemg2pose", table="C main")
        cells.append({"system": f"CPEP over {name}", "classes": classes, "value": gain, "origin": origin} | paper)
    return text_table(cell_frame(cells, ["system", "classes"]), ["system"], ["classes"])


def cpep_ablation_rows(results: pd.DataFrame, dataset: str, **options) -> pd.DataFrame:
    """C's ablation as numbers; for two of its rows C gives no number."""
    return headline_rows(results, dataset, systems=CPEP_ABLATION, table="C ablation", **options)


def cpep_ablation(results: pd.DataFrame, dataset: str, **options) -> pd.DataFrame:
    """C's ablation as text."""
    return text_table(cpep_ablation_rows(results, dataset, **options), ["system"], ["protocol", "classes"])


def regression_rows(results: pd.DataFrame, dataset: str) -> pd.DataFrame:
    """Mean angle error in degrees of each network that regresses pose, by class set: system, classes, value, ...

    The four baselines first, then any other system that has such rows.
    """
    rows = select(results, dataset=dataset, protocol="regression", metric="angle_error_deg", user="")
    rows, cells = prefer_own(rows, ["system"]), []
    systems = [*REGRESSORS, *(s for s in rows["system"].unique() if s not in REGRESSORS)]
    sets = [c for c in SETS if (rows["classes"] == c).any() or rows.empty]
    for system in systems:
        for classes in [*sets, *(c for c in rows["classes"].unique() if c not in sets)]:
            found = summary(select(rows, system=system, classes=classes))
            paper = beside(system, "regression", classes, dataset, metric="angle_error_deg")
            cells.append({"system": system, "classes": classes or "all"} | found | paper)
    return cell_frame(cells, ["system", "classes"])


def regression_table(results: pd.DataFrame, dataset: str) -> pd.DataFrame:
    """:func:`regression_rows` as text, in degrees."""
    return text_table(regression_rows(results, dataset), ["system"], ["classes"], digits=1)
