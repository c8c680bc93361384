"""``run_all.sh --demo``: a finished run as a page to play with, ``demo.html``, which needs neither network nor Python.

Where nothing was run it shows the weights and windows that come with the package, if there are any of these settings.
Only what the page shows is gathered here. ``demo.html`` beside this module is the page without its data: it computes
neighbours, votes and soft targets itself, as :mod:`embridge.evaluation` and :mod:`embridge.losses` do.
"""

import base64
import json
import shlex
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch.nn.functional import normalize

from benchmarks.plan import look_at
from embridge.config import n_bins, results_name
from embridge.data import hand
from embridge.data.signals import bin_means, filter_emg
from embridge.data.splits import SETS
from embridge.errors import InputError
from embridge.evaluation import majority, neighbours
from embridge.experiments import find, slug
from embridge.figures import hand as drawing
from embridge.figures import style
from embridge.figures.animation import SHOWN, Recognised, recognition
from embridge.files import write_atomically
from embridge.paper import records
from embridge.paper.results import as_frame
from embridge.paper.scoring import gallery_embeddings, zero_shot_outcomes
from embridge.paper.table_cells import select
from embridge.pretrained import FOLDER, Shipped
from embridge.run import cli
from embridge.statistics import balanced_accuracy
from embridge.study import Study
from embridge.train import study_of

TEMPLATE = Path(__file__).with_name("demo.html")
SYSTEM = "EMBridge"
QUERIES, BATCH, GALLERY = 6, 16, 600  # windows of a class set: to play with, in the soft targets' batch, at most in all
EMG_HZ = 1000  # of the traces, whose band ends at 250 Hz
ANIMATED = 3  # windows of a class set
COARSER = 4  # a gallery's hand moves in steps of so many bins of 25 ms


def packed(values, kind: str) -> dict:
    """An array as JSON: base64 of little-endian "f4", or of "i2" or "i1", whose unit is the "scale"."""
    values = np.asarray(values, np.float64)
    scale = 1.0 if kind == "f4" else float(np.abs(values).max(initial=0.0) or 1.0) / np.iinfo(kind).max
    stored = values if kind == "f4" else np.rint(values / scale)
    text = base64.b64encode(stored.astype(f"<{kind}").tobytes()).decode("ascii")
    return {"kind": kind, "scale": scale, "shape": values.shape, "base64": text}


def in_turn(study: Study, classes: str) -> np.ndarray:
    """(n,) the windows of a class set of D_eval in a random order in which gestures take turns, at most GALLERY.

    The first are those to play with: drawn with the study's seed, not chosen by how well they are recognised.
    """
    shuffled = study.splits.table.loc[study.splits.evaluation[classes]].sample(frac=1, random_state=study.seed)
    turn = shuffled.groupby("gesture").cumcount()
    return shuffled.index[np.argsort(turn, kind="stable")].to_numpy()[:GALLERY]


def filtered(study: Study, window: int) -> np.ndarray:
    """(C, T) the filtered EMG of a window, cut from its recording: a store of features keeps no samples."""
    where, config = study.store.table.loc[window], study.windows
    signals = next(r for r in study.source.recordings if r.key == where.recording).load()
    emg = filter_emg(signals.emg, config, signals.breaks)
    return emg[where.start : where.start + config.window].T


def user_labels(study: Study, users: pd.Series) -> list[str]:
    """What the page calls users: "user 54" for the simulation's "sim054" and "user 55" for its "0055".

    Every fourth id of the simulation looks like a number, as some of emg2pose's do. Real ids stay as they are.
    """
    return ("user " + users.str.extract(r"(?:sim)?0*(\d+)$")[0] if study.context["simulated"] else users).tolist()


def traces(study: Study, ids: np.ndarray) -> np.ndarray:
    """(n, C, T') filtered windows at EMG_HZ; 1 is what 0.5 % of a window's samples exceed, in whichever channel."""
    step = max(1, round(study.windows.sample_rate / EMG_HZ))
    windows = (filtered(study, window)[:, ::step] for window in ids)
    return np.stack([np.clip(x / (np.quantile(np.abs(x), 0.995) or 1.0), -2, 2) for x in windows])


def scored(study: Study, system: str, classes: str) -> tuple[int, dict[str, float]]:
    """How many windows D_eval has of a class set, and what each gallery scores on all of them.

    Of a study that has a part of D_eval both are those of the committed rows of its run; without these, no scores.
    """
    ids, how = study.splits.evaluation[classes], study.profile.evaluation
    if study.whole:
        outcomes = zero_shot_outcomes(study, system, classes, brief=True)
        return len(ids), {o.gallery: balanced_accuracy(o.y, o.predicted, o.more["n_classes"]) for o in outcomes}
    rows = as_frame(row for record in records.read([study], [system])[0] for row in record.rows)
    where = {"metric": "balanced_accuracy", "protocol": "ZS", "classes": classes, "pooling": how.pooling}
    found = select(rows, **where, param="k", param_value=str(how.k), options="corpus=class set")
    n = int(found["n"].max()) if len(found) else len(ids)
    return n, dict(zip(found["gallery"], found["value"], strict=True))


def class_set(study: Study, system: str, classes: str) -> dict:
    """What the page needs of a class set of D_eval, its windows as :func:`in_turn`: galleries, queries and traces."""
    splits, ids, bins = study.splits, in_turn(study, classes), n_bins(study.windows)
    n, accuracy = scored(study, system, classes)  # of all D_eval, whatever is drawn here
    table, poses = splits.table.loc[ids], study.store.read_pose(ids).numpy()  # (n, 20, steps)
    u = study.emg_queries(system, ids[:QUERIES]).float()  # (q, M, d)
    if study.profile.evaluation.pooling == "mean":
        u = u.mean(1, keepdim=True)
    v = normalize(gallery_embeddings(study, system, ids).float(), dim=-1)  # (n, d)
    return {
        "name": style.NAMES[classes],
        "classes": [style.pretty(name) for name in splits.classes[classes]],
        "n": n,
        "accuracy": accuracy,
        "window": ids.tolist(),
        "label": splits.labels(classes, ids).tolist(),
        "user": user_labels(study, table["user"]),
        "hand": table["hand"].tolist(),
        "v": packed(v, "i2"),
        "frames": packed(bin_means(poses, bins // COARSER), "i1"),
        "batch": packed(v[:BATCH], "f4"),  # exact: soft targets are exponentials of what 16 bits would round
        "u": packed(normalize(u, dim=-1), "f4"),
        "pose": packed(bin_means(poses[:QUERIES], bins), "i2"),
        "emg": packed(traces(study, ids[:QUERIES]), "i1"),
    }


def recognised(study: Study, system: str, classes: str, n: int) -> list[Recognised]:
    """The first n of :func:`in_turn` with their nearest poses of other users and the vote, for the animation."""
    splits, ids, k = study.splits, in_turn(study, classes)[:n], study.profile.evaluation.k
    everyone = splits.evaluation[classes]
    user = pd.factorize(splits.table["user"])[0]
    queries, poses = study.emg_queries(system, ids).float(), gallery_embeddings(study, system, everyone).float()
    apart = {"query_code": torch.from_numpy(user[ids]), "pose_code": torch.from_numpy(user[everyone])}
    cosine, index = neighbours(queries, poses, k, labels=torch.from_numpy(splits.labels(classes, everyone)), **apart)
    label = splits.labels(classes, everyone[index.flatten()]).reshape(index.shape)
    names = np.array([style.pretty(name) for name in splits.classes[classes]])
    answer = majority(torch.from_numpy(label), cosine, len(names)).numpy()
    truth, shown = splits.labels(classes, ids), []
    for i, emg in enumerate(traces(study, ids)):
        own, *near = study.store.read_pose(np.array([ids[i], *everyone[index[i, :SHOWN]]])).numpy()
        how = {
            "truth": names[truth[i]],
            "answer": names[answer[i]],
            "votes": int((label[i] == answer[i]).sum()),
            "k": k,
        }
        shown.append(Recognised(emg, own, near, list(names[label[i, :SHOWN]]), **how))
    return shown


def animate(study: Study, file: Path, system: str = SYSTEM) -> Path:
    """Write the GIF of :data:`ANIMATED` windows of each class set, drawn as the page's are, and return its path."""
    windows = [window for classes in SETS for window in recognised(study, system, classes, ANIMATED)]
    seconds = study.windows.window / study.windows.sample_rate
    return recognition(windows, file, seconds=seconds, stamp="simulated data" * study.context["simulated"])


def check_hand(study: Study) -> None:
    """Raise InputError where the pose is not the 20 joint angles of a hand."""
    if study.windows.n_joints != hand.N_ANGLES:
        raise InputError(
            f"--demo draws hands from {hand.N_ANGLES} joint angles, found {study.windows.n_joints} glove sensors in "
            f"{study.dataset}: choose --dataset simulated or emg2pose"
        )


def gather(study: Study, system: str = SYSTEM) -> dict:
    """All that the page shows of a study's finished run of an aligned ``system`` with CASCLe, as plain JSON.

    Raises InputError as :func:`check_hand` and the study do.
    """
    check_hand(study)
    objective, space = find(system).objective, study.pose_space(system)
    names = ("dataset", "profile", "seed", "simulated", "commit", "results_version")
    bones = {name: getattr(hand, name).tolist() for name in ("ROOTS", "ALONG", "FLEXION", "SIDE", "SEGMENTS")}
    return {
        "about": {"system": system, "run": study.run(system).key, **{name: study.context[name] for name in names}},
        "k": study.profile.evaluation.k,
        "seconds": study.windows.window / study.windows.sample_rate,
        "objective": {name: value for name, value in asdict(objective).items() if name in ("tau_s", "k_c", "affinity")},
        "queries": QUERIES,
        "sets": [class_set(study, system, classes) for classes in SETS],
        "centroids": packed(study.communities(objective, *space), "f4"),
        "hand": bones | {"view": drawing.PALM, "colours": drawing.FINGER_COLOURS}
        | {"half_width": drawing.HALF_WIDTH.tolist(), "palm": drawing.PALM_COLOUR},
    }  # fmt: skip


def write(study: Study, file: Path, system: str = SYSTEM) -> Path:
    """Write the page of :func:`gather` to ``file``, whole or not at all, and return it."""
    data = json.dumps(gather(study, system), separators=(",", ":")).replace("<", "\\u003c")  # no name ends the script
    cli.make_writable(file.parent)
    write_atomically(file, TEMPLATE.read_text(encoding="utf-8").replace("{{data}}", data))
    return file


def check_finished(study: Study, again: str, system: str = SYSTEM) -> None:
    """Raise InputError with the command ``again`` where windows or a run are missing: nothing is made here."""
    check_hand(study)
    if look_at(study, progress=False).built:
        names = (*find(system).needs, system)
        runs = {name: study.out / "runs" / f"{slug(name)}-{study.key(find(name))}" for name in names}
        absent = [f"run of {name}" for name, folder in runs.items() if not (folder / "done.json").exists()]
    else:
        absent = ["windows"]
    if absent:
        raise InputError(
            f"--demo shows a finished run of {system} on {study.dataset}, profile {study.profile.name}; {study.out} "
            f"holds no {absent[0]}; make it with {again}"
        )


@cli.command("nothing was written")
def main(argv: list[str]) -> None:
    """Write the page of the run that ``argv`` asks for (see ``run_all.sh --help``) and return the exit code."""
    options = cli.parse(argv, action="demo")
    study = study_of(options)
    shipped = FOLDER / results_name(study.dataset, study.profile.name, study.tokens)
    try:
        check_finished(study, shlex.join(["./run_all.sh", "--train", SYSTEM, *cli.arguments(options)]))
    except InputError as unfinished:
        if not (shipped / "manifest.json").exists():
            raise
        print(f"{unfinished}. This page shows what comes with the package.")
        study = Shipped(shipped, study.device, study.out)
    file = write(study, study.figures / "demo.html")
    animation = animate(study, file.with_suffix(".gif"))
    print(f"{animation} ({animation.stat().st_size / 1e6:.1f} MB)")
    print(f"{file} ({file.stat().st_size / 1e6:.1f} MB): open it in a browser; it needs nothing beside it")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
