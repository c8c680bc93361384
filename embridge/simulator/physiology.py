"""Every constant of the simulator that was calibrated: what physiology.toml beside this file holds, with units."""

from dataclasses import make_dataclass

from embridge.files import read_toml

_CONSTANTS = [(name, type(x), x) for part in read_toml(__file__).values() for name, x in part.items()]
_ABOUT = {"__module__": __name__, "__doc__": "The simulated people, hands and bands."}
Physiology = make_dataclass("Physiology", _CONSTANTS, namespace=_ABOUT, frozen=True)
PHYSIOLOGY = Physiology()
