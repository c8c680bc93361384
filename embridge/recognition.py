"""One new window of raw EMG, scored as soon as it is there: filter, normalise, encode, retrieve (METHOD 1, 8)."""

import copy
from functools import cache

import numpy as np
import torch
from scipy.fft import dct, idct
from scipy.signal import sosfreqz
from torch.nn.functional import normalize

from embridge.config import WindowConfig, n_bins
from embridge.errors import InputError
from embridge.evaluation import majority
from embridge.signals import emg_features, normalise_emg, sections
from embridge.tasks import Statistics


@cache
def _gain(config: WindowConfig) -> np.ndarray:
    """Squared gain (T,) of the filters at the frequencies of a cosine transform of one window."""
    hertz = np.arange(config.window) * config.sample_rate / (2 * config.window)
    return np.abs(sosfreqz(sections(config), hertz, fs=config.sample_rate)[1]) ** 2


def filter_window(emg: np.ndarray, config: WindowConfig) -> np.ndarray:
    """Band-pass and notch one window (T, C) of its own with zero phase; (C, T) float32, in the unit it came in.

    A stored window was filtered with its recording around it. Alone it is continued as in a mirror, which is what the
    cosine transform does: on noise that comes to within 4 to 13 % (RMS) of the stored window, where sosfiltfilt and
    its point reflection miss by 40 to 47 % and take ten times as long.
    """
    x = np.array(emg.T, dtype=np.float64, order="C")
    dead = np.ptp(x, axis=1) == 0
    if sections(config) is not None:
        x = idct(dct(x) * _gain(config))
    x[dead] = 0  # as in the store: what rounding leaves of a constant is no signal
    return x.astype(np.float32)


def features(filtered: np.ndarray, config: WindowConfig) -> np.ndarray:
    """Log-power (C, bins) float16 of one filtered window (C, T), as a store keeps it; InputError without a signal."""
    found = emg_features(filtered, n_bins(config))
    if found is None:
        raise InputError(
            "window of raw EMG: expected a signal, found one value in all samples and channels; look at the "
            "electrodes, or leave the window out"
        )
    return found


class Recogniser:
    """A trained system, ready to label windows one at a time as :func:`~embridge.evaluation.zero_shot` labels many.

    Parameters
    ----------
    model : CPEP or QFormerModel, in eval mode, on the device to use
    gallery, labels : (G, d) pose embeddings and (G,) ints, as for ``zero_shot``; normalised once, here
    config : how windows are filtered and shaped
    emg_tokens : the model's front end, ModelConfig.emg_tokens; windows are raw whatever it is
    emg_norm, statistics : of waveforms: TrainConfig.emg_norm; statistics of the pre-training windows, which "train"
        needs
    scale : of waveforms: what the store divides the recording by (its robust SD, in the unit of the windows)
    k, pooling : EvalConfig's
    precision : "fp32", as in every table, or "bf16": a copy of the model encodes in it, which is faster on
        a processor with AMX and slower where bf16 is emulated (``./run_all.sh --bench`` measures both)

    Raises
    ------
    InputError
        for a gallery that is empty, not finite or of another width than the model's, a scale that is not positive, a
        pooling or precision that does not exist, or a front end that is not the model's
    """

    def __init__(
        self,
        model,
        gallery,
        labels,
        config: WindowConfig,
        *,
        emg_tokens: str = "waveform",
        emg_norm: str = "channel",
        statistics: Statistics | None = None,
        scale: float = 1.0,
        k: int = 10,
        pooling: str = "max",
        precision: str = "fp32",
    ):
        parameter = next(model.parameters())
        gallery = torch.as_tensor(gallery).to(parameter)
        labels = torch.as_tensor(labels, dtype=torch.int64, device=parameter.device)
        d = model.encoder.cls.shape[-1]
        if gallery.ndim != 2 or gallery.shape[1] != d or not len(gallery) or len(labels) != len(gallery):
            raise InputError(
                f"recogniser: expected a gallery (G, {d}) and labels (G,), G at least 1, found {tuple(gallery.shape)} "
                f"and {tuple(labels.shape)}; embed the poses with the Pose-MAE that the model was aligned to"
            )
        if not gallery.isfinite().all():
            raise InputError("recogniser: expected a finite gallery, found NaN or infinity; look at the poses' windows")
        if not (np.isfinite(scale) and scale > 0):
            raise InputError(f"recogniser: expected a positive scale, found {scale}; take it from the recording's log")
        if emg_norm == "train" and statistics is None:
            raise InputError('recogniser: expected statistics for EMG scaled by "train", found none; give the study\'s')
        if pooling not in ("max", "mean"):
            raise InputError(f"recogniser: expected pooling 'max' or 'mean', found {pooling!r}")
        if precision not in ("fp32", "bf16"):
            raise InputError(f"recogniser: expected precision 'fp32' or 'bf16', found {precision!r}")
        self.dtype = torch.bfloat16 if precision == "bf16" else parameter.dtype
        self.model = copy.deepcopy(model).to(self.dtype) if precision == "bf16" else model
        steps, expected = model.encoder.tokenizer.steps, config.window if emg_tokens == "waveform" else n_bins(config)
        if emg_tokens not in ("waveform", "log-power") or steps != expected:
            raise InputError(
                f"recogniser: expected emg_tokens as the model was trained with, found {emg_tokens!r}, whose windows "
                f"have {expected} steps where the model reads {steps}"
            )
        self.config, self.emg_norm, self.scale = config, emg_norm if emg_tokens == "waveform" else emg_tokens, scale
        self.k, self.pooling = min(k, len(gallery)), pooling
        self.gallery = normalize(gallery.detach(), dim=-1)
        self.classes, self.votes = labels.unique(return_inverse=True)
        self.stats = None
        if emg_norm == "train":
            self.stats = {"mean": torch.tensor(statistics.emg_mean), "std": torch.tensor(statistics.emg_std)}

    def label(self, window) -> int:
        """The label that the window's k nearest poses vote for; arguments and errors as :meth:`neighbours`."""
        cosine, index = self.neighbours(window)
        return int(self.classes[majority(self.votes[index][None], cosine[None], len(self.classes))])

    @torch.inference_mode()
    def neighbours(self, window) -> tuple[torch.Tensor, torch.Tensor]:
        """Cosines (k,) and gallery indices (k,) of the nearest poses, best first.

        ``window`` is (T, C), raw, in the recording's unit. Raises InputError for another shape or a number that is
        not finite, and where log-power is read for a window without a signal: the store leaves such windows out, too.
        """
        window, shape = np.asarray(window), (self.config.window, self.config.n_channels)
        if window.shape != shape:
            raise InputError(
                f"window of raw EMG: expected {shape[0]} samples x {shape[1]} channels, found "
                f"{' x '.join(map(str, window.shape))}; cut it to {shape[0] / self.config.sample_rate:g} s"
            )
        bad = ~np.isfinite(window)
        if bad.any():
            raise InputError(
                f"window of raw EMG: expected finite numbers, found {bad.sum()} that are not, in channels "
                f"{np.flatnonzero(bad.any(0)).tolist()}; take a window without them"
            )
        x = filter_window(window, self.config)  # (C, T)
        if self.emg_norm == "log-power":
            x = torch.from_numpy(features(x, self.config)).float()[None]  # (1, C, bins)
        else:
            x = normalise_emg(torch.from_numpy(x / np.float32(self.scale))[None], self.emg_norm, self.stats)
        queries = self.model.queries(x.to(self.gallery.device, self.dtype))[0].to(self.gallery)  # (M, d)
        if self.pooling == "mean":
            queries = queries.mean(0, keepdim=True)
        cosine = (normalize(queries, dim=-1) @ self.gallery.T).amax(0)  # (G,)
        return cosine.topk(self.k)
