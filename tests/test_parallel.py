"""Work over processes from wherever people start it: a script without a guard, standard input, a pool, a notebook."""

import subprocess
import sys

import pytest

from embridge.parallel import in_order

PLAIN = "from embridge.parallel import in_order\nprint('once', list(in_order(abs, [-3, -2, -1], 2)))\n"
# what is defined in the script itself, and what cannot be pickled, are done here
OWN = """from embridge.parallel import in_order
def own(x):
    return -x
print('once', list(in_order(own, [-3, -2, -1], 2)), list(in_order(lambda x: -x, [-3, -2, -1], 2)))
"""
POOLED = """import multiprocessing
from embridge.parallel import in_order
def one(_):
    return list(in_order(abs, [-3, -2, -1], 2))
if __name__ == '__main__':
    with multiprocessing.get_context('spawn').Pool(1) as pool:
        print('once', *pool.map(one, [0]))
"""


@pytest.mark.parametrize("how", ["file", "stdin", "-c"])
@pytest.mark.parametrize("script", [PLAIN, OWN, POOLED], ids=["plain", "own", "pooled"])
def test_work_is_spread_from_any_kind_of_script_which_runs_once(tmp_path, script, how):
    if script is POOLED and how != "file":
        pytest.skip("such a pool itself needs a file")
    file = tmp_path / "script.py"
    file.write_text(script)
    argv = {"file": [file], "stdin": ["-"], "-c": ["-c", script]}[how]
    given = script if how == "stdin" else ""
    found = subprocess.run([sys.executable, *argv], input=given, capture_output=True, text=True, timeout=120)
    assert found.returncode == 0 and not found.stderr, found.stderr
    assert found.stdout.startswith("once [3, 2, 1]") and found.stdout.count("once") == 1


def test_the_script_s_name_is_back_afterwards_and_errors_come_through():
    main = sys.modules["__main__"]
    before = getattr(main, "__file__", None), main.__spec__
    assert list(in_order(abs, range(-20, 0), 2)) == list(range(20, 0, -1))
    assert (getattr(main, "__file__", None), main.__spec__) == before
    with pytest.raises(TypeError, match="bad operand"):
        list(in_order(abs, ["x", -1], 2))
