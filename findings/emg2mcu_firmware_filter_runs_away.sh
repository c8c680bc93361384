#!/usr/bin/env bash
# emg2mcu 0.1.0: the filter in the firmware that it writes overflows within 0.2 s; its own check says that it is right.
#
# Versions:  emg2mcu 0.1.0, pandas 3.1.1, scipy 1.17.1, numpy 2.4.6. Only its module "signal" is run, and of what it
#            imports only these are installed, not what plots: the three functions call nothing else.
# Input:     1 s at 1,000 Hz of white noise as EMG, of 0.1 of the converter's range, through emg_filter() in the mode
#            "deploy" with its defaults: a band pass of order 4 from 30 to 450 Hz and a notch at 60 Hz. The filter that
#            it returns goes to debug_esp32_filter() and to generate_esp32_code(), as in the package's own pipeline.
#            From the Arduino file that the latter writes, the table of coefficients is read, and the four statements
#            of its filter are run as they stand there, in 32 bits.
# Behaviour: the function is documented as made for numerical equivalence with SciPy. It writes the two feedback
#            coefficients with their signs turned, and statements that subtract them, which turns the signs again: the
#            feedback has the wrong sign in all five sections. Each has a pole far outside the unit circle, and the
#            output grows without bound. debug_esp32_filter() is there to compare SciPy and ESP32, but does not test
#            these statements: it runs others of its own, which add, and reports that both agree. No warning is given.
# Output:    debug_esp32_filter: errors below 1e-5: True
#            SciPy: first sample 0.006, largest of the first 50 ms 0.2, largest of 1 s 0.3
#            firmware: first sample 0.006, largest of the first 50 ms 3e+17, largest of 1 s inf
#            firmware, from the sample at 127 ms on: not a finite number
#            firmware with the signs turned: errors below 1e-5: True
#            largest pole of each section: 1.78 2.02 2.08 2.23 2.28, designed 0.74 0.84 0.89 0.93 0.99
# Why it matters: a prosthesis or a bracelet runs this filter before anything else, and emg2mcu is made for it. The
#            check says that firmware and design agree, so the fault is looked for in electrodes and wiring.
# Exits 1 if this changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf -- "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check pandas==3.1.1 scipy==1.17.1 numpy==2.4.6
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps emg2mcu==0.1.0
cd "$place"
found=$("$place/venv/bin/python" - <<'PY'
import contextlib
import importlib
import io
import re
import sys
import warnings
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from unittest.mock import MagicMock

import numpy as np
from scipy.signal import sosfilt

for name in ("matplotlib", "matplotlib.pyplot"):
    sys.modules[name] = MagicMock()
folder = Path(find_spec("EMG2MCU").origin).parent
sys.modules["EMG2MCU"] = ModuleType("EMG2MCU")
sys.modules["EMG2MCU"].__path__ = [str(folder)]
module = importlib.import_module("EMG2MCU.signal")
warnings.simplefilter("error")

emg = 0.1 * np.random.default_rng(0).normal(size=1000)
with contextlib.redirect_stdout(io.StringIO()):
    sos = module.emg_filter(emg, mode="deploy")[3]
    checked = module.debug_esp32_filter([emg], sos)[0]["max_error"]
    module.generate_esp32_code(sos)
code = next(Path().rglob("*.ino")).read_text(encoding="utf-8")
rows = re.findall(r"\{(-?\d.*f)\}", code)
table = np.array([[float(number[:-1]) for number in row.split(", ")] for row in rows])
loop = re.search(r"for \(int i = 0; i < NUM_SECTIONS; i\+\+\) \{([^}]*)\}", code).group(1)
statements = compile("\n".join(" ".join(one.replace("float ", "").split()) for one in loop.split(";")), "ino", "exec")


def firmware(coefficients):
    names, filtered = {"coeffs": coefficients, "w": np.zeros((len(coefficients), 2), np.float32)}, []
    for sample in emg:
        names["y"] = np.float32(sample)
        for names["i"] in range(len(coefficients)):
            exec(statements, names)
        filtered.append(names["y"])
    return np.nan_to_num(np.abs(filtered), nan=np.inf)


right = np.abs(sosfilt(sos, emg))
with np.errstate(over="ignore", invalid="ignore"):
    written = firmware(table.astype(np.float32))
turned = firmware((table * [1, 1, 1, -1, -1]).astype(np.float32))
print(f"debug_esp32_filter: errors below 1e-5: {checked < 1e-5}")
for name, out in (("SciPy", right), ("firmware", written)):
    largest = f"largest of the first 50 ms {out[:50].max():.0g}, largest of 1 s {out.max():.0g}"
    print(f"{name}: first sample {out[0]:.3f}, {largest}")
print(f"firmware, from the sample at {np.argmax(np.isinf(written))} ms on: not a finite number")
print(f"firmware with the signs turned: errors below 1e-5: {np.abs(turned - right).max() < 1e-5}")
wrong, designed = (
    " ".join(f"{np.abs(np.roots([1, *row])).max():.2f}" for row in rows) for rows in (table[:, 3:], -table[:, 3:])
)
print(f"largest pole of each section: {wrong}, designed {designed}")
PY
)
echo "$found"
[ "$found" = "debug_esp32_filter: errors below 1e-5: True
SciPy: first sample 0.006, largest of the first 50 ms 0.2, largest of 1 s 0.3
firmware: first sample 0.006, largest of the first 50 ms 3e+17, largest of 1 s inf
firmware, from the sample at 127 ms on: not a finite number
firmware with the signs turned: errors below 1e-5: True
largest pole of each section: 1.78 2.02 2.08 2.23 2.28, designed 0.74 0.84 0.89 0.93 0.99" ]
