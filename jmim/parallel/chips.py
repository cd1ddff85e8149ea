"""What the chips can do: peaks, memory and links, from data sheets.

Sources: Google Cloud's pages of TPU v4, v5e, v5p and v6e (peak, HBM,
interconnect per chip); NVIDIA's data sheets of A100, H100 and H200 (NVLink
per direction). A link is counted in one direction; all rates are of one chip.
"""

import dataclasses

import jax


@dataclasses.dataclass(frozen=True)
class Chip:
  """One accelerator.

  Attributes:
    peak: dense bf16 rate [FLOP/s].
    hbm: memory [bytes].
    bandwidth: of that memory [bytes/s].
    ici: what all links to neighbours send together [bytes/s].
    dcn: share of a host's network that one chip has [bytes/s].
    unit: side of the matrix unit: products are padded to multiples of it.
  """

  peak: float
  hbm: float
  bandwidth: float
  ici: float
  dcn: float
  unit: int


GIB = 2**30
_V5E = Chip(197e12, 16 * GIB, 819e9, 200e9, 3.1e9, 128)
_V5P = Chip(459e12, 95 * GIB, 2765e9, 600e9, 6.2e9, 128)
_V6E = Chip(918e12, 32 * GIB, 1640e9, 448e9, 6.2e9, 256)
CHIPS = {  # beginning of `device_kind`
  "TPU v4": Chip(275e12, 32 * GIB, 1228e9, 300e9, 6.2e9, 128),
  "TPU v5 lite": _V5E,
  "TPU v5e": _V5E,
  "TPU v5": _V5P,
  "TPU v5p": _V5P,
  "TPU v6 lite": _V6E,
  "TPU v6e": _V6E,
  "NVIDIA A100": Chip(312e12, 80e9, 2039e9, 300e9, 25e9, 16),
  "NVIDIA H100": Chip(989e12, 80e9, 3352e9, 450e9, 50e9, 16),
  "NVIDIA H200": Chip(989e12, 141e9, 4800e9, 450e9, 50e9, 16),
}


def find(device: jax.Device) -> Chip | None:
  """The chip of a device; None where no data sheet is known (CPUs)."""
  kinds = [k for k in CHIPS if device.device_kind.startswith(k)]
  return CHIPS[max(kinds, key=len)] if kinds else None
