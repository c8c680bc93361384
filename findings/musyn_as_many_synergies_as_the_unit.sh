#!/usr/bin/env bash
# musyn 0.1.0: of the same EMG it finds 1 synergy in volts, 2 in millivolts and 4 in microvolts, where 4 were put in.
#
# Versions:  musyn 0.1.0, PyWavelets 1.9.0, joblib 1.6.0, scipy 1.17.1, numpy 2.4.6.
# Input:     10 cycles of 200 samples of the envelopes of 8 muscles, made of 4 synergies that are active one after the
#            other, with noise of 15 % and a floor, and a strongest level of about 0.1 mV; the same numbers in V, mV and
#            uV. Through select_synergy_number() for 1 to 6 synergies, with the cycles as events: by its default "min",
#            which it names the paper's recommendation, and by "vaf".
# Behaviour: the first is documented as an information criterion on an envelope matrix, of which no unit or scale is
#            asked for. Its term for the misfit divides squared errors by a variance plus a standard deviation. These
#            have different units: with small numbers the deviation outweighs the variance, and the term goes down with
#            the scale, while the two terms for the number of parameters stay. In volts the misfit counts for nothing,
#            and the fewest synergies are always chosen. The formula is documented, that it depends on the unit is not.
#            "vaf" does not depend on it. No warning is given.
# Output:    in V, up to 0.00014 V: 1 synergies by min, 4 by vaf
#            in mV, up to 0.14 mV: 2 synergies by min, 4 by vaf
#            in uV, up to 1.4e+02 uV: 4 synergies by min, 4 by vaf
# Why it matters: the number of muscle synergies is the result that papers on motor control and stroke report and
#            compare. Recordings are in V, mV or uV by the amplifier's file format; the package's own linear_envelope()
#            keeps that unit, and its first example goes from there to the number. 1, 2 and 4 are all plausible.
# Exits 1 if this changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf -- "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check PyWavelets==1.9.0 joblib==1.6.0 scipy==1.17.1 \
    numpy==2.4.6
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps musyn==0.1.0
cd "$place"
found=$("$place/venv/bin/python" - <<'PY'
import warnings

import musyn
import numpy as np

warnings.simplefilter("error")
generator = np.random.default_rng(0)
cycle = np.arange(200) / 200
activations = np.tile([np.exp(-0.5 * ((cycle - centre) / 0.08) ** 2) for centre in (0.15, 0.4, 0.65, 0.88)], 10)
weights = np.zeros((8, 4))
weights[range(8), [0, 0, 1, 1, 2, 2, 3, 3]] = [1, 0.8, 1, 0.7, 1, 0.8, 1, 0.8]
weights[[1, 3, 5, 7], [1, 2, 3, 0]] = [0.2, 0.3, 0.2, 0.2]
envelopes = weights @ activations
envelopes = np.abs(envelopes * (1 + 0.15 * generator.normal(size=envelopes.shape)))
envelopes += 0.02 * np.abs(generator.normal(size=envelopes.shape))
for unit, scale in (("V", 1e-4), ("mV", 0.1), ("uV", 100)):
    settings = {"k_range": range(1, 7), "events": range(0, 2001, 200), "n_runs": 2, "n_jobs": 1, "seed": 0}
    counts = [musyn.select_synergy_number(scale * envelopes, method=name, **settings) for name in ("min", "vaf")]
    print(f"in {unit}, up to {scale * envelopes.max():.2g} {unit}: {counts[0]} synergies by min, {counts[1]} by vaf")
PY
)
echo "$found"
[ "$found" = "in V, up to 0.00014 V: 1 synergies by min, 4 by vaf
in mV, up to 0.14 mV: 2 synergies by min, 4 by vaf
in uV, up to 1.4e+02 uV: 4 synergies by min, 4 by vaf" ]
