"""Runs of random weights, made by `importing`."""

import kit
import numpy as np

from jmim.convert import families
from jmim.convert import importing
from jmim.convert import table
from jmim.core import config as configs
from jmim.core import discovery
from jmim.core import validate

SIDE = 16
PICTURE = np.random.default_rng(3).integers(0, 255, (31, 24, 3), np.uint8)


def workdir(folder, name, family, **fields):
  """A converted run of random weights; its path."""
  config = configs.base()
  config.data.update(
    name="folder",
    size=SIDE,
    eval_crop="center",
    eval_resize=20,
    mean=(0.1, 0.2, 0.3),
    std=(0.5, 0.6, 0.7),
  )
  config.method = configs.section(type=name, **fields)
  config.hardware.compile_cache = ""
  method = validate.build(discovery.find(name), fields, "method")
  rng = np.random.default_rng(0)
  named = {
    n: rng.normal(0, 0.2, x.shape).astype("f4")
    for n, x in kit.shapes(method).items()
  }
  rules = families.find(family).table(method)
  np.savez(folder / "w.npz", **dict(table.export_stream(rules, named)))
  importing.run(family, str(folder / "w.npz"), config, folder / "run")
  return folder / "run"
