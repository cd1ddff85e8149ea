r"""LDM: High-Resolution Image Synthesis with Latent Diffusion Models.

Rombach, Blattmann, Lorenz, Esser, Ommer, CVPR 2022. Equal to the authors' code
(CompVis/latent-diffusion@a506df5): `tests/golden` compares the UNet with a
context, its time embedding, the noise schedule and DDIM.

A UNet denoises in the latent space of a frozen autoencoder:

    z     = s E(x)                           s = 1 / std of the first batch
    x_t   = a_t z + s_t eps                  t ~ U{0..T-1}
    e     = net([x_t, c], t, context)        `parts/conditions.py`
    loss  = mean |eps - e|^p / exp(v_t) + v_t                     p = 2, or 1
            + elbo mean w_t |eps - e|^p,  w_t = beta^2/(2 sigma^2 alpha (1-a^2))

v_t is a parameter with `learn_log_var`, else 0; `elbo` is 0 in all models.

Reference (FID; DDIM): CelebA-HQ 5.11 (200 steps), FFHQ 4.98, LSUN-Churches 4.02
(kl-f8, 400), Bedrooms 2.95; ImageNet LDM-4-G 3.60 (guidance 1.5, 250 steps).

Following the released code: sampling visits times i T // S + 1 and ends at time
0 (`spacing="offset"`), with x0 not clipped; quantised first stages are used
before quantisation and quantise again when they decode; `first_stage.scale=0`
takes s from the first batch, 1 suits VQ. Differs: 10 % dropped contexts for all
tasks; holes are rectangles; low resolution is a bicubic reduction. Weights:
families `ldm_first_stage` and `ldm`.

    python -m jmim.main --config=configs/ldm_digits.py --workdir=W ...
    python -m jmim.tools.claim ldm
"""

import dataclasses

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.core import randomness
from jmim.diffusion import sampler as samplers
from jmim.diffusion import targets
from jmim.diffusion import weights as loss_weights
from jmim.methods.parts import conditions
from jmim.methods.parts import first_stage as stages
from jmim.methods.parts import gaussian
from jmim.methods.parts import guided
from jmim.methods.parts import labels as class_labels
from jmim.nn import norm
from jmim.nn.nets import unet


@dataclasses.dataclass(frozen=True, kw_only=True)
class LDM(method.Method):
  """Diffusion on a UNet in the latents of a first stage."""

  per_example = False  # the scale of the first batch
  shared = ("dropout",)

  size: int = field.value(
    32, "side of what is diffused, in pixels or latents", low=1
  )
  channels: int = field.value(3, "channels of what is diffused", low=1)
  dims: unet.Dims = field.part(unet.Dims, "UNet", was="{}", dropout=0.0)
  first_stage: stages.FirstStage = field.part(
    stages.FirstStage, "latents", was="{}", variant="vq-f4", scale=0.0
  )
  noise: gaussian.Gaussian = field.part(
    gaussian.Gaussian,
    "forward process",
    was="{}",
    schedule="scaled_linear",
    beta_start=0.0015,
    beta_end=0.0195,
    spacing="offset",
  )
  labels: class_labels.Labels = field.part(
    class_labels.Labels, "class labels", was="{}"
  )
  condition: conditions.Condition = field.part(
    conditions.Condition, "condition", was="{}"
  )
  sampling: guided.Guided = field.part(
    guided.Guided, "sampler", was="{}", clip=0.0
  )
  transformer: int = field.value(
    0, "blocks of cross-attention to a context; 0: self-attention", low=0
  )
  scale_shift: bool = field.value(False, "time as scale and shift")
  updown: bool = field.value(False, "resample in residual blocks")
  error: str = field.value("l2", "error of the noise", choices=("l1", "l2"))
  learn_log_var: bool = field.value(False, "a parameter v_t for every time")
  elbo: float = field.value(0.0, "weight of the bound", low=0.0)

  @classmethod
  def tiny(cls) -> "LDM":
    """4 x 4 latents of a 16-pixel image, conditioned on three tokens."""
    default = lambda name, **changes: dataclasses.replace(
      cls.__dataclass_fields__[name].default, **changes
    )
    return cls(
      size=4,
      dims=default(
        "dims",
        width=16,
        multipliers=(1, 2),
        blocks=1,
        attend_at=(2,),
        heads=2,
        norm_groups=4,
      ),
      first_stage=default(
        "first_stage", variant="kl-f4", width=8, blocks=1, path="W"
      ),
      noise=default("noise", times=20, beta_start=1e-3, beta_end=0.5),
      condition=conditions.Condition(
        task="tokens",
        tokens=3,
        vocabulary=9,
        token_depth=1,
        token_heads=1,
        context=8,
      ),
      sampling=default("sampling", steps=3),
      transformer=1,
    )

  @property
  def shape(self) -> tuple[int, int, int]:
    """[h, w, c] of what is diffused."""
    return (self.size, self.size, self.channels)

  def net(self, dropout: float = 0.0) -> unet.UNet:
    """The network, without dropout unless it is asked for."""
    return self.dims.net(
      out=self.channels,
      dropout=dropout,
      scale_shift=self.scale_shift,
      transformer=self.transformer,
      updown=self.updown,
      rt=self.rt,
    )

  def inputs(self) -> dict[str, method.Input]:
    """Images or moments, labels, and what the condition reads."""
    if self.condition.has_context != bool(self.transformer):
      raise ValueError(
        f"condition.task {self.condition.task!r} with transformer="
        f"{self.transformer}: a context needs blocks of cross-attention, and "
        "they need a context"
      )
    self.dims.check(self.size)
    self.sampling.check()
    self.noise.check(self.sampling, learns=False)
    side = self.size * self.first_stage.factor
    condition = self.condition.inputs(
      side, self.first_stage, self.labels.classes
    )
    images = self.first_stage.inputs(self.shape, measures=True)
    return images | self.labels.inputs() | condition

  def consts(self) -> dict[str, method.Const]:
    """The first stage."""
    return self.first_stage.consts()

  def sample_reads(self) -> tuple[str, ...]:
    """What the condition is made of, but for labels."""
    return conditions.READS.get(self.condition.task, ())

  def init(
    self, key: jax.Array, batch: method.Batch
  ) -> tuple[method.Tree, method.Tree]:
    """Parameters; the scale of the latents if it is to be measured."""
    del batch
    k_net, k_condition = jax.random.split(key)
    channels = self.channels + self.condition.channels(self.channels)
    x = jnp.zeros((1, self.size, self.size, channels))
    wide = self.condition.context
    context = jnp.zeros((1, 1, wide)) if self.transformer else None
    net = self.net().init(k_net, x, jnp.zeros(1), None, context)["params"]
    condition = self.condition.init(k_condition, self.labels.classes)
    main = {"net": net, "condition": condition}
    if self.learn_log_var:
      main["log_var"] = jnp.zeros(self.noise.times)
    measured = self.first_stage.measured
    return {"main": main}, {"scale": jnp.float32(0)} if measured else {}

  def draw(
    self, keys: randomness.Keys, batch: method.Batch, step: jax.Array
  ) -> method.Draws:
    """t, noise, posterior, those of the condition, and a seed of dropout."""
    del step
    b = len(jax.tree.leaves(batch)[0])
    shape = (b, *self.shape)
    draws = self.noise.draw(keys, shape) | self.labels.draw(keys, b)
    draws |= self.first_stage.draw(keys, shape) | self.condition.draw(keys, b)
    if self.dims.dropout:
      draws["dropout"] = jax.random.bits(keys("dropout"), ())
    return draws

  def loss(
    self,
    weights: method.Weights,
    batch: method.Batch,
    draws: method.Draws,
    step: jax.Array,
    player: str = "main",
  ) -> method.Loss:
    """Error of the noise; aux: the same without weights, and the scale."""
    del step, player
    z = self.first_stage.encode(weights, batch, draws)
    x_t, _, _ = self.noise.add(z, draws["t"], draws["noise"])
    ids = self.condition.dropped(batch, draws, self.labels)
    shown = self.shown(weights, batch | draws, ids)
    seed = draws.get("dropout")
    raw = self.network(weights.params, x_t, draws["t"], shown, seed)
    error = norm.DISTANCES[self.error](raw - draws["noise"]).mean((1, 2, 3))
    aux = {"loss_unweighted": error.mean()}
    if self.first_stage.measured:
      z = self.first_stage.unscaled(weights, batch, draws)
      aux["latent_scale"] = self.first_stage.factor_of(weights, z)
    return self.weighted(weights.params, error, draws["t"]), aux

  def weighted(
    self, params: method.Tree, error: jax.Array, t: jax.Array
  ) -> jax.Array:
    """[b] errors at times t [b] -> the loss."""
    v = params["main"]["log_var"][t] if self.learn_log_var else 0.0
    loss = (error / jnp.exp(v) + v).mean()
    if self.elbo:
      w = loss_weights.bound(self.noise.process, t)
      loss += self.elbo * (w * error).mean()
    return loss

  def after(
    self,
    weights: method.Weights,
    aux: method.Tree,
    step: jax.Array,
    player: str = "main",
  ) -> method.Tree:
    """Keeps the scale of the first batch."""
    del step, player
    return {"scale": aux["latent_scale"]} if weights.extra else weights.extra

  def shown(
    self, weights: method.Weights, batch: method.Batch, ids: jax.Array | None
  ) -> dict[str, jax.Array]:
    """The condition: context [b, n, d] of ids, concat [b, h, w, c]."""
    params = weights.params["main"]["condition"]
    concat = self.condition.concats(params, weights, batch, self.first_stage)
    return self.condition.contexts(params, ids) | concat

  def network(
    self,
    params: method.Tree,
    x: jax.Array,
    t: jax.Array,
    shown: dict[str, jax.Array],
    seed: jax.Array | None = None,
  ) -> jax.Array:
    """[b, h, w, c] noise at times t [b], with dropout if it has a seed."""
    if "concat" in shown:
      x = jnp.concatenate([x, shown["concat"]], axis=-1)
    rngs = {} if seed is None else {"dropout": jax.random.key(seed)}
    net = self.net(self.dims.dropout if rngs else 0.0)
    variables = {"params": params["main"]["net"]}
    return net.apply(variables, x, t, context=shown.get("context"), rngs=rngs)

  def output(
    self, raw: jax.Array, x: jax.Array, level: samplers.Level
  ) -> targets.Output:
    """What the sampler needs of a raw prediction at x."""
    clip = self.sampling.clip
    return self.noise.output(raw, x, level, channels=self.channels, clip=clip)

  def predict(self) -> dict[str, method.Predict]:
    """errors; sample, and restore where there is an image to compare."""
    predict = {"errors": self.errors}
    if self.first_stage.decodes:
      predict["sample"] = self.sample
      if self.condition.task in ("inpaint", "superres"):
        predict["restore"] = self.restore
    return predict

  def errors(
    self, weights: method.Weights, batch: method.Batch, key: jax.Array
  ) -> dict[str, jax.Array]:
    """eps [b]: squared error of the noise at random times, all shown."""
    draws = self.drawn(key, batch)
    z = self.first_stage.encode(weights, batch, draws)
    x_t, _, _ = self.noise.add(z, draws["t"], draws["noise"])
    shown = self.shown(weights, batch | draws, self.condition.ids(batch))
    raw = self.network(weights.params, x_t, draws["t"], shown)
    return {"eps": ((raw - draws["noise"]) ** 2).mean((1, 2, 3))}

  def sample(
    self, weights: method.Weights, batch: method.Batch, key: jax.Array
  ) -> jax.Array:
    """Images; where there is an image with a hole, the hole is filled."""
    task, ids = self.condition.task, self.condition.ids(batch)
    if task == "inpaint":
      b = len(batch["image"])
      batch = {"hole": jax.random.uniform(key, (b, 4)), **batch}
    null = (
      None if ids is None else self.condition.null_ids(ids, self.labels.classes)
    )
    denoise = self.sampling.denoiser(
      lambda x, t, shown: self.network(weights.params, x, t, shown),
      self.output,
      condition=tuple(self.shown(weights, batch, i) for i in (ids, null)),
      end=self.noise.end,
      channels=self.channels,
    )
    table = self.noise.table(self.sampling)
    z = self.sampling.run(
      table, denoise, shape=self.shape, batch=batch, key=key
    )
    made = self.first_stage.decode(weights, z)
    if task != "inpaint":
      return made
    hole = self.condition.hole(batch["hole"], made.shape[1])
    return jnp.where(hole > 0, made, batch["image"])

  def restore(
    self, weights: method.Weights, batch: method.Batch, key: jax.Array
  ) -> dict[str, jax.Array]:
    """image [b, H, W, c]: `sample`, to be compared with the batch's own."""
    return {"image": self.sample(weights, batch, key)}
