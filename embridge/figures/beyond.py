"""Figures of what no paper asks: unknown gestures, every stage as a class, a moved band, own windows, decoded hands."""

import io

import numpy as np
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from PIL import Image

from embridge.figures import style
from embridge.figures.hand import draw_hand
from embridge.figures.results import ACCURACY, errors, measured
from embridge.figures.sweeps import _curves, _legend

DECODED, CONSTANT = "decoded from EMG", "constant pose"
FRAMES, COLOURS = 20, 128  # of an animation
_USES = (style.MODALITY["pose"], "#E69F00", style.MODALITY["emg"], "#56B4E9", "#332288")  # two of poses, three of EMG


def open_set(curve: pd.DataFrame, point: pd.DataFrame, shares: pd.DataFrame, threshold: float) -> Figure:
    """Balanced accuracy of the windows that are answered, and where known and unknown windows lie on the score.

    A curve that rises to the left: what the system declines first is what it would have got wrong.

    curve : columns coverage, value, low, high; ``point``: the same, of the rule in use
    shares : columns classes, bin (its lower end), value: the share of windows in each bin of the score
    threshold : from which on the rule answers
    """
    curve = measured(curve, ["coverage"], "open_set").sort_values("coverage")
    figure, axes = style.new_figure(1, 2, height=3.6)
    left, right = axes[0]
    colour, kinds = style.system_colours(["EMBridge"])["EMBridge"], style.in_order(shares["classes"])
    left.fill_between(curve["coverage"], curve["low"], curve["high"], color=colour, alpha=0.2, lw=0)
    left.plot(curve["coverage"], curve["value"], color=colour, marker="o", ms=3.5)
    rule = {"color": "black", "marker": "D", "ms": 6, "capsize": 2.5, "ls": ""}
    left.errorbar(point["coverage"], point["value"], yerr=errors(point), **rule)
    left.axhline(style.CHANCE, **style.DASHED)
    left.set(xlabel="coverage: share of known windows answered", ylabel=ACCURACY, xlim=(0, 1.03), ylim=(0, 1))
    lines = {kind: style.SET_COLOURS.get(kind, style.OKABE_ITO[4]) for kind in kinds}
    names = {"in": "known gestures"} | {c: style.NAMES[c] for c in kinds if c != "in"}
    for (kind, line), pattern in zip(lines.items(), ("-", "--", "-."), strict=False):
        part = shares[shares["classes"] == kind].sort_values("bin")
        right.step(part["bin"], 100 * part["value"], where="post", color=line, ls=pattern, label=names[kind])
    right.axvline(threshold, color="black", ls=":", lw=1.2)
    right.set(xlabel="score: how sure of a known gesture", ylabel="share of windows (%)", ylim=(0, None))
    looks = dict(zip(names.values(), right.get_lines(), strict=False))
    rule = {"rule in use, 95 % interval": style.handle(**{k: v for k, v in rule.items() if k != "capsize"})}
    looks |= rule | {"threshold": style.handle(color="black", ls=":", lw=1.2)}
    style.legend_below(figure, looks | {style.CHANCE_NAME: style.handle(**style.DASHED)}, n_columns=3)
    return figure


def stage_confusions(counts: np.ndarray, names, family) -> Figure:
    """Confusions of many stages, in the given order: the share of each row's windows, the darker the more.

    Colours follow the root of a share, for among many stages most shares are small.
    Squares frame families: what is dark off the diagonal but within one is an error between stages that look alike.

    counts : (K, K) windows, row: true, column: answer
    names : K stages
    family : (K,) numbers, equal ones side by side; -1 for stages that are in none, which a line sets apart
    """
    counts, family, k = np.asarray(counts, dtype=float), np.asarray(family), len(names)
    figure, axes = style.new_figure(height=6.9, layout="compressed")
    ax, share = axes[0, 0], 100 * counts / np.maximum(counts.sum(1, keepdims=True), 1)
    image = ax.imshow(share, cmap="Blues", norm=PowerNorm(0.5, 0, max(float(share.max()), 1.0)))
    for number in np.unique(family[family >= 0]):
        first, last = np.flatnonzero(family == number)[[0, -1]]
        x, y = np.array([0, 1, 1, 0, 0]), np.array([0, 0, 1, 1, 0])
        ax.plot(first - 0.5 + x * (last - first + 1), first - 0.5 + y * (last - first + 1), color="#D55E00", lw=1.3)
    if (family < 0).any():
        apart = np.flatnonzero(family < 0)[0] - 0.5
        ax.axhline(apart, **style.DASHED)
        ax.axvline(apart, **style.DASHED)
    ax.set_xticks(range(k), [style.pretty(name) for name in names], rotation=90)
    ax.set_yticks(range(k), [style.pretty(name) for name in names])
    ax.tick_params(length=0)
    ax.set(xlabel="answer", ylabel="true stage")
    ax.spines[:].set_visible(False)
    ticks = [tick for tick in (0, 1, 5, 10, 20, 40, 60, 100) if tick <= image.norm.vmax]
    figure.colorbar(image, shrink=0.6, ticks=ticks, label="share of the stage's windows (%), root scale")
    return figure


def moved_band(rows: pd.DataFrame, differences: pd.DataFrame) -> Figure:
    """Zero-shot accuracy over the band's shift, and beside it the difference to a band in its place (dashed: none).

    A filled dot's interval excludes 0.

    ``rows``, ``differences``: columns classes, shift, value, low, high; one row for each of the first two.
    """
    figure, axes = style.new_figure(1, 2, height=3.2, sharex=True)
    for ax, part, line in zip(axes[0], (rows, differences), (style.CHANCE, 0.0), strict=True):
        measured(part, ["classes", "shift"], "moved_band")
        ax.axhline(line, **style.DASHED)
        for classes in style.in_order(part["classes"]):
            one, colour = part[part["classes"] == classes].sort_values("shift"), style.SET_COLOURS[classes]
            at, clear = one["shift"] + (0.03 if classes == "unseen" else -0.03), (one["low"] > 0) | (one["high"] < 0)
            ax.errorbar(at, one["value"], errors(one), color=colour, lw=1.4, capsize=2.5)
            ax.scatter(at, one["value"], s=36, ec=colour, c=[colour if full else "white" for full in clear], zorder=3)
        ax.set(xlabel="shift of the band (electrodes)", xticks=sorted(rows["shift"].unique()))
    axes[0, 0].set(ylabel=f"zero-shot {ACCURACY}", ylim=(0, 1))
    axes[0, 1].set(ylabel=f"difference in {ACCURACY}")
    shown = style.in_order(rows["classes"])
    entries = {style.NAMES[c]: style.handle(color=style.SET_COLOURS[c], marker="o", lw=1.4) for c in shown}
    style.legend_below(figure, entries | {f"chance ({style.CHANCE:.2f}); no difference": style.handle(**style.DASHED)})
    return figure


def own_windows(rows: pd.DataFrame) -> Figure:
    """Accuracy over the number of a user's own windows, a curve a use of them; other people's poses alone are a line.

    ``rows``: columns classes, system (the use), n (text), value, low, high; uses and n are drawn in their order, two
    uses of poses as solid curves, two of EMG as dashed ones and a probe of EMG as a dotted one. Where n is "0" the use
    is the line: broad and pale, so that a curve which lies on it does not hide it.
    """
    rows = measured(rows, ["classes", "system", "n"], "own_windows")
    line, rows = rows[rows["n"] == "0"], rows[rows["n"] != "0"]
    sizes, looks = list(dict.fromkeys(rows["n"])), (_USES, style.MARKERS, ("-", "-", "--", "--", ":"))
    rows, styles = rows.assign(at=rows["n"].map(sizes.index)), {}
    for use, colour, marker, ls in zip(dict.fromkeys(rows["system"]), *looks, strict=False):
        styles[use] = {"color": colour, "marker": marker, "ms": 4.5, "ls": ls}
    figure, panels = style.panels(style.in_order(rows["classes"]), height=3.6, sharey=True)
    without = {"color": style.PALE, "lw": 5, "solid_capstyle": "butt"}
    for classes, ax in panels.items():
        _curves(ax, rows[rows["classes"] == classes], "at", styles, step=0.09)
        ax.axhline(line.loc[line["classes"] == classes, "value"].item(), **without, zorder=0)
        ax.axhline(style.CHANCE, **style.DASHED, zorder=0)
        ax.set_xticks(range(len(sizes)), sizes)
        ax.set(xlabel="own windows", ylim=(0, 1))
    figure.axes[0].set_ylabel(ACCURACY)
    entries = {use: style.handle(**look) for use, look in styles.items()}
    _legend(figure, entries | {f"{line['system'].iloc[0]} alone": style.handle(**without)}, n_columns=2)
    return figure


def joint_errors(rows: pd.DataFrame) -> Figure:
    """Angle error of each joint: decoded from EMG (dots) and of a constant pose (bars), a panel a class set.

    ``rows``: columns system (DECODED, CONSTANT), classes, joint, value, low, high; one row for each of the first three.
    """
    measured(rows, ["system", "classes", "joint"], "joint_errors")
    joints, colour = list(dict.fromkeys(rows["joint"])), style.system_colours(["EMBridge"])["EMBridge"]
    class_sets, height = style.in_order(rows["classes"]), 1.1 + 0.2 * len(joints)
    figure, panels = style.panels(class_sets, height=height, sharex=True, sharey=True)
    for classes, ax in panels.items():
        part = rows[rows["classes"] == classes]
        bars, dots = (part[part["system"] == s].set_index("joint").loc[joints] for s in (CONSTANT, DECODED))
        ax.barh(range(len(joints)), bars["value"], height=0.7, color=style.PALE)
        ax.errorbar(dots["value"], range(len(joints)), xerr=errors(dots), fmt="o", ms=4, color=colour, capsize=2)
        ax.set_xlabel("mean absolute error (°)")
    style.name_lines(figure.axes[0], [style.joint_label(joint) for joint in joints])
    entries = {DECODED: style.handle(color=colour, marker="o", lw=1), CONSTANT: Patch(color=style.PALE)}
    style.legend_below(figure, entries)
    return figure


def decoded_hands(windows: list[tuple], *, seconds: float, stamp: str = "") -> bytes:
    """An animated PNG of true hands over decoded ones, a column a window, with the error of the moment and the mean.

    windows : of each its gesture by name, and true and decoded angles (20, steps), rad; seconds : a window's length, in
    which it plays; stamp : words in the corner, such as "simulated data"
    """
    style.use_style()
    figure, wide = Figure((1.8 * len(windows), 4.0), 100), 180 * len(windows)
    steps = np.linspace(0, windows[0][1].shape[1] - 1, FRAMES).round().astype(int)
    canvas, frames = FigureCanvasAgg(figure), []
    for step in steps:
        figure.clear()
        ax = figure.add_axes([0, 0, 1, 1])
        ax.set(xlim=(0, wide), ylim=(0, 400), aspect="equal")  # hundredths of an inch
        ax.axis("off")
        for i, (name, truth, decoded) in enumerate(windows):
            off, x = np.rad2deg(np.abs(truth - decoded)), 180 * i + 90
            for angles, y in ((truth, 258), (decoded, 88)):
                draw_hand(ax, angles[:, step], at=(x, y), scale=0.68)
            told = f"now {off[:, step].mean():.0f}°, mean {off.mean():.0f}°"
            for y, text in ((378, style.wrapped(name, 22)), (20, told)):
                ax.text(x, y, text, ha="center", va="center", fontsize=style.SMALL)
        for y, text in ((352, "true"), (192, DECODED)):
            ax.text(4, y, text, fontsize=style.SMALL, color=style.GREY)
        ax.text(wide - 4, 4, stamp, fontsize=8, color="0.4", ha="right")
        canvas.draw()
        frames.append(Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB"))
    palette, file = frames[-1].quantize(COLOURS), io.BytesIO()
    frames = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    each = round(1000 * seconds / FRAMES)
    frames[0].save(file, "png", save_all=True, append_images=frames[1:], duration=each, loop=0, optimize=True)
    return file.getvalue()
