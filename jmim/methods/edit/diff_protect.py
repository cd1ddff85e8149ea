r"""Diff-Protect: Toward Effective Protection Against Diffusion Based Mimicry.

Xue, Liang, Wu, Chen, ICLR 2024 ("... through Score Distillation"). Equal to the
authors' code (xavihart/Diff-Protect@ac5ffdb): `tests/golden` compares what all
attacks make, the latents, the residual and the first gradient.

An image gets a change of at most d per pixel that spoils what a frozen latent
diffusion model makes of it. All attacks are steps of one kind,

    z = E(x)    t ~ U{0..T-1}    n ~ N(0, I)    m = 1 (ascent), -1 (descent)
    r = e(a_t z + s_t n, t) - n     L = mean r^2     D = |z - E(y)|^2
    x <- box(x + alpha sign(J_E(x)' u))     |x - x0| <= d, then -1 <= x <= 1

    sds      u = m r                        e is not differentiated
    sdst     u = m target_rate r - dD/dz    the same, and drawn to a texture y
    latents  z <- z + alpha sign(m r), |z - E(x0)| <= d; x is the decoded z
    advdm    u = m dL/dz                    through e, as in mist
    encoder  u = -dD/dz                     (PhotoGuard)
    mist     u = mist_rate dL/dz - m dD/dz
    random   x = x0 + d sign(noise)         to compare with

and of advdm, encoder and mist alpha falls to a hundredth, as in the code. By
the abstract SDS protects as AdvDM and Mist do in half the time and memory, and
descent is seen least; the tables are not repeated here.

Clean and protected images are then edited from the same noise: by one call, by
SDEdit, by inpainting (`parts/readout.py`). Personalisation is left out.
Differs: t and n are per image; y is a board of checks, or stored with an image.

    python -m jmim.main --mode=apply --config=configs/diff_protect_digits.py \
      --workdir=runs/protected --config.procedure.source.path=runs/ldm
    python -m jmim.tools.claim diff_protect
"""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import procedure
from jmim.diffusion import invert
from jmim.diffusion import model
from jmim.diffusion import perturb
from jmim.methods.edit import img2img
from jmim.methods.parts import budget as budgets
from jmim.methods.parts import readout as readouts
from jmim.methods.parts import texture as textures

ATTACKS = ("sds", "sdst", "latents", "advdm", "encoder", "mist", "random")
TARGETED, SLOWING = ("sdst", "encoder", "mist"), ("advdm", "encoder", "mist")
PER_STEP = ("t", "noise", "posterior")
Row = dict[str, Any]


@dataclasses.dataclass(frozen=True, kw_only=True)
class DiffProtect(procedure.Procedure):
  """Images changed so that a frozen model cannot mimic them."""

  source: procedure.Needs = field.part(
    procedure.Needs, "diffusion model that images are protected from"
  )
  attack: str = field.value("sds", "how images are changed", choices=ATTACKS)
  direction: str = field.value(
    "descent",
    "whether the model's error falls or grows; encoder and random have none",
    choices=("descent", "ascent"),
  )
  budget: budgets.Budget = field.part(
    budgets.Budget, "box around an image, and steps in it"
  )
  posterior: bool = field.value(
    True, "sample the encoder's posterior at every step, not take its mean"
  )
  target: textures.Texture = field.part(
    textures.Texture, "texture of sdst, encoder and mist"
  )
  target_rate: float = field.value(5.0, "weight of r in sdst", low=0.0)
  mist_rate: float = field.value(1e4, "weight of L in mist", low=0.0)
  readout: readouts.Readout = field.part(
    readouts.Readout, "edits of clean and protected images"
  )

  @classmethod
  def tiny(cls) -> "DiffProtect":
    """Two targeted steps from a random place, and all edits."""
    made = field.replace(cls(attack="sdst"), target={"kind": "batch"})
    edits = {"kinds": readouts.KINDS, "steps": 4, "strength": 0.5}
    box = {"steps": 2, "start": True}
    return field.replace(made, budget=box, readout=edits)

  def models(self) -> dict[str, procedure.Needs]:
    """One diffusion model."""
    return {"source": self.source}

  def inputs(self, models) -> dict[str, procedure.Input]:
    """Images in -1 .. 1, perhaps textures, and what the model is told by."""
    source = models["source"].diffuser
    image = procedure.Input(source.image, range=(perturb.LOW, perturb.HIGH))
    target = self.target.inputs(image) if self.attack in TARGETED else {}
    return {"image": image, **target, **source.reads}

  def check(self, models) -> None:
    """Raises ValueError for a model or edits that will not do."""
    models["source"].diffuser.require("encode", "decode", "times")
    self.readout.check(lambda kind: self.editor(kind).check(models))

  def editor(self, kind: str) -> img2img.Img2Img:
    """What makes one of the edits."""
    return img2img.Img2Img(**self.readout.options(kind), rt=self.rt)

  def draw(self, keys, models, example) -> procedure.Draws:
    """t [n]; noise, posterior [n, h, w, c]; start [H, W, C]; edit, of edits."""
    source = models["source"].diffuser
    shape, times = (self.budget.steps, *source.shape), len(source.schedule)
    draws = {
      "t": jax.random.randint(keys("t"), shape[:1], 0, times),
      "noise": jax.random.normal(keys("noise"), shape),
      **self.budget.draw(keys, source.image),
    }
    if source.random and self.posterior:
      draws["posterior"] = jax.random.normal(keys("posterior"), shape)
    for kind in self.readout.kinds[:1]:  # the same for all of them
      named = lambda name: keys(f"edit {name}")
      draws["edit"] = self.editor(kind).draw(named, models, example)
    return draws

  def apply(self, models, fitted, batch, draws) -> procedure.Arrays:
    """clean, image [b, H, W, C], their edits, and `perturb.gains`."""
    del fitted
    source, clean = models["source"].diffuser, batch["image"]
    x = self.protected(source, batch, draws)
    first = {name: draws[name][:, 0] for name in ("t", "noise")}
    gains = perturb.gains(source, x, clean, told=source.told(batch), **first)
    edit = lambda kind: functools.partial(self.editor(kind).apply, models, {})
    edits = self.readout.made(edit, batch, x, draws.get("edit"))
    return {"clean": clean, "image": x} | edits | gains

  def protected(
    self, source: model.Diffuser, batch: procedure.Batch, draws: Any
  ) -> jax.Array:
    """Images [b, H, W, C] after all steps."""
    clean, start = batch["image"], draws.get("start")
    if self.attack == "random":
      return self.budget.corner(clean, start)
    x = self.budget.begun(clean, start)
    rows = {n: invert.steps_first(draws[n]) for n in PER_STEP if n in draws}
    lengths = self.budget.lengths(self.attack in SLOWING)
    rows["alpha"] = jnp.asarray(lengths, x.dtype)
    aim = {"told": source.told(batch)}
    if self.attack in TARGETED:
      aim["texture"] = self.target.encoded(source, batch)
    if self.attack == "latents":
      first = rows["posterior"][0] if "posterior" in rows else None
      x, clean = (source.encode(a, first) for a in (x, clean))
      x = perturb.near(x, clean, self.budget.radius)
    step = lambda x, row: (self.moved(source, x, clean, row | aim), None)
    x, _ = jax.lax.scan(step, x, rows)
    return source.decode(x) if self.attack == "latents" else x

  def moved(
    self, source: model.Diffuser, x: jax.Array, clean: jax.Array, row: Row
  ) -> jax.Array:
    """x [b, H, W, C] after one step (of `latents`, z).

    Args:
      source: the model.
      x: images, or what is diffused.
      clean: the same before the attack.
      row: alpha, t [b], noise [b, h, w, c], told; perhaps posterior, texture.
    """
    push = lambda z: self.push(source, z, row)
    if self.attack == "latents":
      step = row["alpha"] * jnp.sign(push(x))
      return perturb.near(x + step, clean, self.budget.radius)
    g = perturb.pulled(source, x, push, row.get("posterior"))
    return self.budget.boxed(x + row["alpha"] * jnp.sign(g), clean)

  def push(self, source: model.Diffuser, z: jax.Array, row: Row) -> jax.Array:
    """u [b, h, w, c], the direction in what is diffused; row: as `moved`."""
    m = 1.0 if self.direction == "ascent" else -1.0
    at = {name: row[name] for name in ("t", "noise", "told")}
    if self.attack in ("sds", "latents"):
      return m * perturb.residual(source, z, **at)
    if self.attack == "advdm":
      return m * perturb.slope(source, z, **at)
    closer = 2 * (row["texture"] - z)  # -dD/dz
    if self.attack == "sdst":
      return self.target_rate * m * perturb.residual(source, z, **at) + closer
    if self.attack == "mist":
      return self.mist_rate * perturb.slope(source, z, **at) + m * closer
    return closer

  def pictures(self) -> tuple[str, ...]:
    """Clean and protected images, and the edits of both."""
    return ("clean", "image", *self.readout.names())
