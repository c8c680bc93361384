#!/usr/bin/env bash
# pyphysio 4.10.0: the power of EMG of 100 uV is 20,000 uV^2 and not 10,000, and the PSD's integral is 10, 20 or 39.
#
# Versions:  pyphysio 4.10.0, xarray 2026.9.0, dask 2026.8.0, pandas 3.1.1, scipy 1.17.1, numpy 2.4.6. Only PSD() and
#            PowerInBand() are run, on a signal, and of what pyphysio imports only these are installed: the two call
#            nothing else here.
# Input:     20 s of a sine of 100 Hz and 100 uV rms, so of 10,000 uV^2, at 1,000 and at 2,000 Hz. Through PowerInBand()
#            from 20 to 450 Hz by the methods "welch" and "period", and through PSD() with 512, 1,024 and 2,048 (the
#            default) as nfft; its values are summed and multiplied by the step between their frequencies.
# Behaviour: PowerInBand() is documented as the power in the frequency band and PSD() as the power spectral density with
#            nfft as its number of samples. PSD() takes SciPy's density and divides it by its number of values, nfft / 2
#            + 1, so the integral is the power divided by that. The documentation names a parameter to normalize, which
#            PSD() does not have, and no such division. PowerInBand() multiplies the sum of PSD()'s values by the
#            sampling rate; nfft / 2 + 1 steps of frequency would be right, which is half of it. No warning is given.
# Output:    1000 Hz: power 10000 uV^2, PowerInBand 19980 (welch) 19980 (period)
#            1000 Hz, nfft 512: integral of the PSD 38.9 uV^2
#            1000 Hz, nfft 1024: integral of the PSD 19.5 uV^2
#            1000 Hz, nfft 2048: integral of the PSD 9.8 uV^2
#            2000 Hz: power 10000 uV^2, PowerInBand 19979 (welch) 19980 (period)
#            2000 Hz, nfft 512: integral of the PSD 38.9 uV^2
#            2000 Hz, nfft 1024: integral of the PSD 19.5 uV^2
#            2000 Hz, nfft 2048: integral of the PSD 9.8 uV^2
# Why it matters: pyphysio has a preset for EMG, which lists this power from 4 to 40 Hz. Twice the power is 3 dB or an
#            rms that is 1.41 times too high, which looks like a stronger contraction; and noise floors in uV^2/Hz, by
#            which sensors are compared, depend on how finely the spectrum was computed.
# Exits 1 if this changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf -- "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check xarray==2026.9.0 dask==2026.8.0 pandas==3.1.1 \
    scipy==1.17.1 numpy==2.4.6
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps pyphysio==4.10.0
cd "$place"
found=$("$place/venv/bin/python" -W ignore - <<'PY'
import contextlib
import io
import sys
from unittest.mock import MagicMock

import numpy as np
import xarray  # noqa: F401 (it looks for what the next lines put in place)

for name in ("csaps", "h5py", "matplotlib", "matplotlib.pyplot", "nilearn", "pywt", "pyxdf", "sklearn"):
    sys.modules[name] = MagicMock()
sys.modules["sklearn.decomposition"] = MagicMock()
with contextlib.redirect_stdout(io.StringIO()):
    import pyphysio
    from pyphysio.indicators.frequencydomain import PowerInBand
    from pyphysio.utils import PSD

for rate in (1000, 2000):
    emg = 100 * np.sqrt(2) * np.sin(2 * np.pi * 100 * np.arange(20 * rate) / rate)
    signal = pyphysio.create_signal(emg, sampling_freq=rate)
    powers = [float(PowerInBand(20, 450, method)(signal).values.ravel()[0]) for method in ("welch", "period")]
    print(f"{rate} Hz: power {np.mean(emg**2):.0f} uV^2, PowerInBand {powers[0]:.0f} (welch) {powers[1]:.0f} (period)")
    for nfft in (512, 1024, 2048):
        density = PSD("welch", nfft=nfft)(signal)
        step = rate / nfft
        print(f"{rate} Hz, nfft {nfft}: integral of the PSD {density.values.sum() * step:.1f} uV^2")
PY
)
echo "$found"
[ "$found" = "1000 Hz: power 10000 uV^2, PowerInBand 19980 (welch) 19980 (period)
1000 Hz, nfft 512: integral of the PSD 38.9 uV^2
1000 Hz, nfft 1024: integral of the PSD 19.5 uV^2
1000 Hz, nfft 2048: integral of the PSD 9.8 uV^2
2000 Hz: power 10000 uV^2, PowerInBand 19979 (welch) 19980 (period)
2000 Hz, nfft 512: integral of the PSD 38.9 uV^2
2000 Hz, nfft 1024: integral of the PSD 19.5 uV^2
2000 Hz, nfft 2048: integral of the PSD 9.8 uV^2" ]
