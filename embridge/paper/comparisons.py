"""What the pages of results compare: systems, galleries, this run with other seeds or another front end, controls."""

import itertools
from collections.abc import Iterable
from functools import partial

import numpy as np
import pandas as pd

from embridge import evaluation as ev
from embridge.config import TOKENS, for_windows, kind_of
from embridge.data.splits import SETS
from embridge.experiments import ALIGNED, NO_NETWORK, UNIMODAL, UNTRAINED
from embridge.paper import table_cells as tc
from embridge.paper.differences import DIFFERENCE, SEEDS
from embridge.paper.front_ends import OPTION
from embridge.paper.kept import of_whole_run
from embridge.paper.numbers import CELLS
from embridge.paper.records import CONTROLS, committed, lacking, recorded
from embridge.paper.results import row
from embridge.paper.scoring import TRUE_POSE, UPPER_BOUND, Outcome, of_study, zero_shot_outcomes
from embridge.paper.tables import headline_rows
from embridge.statistics import bootstrap_over_seeds, class_counts
from embridge.study import Study

HEADLINE = ("", "all")  # galleries: of a probe, and the papers'
SHUFFLED = ("Labels shuffled", "CPEP, pairs shuffled")
EXPECTED = dict.fromkeys(SHUFFLED, "chance, 0.25") | {UNTRAINED: "what a random network gives"}
EXPECTED[TRUE_POSE] = "what a perfect alignment gives"
CHANCE, STRAY = 0.25, 0.05  # of four classes; how far from it the mean of a shuffled control may lie


def difference_rows(outcomes: list[Outcome], pairs: list[tuple[str, str]], study: Study) -> list[dict]:
    """Tidy rows of differences in zero-shot on the same windows, of the outcomes of one seed or several.

    Metric DIFFERENCE: of each pair of systems ("A - B") under each gallery policy, and of each system from one policy
    to the next, stricter one (``gallery`` "all - not-self"), the gallery audit of METHOD 8: from "all" to "not-self"
    goes the query's own window, from there to "other-users" the user's other poses. "class_f1_difference": of each
    class's F1, gallery "all". Intervals: 95 % paired bootstrap over groups and, of several seeds, Student's over these
    in quadrature; ``seed`` is empty where several are in one number.
    """
    setting, counts = study.profile.evaluation, {}
    own = [o for o in outcomes if o.options == "corpus=class set" and o.pooling == setting.pooling]
    for o in own:
        found = class_counts(o.y, o.predicted, o.groups, 4)
        counts.setdefault((o.system, o.classes, o.gallery), []).append(found)
    seeds = {o.more["seed"] for o in own}
    kind = "95 % paired bootstrap over users" + ("" if len(seeds) == 1 else f", {len(seeds)} seeds (Student)")
    common = of_study(study, protocol="ZS", pooling=setting.pooling)
    common["seed"] = seeds.pop() if len(seeds) == 1 else None

    def less(one: tuple, other: tuple, system: str, gallery: str, metric=DIFFERENCE, k: int | None = None) -> dict:
        sides = np.stack(counts[one]), np.stack(counts[other])
        found = tc.measured(bootstrap_over_seeds(*sides, f1_of=k, n_resamples=setting.n_bootstrap), kind)
        named = {"system": system, "classes": one[1], "gallery": gallery, "metric": metric, "class": k}
        return row(**common | named | found)

    policies, systems, rows = study.splits.policies, dict.fromkeys(o.system for o in own), []
    for c, policy, (a, b) in itertools.product(SETS, policies, pairs):
        rows.append(less((a, c, policy), (b, c, policy), f"{a} - {b}", policy))
    for c, system, (a, b) in itertools.product(SETS, systems, itertools.pairwise(policies)):
        rows.append(less((system, c, a), (system, c, b), system, f"{a} - {b}"))
    for (a, b), c, k in itertools.product(pairs, SETS, range(4)):
        rows.append(less((a, c, "all"), (b, c, "all"), f"{a} - {b}", "all", "class_f1_difference", k))
    return rows


@of_whole_run("_appendix", protocol="ZS", metric=(DIFFERENCE, "class_f1_difference"), param="")
def audit(study: Study, studies: list[Study], pairs: list[tuple[str, str]]) -> list[dict]:
    """Rows of :func:`difference_rows` for the aligned systems, of the ``studies`` of all seeds, window by window."""
    asked = itertools.product(studies, ALIGNED, SETS)
    outcomes = [o for one, system, classes in asked for o in zero_shot_outcomes(one, system, classes, brief=True)]
    return difference_rows(outcomes, pairs, study)


def audited(rows: list[dict]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The rows of :func:`audit` as frames with difference, low and high: of systems, and of steps between policies.

    The first by classes, gallery and systems ("A - B"), the second by classes, system and step ("all - not-self").
    """
    frame = pd.DataFrame([r for r in rows if r["metric"] == DIFFERENCE]).rename(columns={"value": "difference"})
    step, numbers = frame["gallery"].str.contains(" - ", regex=False), ["difference", "low", "high"]
    frame[numbers] = frame[numbers].astype(float)
    differences = frame[~step].rename(columns={"system": "systems"})[["classes", "gallery", "systems", *numbers]]
    steps = frame[step].rename(columns={"gallery": "step"})[["classes", "system", "step", *numbers]]
    return differences.reset_index(drop=True), steps.reset_index(drop=True)


def shown(results: pd.DataFrame, study: Study, classes: str = "unseen") -> tuple[dict, dict, pd.DataFrame]:
    """Of the aligned systems' zero-shot what Figs. 3a and 3b draw, from the rows of the study's seed.

    Confusions (K, K) and F1 (K,) by system, and the macro F1 of each user, a column a system.
    """
    results, k = tc.select(results, seed=study.seed), len(study.splits.classes[classes])
    read = partial(tc.choose, results, study.dataset, protocol="ZS", classes=classes)
    confusions, f1 = {}, {}
    for system in ALIGNED:
        cells = read(system=system, metric="confusion").sort_values(["true", "predicted"])
        confusions[system] = cells.loc[cells["predicted"] >= 0, "value"].to_numpy(int).reshape(k, k)
        f1[system] = read(system=system, metric="class_f1").sort_values("class")["value"].to_numpy()
    users = read(system=ALIGNED, metric="user_f1").pivot(index="user", columns="system", values="value")
    return confusions, f1, users.reindex(columns=ALIGNED)


def with_seeds(studies: list[Study]) -> list[Study]:
    """The studies and, where rows are committed, those of the long profile's other seeds."""
    study, mine = studies[0], {s.seed for s in studies}
    return [*studies, *(study.changed(seed=n) for n in range(SEEDS if committed(study) else 0) if n not in mine)]


def recorded_seeds(
    studies: list[Study], names: Iterable[str], galleries: tuple[str, ...] = HEADLINE, *, every: bool = False
) -> list[dict]:
    """Committed rows of the long profile's systems, of the seeds that this run does not make itself.

    ``every``: all rows, those of D_tune and of each k among them; else what the headline's tables show.
    """
    shown = ("balanced_accuracy", "user_recall", "class_f1", "user_f1")
    seeds = [other.seed for other in with_seeds(studies)[len(studies) :]]
    return _committed_rows(studies[0], seeds, names, galleries, shown, every=every)


def other_front_end(study: Study, names: tuple[str, ...]) -> tuple[list[dict], str]:
    """Committed rows of the long profile's headline systems on the front end that the study has not, of every seed.

    Their ``options`` say which (:mod:`embridge.paper.front_ends`). Beside them a sentence on those that are missing.
    """
    if study.windows.bandpass is None:
        return [], "An envelope has no power to measure: waveforms are its only front end."
    if not committed(study):
        return [], "Rows of the other front end are read by quick and long alone: here they are dashes."
    (tokens,) = {*TOKENS} - {kind_of(study.profile.model.emg_tokens)}
    size = for_windows(study.profile, study.windows, tokens)
    other = study.changed(profile=size, tokens="" if study.tokens else tokens)
    rows = _committed_rows(other, range(SEEDS), names, HEADLINE, ("balanced_accuracy", "user_recall"))
    missing = [name for name in names if UPPER_BOUND.get(name, name) not in {r["system"] for r in rows}]
    told = lacking(missing, names, tokens=other.tokens)
    return [{**r, "options": f"{OPTION}{tokens}"} for r in rows], told


def _committed_rows(study: Study, seeds, names, galleries, metrics, *, every: bool = False) -> list[dict]:
    """Committed rows of systems as they are, in these galleries and metrics, or ``every`` one."""
    found = [recorded(study.changed(seed=seed), name, own=False) for seed in seeds for name in names]
    return [
        r
        for record in filter(None, found)
        for r in record.rows
        if every or (
            r["gallery"] in galleries and r["options"] in tc.HEADLINE_OPTIONS and r["pooling"] in ("", "max")
            and (r["param"] == "C" or (r["param"], r["param_value"]) == ("k", str(study.profile.evaluation.k)))
            and r["metric"] in metrics
        )
    ]  # fmt: skip


def seeds_table(results: pd.DataFrame, dataset: str, *, systems: tuple[str, ...]) -> pd.DataFrame:
    """This run's cells beside the mean over its seeds and the committed ones, as text: a line a cell.

    Columns system, protocol, classes, "this run" (with its interval), "seeds" (how many, committed ones among them),
    "mean over seeds" (with an interval over seeds and users; a dash below two), "lowest" and "highest" seed. What needs
    no network has no seed: its number is that of every seed.
    """
    rows, lines = results.assign(origin=""), []  # all seeds in one mean
    own, every = (headline_rows(frame, dataset, systems=systems) for frame in (results, rows))
    for mine, mean in zip(own.to_dict("records"), every.to_dict("records"), strict=True):
        if mine["protocol"] == "ZS" and mine["system"] in (*NO_NETWORK, *UNIMODAL):
            continue
        where = {c: mine[c] for c in ("system", "protocol", "classes")}
        scores = tc.select(tc.choose(rows, dataset, **where), metric="balanced_accuracy")
        several = len(scores) > 1 or mine["system"] in NO_NETWORK
        line = where | {"this run": tc.marked(mine), "seeds": int(scores["seed"].count())}
        line["mean over seeds"] = tc.marked(mean) if several else tc.MISSING
        ends = {"lowest": tc.number(scores["value"].min()), "highest": tc.number(scores["value"].max())}
        lines.append(line | ends)
    table = pd.DataFrame(lines)
    table.attrs["footnotes"] = tc.footnotes(pd.concat([own, every]).assign(origin=""))
    return table


def subjects_table(results: pd.DataFrame, dataset: str, *, systems: tuple[str, ...]) -> pd.DataFrame:
    """Balanced accuracy of each subject and their mean, each a mean over seeds (METHOD 1 of DB1); empty of one subject.

    Of data alone whose intervals resample (movement, repetition) pairs: elsewhere a group is a subject already.
    """
    lines, every = [], tc.over_seeds(results)
    galleries = {"LP": ("",), "ZS": ("all", "other-repetitions")}
    for system, (protocol, classes) in itertools.product(systems, CELLS):
        for gallery in galleries[protocol]:
            how = {"protocol": protocol, "classes": classes, "system": system}
            found = tc.recall_counts(tc.choose(every, dataset, **how, gallery=gallery))
            if found is None or "/" not in found[2][0]:  # "user/movement/repetition"
                continue
            subjects, of = np.unique([name.split("/")[0] for name in found[2]], return_inverse=True)
            hits, n = np.moveaxis([found[0][:, of == s].sum(1) for s in range(len(subjects))], -1, 0)  # (G, S, K)
            scores = np.nanmean(np.divide(hits, n, out=np.full_like(hits, np.nan), where=n > 0), axis=-1).mean(1)
            named = zip([*subjects, "mean"], [*scores, scores.mean()], strict=True)
            lines.append(how | {"gallery": gallery} | dict(named))
    table = pd.DataFrame(lines)
    return table if len(table.columns[4:-1]) > 1 else table.iloc[:0]


def user_gain_table(results: pd.DataFrame, dataset: str) -> pd.DataFrame:
    """Each user's F1 on unseen gestures and EMBridge's relative gain over the others, a ratio less 1 (E Fig. 3b).

    Seeds are averaged first. Below the users come their mean (of gains: over users whose baseline is above 0), the
    overall gain (ratio of mean F1s, less 1), and the paper's two; numbers are floats, nan where undefined.
    """
    *baselines, system = ALIGNED
    rows = tc.choose(results, dataset, protocol="ZS", classes="unseen", metric="user_f1", system=ALIGNED)
    table = rows.groupby(["user", "system"])["value"].mean().unstack().reindex(columns=ALIGNED)
    names, mean = {s: f"gain over {s}" for s in baselines}, table.mean()
    for s, name in names.items():
        table[name] = table[system] / table[s].where(table[s] > 0) - 1
    lines = {"mean": table.mean(), "overall": pd.Series({n: mean[system] / mean[s] - 1 for s, n in names.items()})}

    def paper(metric: str, names: dict[str, str]) -> dict[str, float]:
        return {n: tc.beside(s, "ZS", "unseen", dataset, metric=metric)["paper_value"] for s, n in names.items()}

    f1 = paper("user_f1", {s: s for s in ALIGNED})
    lines["paper, mean"] = pd.Series(f1 | paper("user_gain", names), dtype=float)
    lines["paper, overall"] = pd.Series(paper("overall_gain", names), dtype=float)
    table = pd.concat([table, pd.DataFrame(lines).T.reindex(columns=table.columns)])
    return table.rename_axis(index="user", columns=None)


@of_whole_run(system="Labels shuffled")
def shuffled_labels(study: Study, classes: str, n_draws: int = 20) -> list[dict]:
    """Rows of probes of CPEP on shuffled labels, one for each ``draw``: one alone may miss chance by a few hundredths.

    They would betray a mistake, as would the records of shuffled pairs and of the untrained encoder.
    """
    splits, system, rows = study.splits, "CPEP", []
    about = of_study(study, system="Labels shuffled", protocol="LP", classes=classes, metric="balanced_accuracy")
    train, test = splits.probe_from(splits.probe_train[classes]), splits.evaluation[classes]
    x, test_x = study.features(system, train).numpy(), study.features(system, test).numpy()
    y = splits.labels(classes, test)
    for draw in range(n_draws):
        labels = np.random.default_rng([study.seed, draw]).permutation(splits.labels(classes, train))
        value = ev.balanced_accuracy(y, ev.linear_probe(x, labels, test_x, c=1.0), 4)
        how = {"param": "C", "param_value": 1.0, "n_train": len(train), "draw": draw, "options": f"probe of {system}"}
        rows.append(row(**about, **how, value=value, n=len(test)))
    return rows


def controls_table(results: pd.DataFrame, dataset: str) -> pd.DataFrame:
    """The controls (RELIABILITY) in both class sets, beside what each should give.

    Of a control that was drawn several times, the mean and in brackets the range of the middle 95 % of draws; of
    shuffled pairs that several seeds trained with, the mean and the lowest and highest of them.
    """
    lines = []
    for system, should in EXPECTED.items():
        rows = tc.select(results, dataset=dataset, metric=("balanced_accuracy", "user_recall"), system=system)
        rows = rows[~rows["options"].str.startswith(OPTION)]
        for (protocol, gallery), part in rows.groupby(["protocol", "gallery"], sort=False):
            draws, seeds, name = part["draw"].nunique(), part["seed"].nunique(), system
            line = {"protocol": protocol, "gallery": gallery or tc.MISSING, "should be": should}
            for classes in SETS:
                of_set = tc.select(part, classes=classes)
                v = tc.select(of_set, metric="balanced_accuracy")["value"]
                if draws:
                    name, told = f"{system}, {draws} draws", (v.mean(), *v.quantile([0.025, 0.975]))
                elif system == "CPEP, pairs shuffled" and seeds > 1:
                    name, told = f"{system}, {seeds} trainings", (v.mean(), v.min(), v.max())
                else:
                    found = tc.summary(of_set)
                    told = found["value"], found["low"], found["high"]
                line[classes] = tc.interval(*told)
            lines.append({"control": name} | line)
    return pd.DataFrame(lines)


def judge_controls(results: pd.DataFrame, dataset: str) -> str:
    """One sentence: whether a shuffled control's mean over draws and seeds is further than 0.05 from chance, 0.25.

    ``results`` is a page's tidy frame. A mean that is further means that labels or poses reach what must not know them.
    """
    where = {"dataset": dataset, "system": SHUFFLED, "metric": "balanced_accuracy", "gallery": ("", *CONTROLS)}
    means = tc.select(results, **where).groupby(["system", "classes"])["value"].mean()
    far = means[(means - CHANCE).abs() > STRAY]
    if far.empty:
        return f"All {len(means)} means of shuffled controls are within {STRAY} of chance ({CHANCE})."
    found = "; ".join(f"{system}, {classes}, {value:.3f}" for (system, classes), value in far.items())
    return (
        f"WARNING: shuffled controls are further than {STRAY} from chance ({CHANCE}) in the mean: {found}. Trust no "
        "other number of this page before you know why."
    )
