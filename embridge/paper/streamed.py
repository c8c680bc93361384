"""What a stream's causal filter changes: labels of stored windows, filtered forwards only or with zero phase (ours)."""

from collections.abc import Callable, Iterator

import numpy as np
import torch

from embridge import inference
from embridge.config import kind_of
from embridge.data.live import CausalFilter
from embridge.evaluation import zero_shot
from embridge.paper.results import row
from embridge.paper.scoring import gallery_embeddings, zero_shot_outcomes
from embridge.paper.table_cells import measured
from embridge.statistics import mean_over_groups
from embridge.study import Study


def filtered_windows(study: Study, ids: np.ndarray, filtered: Callable) -> Iterator[tuple]:
    """Windows as something else filters them, a recording at a time: ids (n,), float32 (n, C, T), the store's scale.

    Recordings are read anew. ``filtered``: a function of raw samples (t, C) without a break of the clock.
    """
    recordings, rows = {r.key: r for r in study.source.recordings}, study.store.table.loc[ids]
    scales = {log["key"]: log["scale"] for log in study.store.manifest["recordings"]}
    for key, part in rows.groupby("recording"):
        signals = recordings[key].load()
        emg = np.concatenate([filtered(emg) for emg in np.split(signals.emg, signals.breaks)]).T
        windows = np.stack([emg[:, start : start + study.windows.window] for start in part["start"]])
        yield part.index.to_numpy(), windows, scales[key]


def causal_queries(study: Study, system: str, ids: np.ndarray) -> torch.Tensor:
    """(n, M, d) what an aligned system retrieves with for stored windows, as a stream would have filtered them.

    A stream that starts or breaks off elsewhere differs by the filter's ring.
    """
    study.statistics_of(kind_of(study.profile.model.pose_tokens))  # beside the run, where load looks for it
    embedder, found = inference.load(study.run(system), study.device), {}
    for part, windows, scale in filtered_windows(study, ids, lambda emg: CausalFilter(study.windows)(emg)):
        found |= dict(zip(part, embedder.of_filtered(windows, scale), strict=True))
    return torch.stack([found[i] for i in ids]).reshape(len(ids), -1, embedder.d)


def streamed_rows(study: Study, system: str = "EMBridge", *, subset: str = "evaluation") -> list[dict]:
    """Tidy rows of metric "equal_labels": the share of a class set's windows that a stream labels alike, by gallery.

    Against the labels of stored windows, whose filter has zero phase; intervals over users. ``subset``: "evaluation"
    (D_eval) or "tune" (D_tune).
    """
    rows = []
    for classes, ids in getattr(study.splits, subset).items():
        queries, poses = causal_queries(study, system, ids), gallery_embeddings(study, system, ids)
        for stored in zero_shot_outcomes(study, system, classes, subset=subset, brief=True):
            code = study.splits.exclusion(stored.gallery, ids)
            how = {"k": stored.more["param_value"], "pooling": stored.pooling}
            said = zero_shot(queries, poses, stored.y, **how, query_group=code, gallery_group=code)
            share = measured(mean_over_groups(said == stored.predicted, stored.groups), "95 % bootstrap over user")
            shared = stored.shared | {name: stored.more[name] for name in ("dataset", "profile", "seed", "run_key")}
            rows.append(row(metric="equal_labels", n=len(ids), **share, **shared))
    return rows
