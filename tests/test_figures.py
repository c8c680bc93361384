"""Every figure on small arrays: what is drawn is what was given, axes carry labels, nothing is cut off or too small."""

import matplotlib

matplotlib.use("agg")

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import PolyCollection
from matplotlib.text import Text

from embridge import figures as f
from embridge.errors import InputError
from embridge.recordings.emg2pose import IN_CLASSES, JOINTS, STAGES, UNSEEN_CLASSES

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
LOG = pd.DataFrame({"epoch": [0, 0, 1, 1], "loss": [4.0, 3.0, 2.0, 1.0], "tau": [0.02, 0.02, 0.03, 0.03]})
TABLE_1 = pd.DataFrame(
    {
        "split": ["D_tr", "D_eval, in"], "gestures": [23, 4], "users": [20, 12], "sessions": [40, 24],
        "files": [900, 96], "windows": [4300, 700], "paper: users": pd.array([158, 20], dtype="Int64"),
        "paper: sessions": pd.array([pd.NA, 320], dtype="Int64"),
    }
)  # fmt: skip


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
                         "value": value, "low": value - 0.05, "high": value + 0.04, "paper_value": None}
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

FIGURES = {
    "method": lambda: f.method_drawing(),
    "traces": lambda: f.recording_traces(EMG, POSE, 2000.0, joint_names=JOINTS, failures=FAILURES),
    "glove": lambda: f.recording_traces(
        EMG[:, :10] * 1e-6,
        POSE,
        100.0,
        joint_names=[f"glove sensor {i}" for i in range(20)],
        emg_unit="V",
        pose_unit="a.u.",
    ),
    "filter": lambda: f.filter_response(
        np.linspace(0, 1000, 60), np.linspace(2, 1, 60), np.linspace(2, 0.01, 60), bandpass=(2, 250), notch=60
    ),
    "no filter": lambda: f.filter_response(
        np.linspace(0, 50, 9), np.ones(9), np.ones(9), bandpass=None, notch=None, unit="V²/Hz"
    ),
    "windows": lambda: f.window_channels({"as stored": EMG.T, "z-scored": EMG.T / 3}, 2000.0),
    "hands": lambda: f.hands_of_classes({s: POSE[:5] for s in IN_CLASSES}, times=np.arange(5) / 4),
    "splits": lambda: f.split_overview(TABLE_1),
    "loss": lambda: f.loss_curves({"EMG-MAE": LOG, "Pose-MAE": LOG * 2}),
    "alignment": lambda: f.alignment_curves(
        {"CPEP": LOG, "EMBridge": LOG.drop(columns="tau")}, {"loss": "loss", "tau": "temperature τ"}
    ),
    "reconstructions": lambda: f.reconstructions(POSE.T[:3], POSE.T[:3] + 1, MASK, sample_rate=150.0, names=JOINTS[:3]),
    "contrast": lambda: f.embeddings_contrast(XY, XY * 3, LABELS, IN_CLASSES),
    "tsne": lambda: f.tsne_panels(
        {"before": XY, "after": XY, "pose": XY}, np.where(LABELS == 3, -1, LABELS), UNSEEN_CLASSES
    ),
    "cosines": lambda: f.cosine_histogram({"Pose-MAE": RNG.uniform(0.2, 1, 300)}),
    "communities": lambda: f.communities(XY, LABELS, {k: POSE[k] for k in range(4)}),
    "communities, glove": lambda: f.communities(XY, LABELS),
    "similarity": lambda: f.similarity_matrix(RNG.normal(size=(24, 24)), BATCH, STAGES, title="EMBridge"),
    "soft targets": lambda: f.soft_targets_heatmap(SOFT, BATCH, STAGES),
    "soft targets, plain": lambda: f.soft_targets_heatmap(SOFT, log=False),
    "grid": lambda: f.soft_targets_grid({(k, t): SOFT for k in (1, "all") for t in (0.05, 0.1, 0.5)}),
    "pipeline": lambda: f.affinity_pipeline(SOFT[:, :7], SOFT[:, :7], SOFT @ SOFT.T, SOFT),
    "table 2": lambda: f.table2_bars(HEADLINE),
    "confusions": lambda: f.confusion_matrices(CONFUSIONS, UNSEEN_CLASSES, f1=F1),
    "confusions, db1": lambda: f.confusion_matrices({"CPEP": np.eye(4, 5, dtype=int)}, DB1),
    "users": lambda: f.per_user_f1(USERS),
    "galleries": lambda: f.gallery_policies(SCORES[SCORES["protocol"] == "ZS"]),
    "forest": lambda: f.difference_forest(DIFFERENCES),
}


@pytest.fixture(scope="module")
def drawn():
    """Each figure drawn once, by name."""
    made = {}

    def get(name):
        if name not in made:
            made[name] = FIGURES[name]()
            made[name].draw_without_rendering()
        return made[name]

    return get


def tick_labels(axis):
    """The major tick labels of an axis that are in view, in order."""
    low, high = sorted(axis.get_view_interval())
    labels = [t.label1 for t in axis.get_major_ticks() if low <= t.get_loc() <= high]
    return [label for label in labels if label.get_visible() and label.get_text()]


def is_number(text):
    return text.replace("−", "").replace(".", "").isdigit()


@pytest.mark.parametrize("name", FIGURES)
def test_labels_units_and_type_size(drawn, name):
    figure = drawn(name)
    assert figure.get_size_inches()[0] <= 7.2
    assert min(t.get_fontsize() for t in figure.findobj(Text) if t.get_text().strip()) >= 9
    across, up = figure.get_supxlabel(), figure.get_supylabel()
    for ax in figure.axes:
        if not ax.axison:
            continue
        below = ax.get_shared_x_axes().get_siblings(ax)
        beside = [*ax.get_shared_y_axes().get_siblings(ax), figure.axes[0]]
        named = any(a.get_ylabel() or any(not is_number(t.get_text()) for t in tick_labels(a.yaxis)) for a in beside)
        assert ax.get_label() == "<colorbar>" or across or any(a.get_xlabel() for a in below), "x has no name"
        assert up or named, "y has no name"
        assert ax.get_label() != "<colorbar>" or ax.get_ylabel(), "colours have no name"


@pytest.mark.parametrize("name", FIGURES)
def test_nothing_is_cut_off_and_tick_labels_keep_apart(drawn, name):
    figure = drawn(name)
    everything, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
    assert everything.x0 > -0.03 and everything.x1 < width + 0.03, "cut off at a side"
    assert everything.y0 > -0.03 and everything.y1 < height + 0.03, "cut off at the top or bottom"
    for ax in figure.axes:
        boxes = [label.get_window_extent() for label in tick_labels(ax.yaxis)] if ax.axison else []
        for one, other in zip(boxes, boxes[1:], strict=False):
            overlap = min(one.y1, other.y1) - max(one.y0, other.y0)
            assert overlap < 0.25 * one.height, "tick labels collide"


def test_figures_do_not_pile_up():
    import matplotlib.pyplot as plt

    f.cosine_histogram({"a": XY[:, 0].clip(-1, 1)})
    assert plt.get_fignums() == []


def test_every_stage_has_a_short_name_of_its_own():
    assert set(f.SHORT_NAMES) == set(STAGES)
    assert len(set(f.SHORT_NAMES.values())) == len(STAGES)
    assert max(map(len, f.SHORT_NAMES.values())) <= 22
    assert f.pretty("E1-05") == "movement 5" and f.pretty("E2-12") == "movement 12"
    assert f.pretty("something else") == "something else"
    assert f.joint_label(JOINTS[0]) == "thumb CMC flexion"
    assert f.joint_label("glove sensor 3") == "glove sensor 3"


def test_traces_show_every_channel_and_leave_failures_out(drawn):
    top, bottom = drawn("traces").axes
    assert len(top.lines) == 16 and len(bottom.lines) == 20
    for j, line in enumerate(bottom.lines):
        np.testing.assert_array_equal(np.isnan(line.get_ydata()), FAILURES)
        np.testing.assert_allclose(line.get_ydata()[~FAILURES], POSE[~FAILURES, j])
    spans = sorted(p.get_x() for p in bottom.patches)
    np.testing.assert_allclose(spans, [100 / 2000, 200 / 2000])
    assert top.lines[0].get_ydata().mean() > top.lines[1].get_ydata().mean(), "channel 1 on top"


def test_stack_step_follows_the_signal(drawn):
    """Volts of 1e-6 must not be drawn flat."""
    top = drawn("glove").axes[0]
    height = np.ptp(top.get_ylim())
    assert all(np.ptp(line.get_ydata()) > 0.03 * height for line in top.lines)


def test_spectra_are_the_given_ones(drawn):
    before, after = (line for line in drawn("filter").axes[0].lines if len(line.get_xdata()) == 59)
    np.testing.assert_allclose(before.get_ydata(), np.linspace(2, 1, 60)[1:])
    np.testing.assert_allclose(after.get_ydata(), np.linspace(2, 0.01, 60)[1:])


def test_a_hand_for_every_frame(drawn):
    ax = drawn("hands").axes[0]
    assert sum(isinstance(c, PolyCollection) for c in ax.collections) == 4 * 5
    shown = [t.get_text().replace("\n", " ") for t in ax.texts]
    assert f.pretty(IN_CLASSES[0]) in shown and "0.25 s" in shown
    with pytest.raises(InputError, match="same number of frames"):
        f.hands_of_classes({"a": POSE[:2], "b": POSE[:3]})


def test_split_bars_are_the_counts(drawn):
    users, sessions, windows = drawn("splits").axes
    assert [p.get_width() for p in windows.patches] == [4300, 700]
    assert [t.get_text() for t in windows.texts] == ["4,300", "700"]
    np.testing.assert_array_equal(users.lines[0].get_xdata(), [158, 20])
    np.testing.assert_array_equal(sessions.lines[0].get_xdata(), [np.nan, 320])
    assert not windows.lines


def test_curves_are_means_of_epochs(drawn):
    first, second = drawn("loss").axes[0].lines
    np.testing.assert_allclose(first.get_ydata(), [3.5, 1.5])
    np.testing.assert_allclose(second.get_ydata(), [7.0, 3.0])
    losses, tau = drawn("alignment").axes
    assert len(losses.lines) == 2 and len(tau.lines) == 1
    with pytest.raises(InputError, match="nothing"):
        f.alignment_curves({"CPEP": LOG}, {"nothing": "x"})


def test_reconstruction_is_drawn_where_it_was_hidden_only(drawn):
    hidden = np.repeat(MASK, 60)
    for ax, target in zip(drawn("reconstructions").axes, POSE.T, strict=False):
        np.testing.assert_allclose(ax.lines[0].get_ydata(), target)
        np.testing.assert_array_equal(np.isnan(ax.lines[1].get_ydata()), ~hidden)
        np.testing.assert_allclose(ax.lines[1].get_ydata()[hidden], target[hidden] + 1)
        assert len(ax.patches) == 2, "two runs of masked patches"


def test_scatter_keeps_points_and_their_colours(drawn):
    figure = drawn("contrast")
    colours = np.array([matplotlib.colors.to_rgb(c) for c in f.class_colours(4)])
    for ax, xy in zip(figure.axes, (XY, XY * 3), strict=True):
        points = ax.collections[0]
        assert len(points.get_offsets()) == 90
        for at, colour in zip(points.get_offsets()[:20], points.get_facecolors()[:20], strict=True):
            k = np.flatnonzero(np.all(np.isclose(xy, at), axis=1))
            np.testing.assert_allclose(colour[:3], colours[LABELS[k[0]]], atol=1e-6)
    assert [t.get_text() for t in figure.legends[0].get_texts()] == [f.pretty(c) for c in IN_CLASSES]
    assert drawn("tsne").legends[0].get_texts()[-1].get_text() == "other gestures"


def test_histogram_adds_up_to_all_pairs():
    ax = f.cosine_histogram({"a": np.array([0.1, 0.1, 0.9, 0.5])}).axes[0]
    outline = ax.patches[-1].get_path().vertices
    assert max(outline[:, 1]) == pytest.approx(50), "two of four pairs are in one bin"


def test_a_community_has_one_colour_and_its_hand(drawn):
    scatter, hands = drawn("communities").axes
    colours = scatter.collections[0].get_facecolors()
    assert len(np.unique(colours, axis=0)) == 4
    assert all(len(np.unique(colours[LABELS == k], axis=0)) == 1 for k in range(4))
    assert len(hands.collections) == 4
    assert len(drawn("communities, glove").axes) == 1


def test_heat_maps_hold_the_given_matrix(drawn):
    order = np.argsort(BATCH, kind="stable")
    np.testing.assert_array_equal(drawn("soft targets").axes[0].images[0].get_array(), SOFT[np.ix_(order, order)])
    np.testing.assert_array_equal(drawn("soft targets, plain").axes[0].images[0].get_array(), SOFT)
    images = [ax.images[0] for ax in drawn("grid").axes if ax.images]
    assert len(images) == 6 and len({(i.norm.vmin, i.norm.vmax) for i in images}) == 1, "one colour scale for all"
    steps = [ax.images[0].get_array() for ax in drawn("pipeline").axes if ax.images]
    for shown, given in zip(steps, (SOFT[:, :7], SOFT[:, :7], SOFT @ SOFT.T, SOFT), strict=True):
        np.testing.assert_array_equal(shown, given)
    names = [t.get_text() for t in drawn("similarity").axes[0].get_yticklabels()]
    assert names == [f.pretty(STAGES[k]) for k in np.unique(BATCH)]
    with pytest.raises(InputError, match="positive"):
        f.soft_targets_heatmap(np.zeros((3, 3)))


def test_table2_draws_each_number_once(drawn):
    figure = drawn("table 2")
    widths = [p.get_width() for ax in figure.axes for p in ax.patches]
    np.testing.assert_allclose(sorted(widths), sorted(HEADLINE["value"]))
    printed = {t.get_text() for ax in figure.axes for t in ax.texts}
    assert {f"{v:.2f}" for v in HEADLINE["value"]} == printed
    diamonds = [line.get_xdata() for ax in figure.axes for line in ax.lines if line.get_marker() == "D"]
    assert np.nansum(np.concatenate(diamonds)) == pytest.approx(0.757)
    with pytest.raises(InputError, match="several"):
        f.table2_bars(SCORES)
    with pytest.raises(InputError, match="none"):
        f.table2_bars(SCORES[:0])


def test_confusions_print_share_and_count(drawn):
    axes = drawn("confusions").axes
    for ax, (system, counts) in zip(axes, CONFUSIONS.items(), strict=True):
        assert ax.get_title() == system
        cells = {(int(t.get_position()[1]), int(t.get_position()[0])): t.get_text() for t in ax.texts}
        for at, count in np.ndenumerate(counts):
            assert cells[at] == f"{100 * count / counts[at[0]].sum():.0f}%\n{count}"
        np.testing.assert_allclose(ax.images[0].get_array().sum(axis=1), 100)
        rows = [t.get_text() for t in ax.get_yticklabels()]
        assert rows[1].endswith("F1 0.40") and rows[2].endswith("F1 –")
    empty = f.confusion_matrices({"CPEP": np.zeros((4, 4), dtype=int)}, DB1)
    assert {t.get_text() for t in empty.axes[0].texts} == {"0%\n0"}


def test_users_are_sorted_by_the_last_system_with_all_means(drawn):
    ax = drawn("users").axes[0]
    points = {line.get_label(): line.get_ydata() for line in ax.lines if line.get_linestyle() == "None"}
    assert len(points) == 3
    last = points[f"EMBridge (mean {USERS['EMBridge'].mean():.2f})"]
    assert np.all(np.diff(last) >= 0)
    order = USERS.sort_values("EMBridge").index
    np.testing.assert_allclose(points[f"CPEP (mean {USERS['CPEP'].mean():.2f})"], USERS.loc[order, "CPEP"])


def test_galleries_and_differences_are_the_given_numbers(drawn):
    rows = SCORES[SCORES["protocol"] == "ZS"]
    heights = [p.get_height() for ax in drawn("galleries").axes for p in ax.patches]
    np.testing.assert_allclose(sorted(heights), sorted(rows["value"]))
    for ax in drawn("forest").axes:
        dots = [line for line in ax.lines if line.get_marker() == "o"]
        assert sorted(round(float(line.get_xdata()[0]), 2) for line in dots) == [0.01, 0.01, 0.05, 0.05]
        for line in dots:
            clear = line.get_xdata()[0] > 0.03
            assert (line.get_markerfacecolor() != "white") == clear, "filled where the interval leaves zero out"
    with pytest.raises(InputError, match="none"):
        f.difference_forest(DIFFERENCES[:0])


def test_a_system_keeps_its_colour():
    alone, among = f.system_colours(["EMBridge"]), f.system_colours(["CPEP", "new", "EMBridge", "newer"])
    assert alone["EMBridge"] == among["EMBridge"]
    assert len(set(among.values())) == 4
