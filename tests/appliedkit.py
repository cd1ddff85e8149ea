"""A procedure on the 8 x 8 digits, with a model that was never trained."""

import dataclasses

import ml_collections
import toydiffusion

from jmim.core import config as configs
from jmim.core import field
from jmim.core import procedure
from jmim.methods.diffusion import dit
from jmim.session import given

MEAN, STD = (0.5,), (0.5,)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Noise(procedure.Procedure):
  """Reads no data; counts its examples while it fits."""

  fits = True

  source: procedure.Needs = field.part(procedure.Needs, "any diffusion model")
  by: float = field.value(1.0, "factor of the number that is fitted")

  def models(self):
    return {"source": self.source}

  def inputs(self, models):
    return models["source"].diffuser.reads

  def draw(self, keys, models, example):
    shape = models["source"].diffuser.shape
    return {"noise": procedure.jax.random.normal(keys("noise"), shape)}

  def collect(self, models, batch, draws):
    return {"index": batch["index"], "noise": draws["noise"].mean((1, 2, 3))}

  def fit(self, rows):
    index = [i for row in rows for i in row["index"].tolist()]
    return {"count": procedure.np.float64(self.by * len(set(index)))}

  def apply(self, models, fitted, batch, draws):
    many = fitted["count"] * (batch["index"] + 1)
    return {"many": many, "noise": draws["noise"]}


def model():
  """A tiny DiT for these digits."""
  return field.replace(dit.DiT.tiny(), channels=1, labels=dict(classes=10))


def find(needs, key, *, rt):
  """Random weights in the place of a run."""
  del needs
  owner = dataclasses.replace(model(), rt=rt)
  config = configs.base()
  config.data.update(mean=MEAN, std=STD)
  config.method = ml_collections.ConfigDict({"type": "diffusion.dit"})
  return given.Given(
    method=owner,
    weights=toydiffusion.fresh(owner),
    config=config,
    key=f"{key}.path",
    sha256="0" * 64,
  )


def recipe(data_dir, type_="edit.img2img", **fields):
  """A config; the data set is made where it is not there."""
  config = configs.procedure()
  config.data.update(
    name="digits/plain",
    data_dir=str(data_dir),
    batch=16,
    size=8,
    channels=1,
    mean=MEAN,
    std=STD,
  )
  config.procedure = configs.section(type=type_, **fields)
  config.apply.num = 20
  config.hardware.compile_cache = ""
  return config


def numbers(**fields):
  """A config of `Noise`, which needs no data set."""
  config = recipe("nowhere", __name__, **fields)
  config.data.name = ""
  config.apply.update(num=6, fit_num=5)
  config.data.batch = 8
  return config
