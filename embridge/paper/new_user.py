"""What a user who is new meets (ours): a band that sits elsewhere, a few windows of one's own, a mean of one's own.

Nothing is trained and nothing is tuned: the form of each question was fixed before D_eval was read for it.
"""

import itertools
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import pandas as pd
import torch
from torch.nn.functional import normalize

from embridge import evaluation as ev
from embridge.config import n_bins
from embridge.data.batches import channel_order, seed_of
from embridge.data.signals import emg_features, filter_emg
from embridge.experiments import find
from embridge.objectives import encode
from embridge.paper.kept import of_whole_run
from embridge.paper.scoring import Outcome, _outcome, gallery_embeddings, zero_shot_outcomes
from embridge.study import Study

SHIFTS = (0, 0.5, 1, 1.5, 2)  # electrodes
WINDOWS = (1, 2, 4, 8, 16, 32)  # of the user's own
HALF = "all"  # of the half that a user has to give: as many as there are
DRAWS = 5
PROBE_C = 1.0  # fixed: with so few windows there is nothing to choose it on
OTHERS, PROBE = "others' poses", "probe of own EMG"
POOLS = OWN, BOTH, OWN_EMG, BOTH_EMG = "own poses", "others' and own poses", "own EMG", "others' poses and own EMG"


def _compared(study, system, classes, ids, predicted, baseline, names, **named) -> list[dict]:
    """The balanced accuracy of predictions (n,) or draws of these (D, n), and its difference to ``baseline`` (n,).

    Draws put together score their mean, for all have the same windows. ``names``: of the difference's sides.
    """
    draws, protocol = np.atleast_2d(predicted), "ZS" if named["gallery"] else "LP"
    named["run_key"] = study.run(system).key
    own = _outcome(study, system, protocol, classes, np.tile(ids, len(draws)), draws.ravel(), **named)
    rows = [own.rows[0]]
    if baseline is not None:
        one, other = (f"{system}, {name}" for name in names)
        rows.append(own.less(np.tile(baseline, len(draws)), other, system=one))
    return [r | {"n": len(ids)} for r in rows]


def _again(study, system, classes, stored: Outcome, queries, names, **named) -> list[dict]:
    """Rows of ``queries`` (n, M, d) that retrieve as the outcome ``stored`` did, and of their difference to it."""
    ids = study.splits.evaluation[classes]
    code, poses = study.splits.exclusion(stored.gallery, ids), gallery_embeddings(study, system, ids)
    how = {"k": stored.more["param_value"], "pooling": stored.pooling, "query_group": code, "gallery_group": code}
    said, named = ev.zero_shot(queries, poses, stored.y, **how), named | {"gallery": stored.gallery}
    return _compared(study, system, classes, ids, said, stored.predicted, names, pooling=stored.pooling, **named)


def moved(x: torch.Tensor, shift: float, ring: int | None = None) -> torch.Tensor:
    """EMG (..., C, T) under a band turned by ``shift`` electrodes: whole ones roll the ring, as training's rotation.

    Between two electrodes the signal is on a straight line from one's to the other's. Channels behind the ring stay.
    """
    whole, part = divmod(shift, 1)
    near, far = (channel_order(torch.tensor([int(whole) + i]), x.shape[-2], ring)[0] for i in (0, 1))
    return (1 - part) * x[..., near, :] + part * x[..., far, :] if part else x[..., near, :]


def filtered_windows(study: Study, ids: np.ndarray, filtered: Callable) -> Iterator[tuple]:
    """Windows as something else filters them, a recording at a time: ids (n,) and float32 (n, C, T).

    Recordings are read anew. ``filtered``: a function of raw samples (t, C) without a break of the clock.
    """
    recordings = {r.key: r for r in study.source.recordings}
    for key, part in study.store.table.loc[ids].groupby("recording"):
        signals = recordings[key].load()
        emg = np.concatenate([filtered(emg) for emg in np.split(signals.emg, signals.breaks)]).T
        windows = np.stack([emg[:, start : start + study.windows.window] for start in part["start"]])
        yield part.index.to_numpy(), windows


def moved_queries(study: Study, system: str, ids: np.ndarray, shifts: tuple[float, ...]) -> dict[float, torch.Tensor]:
    """(n, M, d) of each shift: what an aligned system retrieves with when the band sits so many electrodes further.

    Parts of an electrode mix the filtered signal; where log-power is stored, recordings are read anew for them.
    """
    run, ring = study.run(system), study.configs(find(system))[1].ring
    store, scaled = (reader := run.reader(False)).emg_store, reader.scale_emg
    between = {shift % 1: {} for shift in shifts if shift % 1 and store.kind == "features"}
    for some, windows in filtered_windows(study, ids, partial(filter_emg, config=study.windows)) if between else ():
        for part, (i, x) in itertools.product(between, zip(some, torch.from_numpy(windows), strict=True)):
            between[part][i] = torch.from_numpy(emg_features(moved(x, part, ring).numpy(), n_bins(study.windows)))

    def read(some: np.ndarray, shift: float) -> torch.Tensor:
        if known := between.get(shift % 1):  # log-power of a rolled ring is rolled log-power
            x = moved(torch.stack([known[i] for i in some]), shift // 1, ring)
        else:
            x = moved(store.read_emg(some), shift, ring)
        return scaled(x.to(reader.device))

    return {shift: encode(run.model.queries, partial(read, shift=shift), ids) for shift in shifts}


@of_whole_run(param="shift")
def moved_rows(study: Study, system: str = "EMBridge") -> list[dict]:
    """Tidy rows of zero-shot on both class sets for each of SHIFTS, and of its difference to no shift.

    ``param`` is "shift", in electrodes. The gallery, which does not move, is the strictest policy that applies.
    """
    rows, named = [], {"options": "band moved", "param": "shift"}
    for classes, ids in study.splits.evaluation.items():
        stored = zero_shot_outcomes(study, system, classes, brief=True)[-1]
        for shift, queries in moved_queries(study, system, ids, SHIFTS).items():
            names, more = ("band moved", "band in place"), named | {"param_value": shift}
            rows += _again(study, system, classes, stored, queries, names, **more)[: None if shift else 1]
    return rows


def earlier_half(table: pd.DataFrame, ids: np.ndarray) -> np.ndarray:
    """Which of the windows ``ids`` (n,) lie in the earlier half of their gesture in their recording: (n,) bool.

    Of an odd number the later half, on which is scored, has one more.
    """
    of = table.loc[ids].groupby(["recording", "gesture"])["start"]
    return (of.rank(method="first") <= of.transform("size") // 2).to_numpy()


def in_turns(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(n,) a random order of windows in which their classes take turns: the first of any length hold all alike."""
    order = rng.permutation(len(labels))
    turn = pd.Series(order).groupby(labels[order]).cumcount()
    return order[np.argsort(turn, kind="stable")]


@of_whole_run(param="own_windows")
def own_rows(study: Study, system: str = "EMBridge", n_draws: int = DRAWS) -> list[dict]:
    """Tidy rows of what a user's own windows are worth, scored on the later half of that user's windows of D_eval.

    ``param`` is "own_windows": how many of the earlier half are drawn, 0, WINDOWS as far as every user has so many, and
    HALF, all of them; classes take turns, a draw's smaller sets lie in its larger ones. ``gallery`` says what is
    searched: others' poses, own ones or both, or the mean query of own EMG; "" is a linear probe of own EMG (with
    PROBE_C). Means over ``n_draws``; each with its difference to others' poses alone. [] where there is one user.
    """
    asked = study.splits.evaluation.items() if "other-users" in study.splits.policies else ()
    return [r for classes, ids in asked for r in _own_rows(study, system, classes, ids, n_draws)]


def _own_rows(study: Study, system: str, classes: str, ids: np.ndarray, n_draws: int) -> list[dict]:
    splits, setting, pooling = study.splits, study.profile.evaluation, study.profile.evaluation.pooling
    y, early, user = splits.labels(classes, ids), earlier_half(splits.table, ids), splits.table["user"].to_numpy()[ids]
    queries, poses = study.emg_queries(system, ids), gallery_embeddings(study, system, ids)
    features = study.features(system, ids)
    vote, emg = partial(ev.zero_shot, k=setting.k, pooling=pooling), queries.mean(1)

    def answers(own: np.ndarray, others: np.ndarray, asked: np.ndarray) -> dict[str, np.ndarray]:
        both, of_both = np.concatenate([others, own]), torch.cat([poses[others], emg[own]])
        galleries = {OWN: (poses[own], y[own]), BOTH: (poses[both], y[both]), OWN_EMG: (emg[own], y[own])}
        galleries |= {BOTH_EMG: (of_both, y[both])}
        said = {name: vote(queries[asked], *gallery) for name, gallery in galleries.items()}
        if len(np.unique(y[own])) > 1:
            return said | {PROBE: ev.linear_probe(features[own], y[own], features[asked], c=PROBE_C)}
        # one window has nothing to be told from; several of one gesture answer with it, as a gallery of them does
        return said | ({PROBE: np.full(len(asked), y[own][0])} if len(own) > 1 else {})

    test, pools = np.flatnonzero(~early), {u: np.flatnonzero(early & (user == u)) for u in np.unique(user)}
    alone = vote(queries, poses, y, query_group=user, gallery_group=user)[test]
    how = {"options": "later half", "param": "own_windows"}
    compared = partial(_compared, study, system, classes, ids[test])
    rows = compared(alone, None, (), gallery=OTHERS, pooling=pooling, **how, param_value=0)
    fewest = min(map(len, pools.values()))
    for n in [*(n for n in WINDOWS if n <= fewest), HALF]:
        draws = range(1 if n == HALF else n_draws)
        said = {name: np.full((len(draws), len(ids)), -1) for name in (*POOLS, PROBE)}
        for draw, (u, pool) in itertools.product(draws, pools.items()):
            order = in_turns(y[pool], np.random.default_rng(seed_of("own windows", study.seed, draw, str(u))))
            own, asked = pool[order[: None if n == HALF else n]], np.flatnonzero(~early & (user == u))
            for name, labels in answers(own, np.flatnonzero(user != u), asked).items():
                said[name][draw, asked] = labels
        more = how | {"param_value": n, "n_train": round(np.mean([*map(len, pools.values())])) if n == HALF else n}
        for name in POOLS if n == 1 else said:
            where = {"gallery": "", "pooling": ""} if name == PROBE else {"gallery": name, "pooling": pooling}
            rows += compared(said[name][:, test], alone, (name, OTHERS), **where, **more)
    return rows


def recentred(queries: torch.Tensor, owner: np.ndarray, means: dict, centre: torch.Tensor) -> torch.Tensor:
    """Unit queries (n, M, d) less their owner's mean query (M, d) of ``means``, plus ``centre`` (M, d)."""
    return normalize(queries, dim=-1) - torch.stack([means[name] for name in owner]) + centre


def user_means(queries: torch.Tensor, owner: np.ndarray) -> dict:
    """The mean unit query (M, d) of each owner of windows, from queries (n, M, d): no label is read."""
    return {name: normalize(queries[owner == name], dim=-1).mean(0) for name in np.unique(owner)}


@of_whole_run(param="recentred")
def recentred_rows(study: Study, system: str = "EMBridge") -> list[dict]:
    """Tidy rows of zero-shot after the users' means are taken off, by gallery policy, with the difference to before.

    A user's mean is over all stored windows of that user, whatever the gesture; the training users' mean is put in its
    place. ``param`` is "recentred", with the value "user's mean". [] where there is one user.
    """
    if "other-users" not in study.splits.policies:
        return []
    splits, rows = study.splits, []
    owner = splits.table["user"].to_numpy(dtype=str)
    known = splits.learn_from(splits.pretrain, "recentring")
    centre = torch.stack([*user_means(study.emg_queries(system, known), owner[known]).values()]).mean(0)
    here = np.flatnonzero(np.isin(owner, owner[np.concatenate([*splits.evaluation.values()])]))
    means = user_means(study.emg_queries(system, here), owner[here])
    for classes, ids in splits.evaluation.items():
        queries = recentred(study.emg_queries(system, ids), owner[ids], means, centre)
        named = {"options": "recentred", "param": "recentred", "param_value": "user's mean"}
        for stored in zero_shot_outcomes(study, system, classes, brief=True):
            rows += _again(study, system, classes, stored, queries, ("recentred", "as it is"), **named)
    return rows
