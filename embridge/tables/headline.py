"""Table 2 and what belongs to it: galleries, controls, classes, users."""

import itertools
from collections.abc import Iterable

import pandas as pd

from embridge.experiments import LOG_POWER_LDA, NO_NETWORK
from embridge.paper import CELLS
from embridge.splits import SETS
from embridge.statistics import bootstrap_over_seeds, luck_of_training
from embridge.tables.cells import (
    HEADLINE_OPTIONS,
    MISSING,
    beside,
    cell_frame,
    choose,
    interval,
    marked,
    not_above_note,
    number,
    over_lda,
    prefer_own,
    recall_counts,
    select,
    summary,
    text_table,
    unswept,
)

UNIMODAL = ("Upper bound", "EMG-MAE", "NeuroPose", "emg2pose", "Vemg2pose", "PoseT")
TABLE_2_SYSTEMS = (*NO_NETWORK, *UNIMODAL, "CPEP", "CPEP-LS", "Q-Former", "Q-Former-LS", "EMBridge")
PUBLISHED = ("NeuroPose", "emg2pose", "Vemg2pose")  # emg2pose's networks: E has no row of them on NinaPro
ALIGNED = ("CPEP", "Q-Former", "EMBridge")
POLICIES = ("all", "not-self", "other-repetitions", "other-users")  # report order


def headline_rows(
    results: pd.DataFrame,
    dataset: str,
    *,
    systems: tuple[str, ...] = TABLE_2_SYSTEMS,
    gallery: str = "all",
    pooling: str = "max",
    table: str | None = None,
) -> pd.DataFrame:
    """Balanced accuracy of each system under both protocols and class sets as numbers, a row a cell.

    Parameters
    ----------
    results : tidy rows
    dataset : "simulated" and "emg2pose" stand beside the paper's emg2pose, "simulated-ninapro" and "ninapro" beside
        its NinaPro; other datasets beside nothing
    systems : in order; a cell that was not measured has the value nan; those PUBLISHED stand beside emg2pose alone.
        With LOG_POWER_LDA among them each other system's cells are compared with its probe
    gallery, pooling : of the zero-shot cells. The paper's numbers are printed for its own gallery, "all", only
    table : of the papers (a key of embridge.paper.TABLES) to stand beside; None: whichever has the number

    Returns
    -------
    DataFrame with columns dataset, group, system, protocol, classes, value, low, high, interval_kind, origin,
    those of OVER_LDA where there is something to compare with (:func:`~embridge.tables.cells.over_lda`), paper_value,
    paper_source
    """
    if "ninapro" in dataset:
        systems = tuple(system for system in systems if system not in PUBLISHED)
    how, cells = {"systems": systems, "gallery": gallery, "pooling": pooling}, []
    rows = {(p, c): choose(results, dataset, protocol=p, classes=c, **how) for p, c in CELLS}
    several = results["seed"].nunique() > 1
    spread = {cell: luck(results, dataset, *cell) if several else 0.0 for cell in CELLS}
    for system, (protocol, classes) in itertools.product(systems, CELLS):
        group = "no network" if system in NO_NETWORK else "unimodal" if system in UNIMODAL else "multi-modal"
        labels = {"dataset": dataset, "group": group, "system": system, "protocol": protocol, "classes": classes}
        pooled = spread[protocol, classes] if system in ALIGNED else None
        these, line = (select(rows[p, classes], system=s) for p, s in ((protocol, system), ("LP", LOG_POWER_LDA)))
        found = summary(these, pooled) | (over_lda(these, line, pooled) if system not in NO_NETWORK else {})
        cells.append(labels | found | beside(system, protocol, classes, dataset, gallery, table=table))
    return cell_frame(cells, ["dataset", "group", "system", "protocol", "classes"])


def table2(results: pd.DataFrame, *datasets: str, **options) -> pd.DataFrame:
    """E Table 2 as text: a line a system, LP and ZS on both class sets, the paper's number beside ours.

    ``datasets``: one, or several below each other with a column that names them; ``options`` as in
    :func:`headline_rows`.
    """
    cells = pd.concat([headline_rows(results, d, **options) for d in datasets], ignore_index=True)
    index = ["group", "system"] if len(datasets) == 1 else ["dataset", "group", "system"]
    return text_table(cells, index, ["protocol", "classes"])


def gallery_table(results: pd.DataFrame, dataset: str, *, systems: tuple[str, ...] = ALIGNED) -> pd.DataFrame:
    """Zero-shot balanced accuracy under every gallery policy and query pooling, side by side (METHOD 8), as text.

    Returns a frame of classes, system, pooling, one column for each policy in the results, and source.
    """
    rows = select(
        results, dataset=dataset, protocol="ZS", metric="balanced_accuracy", system=systems, options=HEADLINE_OPTIONS
    )
    rows, index = prefer_own(unswept(rows), ["system"]), ["classes", "system", "pooling"]
    policies, cells = [p for p in POLICIES if (rows["gallery"] == p).any()], []
    for classes, system, pooling, gallery in itertools.product(SETS, systems, ("max", "mean"), policies):
        labels = {"classes": classes, "system": system, "pooling": pooling}
        part = select(rows, **labels)
        if len(part):
            labels |= summary(select(part, gallery=gallery)) | beside(system, "ZS", classes, dataset, gallery)
            cells.append(labels | {"gallery": gallery})
    return text_table(cell_frame(cells, [*index, "gallery"]), index, ["gallery"])


def corpus_table(results: pd.DataFrame, dataset: str, *, systems: tuple[str, ...] = ALIGNED) -> pd.DataFrame:
    """Zero-shot balanced accuracy, gallery "all", when it holds more than the class set (E 3.1, E A.6), as text."""
    rows = select(results, dataset=dataset, protocol="ZS", metric="balanced_accuracy", system=systems, gallery="all")
    rows = prefer_own(unswept(rows[rows["pooling"] == "max"]), ["system"])
    corpora, cells = [o for o in rows["options"].unique() if o.startswith("corpus=")], []
    for classes, system, corpus in itertools.product(SETS, systems, corpora):
        labels = {"classes": classes, "system": system, "corpus": corpus.removeprefix("corpus=")}
        found = summary(select(rows, classes=classes, system=system, options=corpus))
        paper = beside(system, "ZS", classes, dataset, "all" if corpus in HEADLINE_OPTIONS else corpus)
        cells.append(labels | found | paper)
    return text_table(cell_frame(cells, ["classes", "system", "corpus"]), ["classes", "system"], ["corpus"])


def policy_rows(results: pd.DataFrame, dataset: str, *, pooling: str = "max") -> pd.DataFrame:
    """Zero-shot balanced accuracy by gallery policy as numbers, without those that were not measured."""
    cells = []
    for gallery, system, classes in itertools.product(POLICIES, ALIGNED, SETS):
        rows = choose(
            results, dataset, protocol="ZS", classes=classes, systems=(system,), gallery=gallery, pooling=pooling
        )
        labels = {"system": system, "classes": classes, "gallery": gallery}
        cells.append(labels | summary(rows) | beside(system, "ZS", classes, dataset, gallery))
    return cell_frame(cells, ["system", "classes", "gallery"]).dropna(subset="value", ignore_index=True)


def seeds_table(results: pd.DataFrame, dataset: str, *, systems: tuple[str, ...]) -> pd.DataFrame:
    """This run's cells beside the mean over its seeds and the committed ones, as text: a line a cell.

    Columns system, protocol, classes, "this run" (with its interval), "seeds" (how many, committed ones among them),
    "mean over seeds" (with an interval over seeds and users; a dash below two), "lowest" and "highest" seed. What needs
    no network has no seed: its number is that of every seed.
    """
    own, rows = headline_rows(results, dataset, systems=systems), results.assign(origin="")  # all seeds in one mean
    every, lines = headline_rows(rows, dataset, systems=systems), []
    for mine, mean in zip(own.to_dict("records"), every.to_dict("records"), strict=True):
        if mine["protocol"] == "ZS" and mine["system"] in (*NO_NETWORK, *UNIMODAL):
            continue
        where = {c: mine[c] for c in ("system", "protocol", "classes")}
        found = choose(rows, dataset, protocol=where["protocol"], classes=where["classes"], systems=(where["system"],))
        scores = found[found["metric"] == "balanced_accuracy"]
        several = len(scores) > 1 or mine["system"] in NO_NETWORK
        lines.append(
            where
            | {"this run": marked(mine), "seeds": int(scores["seed"].count())}
            | {"mean over seeds": marked(mean) if several else MISSING}
            | {"lowest": number(scores["value"].min()), "highest": number(scores["value"].max())}
        )
    table = pd.DataFrame(lines)
    table.attrs["footnotes"] = not_above_note(pd.concat([own, every]))
    return table


def seed_differences(results: pd.DataFrame, dataset: str, pairs: Iterable[tuple[str, str]]) -> pd.DataFrame:
    """First less second system in balanced accuracy, mean over the seeds that both have, committed ones among them.

    Returns
    -------
    DataFrame, a row a cell, with columns systems, protocol, classes, seeds (how many), difference, low, high (95 %,
    paired by user, over seeds and users; of one common seed, with the luck of the aligned systems' trainings). Cells
    without a common seed, or of other users, are left out
    """
    pairs, found = list(pairs), []
    systems = tuple(dict.fromkeys(itertools.chain(*pairs)))
    rows = results.assign(origin="")
    for (protocol, classes), (a, b) in itertools.product(CELLS, pairs):
        these = choose(rows, dataset, protocol=protocol, classes=classes, systems=systems)
        seeds = [set(select(these, system=system, metric="user_recall")["seed"]) for system in (a, b)]
        these = these[these["seed"].isin(set.intersection(*seeds))]
        one, other = (recall_counts(select(these, system=system)) for system in (a, b))
        if one and other and one[1:] == other[1:]:
            # a difference of two trainings has the luck of both
            numbers = bootstrap_over_seeds(one[0], other[0], luck=2**0.5 * luck(results, dataset, protocol, classes))
            found.append((f"{a} - {b}", protocol, classes, len(one[1]), *numbers))
    return pd.DataFrame(found, columns=["systems", "protocol", "classes", "seeds", "difference", "low", "high"])


def luck(results: pd.DataFrame, dataset: str, protocol: str, classes: str) -> float:
    """How far one training's score in a cell may lie from its mean over seeds, told by the aligned systems' seeds.

    Committed seeds count. 0 where nothing has a second seed (:func:`embridge.statistics.luck_of_training`). Systems of
    one seed share their autoencoders, so they tell somewhat less than their number says.
    """
    rows = choose(results.assign(origin=""), dataset, protocol=protocol, classes=classes, systems=ALIGNED)
    scores = rows[rows["metric"] == "balanced_accuracy"]
    return luck_of_training(values for _, values in scores.groupby("system")["value"])


def luck_line(results: pd.DataFrame, dataset: str) -> str:
    """A sentence with :func:`luck` in each cell, for pages whose intervals cover users alone."""
    found = {cell: luck(results, dataset, *cell) for cell in CELLS}
    if not any(found.values()):
        return "How far one training may lie from its mean cannot be told here: nothing has a second seed."
    told = ", ".join(f"{' '.join(cell)} {half:.2f}" for cell, half in found.items())
    return f"How far one training may lie from its mean, by the aligned systems' seeds (95 %): {told}."


def controls_table(results: pd.DataFrame, dataset: str) -> pd.DataFrame:
    """The controls (RELIABILITY) in both class sets, beside what each should give.

    Of a control that was drawn several times, the mean and in brackets the range of the middle 95 % of draws; of
    shuffled pairs that several seeds trained with, the mean and the lowest and highest of them.
    """
    expected = {
        "Labels shuffled": "chance, 0.25",
        "CPEP, pairs shuffled": "chance, 0.25",
        "Untrained encoder": "what a random network gives",
    }
    lines = []
    for system, should in expected.items():
        rows = select(results, dataset=dataset, metric="balanced_accuracy", system=system)
        for (protocol, gallery), part in rows.groupby(["protocol", "gallery"], sort=False):
            draws, seeds, name = int(part["draw"].nunique()), int(part["seed"].nunique()), system
            drawn = {c: select(part, classes=c)["value"] for c in SETS}
            if draws:
                text = {c: interval(v.mean(), *v.quantile([0.025, 0.975])) for c, v in drawn.items()}
                name = f"{system}, {draws} draws"
            elif system == "CPEP, pairs shuffled" and seeds > 1:
                text = {c: interval(v.mean(), v.min(), v.max()) for c, v in drawn.items()}
                name = f"{system}, {seeds} trainings"
            else:
                found = {c: summary(select(part, classes=c)) for c in SETS}
                text = {c: interval(own["value"], own["low"], own["high"]) for c, own in found.items()}
            lines.append(
                {"control": name, "protocol": protocol, "gallery": gallery or MISSING, "should be": should} | text
            )
    return pd.DataFrame(lines)


def class_f1_table(
    results: pd.DataFrame,
    dataset: str,
    *,
    classes: str = "unseen",
    protocol: str = "ZS",
    gallery: str = "all",
    pooling: str = "max",
    systems: tuple[str, ...] = ALIGNED,
) -> pd.DataFrame:
    """F1 of each class and system, mean over seeds, the paper's beside it (E Fig. 3a, where the text gives it)."""
    how = {"protocol": protocol, "classes": classes, "systems": systems, "gallery": gallery, "pooling": pooling}
    rows, cells = choose(results, dataset, metric="class_f1", **how), []
    for k, system in itertools.product(sorted(rows["class"].dropna().unique()), systems):
        paper = beside(system, protocol, classes, dataset, gallery, metric="class_f1", class_=int(k))
        cells.append({"class": int(k), "system": system} | summary(select(rows, system=system, **{"class": k})) | paper)
    return text_table(cell_frame(cells, ["class", "system"]), ["class"], ["system"])


def user_gain_table(
    results: pd.DataFrame,
    dataset: str,
    *,
    system: str = "EMBridge",
    baselines: tuple[str, ...] = ("CPEP", "Q-Former"),
    classes: str = "unseen",
    protocol: str = "ZS",
    gallery: str = "all",
    pooling: str = "max",
) -> pd.DataFrame:
    """Each user's F1 and the system's relative gain over the baselines, ``system / baseline - 1`` (E Fig. 3b).

    Seeds are averaged first. Below the users come their mean (of gains: over users whose baseline is above 0), the
    overall gain (ratio of mean F1s, less 1), and the paper's two; numbers are floats, nan where undefined.
    """
    systems = (*baselines, system)
    how = {"protocol": protocol, "classes": classes, "systems": systems, "gallery": gallery, "pooling": pooling}
    rows = choose(results, dataset, metric="user_f1", **how)
    users = rows.groupby(["user", "system"])["value"].mean().unstack().reindex(columns=systems)
    mean = users.mean()
    table, names = users.copy(), {s: f"gain over {s}" for s in baselines}
    for s, name in names.items():
        table[name] = users[system] / users[s].where(users[s] > 0) - 1
    lines = {"mean": table.mean(), "overall": pd.Series({n: mean[system] / mean[s] - 1 for s, n in names.items()})}

    def paper(metric, columns):
        found = {c: beside(s, protocol, classes, dataset, gallery, metric=metric) for s, c in columns.items()}
        return pd.Series({c: own["paper_value"] for c, own in found.items()}, dtype=float)

    lines["paper, mean"] = pd.concat([paper("user_f1", {s: s for s in systems}), paper("user_gain", names)])
    lines["paper, overall"] = paper("overall_gain", names)
    table = pd.concat([table, pd.DataFrame(lines).T.reindex(columns=table.columns)])
    return table.rename_axis(index="user", columns=None)


def confusion_table(
    results: pd.DataFrame,
    dataset: str,
    system: str,
    *,
    classes: str,
    protocol: str = "ZS",
    gallery: str = "all",
    pooling: str = "max",
) -> pd.DataFrame:
    """Confusion counts, summed over seeds: row true class, column predicted class; -1 is "none of the classes"."""
    how = {"protocol": protocol, "classes": classes, "systems": (system,), "gallery": gallery, "pooling": pooling}
    rows = choose(results, dataset, metric="confusion", **how)
    table = rows.pivot_table(index="true", columns="predicted", values="value", aggfunc="sum", fill_value=0)
    return table.astype(int)
