"""h-space (renhaa/semantic-diffusion): a toy UNet, sampled and looked into."""

import dataclasses

import einops
import flax.linen as nn
import golden_kit
import jax
import jax.numpy as jnp
import numpy as np

from jmim.core import field
from jmim.core import procedure
from jmim.diffusion import jacobian
from jmim.diffusion import model
from jmim.diffusion import schedule
from jmim.methods.edit import h_space
from jmim.methods.edit import h_space_jacobian

SKIPPED = {}
PLACE = dict(at="module", module="mid")


class Toy(nn.Module):
  """The network of the cases; h is the output of `mid`."""

  width: int
  channels: int

  @nn.compact
  def __call__(self, x, t):
    conv = lambda name, width, stride=1: nn.Conv(
      width, (3, 3), stride, padding=1, name=name
    )
    a = self.param("a", nn.initializers.zeros, (self.width,))
    time = a * jnp.sin(t / 50.0)[:, None, None, None]
    h = conv("mid", self.width)(jnp.tanh(conv("inp", self.width, 2)(x) + time))
    up = nn.ConvTranspose(self.width, (2, 2), (2, 2), "VALID", name="up")(h)
    y = jnp.tanh(up + conv("skip", self.width)(x))
    return conv("out", self.channels)(y)


def imported(params):
  """Their weights as ours."""
  found = {"a": params["a"]}
  for name in ("inp", "mid", "up", "skip", "out"):
    kernel = params[f"{name}.weight"]
    if name == "up":  # [in, out, kh, kw]; flax's is turned by half a circle
      kernel = einops.rearrange(kernel, "i o h w -> h w i o")[::-1, ::-1]
    else:
      kernel = einops.rearrange(kernel, "o i h w -> h w i o")
    found[name] = {"kernel": kernel, "bias": params[f"{name}.bias"]}
  return jax.tree.map(jnp.asarray, found)


def nhwc(x):
  return jnp.asarray(einops.rearrange(x, "... c h w -> ... h w c"))


def nchw(x):
  return einops.rearrange(np.asarray(x), "... h w c -> ... c h w")


def largest_positive(u, first):
  """Signs of directions [*first, ...] as in the cases."""
  flat = np.asarray(u).reshape(*np.shape(u)[:first], -1)
  at = np.abs(flat).argmax(-1)[..., None]
  return (flat * np.sign(np.take_along_axis(flat, at, -1))).reshape(np.shape(u))


class Ended(schedule.Schedule):
  """Paths end with `final` of the signal's square; 1: in clean data."""

  final = 1.0

  def levels(self, visited=None, end=None):
    path = super().levels(visited, end)
    path.signal[-1], path.noise[-1] = self.final**0.5, (1 - self.final) ** 0.5
    return path


def process(config):
  """Their schedule, and where its paths end."""
  name, *ends = golden_kit.schedule_of(config["betas"])
  process = Ended(schedule.betas(name, config["T"], *ends))
  object.__setattr__(process, "final", config["final_alpha_cumprod"])
  return process


def source(case):
  c = case.config
  net, params = Toy(c["width"], c["channels"]), imported(case.params)
  return model.Diffuser(
    shape=(c["image"], c["image"], c["channels"]),
    schedule=process(c),
    network=lambda x, t, told: net.apply({"params": params}, x, t),
  )


class Sampled:
  """Their sampler: walks of `HSpace` with given noises and offsets."""

  def __init__(self, case):
    self.models = {"source": procedure.Model.of(source(case))}
    self.steps = case.config["inference_steps"]
    # The one direction of its fit is the offset itself.
    self.method = field.replace(
      h_space.HSpace(shown=1, components=1, alphas=(1.0,)),
      walk=dict(place=PLACE, steps=self.steps),
    )
    self.start = nhwc(case.inputs["x_T"])
    self.offset = nhwc(case.inputs["delta_h"])

  def with_walk(self, **walk):
    made = field.replace(self.method, walk=walk)
    made.check(self.models)
    return made

  def images(self, noise=None, **walk):
    """(without, with the offset) of a walk."""
    draws = {"start": self.start}
    if noise is not None:
      each = jnp.broadcast_to(noise, (len(self.start), *noise.shape))
      draws["noise"] = each
    fitted = {"directions": self.offset[None], "deviations": jnp.ones(1)}
    made = self.with_walk(**walk).apply(self.models, fitted, {}, draws)
    return [nchw(made["image"][:, i]) for i in range(2)]

  def h(self, start):
    """[b, steps, ...] of walks without noise."""
    batch = {"index": jnp.arange(len(start))}
    rows = self.method.collect(self.models, batch, {"start": nhwc(start)})
    return rows["h"]

  def inverted(self, x0):
    """The state that DDIM leads to from images."""
    walk = self.with_walk(images=True).walk
    batch = {"image": nhwc(x0)}
    opened = walk.opened(self.models["source"].diffuser, batch)
    return nchw(walk.begin(opened, batch, {}).x)

  def components(self, h, k, by_step):
    """(deviations, directions) of paths."""
    found = dataclasses.replace(self.method, components=k, by_step=by_step)
    fitted = found.fit(iter([{"h": np.asarray(h)}]))
    directions = nchw(fitted["directions"])
    return fitted["deviations"], largest_positive(directions, 1 + by_step)


def run(case):
  sampled = Sampled(case)
  source_, walk = sampled.models["source"].diffuser, sampled.method.walk
  table = walk.table(source_)
  eta = np.ravel(case.config["eta"])
  etas = tuple(float(e) for e in np.broadcast_to(eta, sampled.steps))
  noise = nhwc(case.inputs["variance_noise"])
  plain, edited = sampled.images()
  noisy, noisy_edited = sampled.images(noise, etas=etas)
  found = {
    "timesteps": table.level.time.astype(np.int32),
    "x0_plain": plain,
    "h_plain": nchw(sampled.h(case.inputs["x_T"])[0]),
    "x0_edit": edited,
    "x0_edit_asyrp": sampled.images(symmetric=False)[1],
    "x0_eta": noisy,
    "x0_eta_edit": noisy_edited,
    "ddim_inverted_xT": sampled.inverted(plain),
  }
  return found | looked(case, sampled) | principal(case, sampled)


def looked(case, sampled):
  """The Jacobian at one step."""
  times = sampled.method.walk.table(
    sampled.models["source"].diffuser
  ).level.time
  # Which step it is, is told by nothing else; half way in the case at hand.
  at = sampled.steps // 2
  if "jac_t" in case.outputs:
    (at,) = np.flatnonzero(times == int(case.outputs["jac_t"]))
  k, shape = case.config["k"], sampled.offset.shape[1:]
  m = field.replace(
    h_space_jacobian.HSpaceJacobian(directions=k, iterations=3000, more=0),
    walk=dict(place=PLACE, steps=sampled.steps),
  )
  batch = {"index": jnp.arange(1)}
  opened = m.walk.opened(sampled.models["source"].diffuser, batch)
  level = jacobian.level_of(m.walk.table(opened.source), int(at))
  f = opened.response(nhwc(case.inputs["x_jac"]), level)
  there = jnp.zeros((1, *shape))
  exact = np.asarray(jax.jit(lambda d: jacobian.whole(f, d))(there)[0])
  _, values, right = np.linalg.svd(exact.astype(np.float64))
  probe = golden_kit.normal(1, k + 2, *shape)
  power = jax.jit(lambda d: jacobian.triplets(f, d, probe, m.iterations))(there)
  return {
    "jac_t": np.int32(times[at]),
    "jac_singular_values": values[:k],
    "jac_right_vectors": largest_positive(
      nchw(right[:k].reshape(k, *shape)), 1
    ),
    "jac_power_values": power.values[0, :k],
  }


def principal(case, sampled):
  """Both kinds of components."""
  k, h = case.config["k"], sampled.h(case.inputs["x_T_pca"])
  assert len(h) == case.config["n_pca_samples"]
  together = sampled.components(h, k, by_step=False)
  by_step = sampled.components(h, k, by_step=True)
  return {
    "pca_all_std": together[0],
    "pca_all_dirs": together[1],
    "pca_step_std": by_step[0],
    "pca_step_dirs": by_step[1],
  }
