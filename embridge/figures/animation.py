"""Recognition as it happens, as a GIF: EMG and hand of a window, then the poses that it is most like, and the vote."""

from dataclasses import dataclass
from pathlib import Path
from textwrap import wrap

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from embridge.figures import style
from embridge.figures.hand import draw_hand

FRAMES, HOLD, HZ = 12, 1.5, 6  # of a window and again of its neighbours, seconds of its answer, pictures a second
SIZE, DPI = (7.6, 4.0), 100  # inches: pixels are the hundredths of an inch in which things are placed
COLOURS = 24  # of the GIF
SHOWN = 6  # neighbours


@dataclass(frozen=True)
class Recognised:
    """A window and what retrieval makes of it."""

    emg: np.ndarray  # (C, T) filtered, of about unit height
    pose: np.ndarray  # (20, steps) rad
    near: list[np.ndarray]  # the nearest poses' own (20, steps), best first
    names: list[str]  # their gestures
    truth: str  # the gesture's name
    answer: str  # the vote's
    votes: int  # how many of the k neighbours are of the answer
    k: int


def _frame(figure, of: Recognised, at: float, answered: bool, seconds: float, stamp: str) -> Image.Image:
    """One picture: EMG and hand until ``at`` (0 to 1) of the window; or all EMG, the answer, and all hands there."""
    figure.clear()
    ax, emg = figure.add_axes([0, 0, 1, 1]), figure.add_axes([0.03, 0.27, 0.32, 0.65])
    n, samples = of.emg.shape
    time = np.linspace(0, seconds, samples)
    seen = time <= (1.0 if answered else at) * seconds
    offset = 1.6 * np.arange(n, 0, -1)
    emg.plot(time[seen], (of.emg[:, seen] + offset[:, None]).T, color=style.MODALITY["emg"], lw=0.4)
    emg.axvline(at * seconds, color=style.GREY, lw=0.8)
    emg.set(xlim=(0, seconds), ylim=(0, 1.6 * (n + 1)), yticks=[], xlabel="time (s)")
    emg.tick_params(labelsize=11)
    emg.xaxis.label.set_size(11)

    ax.set(xlim=(0, 100 * SIZE[0]), ylim=(0, 100 * SIZE[1]), aspect="equal")
    ax.axis("off")
    places = [((336, 190), 0.9), *(((459 + 119 * (i % 3), 252 - 170 * (i // 3)), 0.58) for i in range(len(of.near)))]
    hands = list(zip([of.pose, *of.near], places, strict=True))
    for pose, (place, scale) in hands[: None if answered else 1]:
        draw_hand(ax, pose[:, round(at * (pose.shape[1] - 1))], at=place, scale=scale)
    ax.text(23, 378, f"EMG of {n} channels", fontsize=12)
    ax.text(336, 378, "the hand that made it", fontsize=12, ha="center")
    if answered:
        ax.text(578, 378, "poses nearest to the EMG", fontsize=12, ha="center")
        for name, ((x, y), _) in zip(of.names, places[1:], strict=True):
            ax.text(x, y + 83, "\n".join(wrap(name, 14)), fontsize=11, ha="center", linespacing=0.95)
        told = "right" if of.answer == of.truth else f"wrong: {of.truth}"
        ax.text(23, 50, f"{of.votes} of {of.k} nearest: {of.answer}\n({told})", fontsize=13, weight="bold", va="top")
    ax.text(752, 8, stamp, fontsize=11, color="0.4", ha="right")
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")


def recognition(windows: list[Recognised], file: Path, *, seconds: float, stamp: str = "") -> Path:
    """Write the GIF of some windows, one after the other, and return its path.

    Of each first EMG and hand, then once more the hand beside the poses that retrieval found, and the vote.

    seconds : a window's length; stamp : words in the corner, such as "simulated data"
    """
    style.use_style()
    figure, parts = Figure(SIZE, DPI), np.arange(1, FRAMES + 1) / FRAMES
    asked = [(window, at, answered) for window in windows for answered in (False, True) for at in parts]
    frames = [_frame(figure, *picture, seconds, stamp) for picture in asked]
    # One palette for all, so that little of a picture differs from the one before it, with the colours of all fingers
    answers = Image.fromarray(np.concatenate(frames[2 * FRAMES - 1 :: 2 * FRAMES]))
    palette = answers.quantize(COLOURS, Image.Quantize.MAXCOVERAGE, kmeans=3)
    frames = [picture.quantize(palette=palette, dither=Image.Dither.NONE) for picture in frames]
    milliseconds = ([1000 // HZ] * (2 * FRAMES - 1) + [round(HOLD * 1000)]) * len(windows)
    frames[0].save(file, save_all=True, append_images=frames[1:], duration=milliseconds, loop=0, optimize=True)
    return file
