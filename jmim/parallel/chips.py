"""What the chips can do: peaks, memory and links, from data sheets.

Sources: Google Cloud's pages of TPU v4, v5e, v5p and v6e (peak, HBM,
interconnect per chip); NVIDIA's data sheets of A100, H100 and H200 (NVLink
per direction). A link is counted in one direction; all rates are of one chip.
"""

import dataclasses

import jax


@dataclasses.dataclass(frozen=True, kw_only=True)
class Chip:
  """One accelerator.

  Attributes:
    peak: dense bf16 rate [FLOP/s].
    hbm: memory [bytes].
    bandwidth: of that memory [bytes/s].
    ici: what all links to neighbours send together [bytes/s].
    axes: of the torus of its links; a ring along one has that share of them.
    dcn: share of a host's network that one chip has [bytes/s].
    unit: side of the matrix unit: products are padded to multiples of it.
  """

  peak: float
  hbm: float
  bandwidth: float
  ici: float
  dcn: float
  unit: int
  axes: int = 1


GIB = 2**30
_V5E = Chip(
  peak=197e12,
  hbm=16 * GIB,
  bandwidth=819e9,
  ici=200e9,
  dcn=3.1e9,
  unit=128,
  axes=2,
)
_V5P = Chip(
  peak=459e12,
  hbm=95 * GIB,
  bandwidth=2765e9,
  ici=600e9,
  dcn=6.2e9,
  unit=128,
  axes=3,
)
_V6E = Chip(
  peak=918e12,
  hbm=32 * GIB,
  bandwidth=1640e9,
  ici=448e9,
  dcn=6.2e9,
  unit=256,
  axes=2,
)
CHIPS = {  # beginning of `device_kind`
  "TPU v4": Chip(
    peak=275e12,
    hbm=32 * GIB,
    bandwidth=1228e9,
    ici=300e9,
    dcn=6.2e9,
    unit=128,
    axes=3,
  ),
  "TPU v5 lite": _V5E,
  "TPU v5e": _V5E,
  "TPU v5": _V5P,
  "TPU v5p": _V5P,
  "TPU v6 lite": _V6E,
  "TPU v6e": _V6E,
  "NVIDIA A100": Chip(
    peak=312e12, hbm=80e9, bandwidth=2039e9, ici=300e9, dcn=25e9, unit=16
  ),
  "NVIDIA H100": Chip(
    peak=989e12, hbm=80e9, bandwidth=3352e9, ici=450e9, dcn=50e9, unit=16
  ),
  "NVIDIA H200": Chip(
    peak=989e12, hbm=141e9, bandwidth=4800e9, ici=450e9, dcn=50e9, unit=16
  ),
}


def find(device: jax.Device) -> Chip | None:
  """The chip of a device; None where no data sheet is known (CPUs)."""
  kinds = [k for k in CHIPS if device.device_kind.startswith(k)]
  return CHIPS[max(kinds, key=len)] if kinds else None
