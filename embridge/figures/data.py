"""Figures of the data: recordings, filters, windows, gestures, splits."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from embridge.errors import InputError
from embridge.figures.hand import FINGER_COLOURS, draw_hand
from embridge.figures.names import wrapped
from embridge.figures.style import GREY, OKABE_ITO, PALE, WIDTH, legend_below, new_figure, spans
from embridge.hand import FINGERS

_FAILURE = "#F2C9C0"


def _step(signals: np.ndarray) -> float:
    """Distance between stacked traces: eight typical standard deviations of (T, C), to one digit."""
    return float(f"{8 * np.median(signals.std(axis=0)):.1g}") or 1.0


def _stack_traces(ax, signals: np.ndarray, time: np.ndarray, *, step: float, colour=OKABE_ITO[0]) -> None:
    """Draw (T, C) signals one above the other, ``step`` apart, the first on top."""
    n = signals.shape[1]
    for c in range(n):
        ax.plot(time, signals[:, c] + (n - 1 - c) * step, color=colour, lw=0.5)
    ax.set_yticks(np.arange(n) * step, [str(n - c) for c in range(n)])
    ax.set_ylim(-step, n * step)
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)


def recording_traces(
    emg: np.ndarray,
    pose: np.ndarray,
    sample_rate: float,
    *,
    joint_names,
    failures: np.ndarray | None = None,
    emg_unit: str = "a.u.",
    pose_unit: str | None = None,
) -> Figure:
    """A stretch of one recording: all EMG channels above all joint angles, tracking failures shaded.

    Parameters
    ----------
    emg : (T, C); pose : (T, J); sample_rate : Hz
    joint_names : J names; those that begin with a finger's name are angles and get the finger's colour
    failures : (T,) bool, samples without a pose, which are not drawn
    pose_unit : None: rad for joint angles, raw values for other sensors (a glove)
    """
    time = np.arange(len(emg)) / sample_rate
    figure, axes = new_figure(2, 1, height=6.0, sharex=True, height_ratios=[1.5, 1])
    top, bottom = axes[:, 0]
    step = _step(emg)
    _stack_traces(top, emg - emg.mean(axis=0), time, step=step)
    top.set_ylabel(f"EMG channel\n(one step: {step:g} {emg_unit})")

    pose = np.array(pose, dtype=float)
    failures = np.zeros(len(pose), dtype=bool) if failures is None else np.asarray(failures, dtype=bool)
    pose[failures] = np.nan
    fingers = [next((f for f in FINGERS if name.lower().startswith(f)), None) for name in joint_names]
    for j, finger in enumerate(fingers):
        colour = FINGER_COLOURS[FINGERS.index(finger)] if finger else GREY
        bottom.plot(time, pose[:, j], color=colour, lw=0.9)
    quantity, unit = ("joint angle", "rad") if any(fingers) else ("glove sensor", "raw value")
    bottom.set(xlabel="time (s)", ylabel=f"{quantity} ({pose_unit or unit})", xlim=(time[0], time[-1]))
    handles = [
        Line2D([], [], color=colour, label=finger)
        for finger, colour in zip(FINGERS, FINGER_COLOURS, strict=True)
        if finger in fingers
    ]
    for start, stop in spans(failures):
        for ax in (top, bottom):
            ax.axvspan(start / sample_rate, stop / sample_rate, color=_FAILURE, lw=0, zorder=0)
    if failures.any():
        handles.append(Patch(color=_FAILURE, label="no pose: tracking failed"))
    if handles:
        legend_below(figure, handles, [h.get_label() for h in handles], n_columns=6)
    return figure


def filter_response(
    frequencies: np.ndarray,
    before: np.ndarray,
    after: np.ndarray,
    *,
    bandpass: tuple[float, float] | None,
    notch: float | None,
    unit: str = "unit²/Hz",
) -> Figure:
    """Power spectra (F,) of the EMG before and after filtering over ``frequencies`` (F,) in Hz, pass band shaded."""
    figure, axes = new_figure(height=3.0)
    ax = axes[0, 0]
    shown = np.asarray(frequencies) > 0
    if bandpass is not None:
        ax.axvspan(
            *bandpass, color=PALE, alpha=0.5, lw=0, zorder=0, label=f"pass band {bandpass[0]:g}–{bandpass[1]:g} Hz"
        )
    ax.plot(frequencies[shown], before[shown], color=GREY, label="before filtering")
    ax.plot(frequencies[shown], after[shown], color=OKABE_ITO[0], label="after filtering")
    if notch is not None:
        ax.axvline(notch, color=OKABE_ITO[4], ls=":", label=f"notch {notch:g} Hz")
    # What the filter removes falls by many decades: the axis stops where nobody can see a signal any more.
    top = max(np.max(before[shown]), np.max(after[shown]))
    ax.set(xscale="log", yscale="log", xlabel="frequency (Hz)", ylabel=f"EMG power density ({unit})")
    ax.set_ylim(top * 1e-7, top * 3)
    ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


def window_channels(windows: dict[str, np.ndarray], sample_rate: float, *, unit: str = "SD") -> Figure:
    """One window's EMG channels, a panel for each title: ``windows`` maps it to (C, T), all in the same ``unit``."""
    figure, axes = new_figure(1, len(windows), height=4.2)
    step = _step(np.concatenate([w.T for w in windows.values()], axis=1))
    for ax, (title, window) in zip(axes[0], windows.items(), strict=True):
        _stack_traces(ax, window.T, np.arange(window.shape[1]) / sample_rate, step=step)
        ax.set(title=title, xlabel="time (s)", xlim=(0, window.shape[1] / sample_rate))
    axes[0, 0].set_ylabel(f"EMG channel (one step: {step:g} {unit})")
    return figure


def hands_of_classes(
    poses: dict[str, np.ndarray], *, times: np.ndarray | None = None, hand: str = "right", view="palm"
) -> Figure:
    """Gestures as hands through time, a row each (Fig. 5).

    Parameters
    ----------
    poses : gesture to (n_frames, 20) joint angles, rad; the same number of frames for all
    times : (n_frames,) seconds, printed above the columns
    hand, view : see embridge.figures.hand.draw_hand
    """
    frames = {len(p) for p in poses.values()}
    if len(frames) != 1:
        raise InputError(f"hands_of_classes: expected the same number of frames a gesture, found {sorted(frames)}.")
    n_frames, cell = frames.pop(), (205.0, 225.0)  # mm: an open hand with its margin
    label = 1.25  # inches for the names
    size = (WIDTH - label) / n_frames
    figure, axes = new_figure(height=size * cell[1] / cell[0] * len(poses) + 0.3)
    ax = axes[0, 0]
    for row, (title, angles) in enumerate(poses.items()):
        for column, frame in enumerate(angles):
            draw_hand(ax, frame, hand=hand, view=view, at=(column * cell[0], -row * cell[1] - 25))
        ax.text(-0.55 * cell[0], -row * cell[1], wrapped(title, 14), ha="right", va="center")
    for column, time in enumerate([] if times is None else times):
        ax.text(column * cell[0], 0.52 * cell[1], f"{time:.2f} s", ha="center", va="bottom")
    ax.set_xlim(-(label / size + 0.5) * cell[0], (n_frames - 0.5) * cell[0])
    ax.set_ylim(-(len(poses) - 0.5) * cell[1], 0.62 * cell[1])
    ax.set_aspect("equal")
    ax.axis("off")
    return figure


def split_overview(table1: pd.DataFrame, *, columns=("users", "sessions", "windows")) -> Figure:
    """How much each subset of the split holds (Table 1), a panel a count, the paper's count as a diamond.

    Parameters
    ----------
    table1 : a row a subset: "split" (its name), the counts, and beside any count "paper: <count>" where the paper has
        it (missing elsewhere), as embridge.splits.table1 gives it
    columns : the counts to draw
    """
    figure, axes = new_figure(1, len(columns), height=0.9 + 0.32 * len(table1), sharey=True)
    rows = np.arange(len(table1))
    compared = False
    for ax, column in zip(axes[0], columns, strict=True):
        values = table1[column].to_numpy(dtype=float)
        ax.barh(rows, values, color=OKABE_ITO[0], height=0.65)
        top = max(values.max(), 1.0)
        if f"paper: {column}" in table1 and table1[f"paper: {column}"].notna().any():
            paper = table1[f"paper: {column}"].to_numpy(dtype=float, na_value=np.nan)
            ax.plot(paper, rows, ls="", marker="D", ms=5.5, mfc="white", mec="black")
            top, compared = max(top, np.nanmax(paper)), True
        ax.set(xlabel=f"{column} (count)", xlim=(0, 1.5 * top))
        for y, value in zip(rows, values, strict=True):
            ax.text(1.5 * top, y, f"{value:,.0f}", ha="right", va="center")
        ax.locator_params(axis="x", nbins=3)
    axes[0, 0].set_yticks(rows, list(table1["split"]))
    axes[0, 0].invert_yaxis()
    if compared:
        legend_below(figure, [Line2D([], [], ls="", marker="D", ms=5.5, mfc="white", mec="black")], ["paper's count"])
    return figure
