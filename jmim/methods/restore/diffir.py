r"""DiffIR, second stage: a diffusion model guesses what a restorer is told.

Xia, Zhang, Wang, Wang, Wu, Tian, Yang, Van Gool, ICCV 2023. Equal to the
authors' code (Zj-BinXia/DiffIR@293f86c): `tests/golden` compares the schedule,
every step of the walk, all terms of the loss, and images in training and after.

The vector z of the first stage (`restore.diffir_prior`), whose encoder E is
frozen, has seen the truth x. Here it is made of the spoilt image y alone, by T
calls of a small MLP that all get gradients (`parts/vector_walk.py`):

    z      = E(y, x)                 frozen
    z_T    = a_T z + s_T eps         eps: draw;  restoring begins at z_T = eps
    z'     = walk(z_T, c),  c = C(y)
    loss   = mean |z' - z|                           stage "condition": C and D
    loss   = mean |z' - z| + mean |x - G(y, z')|     stage "joint": all but E

and of a KL between the softmaxes of z / 0.15 and z' / 0.15 only its value is
logged. Super-resolution may add features of a VGG and a critic, the second
player (`critic`, see `parts/pixel_critic.py`). Start "condition" from a run of
the first stage and "joint" from one of "condition", by `init_from`: moments of
the optimizer start afresh, as the authors' do.

Reference (from memory): GoPro 33.20 dB, SSIM .963; HIDE 31.55, .947.

Following the released code: the reverse step is the posterior's mean of a
predicted z_0, where the paper writes one of a predicted noise. Weights: family
`diffir`; E is a const, of a run or an .npz.

    C=configs/diffir_cifar10.py
    python -m jmim.main --config=configs/diffir_prior_cifar10.py --workdir=W1
    python -m jmim.main --config=$C:stage=condition,first=W1 --workdir=W2
    python -m jmim.main --config=$C:first=W1,start=W2 --workdir=W3
    python -m jmim.tools.claim diffir
"""

import dataclasses

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.methods.parts import host as hosts
from jmim.methods.parts import pixel_critic
from jmim.methods.parts import vector_walk
from jmim.methods.restore import diffir_prior

Array = jax.Array
FIRST = "first"
TEMPERATURE = 0.15  # of the divergence that is logged


@dataclasses.dataclass(frozen=True, kw_only=True)
class DiffIR(diffir_prior.DiffIRPrior):
  """A restorer, and a diffusion model of the vector that it is told."""

  first: hosts.Host = field.part(
    hosts.Host, "encoder of the first stage", weights="ema"
  )
  walk: vector_walk.VectorWalk = field.part(
    vector_walk.VectorWalk, "diffusion of the vector"
  )
  stage: str = field.value(
    "joint",
    "networks that learn: condition and denoiser alone, or the restorer too",
    choices=("condition", "joint"),
  )
  critic: pixel_critic.PixelCritic = field.part(
    pixel_critic.PixelCritic, "losses beside those of pixels and vectors"
  )

  @classmethod
  def tiny(cls) -> "DiffIR":
    """The tiny first stage, three times, and a critic."""
    return field.replace(
      super().tiny(),
      walk=dict(times=3),
      critic=dict(weight=0.02, width=4, perceptual=0.02, features="small"),
    )

  @property
  def players(self) -> tuple[str, ...]:
    """The restorer; the critic, if there is one."""
    return ("main", *self.critic.players)

  def inputs(self) -> dict[str, method.Input]:
    """Images in 0 .. 1, or pairs of them."""
    if self.vector == "constant":
      raise ValueError(
        "vector='constant' is the first stage's baseline: restore.diffir "
        "guesses the vector of images"
      )
    if self.stage == "condition" and (
      self.critic.weight or self.critic.perceptual
    ):
      raise ValueError(
        "critic.weight and critic.perceptual are of stage 'joint': in "
        "'condition' the restorer does not learn"
      )
    self.critic.check(self.size, self.channels)
    return super().inputs()

  def consts(self) -> dict[str, method.Const]:
    """The first stage's encoder, and the network of the features."""
    init = lambda key: self.encoder.init(key, *self.blank())["params"]
    factor = ("method.degraded.factor", self.degraded.factor)
    agrees = {"degraded.factor": factor}
    encoder = self.first.const(init, agrees, key="method.first")
    return {FIRST: encoder} | self.critic.consts()

  def init(self, key, batch) -> tuple[method.Tree, method.Tree]:
    """Parameters of all players; extra: the critic's spectral norm."""
    del batch
    k_net, k_condition, k_denoiser, k_critic = jax.random.split(key, 4)
    y, x = self.blank()
    z = jnp.zeros((1, self.prior.vector))
    main = {
      "net": self.net.init(k_net, y, z)["params"],
      "condition": self.encoder.init(k_condition, y)["params"],
      "denoiser": self.walk.init(k_denoiser, self.prior.vector),
    }
    critic, extra = self.critic.init(k_critic, x)
    return {"main": main} | critic, extra

  def draw(self, keys, batch, step) -> method.Draws:
    """Those of the first stage, and eps [b, d]."""
    draws = super().draw(keys, batch, step)
    shape = (method.batch_size(batch), self.prior.vector)
    return draws | {"noise": jax.random.normal(keys("noise"), shape)}

  def known(self, weights: method.Weights, y: Array, x: Array) -> Array:
    """z [b, d] that has seen the truth."""
    return self.encoder.apply({"params": weights.consts[FIRST]}, y, x)

  def walked(self, params: method.Tree, y: Array, z: Array) -> Array:
    """States [T, b, d] of the walk from z_T [b, d], the last is z'."""
    c = self.encoder.apply({"params": params["condition"]}, y)
    return self.walk.walk(params["denoiser"], z, c)

  def loss(self, weights, batch, draws, step, player="main") -> method.Loss:
    """Of condition and denoiser, of all that restores, or of the critic."""
    del step
    (y, x), params = self.pair(batch, draws), weights.params["main"]
    z = self.known(weights, y, x)
    made = self.walked(params, y, self.walk.noised(z, draws["noise"]))[-1]
    if player == pixel_critic.PLAYER:
      image = self.restored(params, y, made)
      return self.critic.of_critic(weights, x, jax.lax.stop_gradient(image))
    loss = jnp.abs(made - z).mean()
    aux = {"loss_vector": loss, "kl": divergence(z, made)}
    if self.stage == "condition":
      return loss, aux
    image = self.restored(params, y, made)
    pixels = self.error(image, x, y)
    more, terms = self.critic.of_maker(weights, x, image)
    return loss + pixels + more, aux | {"loss_pixels": pixels} | terms

  def after(self, weights, aux, step, player="main") -> method.Tree:
    """Where the critic moved, the state of its spectral norm."""
    del aux, step
    return self.critic.after(weights, player)

  def vectors(
    self,
    weights: method.Weights,
    y: Array,
    x: Array,
    normal: diffir_prior.Normal,
  ) -> Array:
    """z' [b, d] of spoilt images, from noise."""
    del x
    noise = normal(self.prior.vector)
    return self.walked(weights.params["main"], y, noise)[-1]

  def predict(self) -> dict[str, method.Predict]:
    """As the first stage; errors; known: vectors that have seen the truth."""
    outputs = {"errors": self.errors, "known": self.oracle}
    return super().predict() | outputs

  def oracle(self, weights, batch, key) -> Array:
    """z [b, d], which have seen the truth."""
    del key
    return self.known(weights, *self.fitting(*self.fixed(batch)))

  def errors(self, weights, batch, key) -> dict[str, Array]:
    """vector [b]: mean |z' - z|; spread [b]: |mean of z - z|, of the batch."""
    y, x = self.fitting(*self.fixed(batch))
    z, normal = self.known(weights, y, x), self.normal(batch, key)
    made = self.vectors(weights, y, x, normal)
    size = lambda gap: jnp.abs(gap).mean(-1)
    return {"vector": size(made - z), "spread": size(z.mean(0) - z)}

  def groups(self) -> tuple[method.Group, ...]:
    """In stage "condition" the restorer stays as it is."""
    if self.stage == "joint":
      return ()
    return (method.Group(pattern="^main/net/", frozen=True),)


def divergence(z: Array, made: Array) -> Array:
  """KL of softmax(z / 0.15) || softmax(z' / 0.15), [b, d] each, mean over b."""
  log_p, log_q = (jax.nn.log_softmax(a / TEMPERATURE) for a in (z, made))
  return (jnp.exp(log_p) * (log_p - log_q)).sum(-1).mean()
