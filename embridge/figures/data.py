"""Figures of the data: recordings, filters, windows, gestures."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from embridge.data.hand import FINGERS
from embridge.errors import InputError
from embridge.figures import style
from embridge.figures.hand import FINGER_COLOURS, draw_hand

_FAILURE = "#F2C9C0"


def _step(signals: np.ndarray, apart: float = 8) -> float:
    """Distance between stacked traces: ``apart`` typical standard deviations of (T, C), to one digit."""
    return float(f"{apart * np.median(signals.std(axis=0)):.1g}") or 1.0


def _stack_traces(ax, signals: np.ndarray, time: np.ndarray, step: float) -> None:
    """Draw (T, C) signals one above the other, each over its zero, ``step`` apart, the first on top."""
    n = signals.shape[1]
    ax.hlines(np.arange(n) * step, time[0], time[-1], color=style.GREY, lw=0.3)
    ax.plot(time, signals + np.arange(n)[::-1] * step, color=style.MODALITY["emg"], lw=0.5)
    ax.set_yticks(np.arange(n) * step, [str(n - c) for c in range(n)])
    top, bottom = signals[:, 0].max() + (n - 1) * step, signals[:, -1].min()
    ax.set_ylim(min(-step, bottom), max(n * step, top))  # nothing of the outer traces is cut off
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)


def recording_traces(
    emg: np.ndarray, pose: np.ndarray, sample_rate: float, *, joint_names, failures: np.ndarray | None = None
) -> Figure:
    """A stretch of one recording: all EMG channels above all joint angles, tracking failures shaded.

    emg : (T, C), arbitrary units; pose : (T, J), rad, or raw values of a glove; sample_rate : Hz
    joint_names : J names; those that begin with a finger's name are angles and get the finger's colour
    failures : (T,) bool, samples without a pose, which are not drawn
    """
    time = np.arange(len(emg)) / sample_rate
    figure, axes = style.new_figure(2, 1, height=6.0, sharex=True, height_ratios=[1.5, 1])
    top, bottom = axes[:, 0]
    step = _step(emg)
    _stack_traces(top, emg - emg.mean(axis=0), time, step)
    top.set_ylabel(f"EMG channel\n(one step: {step:g} a.u.)")

    failures = np.zeros(len(pose), dtype=bool) if failures is None else failures
    pose = np.where(failures[:, None], np.nan, pose)
    colours = dict(zip(FINGERS, FINGER_COLOURS, strict=True))
    fingers = [next((f for f in FINGERS if name.lower().startswith(f)), None) for name in joint_names]
    for j, finger in enumerate(fingers):
        bottom.plot(time, pose[:, j], color=colours.get(finger, style.GREY), lw=0.9)
    label = "joint angle (rad)" if any(fingers) else "glove sensor (raw value)"
    bottom.set(xlabel="time (s)", ylabel=label, xlim=(time[0], time[-1]))
    entries = {finger: style.handle(color=colour) for finger, colour in colours.items() if finger in fingers}
    for ax in (top, bottom):
        style.shade(ax, failures, sample_rate, color=_FAILURE)
    if failures.any():
        entries["no pose: tracking failed"] = Patch(color=_FAILURE)
    if entries:
        style.legend_below(figure, entries, n_columns=6)
    return figure


def filter_response(
    frequencies: np.ndarray,
    before: np.ndarray,
    after: np.ndarray,
    *,
    bandpass: tuple[float, float] | None,
    notch: float | None,
) -> Figure:
    """Power spectra (F,) of the EMG before and after filtering over ``frequencies`` (F,); band and notch in Hz, too."""
    figure, axes = style.new_figure(height=3.0)
    ax = axes[0, 0]
    shown = np.asarray(frequencies) > 0
    if bandpass is not None:
        label = f"pass band {bandpass[0]:g}–{bandpass[1]:g} Hz"
        ax.axvspan(*bandpass, color=style.PALE, alpha=0.5, lw=0, zorder=0, label=label)
    ax.plot(frequencies[shown], before[shown], color=style.GREY, label="before filtering")
    ax.plot(frequencies[shown], after[shown], color=style.MODALITY["emg"], label="after filtering")
    if notch is not None:
        ax.axvline(notch, color="black", ls=":", label=f"notch {notch:g} Hz")
    # What the filter removes falls by many decades: the axis stops where nobody can see a signal any more.
    top = max(np.max(before[shown]), np.max(after[shown]))
    ax.set(xscale="log", yscale="log", xlabel="frequency (Hz)", ylabel="EMG power density (a.u.²/Hz)")
    ax.set_ylim(top * 1e-7, top * 3)
    style.legend_beside(ax)
    return figure


def window_channels(windows: dict[str, np.ndarray], sample_rate: float, *, apart: float = 8) -> Figure:
    """One window's EMG channels, a panel for each title: ``windows`` maps it to (C, T), all in SD.

    ``apart``: the distance of traces in typical SD.
    """
    figure, panels = style.panels(windows, height=4.2)
    step = _step(np.concatenate([w.T for w in windows.values()], axis=1), apart)
    for ax, window in zip(panels.values(), windows.values(), strict=True):
        _stack_traces(ax, window.T, np.arange(window.shape[1]) / sample_rate, step)
        ax.set(xlabel="time (s)", xlim=(0, window.shape[1] / sample_rate))
    figure.axes[0].set_ylabel(f"EMG channel (one step: {step:g} SD)")
    return figure


def hands_of_classes(poses: dict[str, np.ndarray], *, times) -> Figure:
    """Gestures as right hands, seen from the palm, through time, a row each (Fig. 5).

    poses : gesture to (n_frames, 20) joint angles, rad; the same number of frames for all
    times : (n_frames,) seconds, printed above the columns; or texts in their place
    """
    frames = {len(p) for p in poses.values()}
    if len(frames) != 1:
        raise InputError(f"hands_of_classes: expected the same number of frames a gesture, found {sorted(frames)}.")
    n_frames, cell = frames.pop(), (205.0, 225.0)  # mm: an open hand with its margin
    label = 1.25  # inches for the names
    size = (style.WIDTH - label) / n_frames
    figure, axes = style.new_figure(height=size * cell[1] / cell[0] * len(poses) + 0.3)
    ax = axes[0, 0]
    for row, (title, angles) in enumerate(poses.items()):
        for column, frame in enumerate(angles):
            draw_hand(ax, frame, at=(column * cell[0], -row * cell[1] - 25))
        ax.text(-0.55 * cell[0], -row * cell[1], style.wrapped(title, 14), ha="right", va="center")
    for column, time in enumerate(times):
        text = time if isinstance(time, str) else f"{time:.2f} s"
        ax.text(column * cell[0], 0.52 * cell[1], text, ha="center", va="bottom")
    ax.set_xlim(-(label / size + 0.5) * cell[0], (n_frames - 0.5) * cell[0])
    ax.set_ylim(-(len(poses) - 0.5) * cell[1], 0.62 * cell[1])
    ax.set_aspect("equal")
    ax.axis("off")
    return figure
