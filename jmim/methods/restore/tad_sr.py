r"""TAD-SR: one step in place of ResShift's fifteen, time-aware distillation.

He et al. 2024 (arXiv 2408.07476). Equal to the authors' code
(LearningHx/TAD-SR@8b0373f): `tests/golden` compares the teacher's walk, what
the student makes, all losses and the gradient of the score, once as released
and once as published, and logits and features of the critic.

A frozen `restore.resshift` F' teaches a copy F of it; z, y, z_T as there.

    z_s = F(z_T, T - 1),   z_t = F' in T steps without noise from the same z_T
    g   = e'(z_s at s) - e'(z_t at s)      s ~ U{0,1,2}: `parts/score_gap.py`
    D on the maps of F' at r              r ~ U{0..T-2}: `parts/timed_critic.py`
    loss of the discriminator = mean relu(1 - D(z)) + mean relu(1 + D(z_s))
    loss of the student, next = mean (z_s - z_t)^2
                   + hsd.weight mean sg(g) z_s - critic.weight mean D(z_s)

`hsd.kind` "sds", `critic.timed` False: ablations. Reference (from memory;
ImageNet-Test x4): LPIPS 0.227, CLIPIQA 0.652.
Following the paper where the code differs: what is noised again has Gaussian
noise (there `hsd.noise`, `critic.noise` "uniform"), the state is scaled once
(`hsd.double_scale`). Following the code: the convolution before the heads is 0
at first. Differs: one power iteration per step, there one per call. Weights:
family `tad_sr`; the first student is that of `init_from`.

    python -m jmim.main --config=configs/tad_sr_cifar10.py:teacher=T \
      --workdir=W
    python -m jmim.tools.claim tad_sr
"""

import dataclasses
import functools
from typing import Any
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.methods.parts import host as hosts
from jmim.methods.parts import residual
from jmim.methods.parts import restored
from jmim.methods.parts import score_gap
from jmim.methods.parts import timed_critic
from jmim.methods.restore import resshift
from jmim.nn import spectral
from jmim.nn import unet as layers

Array = jax.Array
TEACHER = residual.Walk(how="deterministic")


class Step(NamedTuple):
  """Weights, what is seen of a batch, and what was drawn for it."""

  weights: method.Weights
  seen: restored.Seen
  draws: method.Draws


@dataclasses.dataclass(frozen=True, kw_only=True)
class TADSR(resshift.ResShift):
  """A student of one step, and the critic of its samples."""

  players = ("discriminator", "student")

  teacher: hosts.Host = field.part(hosts.Host, "trained ResShift")
  hsd: score_gap.ScoreGap = field.part(score_gap.ScoreGap, "score distillation")
  critic: timed_critic.TimedCritic = field.part(
    timed_critic.TimedCritic, "discriminator"
  )

  @classmethod
  def tiny(cls) -> "TADSR":
    """Three steps of the teacher on images of 8 pixels."""
    critic = dict(taps=(2,), out=4)
    return field.replace(super().tiny(), critic=critic, hsd=dict(times=2))

  def inputs(self) -> dict[str, method.Input]:
    """What the teacher's method reads."""
    self.critic.check(self.dims)
    self.hsd.check(self.noise.times)
    return super().inputs()

  def consts(self) -> dict[str, method.Const]:
    """The teacher, and the first stage."""
    base = super()
    init = lambda key: base.init(key, {})[0]["main"]
    teacher = self.teacher.const(init, self.agrees(), key="method.teacher")
    return base.consts() | {"teacher": teacher}

  def init(self, key, batch) -> tuple[method.Tree, method.Tree]:
    """Both players; spectral: directions of the discriminator's norms."""
    k_student, k_critic = jax.random.split(key)
    student = super().init(k_student, batch)[0]["main"]
    taps = jax.eval_shape(self.inside, student, *self.example())
    heads, norms = self.critic.init(k_critic, self.dims, taps)
    return {"discriminator": heads, "student": student}, {"spectral": norms}

  def draw(self, keys, batch, step) -> method.Draws:
    """noise, hsd_noise, disc_noise like z; hsd_t, disc_t [b]; the input's."""
    del step
    b = method.batch_size(batch)
    shape = (b, *self.shape)
    return {
      "noise": jax.random.normal(keys("noise"), shape),
      **self.hsd.draw(keys, shape),
      **self.critic.draw(keys, shape, self.noise.times),
      **self.space.draw(keys, b),
    }

  def loss(self, weights, batch, draws, step, player="main") -> method.Loss:
    """Of the discriminator, or of the student; aux: its terms."""
    del step
    it = Step(weights, self.space.seen(weights, batch, draws), draws)
    made = self.once(weights.params["student"], *it.seen[1:], draws["noise"])
    if player == "discriminator":
      real, fake = self.judged(it, [it.seen.z, made])
      aux = {"logits_real": real.mean(), "logits_fake": fake.mean()}
      return self.critic.hinge(real, fake).mean(), aux
    terms = self.terms(it, made, self.taught(it))
    means = {name: term.mean() for name, term in terms.items()}
    return sum(means.values()), means

  def terms(self, it: Step, made: Array, taught: Array) -> dict[str, Array]:
    """regression, score, adversarial [b] of z_s `made` and z_t `taught`."""
    found = {"regression": ((made - taught) ** 2).mean((1, 2, 3))}
    if self.hsd.weight:
      both = dict(student=made, teacher=taught, y=it.seen.y)
      sees = (self.noise, self.teaches(it))
      found["score"] = self.hsd.loss(*sees, **both, draws=it.draws)
    if self.critic.weight:
      (fake,) = self.judged(it, [made])
      found["adversarial"] = self.critic.generator(fake)
    return found

  def teaches(self, it: Step) -> residual.Network:
    """F', of one batch of states or several one after the other."""
    teacher, low = it.weights.consts["teacher"], it.seen.low
    many = lambda x: jnp.concatenate([low] * (len(x) // len(low)))
    return lambda x, t: self.network(teacher, x, t, many(x))

  def taught(self, it: Step) -> Array:
    """z_t, a constant."""
    normal = lambda _: it.draws["noise"]
    walk = functools.partial(TEACHER.walk, self.noise, self.teaches(it))
    return jax.lax.stop_gradient(walk(y=it.seen.y, normal=normal)[0])

  def once(self, params: Any, y: Array, low: Array, noise: Array) -> Array:
    """z_s, by one call at the last time."""
    t = jnp.full(len(y), self.noise.times - 1)
    return self.network(params, self.noise.start(y, noise), t, low)

  def judged(self, it: Step, samples: list[Array]) -> list[Array]:
    """Logits [b, n] of each of several samples, noised alike."""
    t, eps, weights = it.draws["disc_t"], it.draws["disc_noise"], it.weights
    low = jnp.concatenate([it.seen.low] * len(samples))
    inside = functools.partial(self.inside, weights.consts["teacher"], low=low)
    noised = [self.noise.add(z, it.seen.y, t, eps) for z in samples]
    options = dict(inside=inside, noised=noised, t=t)
    heads, norms = weights.params["discriminator"], weights.extra["spectral"]
    return self.critic.logits(heads, norms, self.dims, **options)

  def inside(self, params: Any, x: Array, t: Array, low: Array) -> layers.Taps:
    """What is in a network on its way down, and its middle."""
    net, scaled = self.net(upward=False), self.noise.inside(x, t)
    return net.apply({"params": params}, scaled, t, low, method="tapped")[1]

  def after(self, weights, aux, step, player="main") -> method.Tree:
    """One power iteration, of the discriminator's new weights."""
    del aux, step
    if player != "discriminator":
      return weights.extra
    norms = weights.extra["spectral"]
    return {"spectral": spectral.iterate(weights.params[player], norms)}

  def predict(self) -> dict[str, method.Predict]:
    """errors; restore, and the same of the teacher."""
    found = super().predict()
    if "restore" in found:
      found["restore_teacher"] = self.restore_teacher
    return found

  def errors(self, weights, batch, key) -> dict[str, Array]:
    """[b] each: of the student, and of one call of the teacher, to z_t."""
    draws = self.drawn(key, batch)
    it = Step(weights, self.space.seen(weights, batch, draws), draws)
    once = functools.partial(self.once, y=it.seen.y, low=it.seen.low)
    taught, eps = self.taught(it), draws["noise"]
    error = lambda p: ((once(p, noise=eps) - taught) ** 2).mean((1, 2, 3))
    student, teacher = weights.params["student"], weights.consts["teacher"]
    return {"student": error(student), "first": error(teacher)}

  def restore(self, weights, batch, key) -> dict[str, Array]:
    """image by one call, target and input, in -1 .. 1."""
    once = functools.partial(self.once, weights.params["student"])
    made = lambda y, low, normal: once(y, low, normal(self.noise.times))
    return self.space.restored(weights, batch, key, made)

  def restore_teacher(self, weights, batch, key) -> dict[str, Array]:
    """The same by the teacher's walk, see `sampling`."""
    walk = functools.partial(self.walked, weights.consts["teacher"])
    return self.space.restored(weights, batch, key, walk)
