"""CycleDiffusion (ChenWu98/cycle-diffusion): the DPM-encoder and its decoder.

Models are the toys of the files, eps(x, t, c) = conv2(tanh(conv1(x) + a sin(t /
50) + W c)). Those of pixels count times and stop early as the authors' wrapper
does, those of latents as its DDIM.
"""

import dataclasses
import functools

import golden_kit
import jax
import jax.numpy as jnp
import numpy as np

from jmim.core import field
from jmim.core import procedure
from jmim.diffusion import coefficients
from jmim.diffusion import invert
from jmim.diffusion import model
from jmim.diffusion import sampler as samplers
from jmim.diffusion import schedule
from jmim.diffusion import targets
from jmim.methods.edit import cycle_diffusion
from jmim.methods.parts import code_sampler

SKIPPED = {}


def run(case):
  found = {}
  for part, config in case.config.items():
    below = lambda arrays, part=part: golden_kit.below(arrays, f"{part}/")
    of = pixels if "mode" in config else latents
    made = of(config, below(case.inputs), below(case.params))
    found |= {f"{part}/{name}": x for name, x in made.items()}
  return found


@dataclasses.dataclass(frozen=True, kw_only=True)
class Toy(model.Diffuser):
  """A model that visits given times, from high to low."""

  visited: np.ndarray
  end: int | None = None

  def levels(self, steps, spacing=""):
    del spacing
    assert steps == len(self.visited)
    return self.schedule.levels(self.visited, self.end)


class Rounded(schedule.Schedule):
  """Of float32 betas, whose products are accumulated in float64."""

  @functools.cached_property
  def power(self):
    kept = 1 - self.beta.astype(np.float32)
    found = np.cumprod(kept, dtype=np.float64).astype(np.float32)
    return found.astype(np.float64)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Stopped(code_sampler.CodeSampler):
  """Begins at the time before the number of steps, whatever times there are."""

  process: schedule.Schedule = dataclasses.field(metadata={"config": False})

  def begun(self, levels, z, noise):
    at = self.early_stop - 1
    a, s = self.process.signal[at], self.process.noise[at]
    return targets.noised(z, noise, float(a), float(s))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Ancestral(Stopped):
  """DDPM by the coefficients of the authors' code, where times are left out.

  They are those of single steps even then, and float32. Where every time is
  visited, they are ours, and so is the encoder.
  """

  def whole(self, levels):
    return (np.diff(levels.time[:-1]) == -1).all()

  def tables(self, levels):
    if self.whole(levels):
      return super().tables(levels)
    time = levels.time[:-1].astype(int)
    at = lambda power: power.astype(np.float32)
    b, a = at(self.process.beta[time]), at(levels.signal[:-1] ** 2)
    to = at(levels.signal[1:] ** 2)
    model, drawn = (coefficients.blank(levels) for _ in range(2))
    # Of x and eps: (x - b eps / sqrt(1 - a)) / sqrt(1 - b).
    model.out[:, coefficients.X] = 1 / np.sqrt(1 - b)
    model.out[:, coefficients.EPS] = -b / np.sqrt(1 - a) / np.sqrt(1 - b)
    drawn.out[:, coefficients.X] = np.sqrt(1 - b) * (1 - to) / (1 - a)
    drawn.out[:, coefficients.X0] = np.sqrt(to) * b / (1 - a)
    small = b * (1 - to) / (1 - a)
    std = np.sqrt(self.variances()[time]) * (time > 0)
    return (
      dataclasses.replace(model, std=std),
      dataclasses.replace(drawn, std=np.sqrt(small)),
    )

  def variances(self):
    """[T], of single steps; float64 before it is rounded."""
    beta = self.process.beta
    power = np.cumprod(1 - beta)
    small = beta * (1 - np.append(1.0, power[:-1])) / (1 - power)
    if self.variance == "large":
      return np.append(small[1], beta[1:])
    return np.maximum(small, 1e-20)

  def encode(self, levels, denoise, z, *, x, noise):
    if self.whole(levels):
      return super().encode(levels, denoise, z, x=x, noise=noise)
    model, drawn = self.tables(levels)
    path = invert.posterior(drawn, z, x, noise)
    return samplers.noises(model, denoise, path)


def betas(config):
  """[T] as a case says in words."""
  name, first, last = golden_kit.schedule_of(config["betas"])
  return schedule.betas(name, config["T"], first, last)


def network(params):
  """(x [b, h, w, c], t [b], condition [b, d] or None) -> noise."""

  def conv(name, x):
    kernel = jnp.asarray(params[f"{name}.weight"].transpose(2, 3, 1, 0))
    y = jax.lax.conv_general_dilated(
      x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    return y + params[f"{name}.bias"]

  def call(x, t, told):
    wave = jnp.sin(t.astype(jnp.float32) / 50.0)[:, None] * params["a"]
    if told is not None:
      wave = wave + told @ params["w.weight"].T
    return conv("c2", jnp.tanh(conv("c1", x) + wave[:, None, None]))

  return call


def coded(edit, ends, z, noise, *, skip=0, batch, shown):
  """(code [b, slots, c, h, w] without the last slot, its results by scale).

  Args:
    edit: the procedure.
    ends: the models that encode and decode.
    z: data [b, h, w, c].
    noise: in the order drawn, [n, b, h, w, c]: n - 1 of steps.
    skip: first steps that are left out.
    batch: what the source is told.
    shown: what the target is told.
  """
  models = {
    name: procedure.Model.of(end)
    for name, end in zip(("source", "target"), ends, strict=True)
  }
  encode, decode = edit.tried(
    models, z, {}, skip=skip, batch=batch, shown=shown
  )
  trial = (noise[0], jnp.moveaxis(noise[1:], 0, 1))
  return encode(trial), lambda code, scale: decode(code, scale)["image"]


def nchw(x):
  return np.moveaxis(np.asarray(x), -1, -3)


def slots(code, count):
  """[b, count, c, h, w]: the state, then noises."""
  x, noise = code
  return nchw(jnp.moveaxis(jnp.concatenate([x[None], noise]), 0, 1))[:, :count]


def pixels(c, inputs, params):
  assert c["mode"] in ("ddim", "ddpm")
  times, steps = c["T"], c["custom_steps"]
  stop = c.get("es_steps") or steps
  if times % steps:
    visited = (np.linspace(0, 1, steps) * (times - 1)).astype(int)
  else:
    visited = np.arange(0, times, times // steps)
  process = Rounded(betas(c))
  toy = lambda name, shape: Toy(
    shape=shape,
    schedule=process,
    network=network(golden_kit.below(params, f"{name}.")),
    visited=visited[::-1],
  )
  options = {"sampler": c["mode"], "steps": steps, "early_stop": stop}
  if c["mode"] == "ddim":
    code = Stopped(**options, process=process, eta=c["eta"])
  else:
    variance = "large" if "large" in c["logvar"] else "small"
    code = Ancestral(**options, process=process, variance=variance)
  edit = cycle_diffusion.CycleDiffusion(code=code)
  z = 2 * golden_kit.images(inputs["image01"]) - 1
  noise = jnp.moveaxis(jnp.asarray(inputs["noise"]), 2, -1)
  source, target = (toy(name, z.shape[1:]) for name in ("src", "tgt"))

  @jax.jit
  def everything(z, noise):
    told = {"batch": {}, "shown": {}}
    code, back = coded(edit, (source, source), z, noise, **told)
    _, other = coded(edit, (source, target), z, noise, **told)
    return code, back(code, 1.0), other(code, 1.0)

  code, same, translated = everything(z, noise)
  return {
    "z": slots(code, stop),
    "reconstruction": nchw(same),
    "translated": nchw(translated),
  }


def latents(c, inputs, params):
  times, count = c["T"], c["timesteps_found"]
  visited = np.arange(0, times, times // c["ddim_steps"])[:count] + 1
  assert len(visited) == count
  shape = golden_kit.images(inputs["x0"]).shape[1:]
  toy = Toy(
    shape=shape,
    schedule=schedule.Schedule(betas(c)),
    network=network(params),
    tell=lambda batch: (batch["c"], batch["none"]),
    visited=visited[::-1],
    end=0,
  )
  edit = field.replace(
    cycle_diffusion.CycleDiffusion(encoder_scale=c["encoder_scale"]),
    code={"steps": count, "eta": c["eta"]},
  )
  z, skip = golden_kit.images(inputs["x0"]), c["skip_steps"]
  noise = jnp.moveaxis(jnp.asarray(inputs["noise"]), 2, -1)
  said = {
    name: {"c": inputs[f"cond_{name}"], "none": inputs["cond_null"]}
    for name in ("src", "tgt")
  }

  # The authors' code is shorter where the last noises are not kept.
  kept = min(c["white_box_steps"], count + 1) - skip

  @jax.jit
  def everything(z, noise):
    told = {"skip": skip, "batch": said["src"]}
    missing = count - skip - len(noise)
    noise = jnp.pad(noise, ((0, missing), *[(0, 0)] * 4))
    code, back = coded(edit, (toy, toy), z, noise, shown=said["src"], **told)
    _, other = coded(edit, (toy, toy), z, noise, shown=said["tgt"], **told)
    is_kept = jnp.arange(len(code[1])) < kept - 1
    code = code[0], jnp.where(is_kept[:, None, None, None, None], code[1], 0.0)
    scales = (c["encoder_scale"], c["decoder_scale"])
    return code, back(code, scales[0]), other(code, scales[1])

  code, same, translated = everything(z, noise)
  levels = toy.levels(count)
  power = (levels.signal**2)[::-1]
  return {
    "ddim_timesteps": visited.astype(np.int32),
    "ddim_alphas": power[1:],
    "ddim_alphas_prev": power[:-1],
    "ddim_sigmas": edit.code.tables(levels)[0].std[::-1],
    "z": slots(code, kept),
    "reconstruction": nchw(same),
    "translated": nchw(translated),
  }
