"""What a stream's causal filter changes: labels of stored windows, filtered forwards only or with zero phase (ours)."""

import numpy as np
import torch

from embridge import inference
from embridge.config import kind_of
from embridge.data.live import CausalFilter
from embridge.evaluation import zero_shot
from embridge.paper.kept import of_whole_run
from embridge.paper.new_user import filtered_windows
from embridge.paper.results import row
from embridge.paper.scoring import gallery_embeddings, zero_shot_outcomes
from embridge.paper.table_cells import measured
from embridge.statistics import mean_over_groups
from embridge.study import Study


def causal_queries(study: Study, system: str, ids: np.ndarray) -> torch.Tensor:
    """(n, M, d) what an aligned system retrieves with for stored windows, as a stream would have filtered them.

    A stream that starts or breaks off elsewhere differs by the filter's ring.
    """
    study.statistics_of(kind_of(study.profile.model.pose_tokens))  # beside the run, where load looks for it
    embedder, found = inference.load(study.run(system), study.device), {}
    scales = {log["key"]: log["scale"] for log in study.store.manifest["recordings"]}
    of = study.store.table["recording"]
    for part, windows in filtered_windows(study, ids, lambda emg: CausalFilter(study.windows)(emg)):
        found |= dict(zip(part, embedder.of_filtered(windows, scales[of[part[0]]]), strict=True))
    return torch.stack([found[i] for i in ids]).reshape(len(ids), -1, embedder.d)


@of_whole_run(metric="equal_labels")
def streamed_rows(study: Study, system: str = "EMBridge") -> list[dict]:
    """Tidy rows of metric "equal_labels": the share of D_eval's windows that a stream labels alike, by set and gallery.

    Against the labels of stored windows, whose filter has zero phase; intervals over users.
    """
    rows = []
    for classes, ids in study.splits.evaluation.items():
        queries, poses = causal_queries(study, system, ids), gallery_embeddings(study, system, ids)
        for stored in zero_shot_outcomes(study, system, classes, brief=True):
            code = study.splits.exclusion(stored.gallery, ids)
            how = {"k": stored.more["param_value"], "pooling": stored.pooling}
            said = zero_shot(queries, poses, stored.y, **how, query_group=code, gallery_group=code)
            share = measured(mean_over_groups(said == stored.predicted, stored.groups), "95 % bootstrap over user")
            shared = stored.shared | {name: stored.more[name] for name in ("dataset", "profile", "seed", "run_key")}
            rows.append(row(metric="equal_labels", n=len(ids), **share, **shared))
    return rows
