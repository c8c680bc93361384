"""Answers to the exercises of chapter 01; run with a profile, ``smoke`` by default, it prints the numbers."""

import sys
from dataclasses import replace

import numpy as np
import torch
from scipy.signal import welch

from embridge.data.batches import normalise_emg
from embridge.data.cutting import cut_signals, place
from embridge.data.recordings import Segment, Signals
from embridge.data.signals import filter_emg
from embridge.study import Study


def windows(signals: Signals, config) -> int:
    """How many windows lie in a recording, none of which holds a failed frame."""
    failed = (signals.pose == 0).all(1)
    return len(place(signals.segments, failed, np.zeros_like(failed), config)[0])


def answers(study: Study) -> None:
    """Print them, of a study at any profile."""
    # 1. Between two failures the restart fits in as many windows as there is room for, the grid at most as many: so it
    #    never saves less than nothing. To save one it needs samples to spare. In 5.5 windows a failure of 0.1 costs the
    #    grid one of five and the restart none; in exactly 5 it costs both one.
    config, on_grid = study.windows, replace(study.windows, after_ik_failure="grid")
    for length, found in ((5.5, (5, 4)), (5.0, (4, 4))):
        pose = np.ones((round(length * config.window), config.n_joints), np.float32)
        pose[config.window // 5 : 3 * config.window // 10] = 0
        toy = Signals(np.ones((len(pose), config.n_channels)), pose, (Segment(0, len(pose), "a", 0),))
        assert tuple(windows(toy, how) for how in (config, on_grid)) == found
    every = study.source.recordings
    some = [r.load() for r in every[:: -(-len(every) // 40)]]
    restart, grid = (sum(windows(signals, how) for signals in some) for how in (config, on_grid))
    assert restart >= grid
    print(f"1. {len(some)} recordings: {restart} windows, on the grid {grid}, so {restart - grid} saved")
    # 2. It keeps how strong one window is beside another of the same recording, a grip beside a rest, which "window"
    #    makes alike. Gone in both is the gain of the recording as a whole, of amplifier, skin and electrodes: it is
    #    divided by its own scale, and at twice the gain its windows are the same. (What the muscles did more of
    #    in one recording than in another is gone with it.)
    name = study.store.table["recording"].value_counts().index[0]
    recording = next(r for r in every if r.key == name)
    signals = recording.load()
    louder = replace(signals, emg=2 * signals.emg)
    own, loud = (torch.from_numpy(cut_signals(recording, s, config, "waveform").arrays[0]) for s in (signals, louder))
    strength = {how: normalise_emg(own, how).std((1, 2), correction=0).numpy() for how in ("recording", "window")}
    assert np.allclose(strength["window"], 1, atol=1e-3) and torch.allclose(own, loud, atol=1e-3)
    print("2. SD of its windows:", *(f"{how} {sd.round(2)}" for how, sd in strength.items()))
    # 3. What stands above its neighbours at the mains' frequency: a ratio above 1. The notch takes out the muscle's
    #    part at that frequency as well. The harmonics stay; in a single recording noise may hide them.
    emg, rate, hum = signals.emg, config.sample_rate, config.notch
    notched, plain = (filter_emg(emg, replace(config, notch=notch)) for notch in (hum, None))
    frequency, power = welch(np.stack([notched, plain]), rate, nperseg=min(2048, len(emg)), axis=1)
    power = power.mean(2)  # (2, frequencies), over channels
    for times in (1, 2, 3):
        away = abs(frequency - times * hum)
        above = power[:, away.argmin()] / np.median(power[:, (away > 4) & (away < 12)], axis=1)
        print(f"3. {times * hum:.0f} Hz, times its neighbours: with the notch {above[0]:.2f}, without {above[1]:.2f}")
        assert times > 1 or above[0] < above[1]


if __name__ == "__main__":
    answers(Study("simulated", sys.argv[1] if len(sys.argv) > 1 else "smoke"))
