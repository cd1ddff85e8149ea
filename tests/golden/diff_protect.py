"""Diff-Protect: all attacks on a toy latent diffusion model, and its parts."""

import re

import einops
import golden_kit
import jax
import jax.numpy as jnp
import numpy as np

from jmim.core import field
from jmim.core import procedure
from jmim.diffusion import model
from jmim.diffusion import perturb
from jmim.diffusion import schedule
from jmim.methods.edit import diff_protect

SKIPPED = {}
ASKED = re.compile(
  r"(?P<kind>sds|sds_z|pgd_advdm|pgd_texture_only|pgd_mist)"
  r"_(?P<sign>plus|minus)(?P<target>_target)?"
)
ATTACKS = {
  "sds": "sds",
  "sds_target": "sdst",
  "sds_z": "latents",
  "pgd_advdm": "advdm",
  "pgd_texture_only": "encoder",
  "pgd_mist": "mist",
}
DIRECTIONS = {"plus": "ascent", "minus": "descent"}


def conv(params, name, x, stride=1):
  """A 3 x 3 convolution of theirs with padding 1."""
  return params[f"{name}.bias"] + jax.lax.conv_general_dilated(
    x,
    einops.rearrange(params[f"{name}.weight"], "o i h w -> h w i o"),
    (stride, stride),
    ((1, 1), (1, 1)),
    dimension_numbers=("NHWC", "HWIO", "NHWC"),
  )


def toy(case):
  """Their model as the record that procedures see."""
  p = {k: jnp.asarray(v) for k, v in case.params.items()}
  scale, size = case.config["scale_factor"], case.config["hidden"]
  _, _, c, h, w = case.inputs["noise"].shape
  assert (c, p["a"].shape) == (case.config["z_channels"], (size,))
  assert case.config["image"] in case.inputs["image"].shape[2:]

  def encode(images, noise=None):
    assert noise is None
    hidden = jax.nn.silu(conv(p, "enc1", images, stride=2))
    return scale * conv(p, "enc2", hidden, stride=2)

  def network(z, t, told):
    time = p["a"] * jnp.sin(t / 50.0)[:, None]
    told = (time + told @ p["w.weight"].T)[:, None, None]
    return conv(p, "d2", jnp.tanh(conv(p, "d1", z) + told))

  def decode(z):
    made = jnp.einsum("bhwc,cdij->bhiwjd", z / scale, p["dec.weight"])
    merged = einops.rearrange(made, "b h i w j d -> b (h i) (w j) d")
    return merged + p["dec.bias"]

  power = np.float64(case.inputs["alphas_cumprod"])
  assert len(power) == case.config["T"]
  before = np.concatenate([[1.0], power[:-1]])
  cond = procedure.Input((case.config["cond_dim"],))
  return model.Diffuser(
    shape=(h, w, c),
    image=images(case, "image").shape[1:],
    schedule=schedule.Schedule(1 - power / before),
    network=network,
    tell=lambda batch: (batch["cond"], None),
    reads={"cond": cond},
    encode=encode,
    decode=decode,
  )


def images(case, name):
  return golden_kit.images(case.inputs[name])


def build(case, attack="sds", direction="ascent"):
  """The procedure of an attack with the options of a case."""
  c = case.config
  return field.replace(
    diff_protect.DiffProtect(attack=attack, direction=direction),
    budget={
      "epsilon": float(c["epsilon_255"]),
      "alpha": float(c["alpha_255"]),
      "steps": c["steps"],
    },
    target={"kind": "batch"},
    target_rate=float(c["target_rate"]),
    # Theirs adds up the distances of a batch and takes the mean of its losses.
    mist_rate=float(c["mist_rate"]) / len(case.inputs["image"]),
    readout={"kinds": ()},
  )


def given(case):
  """(batch, draws) of the inputs."""
  i = case.inputs
  batch = {n: images(case, n) for n in ("image", "target")}
  noise = einops.rearrange(i["noise"], "n b c h w -> b n h w c")
  draws = {"t": jnp.asarray(i["t"].T), "noise": jnp.asarray(noise)}
  return batch | {"cond": jnp.asarray(i["cond"])}, draws


def protected(case, source, asked):
  """The images of an attack, [b, c, h, w]."""
  kind = asked["kind"] + (asked["target"] or "")
  made = build(case, ATTACKS[kind], DIRECTIONS[asked["sign"]])
  made.check({"source": procedure.Model.of(source)})
  x = jax.jit(lambda *given: made.protected(source, *given))(*given(case))
  return einops.rearrange(np.asarray(x), "b h w c -> b c h w")


def first(case, source):
  """What the first step of SDS is made of."""
  batch, draws = given(case)
  made, clean = build(case), batch["image"]
  row = {"t": draws["t"][:, 0], "noise": draws["noise"][:, 0]}
  row["told"] = source.told(batch)
  push = lambda z: made.push(source, z, row)
  z = source.encode(clean)
  found = {
    "step0_z": z,
    "step0_residual": push(z),
    "step0_grad_x": perturb.pulled(source, clean, push),
  }
  return {
    name: einops.rearrange(np.asarray(x), "b h w c -> b c h w")
    for name, x in found.items()
  }


def run(case):
  source = toy(case)
  found = golden_kit.asked(case, first(case, source))
  for name in case.outputs:
    if asked := ASKED.fullmatch(name):
      found[name] = protected(case, source, asked)
  return found
