r"""DiMR: noise predicted at several resolutions by one cascade of networks.

Liu, Zeng, He, Yu, Shen, Chen, NeurIPS 2024. Equal to the authors' code
(qihao067/DiMR@fa141ae): `tests/golden` compares predictions, skips, targets,
losses and a norm. A transformer sees coarse tokens, ConvNeXts finer maps
(`nn/nets/dimr.py`); norms depend on time (`nn/dimr.py`):

    x_n      = a_n x + s_n eps                     n ~ U{1..1000}
    e_1, ... = net(x_n, tau, y)       tau = 2 n / 1000 - 1,  y none: p = 0.1
    eps_k    = sums of eps in squares of r_k x r_k, over r_k: variance 1
    loss     = sum_k c_k mean (e_k - eps_k)^2      c_k = 1 / r_k^2

r_k: side of x over that of branch k; the last has 1, and samples.

Reference (ImageNet, FID, 800 epochs): 256 px XL/2R 1.70, without guidance 4.50
(from memory), G/2R 1.63; 512 px XL/3R 2.89.

Following the released code: blocks have RMSNorms that depend on time, where the
paper has LayerNorms (`dims.norm=td_layer`); weight decay on everything but the
slopes and offsets of time; DPM-Solver "fast". Not followed: float32 queries,
keys and values; they sample at n = 1000, 996.004, .. and stop at 1, here n are
whole numbers and the last step leads to data; at 512 px `scaling_factor` has
the initial latent divided by its deviation; a last branch of patches is kept at
the side of its map (`dims.unfolded=False`). Their guidance .4 is 1.4 here (of
the FIDs: `sampling.guidance_power`). `dims.norm=adaln`: adaLN-zero, to compare.

    python -m jmim.main --config=configs/dimr_shapes.py --workdir=runs/dimr
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.diffusion import boxes
from jmim.diffusion import model
from jmim.methods.parts import diffusers
from jmim.methods.parts import first_stage as stages
from jmim.methods.parts import gaussian
from jmim.methods.parts import guided
from jmim.methods.parts import labels as conditions
from jmim.nn.nets import dimr
from jmim.nn.nets import dimr_dims

Array = jax.Array
LOW = 0.2  # share of the times that are little noise, for `errors`


@dataclasses.dataclass(frozen=True, kw_only=True)
class DiMR(method.Method):
  """Denoising at several resolutions."""

  size: int = field.value(32, "side of what is diffused", low=1)
  channels: int = field.value(4, "channels of what is diffused", low=1)
  dims: dimr_dims.Dims = field.part(dimr_dims.Dims, "branches, coarse to fine")
  labels: conditions.Labels = field.part(conditions.Labels, "condition")
  first_stage: stages.FirstStage = field.part(
    stages.FirstStage, "images or latents"
  )
  noise: gaussian.Gaussian = field.part(
    gaussian.Gaussian,
    "forward process",
    schedule="scaled_linear",
    beta_start=0.00085,
    beta_end=0.012,
  )
  sampling: guided.Guided = field.part(
    guided.Guided, "sampler", sampler="dpmpp_3s", steps=250, clip=0.0
  )

  @classmethod
  def tiny(cls) -> "DiMR":
    """16 tokens of an 8-pixel image, then its map."""
    return field.replace(
      cls(),
      size=8,
      channels=3,
      dims=dict(widths=(16, 8), blocks=(2, 1), heads=(2, 1), kernels=(1, 3)),
      labels=dict(classes=3),
      noise=dict(times=20),
      sampling=dict(steps=3),
    )

  @property
  def shape(self) -> tuple[int, int, int]:
    """[h, w, c] of what is diffused."""
    return (self.size, self.size, self.channels)

  @property
  def net(self) -> dimr.DiMR:
    """The network."""
    classes, rt = self.labels.classes, self.rt
    return dimr.build(self.dims, self.shape, classes=classes, rt=rt)

  def inputs(self) -> dict[str, method.Input]:
    """Images or moments, and labels if there are any.

    Raises:
      ValueError: fields that do not go together.
    """
    self.dims.weights(self.size)
    self.sampling.check(self.labels.drop if self.labels.classes else None)
    self.noise.check(self.sampling, learns=False)
    return self.first_stage.inputs(self.shape) | self.labels.inputs()

  def consts(self) -> dict[str, method.Const]:
    """The first stage, to read images or to decode."""
    return self.first_stage.consts()

  def init(self, key, batch) -> tuple[method.Tree, method.Tree]:
    """Parameters; no extra state."""
    del batch
    x, none = jnp.zeros((1, *self.shape)), jnp.zeros(1, jnp.int32)
    return {"main": self.net.init(key, x, jnp.zeros(1), none)["params"]}, {}

  def draw(self, keys, batch, step) -> method.Draws:
    """t [b] = n - 1, noise and posterior [b, h, w, c], label_drop [b]."""
    del step
    parts = (self.noise, self.labels, self.first_stage)
    shape = (method.batch_size(batch), *self.shape)
    return method.draws_of(keys, shape, *parts)

  def tau(self, t: jax.Array) -> jax.Array:
    """The networks' times of -1 .. 1, of times 0 .. T - 1."""
    return 2 * (t + 1) / self.noise.times - 1

  def denoised(
    self, weights: method.Weights, batch: method.Batch, draws: method.Draws
  ) -> tuple[tuple[jax.Array, ...], tuple[jax.Array, ...]]:
    """(x_t, a, s) at the drawn times, and each branch's prediction."""
    z = self.first_stage.encode(weights, batch, draws).astype(jnp.float32)
    noisy = self.noise.add(z, draws["t"], draws["noise"])
    label, params = self.labels.dropped(batch, draws), weights.params["main"]
    tau = self.tau(draws["t"])
    out = self.net.apply({"params": params}, noisy[0], tau, label)
    return noisy, out["pred"]

  def terms(
    self, weights: method.Weights, batch: method.Batch, draws: method.Draws
  ) -> list[jax.Array]:
    """Mean squared error [b] of each branch, coarse to fine."""
    return boxes.errors(self.denoised(weights, batch, draws)[1], draws["noise"])

  def loss(self, weights, batch, draws, step, player="main") -> method.Loss:
    """Sum of the errors, each times its weight."""
    del step, player
    shares = self.dims.weights(self.size)
    terms = [e.mean() for e in self.terms(weights, batch, draws)]
    aux = {f"loss_{k}": e for k, e in enumerate(terms)}
    return sum(c * e for c, e in zip(shares, terms, strict=True)), aux

  def network(
    self, params: method.Tree, x: Array, t: Array, label: Array | None
  ) -> Array:
    """Noise [b, h, w, c] by the last branch, at times t [b]."""
    tau = self.tau(t)
    return self.net.apply({"params": params["main"]}, x, tau, label)["pred"][-1]

  def predict(self) -> dict[str, method.Predict]:
    """errors of held-out images; sample, if it can; branches."""
    made = self.first_stage.decodes and self.dims.full(self.size)
    pictures = {} if self.first_stage.net else {"branches": self.estimates}
    sample = {"sample": self.sample} if made else {}
    return {"errors": self.errors, **sample, **pictures}

  def errors(self, weights, batch, key) -> dict[str, jax.Array]:
    """mse and low [b]: of the last branch, at all times and at n <= T / 5."""
    draws = self.drawn(key, batch)
    few = jnp.int32(LOW * draws["t"])
    last = lambda t: self.terms(weights, batch, draws | {"t": t})[-1]
    return {"mse": last(draws["t"]), "low": last(few)}

  def estimates(self, weights, batch, key) -> dict[str, jax.Array]:
    """What is diffused: noisy, and branchK [b, h, w, c], denoised by each.

    Smaller ones are of the means over squares of r_k x r_k.
    """
    (x, a, s), preds = self.denoised(weights, batch, self.drawn(key, batch))
    every = enumerate(boxes.means(preds, x, a, s))
    return {"noisy": x} | {f"branch{k}": mean for k, mean in every}

  def sample(self, weights, batch, key) -> jax.Array:
    """Images [b, h, w, c] in the units of the input; see `parts/guided.py`."""
    z = self.sampling.sample(
      self.noise,
      functools.partial(self.network, weights.params),
      condition=self.labels.condition(batch),
      shape=self.shape,
      batch=batch,
      key=key,
    )
    return self.first_stage.decode(weights, z)

  def diffuser(self, weights: method.Weights) -> model.Diffuser:
    """A run of it, frozen."""
    self.dims.check_full(self.size)
    return diffusers.of(self, weights, tell=self.labels.condition)

  def groups(self) -> tuple[method.Group, ...]:
    """As released: everything is decayed but how parameters follow time."""
    times = method.Group(pattern="/(slope|offset)$", decay=0.0)
    return times, method.Group(pattern="", decay=1.0)
