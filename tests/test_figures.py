"""Every figure on small arrays: axes carry labels, type is large enough, nothing is cut off or collides."""

from functools import cache

import figure_inputs
import pytest
from figure_inputs import FIGURES
from matplotlib.text import Text

drawn = cache(figure_inputs.drawn)  # both tests look at the same pictures


def tick_labels(axis):
    """The major tick labels of an axis that are in view, in order."""
    low, high = sorted(axis.get_view_interval())
    labels = [t.label1 for t in axis.get_major_ticks() if low <= t.get_loc() <= high]
    return [label for label in labels if label.get_visible() and label.get_text()]


def is_number(text):
    return text.replace("−", "").replace(".", "").isdigit()


@pytest.mark.parametrize("name", FIGURES)
def test_labels_units_and_type_size(name):
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
        assert ax.get_label() != "<colorbar>" or ax.get_ylabel() or ax.get_xlabel(), "colours have no name"


@pytest.mark.parametrize("name", FIGURES)
def test_nothing_is_cut_off_and_tick_labels_keep_apart(name):
    figure = drawn(name)
    everything, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
    assert everything.x0 > -0.03 and everything.x1 < width + 0.03, "cut off at a side"
    assert everything.y0 > -0.03 and everything.y1 < height + 0.03, "cut off at the top or bottom"
    for ax in figure.axes:
        boxes = [label.get_window_extent() for label in tick_labels(ax.yaxis)] if ax.axison else []
        for one, other in zip(boxes, boxes[1:], strict=False):
            overlap = min(one.y1, other.y1) - max(one.y0, other.y0)
            assert overlap < 0.25 * one.height, "tick labels collide"


def test_names_at_the_ends_of_lines_are_in_the_lines_order_and_do_not_touch():
    figure, rows = drawn("data efficiency"), figure_inputs.FRACTIONS
    figure.draw_without_rendering()
    for ax, classes in zip(figure.axes, ("in", "unseen"), strict=True):
        names = sorted(ax.texts, key=lambda t: Text.get_window_extent(t).y0)
        ends = [t.xy[1] for t in names]
        assert ends == sorted(ends) and len(names) == 3 + 5 + 1
        boxes = [Text.get_window_extent(t) for t in names]  # without the line to them
        assert all(lower.y1 < upper.y0 + 0.2 * upper.height for lower, upper in zip(boxes, boxes[1:], strict=False))
        last = rows[(rows["classes"] == classes) & (rows["fraction"] == 1)].set_index("system")["value"]
        assert {t.get_text(): t.xy[1] for t in names}["CPEP"] == last["CPEP"]
