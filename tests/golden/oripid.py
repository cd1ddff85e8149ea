"""OriPID (WangWenhao0716/ID2): a linear map, CosFace, Adam, cosines."""

import pathlib
import re

import einops
import golden_kit
import jax
import jax.numpy as jnp
import numpy as np

from jmim.convert import table
from jmim.convert.tables import oripid as convert
from jmim.core import config as configs
from jmim.core import field
from jmim.core import method as methods
from jmim.core.settings import optim as settings
from jmim.methods.edit import oripid
from jmim.training import optim
from jmim.training import schedule

SKIPPED = {}
ROOT = pathlib.Path(__file__).resolve().parents[2]
PUBLISHED = ROOT / "configs" / "oripid_published.py"


def shape(numbers):
  """(side, channels) of latents of so many numbers; 4 channels where any fit.

  Columns are permuted on the way in and out, whatever the split: a row of
  them, where it is no square image, is an image of one pixel.
  """
  side = round((numbers / 4) ** 0.5)
  return (side, 4) if 4 * side**2 == numbers else (1, numbers)


def build(config):
  """The method; each example is an edit of its own."""
  side, channels = shape(config["in_dim"])
  return field.replace(
    oripid.OriPID(),
    size=side,
    channels=channels,
    features=config["features"],
    members=1,
    head=dict(
      classes=config["classes"],
      scale=float(config["scale"]),
      margin=float(config["margin"]),
    ),
    first_stage=dict(variant="none"),
  )


def adam(config):
  """(optimizer's settings, rate) of "betas 0.9/0.999, eps 1e-8, no decay"."""
  text = config["adam"]
  b1, b2 = re.search(r"betas ([\d.e-]+)/([\d.e-]+)", text).groups()
  eps = re.search(r"eps ([\d.e-]+)", text)[1]
  decay = re.search(r"(no|[\d.e-]+) decay", text)[1]
  made = settings.Optim(
    b1=float(b1),
    b2=float(b2),
    eps=float(eps),
    weight_decay=0.0 if decay == "no" else float(decay),
  )
  return made, float(config["adam_lr"])


def rates(epochs):
  """Factor of the rate in each epoch, of the published recipe."""
  config = configs.load(str(PUBLISHED))
  known = settings.Schedule(**config.schedule)
  made = schedule.make(known, config.optim.lr, config.train.total_steps)
  steps = known.stair_steps * np.arange(epochs)
  return np.asarray(made(steps)) / config.optim.lr


def run(case):
  m = build(case.config)
  rules = convert.full(m)
  params = golden_kit.import_main(m, rules, case.params, {})
  latents = lambda x: jnp.asarray(
    einops.rearrange(x, "... (c h w) -> ... h w c", c=m.channels, h=m.size)
  )
  x, y = latents(case.inputs["x"])[:, :, None], case.inputs["y"]
  assert len(y[0]) == case.config["batch"]
  chosen, rate = adam(case.config)
  constant = schedule.make(settings.Schedule(name="constant"), rate, 1.0)
  optimizer = optim.make(chosen, params, m.groups(), constant)
  state = optimizer.init(params)

  @jax.jit
  def step(params, state, batch):
    loss = lambda p: m.loss(methods.Weights(p), batch, {}, 0)[0]
    value, grads = jax.value_and_grad(loss)(params)
    new, state = optimizer.update(grads, state, params, 0)
    return value, grads, new, state

  named = lambda p: table.export_tree(rules, p["main"])[convert.W]
  first, losses, gradients = params, [], []
  for images, origins in zip(x, y, strict=True):
    batch = {"image": images, "origin": jnp.asarray(origins)}
    value, grads, params, state = step(params, state, batch)
    losses.append(value)
    gradients.append(named(grads))
  f = m.mapped(first, x[0][:, 0])
  cosines = m.head.cosines(first["main"]["prototypes"], f)
  query, reference = (
    m.predict()["features"](
      methods.Weights(params), {"image": latents(case.inputs[name])}, None
    )
    for name in ("query", "reference")
  )
  unit = lambda x: x / jnp.linalg.norm(x, axis=-1, keepdims=True)
  return {
    "features": f,
    "logits": m.head.logits(cosines, jnp.asarray(y[0])),
    "grad_fc1": gradients[0],
    "losses": np.stack(losses),
    "fc1_after": named(params),
    "lr_factor_per_epoch": rates(len(case.outputs["lr_factor_per_epoch"])),
    "similarity": jnp.einsum("qd,gd->qg", unit(query), unit(reference)),
  }
