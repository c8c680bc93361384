"""What is drawn is what was given: every figure's artists against its input."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from figure_inputs import (
    ABLATION,
    AT_THE_END,
    BASELINES,
    BATCH,
    CHOICES,
    CONFUSIONS,
    DB1,
    DIFFERENCES,
    FAILURES,
    FEWER,
    FRACTIONS,
    HEADLINE,
    LABELS,
    LINES,
    LOG,
    MASK,
    POSE,
    SCORES,
    SHOTS,
    SIZES,
    SOFT,
    SWEPT,
    USERS,
    USUAL,
    XY,
    drawn,
)
from matplotlib.collections import PolyCollection
from matplotlib.colors import to_rgb
from matplotlib.container import ErrorbarContainer

from embridge import figures as f
from embridge.data.emg2pose import IN_CLASSES, JOINTS, STAGES
from embridge.errors import InputError
from embridge.figures import style


def test_figures_do_not_pile_up():
    f.cosine_histogram({"a": XY[:, 0].clip(-1, 1)})
    assert plt.get_fignums() == []


def test_every_stage_has_a_short_name_of_its_own():
    assert set(style.SHORT_NAMES) == set(STAGES)
    assert len(set(style.SHORT_NAMES.values())) == len(STAGES)
    assert max(map(len, style.SHORT_NAMES.values())) <= 22
    assert f.pretty("E1-05") == "movement 5" and f.pretty("E2-12") == "grasp 12"
    assert f.pretty("something else") == "something else"
    assert style.joint_label(JOINTS[0]) == "thumb CMC flexion"
    assert style.joint_label("glove sensor 3") == "glove sensor 3"


def test_traces_show_every_channel_and_leave_failures_out():
    top, bottom = drawn("traces").axes
    assert len(top.lines) == 16 and len(bottom.lines) == 20
    for j, line in enumerate(bottom.lines):
        np.testing.assert_array_equal(np.isnan(line.get_ydata()), FAILURES)
        np.testing.assert_allclose(line.get_ydata()[~FAILURES], POSE[~FAILURES, j])
    spans = sorted(p.get_x() for p in bottom.patches)
    np.testing.assert_allclose(spans, [100 / 2000, 200 / 2000])
    assert top.lines[0].get_ydata().mean() > top.lines[1].get_ydata().mean(), "channel 1 on top"


def test_stack_step_follows_the_signal():
    """Volts of 1e-6 must not be drawn flat."""
    top, bottom = drawn("glove").axes
    assert (
        bottom.get_ylabel() == "glove sensor (raw value)"
        and drawn("traces").axes[1].get_ylabel() == "joint angle (rad)"
    )
    height = np.ptp(top.get_ylim())
    assert all(np.ptp(line.get_ydata()) > 0.03 * height for line in top.lines)


def test_spectra_are_the_given_ones():
    before, after = (line for line in drawn("filter").axes[0].lines if len(line.get_xdata()) == 59)
    np.testing.assert_allclose(before.get_ydata(), np.linspace(2, 1, 60)[1:])
    np.testing.assert_allclose(after.get_ydata(), np.linspace(2, 0.01, 60)[1:])


def test_a_hand_for_every_frame():
    ax = drawn("hands").axes[0]
    assert sum(isinstance(c, PolyCollection) for c in ax.collections) == 4 * 5
    shown = [t.get_text().replace("\n", " ") for t in ax.texts]
    assert f.pretty(IN_CLASSES[0]) in shown and "0.25 s" in shown
    with pytest.raises(InputError, match="same number of frames"):
        f.hands_of_classes({"a": POSE[:2], "b": POSE[:3]}, times=np.arange(2))


def test_curves_are_means_of_epochs():
    for ax in drawn("loss").axes:
        curve, new_users, guess = ax.lines
        np.testing.assert_allclose(curve.get_ydata(), [3.5, 1.5])
        assert new_users.get_ydata() == [0.4] and set(guess.get_ydata()) == {0.9}
    losses, mprl = drawn("alignment").axes
    curves, diamonds = ([line for line in losses.lines if len(line.get_xdata()) == n and line.get_marker() == m]
                        for n, m in ((2, "o"), (1, "D")))  # fmt: skip
    assert len(curves) == 3 and [line.get_ydata()[0] for line in diamonds] == [4.0, 4.5]
    assert [t.get_text() for t in losses.texts] == ["guessing"] and 5.5 in [
        line.get_ydata()[0] for line in losses.lines
    ]
    assert len(mprl.lines) == 3, "two systems have this term, and a line to hold them against"
    with pytest.raises(InputError, match="nothing"):
        f.alignment_curves({"CPEP": LOG}, {"nothing": "x"})


def test_one_epoch_is_one_tick():
    log = LOG[LOG["epoch"] == 0]
    ax = f.masked_error_curves({"smoke": log}, {"smoke": {"smoke": 0.5, "mean of the visible patches": 0.9}}).axes[0]
    assert ax.lines[1].get_ydata() == [0.5] and ax.lines[2].get_ydata()[0] == 0.9
    assert [t for t in ax.get_xticks() if -0.5 <= t <= 0.5] == [0] and ax.lines[0].get_marker() == "o"


def test_reconstruction_is_drawn_where_it_was_hidden_only():
    hidden, steps = np.repeat(MASK, 60), np.arange(300)
    for ax, target in zip(drawn("reconstructions").axes, POSE.T, strict=False):
        ruler = np.interp(steps, steps[~hidden], target[~hidden])
        for line, expected in zip(ax.lines, (target, ruler, target + 1), strict=False):
            np.testing.assert_array_equal(np.isnan(line.get_ydata()), ~hidden)
            np.testing.assert_allclose(line.get_ydata()[hidden], expected[hidden])
        np.testing.assert_array_equal(np.isnan(ax.lines[3].get_ydata()), hidden)
        np.testing.assert_allclose(ax.lines[3].get_ydata()[~hidden], target[~hidden])
        assert len(ax.patches) == 2, "two runs of masked patches"


def test_attention_is_in_even_shares_and_names_the_query_that_is_used():
    first, second = (ax for ax in drawn("attention").axes if ax.images)
    np.testing.assert_allclose(first.images[0].get_array(), SOFT[:8, :21] * 21)
    assert [t.get_text() for t in first.texts] == ["◂ 90%"] and not second.texts


def test_scatter_keeps_points_and_their_looks():
    figure = drawn("contrast")
    colours = [to_rgb(colour) for colour, _ in style.class_looks(4)]
    for ax, xy in zip(figure.axes, (XY, XY * 3), strict=True):
        others, *classes = ax.collections
        assert len(others.get_offsets()) == 0 and sum(len(c.get_offsets()) for c in classes) == 90
        for k, points in enumerate(classes):
            np.testing.assert_allclose(points.get_offsets(), xy[LABELS == k])
            np.testing.assert_allclose(points.get_facecolors()[0, :3], colours[k], atol=1e-6)
        shapes = {tuple(map(tuple, c.get_paths()[0].vertices.round(3))) for c in classes}
        assert len(shapes) == 4, "a class is told by its marker, too"
    said = [t.get_text() for t in figure.axes[-1].get_legend().get_texts()]
    assert said == [f.pretty(c) for c in IN_CLASSES]
    by_user = drawn("tsne").axes[3]
    assert by_user.get_ylabel() == "by user" and len(by_user.collections[0].get_offsets()) == 18
    assert drawn("tsne").axes[5].get_legend().get_texts()[-1].get_text() == "others"
    assert len(set(style.class_looks(16))) == 16


def test_histogram_adds_up_to_all_pairs():
    ax = f.cosine_histogram({"a": np.array([0.1, 0.1, 0.9, 0.5])}).axes[0]
    outline = ax.patches[-1].get_path().vertices
    assert max(outline[:, 1]) == pytest.approx(50), "two of four pairs are in one bin"


def test_a_marked_community_has_one_colour_its_letter_and_its_hand():
    scatter, hands = drawn("communities").axes
    others, *marked = scatter.collections
    assert len(others.get_offsets()) == np.sum(np.arange(90) % 12 >= 8) and len(marked) == len(hands.collections) == 8
    assert [t.get_text() for t in scatter.texts] == list("ABCDEFGH")
    for k, points in enumerate(marked):
        np.testing.assert_allclose(points.get_offsets(), XY[np.arange(90) % 12 == k])
    assert len(drawn("communities, glove").axes) == 1
    unseen = f.communities(XY, LABELS, {7: POSE[0]})
    assert len(unseen.axes[0].texts) == 0 and len(unseen.axes[1].collections) == 1, "a community outside the sample"


def test_far_apart_starts_with_the_first_and_takes_what_is_farthest_from_all():
    points = np.array([[0.0], [1.0], [10.0], [5.0], [9.0]])
    assert f.far_apart(points, 3) == [0, 2, 3]
    assert sorted(f.far_apart(points, 8)) == [0, 1, 2, 3, 4]


def test_heat_maps_hold_the_given_matrix():
    ax, labels = drawn("soft targets").axes[0], np.sort(BATCH)
    np.testing.assert_array_equal(ax.images[0].get_array(), SOFT)
    said = [t.get_text() for t in ax.texts if t.get_text().endswith("%")]
    assert said == [f"{SOFT[np.ix_(labels == k, labels == k)].sum() / sum(labels == k):.0%}" for k in np.unique(labels)]
    assert len([c for c in ax.collections if isinstance(c, PolyCollection)]) == 10, "a hand on each margin"
    assert not [c for c in drawn("soft targets, glove").axes[0].collections if isinstance(c, PolyCollection)]
    images = [ax.images[0] for ax in drawn("grid").axes if ax.images]
    assert len(images) == 6 and len({(i.norm.vmin, i.norm.vmax) for i in images}) == 1, "one colour scale for all"
    steps = [ax.images[0].get_array() for ax in drawn("pipeline").axes if ax.images]
    for shown, given in zip(steps, (SOFT[:, :7], SOFT[:, :7], SOFT @ SOFT.T, SOFT), strict=True):
        np.testing.assert_array_equal(shown, given)
    with pytest.raises(InputError, match="positive"):
        f.soft_targets_heatmap(np.zeros((3, 3)), np.arange(3), STAGES, {})


def test_similarity_shows_means_of_blocks_without_own_pairs_beside_every_pair():
    s = np.array([[9.0, 0.2, 0.3], [0.4, 9.0, 0.5], [0.7, 0.8, 9.0]])
    blocks, pixels, *_ = f.similarity_matrix(s, np.array([1, 1, 0]), ["b", "a"]).axes
    np.testing.assert_allclose(blocks.images[0].get_array(), [[0, 0.75], [0.4, 0.3]])  # (0, 0) has own pairs alone
    np.testing.assert_array_equal(pixels.images[0].get_array(), s[np.ix_([2, 0, 1], [2, 0, 1])])
    assert [t.get_text() for t in blocks.get_yticklabels()] == ["b  1", "a  2"]
    bold = [t.get_text() for t in blocks.texts if t.get_fontweight() == "bold"]
    assert bold == ["0.75", "0.40"], "the largest of each row"
    apart = f.similarity_matrix(s, np.array([1, 1, 0]), ["b", "a"], [0, 1]).axes[0]
    assert [t.get_text() for t in apart.texts if t.get_fontweight() == "bold"] == ["0.00", "0.30"], "within its set"
    assert [line.get_xdata()[0] for line in apart.lines] == [0, 0.5], "a line parts the sets, across and down"


def test_table2_draws_each_number_once():
    figure = drawn("table 2")
    widths = [p.get_width() for ax in figure.axes for p in ax.patches]
    np.testing.assert_allclose(sorted(widths), sorted(HEADLINE["value"]))
    printed = {t.get_text() for ax in figure.axes for t in ax.texts}
    assert {f"{v:.2f}" for v in HEADLINE["value"]} == printed
    assert not [line for ax in figure.axes for line in ax.lines if line.get_marker() == "D"], "of other recordings"
    with pytest.raises(InputError, match="several"):
        f.table2_bars(SCORES)
    with pytest.raises(InputError, match="none"):
        f.table2_bars(SCORES[:0])


def test_confusions_print_share_and_count():
    axes = drawn("confusions").axes
    for ax, (system, counts) in zip(axes, CONFUSIONS.items(), strict=True):
        assert ax.get_title() == system
        cells = {(int(t.get_position()[1]), int(t.get_position()[0])): t.get_text() for t in ax.texts}
        for at, count in np.ndenumerate(counts):
            assert cells[at] == f"{100 * count / counts[at[0]].sum():.0f}%\n{count}"
        np.testing.assert_allclose(ax.images[0].get_array().sum(axis=1), 100)
        assert ax.images[0].norm.vmax == max((100 * c / c.sum(1, keepdims=True)).max() for c in CONFUSIONS.values())
        rows = [t.get_text() for t in ax.get_yticklabels()]
        assert rows[1].endswith("F1 0.40") and rows[2].endswith("F1 –")
    empty = f.confusion_matrices({"CPEP": np.zeros((4, 4), dtype=int)}, DB1)
    assert {t.get_text() for t in empty.axes[0].texts} == {"0%\n0"}


def test_users_are_sorted_by_the_last_system_with_all_means():
    ax = drawn("users").axes[0]
    points = {line.get_label(): line.get_ydata() for line in ax.lines if line.get_linestyle() == "None"}
    assert len(points) == 3
    last = points[f"EMBridge (mean {USERS['EMBridge'].mean():.2f})"]
    assert np.all(np.diff(last) >= 0)
    order = USERS.sort_values("EMBridge").index
    np.testing.assert_allclose(points[f"CPEP (mean {USERS['CPEP'].mean():.2f})"], USERS.loc[order, "CPEP"])


def test_galleries_and_differences_are_the_given_numbers():
    rows = SCORES[SCORES["protocol"] == "ZS"]
    heights = [p.get_height() for ax in drawn("galleries").axes for p in ax.patches]
    np.testing.assert_allclose(sorted(heights), sorted(rows["value"]))
    for ax, n in [(ax, 2) for ax in drawn("forest").axes] + [(ax, 3) for ax in drawn("galleries").axes[2:]]:
        dots = [line for line in ax.lines if line.get_marker() == "o"]
        assert sorted(round(float(line.get_xdata()[0]), 2) for line in dots) == [0.01] * n + [0.05] * n
        for line in dots:
            clear = line.get_xdata()[0] > 0.03
            assert (line.get_markerfacecolor() != "white") == clear, "filled where the interval leaves zero out"
    with pytest.raises(InputError, match="none"):
        f.difference_forest(DIFFERENCES[:0])


def errorbars(ax):
    """The systems' values over x: (n, 2) of each curve with whiskers, in the order of drawing."""
    return [bar[0].get_xydata() for bar in ax.containers if isinstance(bar, ErrorbarContainer)]


def test_an_ablation_marks_the_whole_system_and_what_is_not_of_this_run():
    probe_in = drawn("ablation").axes[2]
    assert probe_in.get_title() == "linear probe, in-distribution gestures"
    rows = ABLATION[(ABLATION["protocol"] == "LP") & (ABLATION["classes"] == "in")]
    np.testing.assert_allclose([p.get_width() for p in probe_in.patches], rows["value"])
    whole = rows.loc[rows["system"] == "CPEP", "value"].item()
    assert sum(np.allclose(line.get_xdata(), whole) for line in probe_in.lines) == 1
    assert [t.get_text().endswith("†") for t in probe_in.texts] == [True, False, False, False]
    assert len({p.get_facecolor() for p in probe_in.patches}) == 2
    with pytest.raises(InputError, match="EMBridge"):
        f.ablation_bars(ABLATION, "EMBridge")
    missing = ABLATION.assign(value=ABLATION["value"].where(ABLATION["protocol"] == "ZS"))
    assert len(f.ablation_bars(missing, "CPEP").axes) == 2, "what was not measured is not drawn"
    frozen = f.ablation_bars(ABLATION.assign(value=ABLATION["value"].where(ABLATION.index > 0)), "CPEP").axes[2]
    assert len(frozen.texts) == 3, "the paper's number alone is no line"


def test_data_efficiency_draws_percentages_and_baselines():
    for ax, classes in zip(drawn("data efficiency").axes, ("in", "unseen"), strict=True):
        rows = FRACTIONS[FRACTIONS["classes"] == classes]
        curves = errorbars(ax)
        for curve, (_, part) in zip(curves, rows.groupby("system", sort=False), strict=True):
            np.testing.assert_allclose(curve[:, 0], [20, 40, 60, 80, 100], atol=2)  # side by side
            np.testing.assert_allclose(curve[:, 1], part["value"])
        assert {bar[0].get_linestyle() for bar in ax.containers} == {"None"}, "a training each: not joined"
        dotted = [line.get_ydata()[0] for line in ax.lines if line.get_linestyle() == ":"]
        np.testing.assert_allclose(sorted(dotted), sorted(BASELINES.loc[BASELINES["classes"] == classes, "value"]))
    twice = pd.concat([FRACTIONS, FRACTIONS])
    with pytest.raises(InputError, match="one row each"):
        f.data_efficiency(twice)
    with pytest.raises(InputError, match="none"):
        f.data_efficiency(FRACTIONS.assign(value=np.nan))


def test_few_shots_shade_the_deviation():
    ax = drawn("few shots").axes[1]
    rows = SHOTS[(SHOTS["classes"] == "unseen") & (SHOTS["system"] == "EMBridge")]
    line = next(
        line for line in ax.lines if len(line.get_xdata()) == 5 and np.allclose(line.get_ydata(), rows["value"])
    )
    np.testing.assert_array_equal(line.get_xdata(), [10, 20, 40, 60, 80])
    bands = [c.get_paths()[0].vertices for c in ax.collections if isinstance(c, PolyCollection)]
    assert any(np.isin(rows["low"], v[:, 1]).all() and np.isin(rows["high"], v[:, 1]).all() for v in bands)
    committed = f.few_shot(SHOTS.assign(origin=np.where(SHOTS["system"] == "CPEP", "long run", "")))
    for ax in committed.axes:  # names stand at their lines' ends
        assert {t.get_text() for t in ax.texts} == {"CPEP †", "EMBridge", "chance"}
    assert [t.get_text() for t in committed.legends[0].get_texts()] == ["† committed rows"]


def dash_dotted(ax):
    """The values of lines in the pattern of the line without a network."""
    return [line for line in ax.lines if line.get_linestyle() == "-."]


def test_the_probe_without_a_network_is_a_line_through_both_protocols():
    to_beat = LINES[LINES["system"] == "Log-power + LDA"].set_index("classes")["value"]
    for name in ("table 2, no network", "ablation, no network"):
        figure = drawn(name)
        for ax in figure.axes:
            (line,) = dash_dotted(ax)
            assert line.get_xdata()[0] == to_beat["unseen" if "unseen" in ax.get_title() else "in"]
            assert not {"One class", "Log-power + LDA"} & {t.get_text() for t in ax.get_yticklabels()}, "no bars"
        labels = [t.get_text() for t in figure.legends[0].get_texts()]
        assert "Log-power + LDA (probe)" in labels and "one class, chance (0.25)" in labels
    assert not any(dash_dotted(ax) for ax in drawn("table 2").axes)
    for ax, classes in zip(drawn("data efficiency, no network").axes, ("in", "unseen"), strict=True):
        assert [line.get_ydata()[0] for line in dash_dotted(ax)] == [to_beat[classes]]
    for ax in (ax for ax in drawn("sensitivity, no network").axes if ax.axison):
        lines = {line.get_color(): line.get_ydata()[0] for line in dash_dotted(ax)}
        assert list(lines.values()) == [to_beat["in"], to_beat["unseen"]] and len(lines) == 2


def test_the_line_without_a_network_is_a_curve_over_shots():
    for ax, classes in zip(drawn("few shots, no network").axes, ("in", "unseen"), strict=True):
        (curve,) = dash_dotted(ax)
        np.testing.assert_allclose(curve.get_ydata(), FEWER.loc[FEWER["classes"] == classes, "value"])
        assert curve.get_color() == f.system_colours(["Log-power + LDA"])["Log-power + LDA"]


def test_batch_sizes_are_drawn_where_there_are_two_and_no_panel_is_empty():
    for ax, convention in zip(drawn("batch size").axes, ("same epochs", "same steps"), strict=True):
        part = SIZES[SIZES["convention"] == convention]
        np.testing.assert_allclose(np.concatenate(errorbars(ax))[:, 1], part["value"])
        assert [t.get_text() for t in ax.get_xticklabels()] == ["256", "512", "1024"]
        assert {bar[0].get_linestyle() for bar in ax.containers} == {"None"}, "a training each: not joined"
    gone = (SIZES["convention"] == "same steps") & (SIZES["batch_size"] > 256)
    (epochs,) = f.batch_size(SIZES.assign(value=SIZES["value"].where(~gone))).axes
    assert epochs.get_title() == "trained for the same epochs"
    with pytest.raises(InputError, match="two sizes"):
        f.batch_size(SIZES.assign(value=SIZES["value"].where(SIZES["batch_size"] == 256)))


def test_sensitivity_has_a_panel_each_with_its_default_marked():
    axes = [ax for ax in drawn("sensitivity").axes if ax.axison]
    assert [len(errorbars(ax)) for ax in axes] == [4] * 7 + [2], "zero-shot alone for k"
    for ax, (param, rows) in zip(axes, SWEPT.groupby("param", sort=False), strict=True):
        assert ax.get_xlabel() == style.NAMES[param]
        values = list(dict.fromkeys(rows["param_value"]))
        np.testing.assert_allclose(sorted(np.concatenate(errorbars(ax))[:, 1]), sorted(rows["value"]), err_msg=param)
        marked = [line.get_xdata()[0] for line in ax.lines if line.get_linestyle() == ":"]
        assert marked == [values.index(USUAL[param])]
    assert {bar[0].get_linestyle() for ax in axes for bar in ax.containers} == {"None"}, "a training each: not joined"
    middle = [np.mean([curve[0, 0] for curve in errorbars(ax)]) for ax in axes]
    np.testing.assert_allclose(middle, 0, atol=1e-9, err_msg="dots lie around their value, two as well as four")
    marked = f.sensitivity(SWEPT.assign(origin=np.where(SWEPT["param_value"] == "0.02", "long run", "")))
    assert [t.get_text() for t in marked.axes[0].get_xticklabels()] == ["0.02†", "0.05", "0.1", "0.2", "0.5"]


def test_a_choice_has_its_numbers_in_its_line():
    zero_shot, probe = drawn("choices").axes
    assert (zero_shot.get_title(), probe.get_title()) == ("zero-shot", "linear probe")
    names = [t.get_text() for t in zero_shot.get_yticklabels()]
    assert names == [
        "EMG normalisation: channel †", "InfoNCE: one-way (CPEP)", "InfoNCE: one-way (EMBridge)",
        "gallery exclusion: other-users",
    ], "what has no number has no line"  # fmt: skip
    for ax, protocol, lines in ((zero_shot, "ZS", (0, 1, 2, 3)), (probe, "LP", (0, 1, 2))):
        rows = CHOICES[CHOICES["protocol"] == protocol].dropna(subset="value")
        dots = [line for line in ax.lines if line.get_marker() in ("o", "s")]
        np.testing.assert_allclose([dot.get_xdata()[0] for dot in dots], rows["value"])
        assert [round(float(dot.get_ydata()[0])) for dot in dots] == [at for at in lines for _ in range(2)]
        leaves = ((rows["low"] > 0) | (rows["high"] < 0)).tolist()
        assert [dot.get_markerfacecolor() != "white" for dot in dots] == leaves


def test_a_loss_that_is_lost_ends_in_a_cross():
    loss, scores = drawn("divergence").axes
    crosses = [line for line in loss.lines if line.get_marker() == "x"]
    assert len(crosses) == 1 and crosses[0].get_xydata().tolist() == [[4, 20]]
    assert all(np.isfinite(line.get_ydata()).all() for line in loss.lines)
    dots = [line.get_xdata()[0] for line in scores.lines if line.get_marker() in ("o", "s")]
    np.testing.assert_allclose(sorted(dots), sorted(AT_THE_END["value"]))
    assert [t.get_text() for t in scores.get_yticklabels()][0] == "zero-shot,\nin-distribution"


def test_a_system_keeps_its_colour():
    alone, among = f.system_colours(["EMBridge"]), f.system_colours(["CPEP", "new", "EMBridge", "newer"])
    assert alone["EMBridge"] == among["EMBridge"]
    assert len(set(among.values())) == 4
