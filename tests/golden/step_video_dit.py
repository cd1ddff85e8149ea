"""The transformer of Step-Video and the walk of its sampler."""

import re

import einops
import golden_kit
import jax
import jax.numpy as jnp
import numpy as np

from jmim.convert.tables import step_video as convert
from jmim.core import method as methods
from jmim.diffusion import sampler as samplers
from jmim.methods.parts import flow
from jmim.methods.parts import guided
from jmim.methods.parts import told_video
from jmim.methods.video import step_video
from jmim.nn import hooks
from jmim.nn.nets import video_dit_dims


def rate(config, inputs):
  """Frames per second [b], or None; without one theirs adds nothing."""
  found = inputs.get("fps", config.get("fps"))
  if found is None:
    return None
  return jnp.broadcast_to(jnp.ravel(jnp.asarray(found)), len(inputs["x"]))


def method(config, inputs, params):
  """As a case has it; what its config does not say, its arrays do."""
  width = config["heads"] * config["head_dim"]
  hidden = len(params["transformer_blocks.0.ff.net.0.proj.weight"])
  _, frames, channels, height, columns = inputs["x"].shape
  clip = inputs["clip"].shape[1:] if "clip" in inputs else (0, 1)
  sizes = "size" if rate(config, inputs) is None else "rate"
  return step_video.StepVideo(
    frames=frames,
    height=height,
    width=columns,
    channels=channels,
    dims=video_dit_dims.Dims(
      variant=f"Ti/{config['patch']}",
      width=width,
      depth=config["layers"],
      heads=config["heads"],
      mlp_ratio=hidden / width,
      axes=tuple(config["rope_ch_split"]),
    ),
    told=told_video.ToldVideo(
      length=inputs["text"].shape[1],
      width=inputs["text"].shape[2],
      clip_length=clip[0],
      clip_width=clip[1],
      sizes=sizes if config.get("use_additional_conditions") else "none",
    ),
  )


def run(case):
  found = {}
  if "x" in case.inputs:
    found |= transformer(case)
  if "velocities" in case.inputs:
    found |= walk(case)
  return golden_kit.asked(case, found)


def transformer(case):
  """Modulation, first attention, first block, velocity."""
  i = {name: jnp.asarray(a) for name, a in case.inputs.items()}
  m = method(case.config, case.inputs, case.params)
  valid = i["mask"].sum(1).astype(jnp.int32)
  batch = {
    "video": einops.rearrange(i["x"], "b t c h w -> b t h w c"),
    "context": i["text"],
    "context_length": valid - m.told.clip_length,
  }
  batch |= {"clip_context": i["clip"]} if "clip" in i else {}
  if m.told.sizes == "rate":
    batch["fps"] = rate(case.config, i)
  rules = convert.network(m.net, clip=bool(m.told.clip_length))
  # Their embedding of a rate that a case does not tell has no effect.
  theirs = {
    name: array
    for name, array in case.params.items()
    if m.told.sizes == "rate" or not re.search(convert.RATE, name)
  }
  like = jax.eval_shape(m.init, jax.random.key(0), batch)[0]["main"]["net"]
  params = golden_kit.import_tree(rules, theirs, like)

  @jax.jit
  def apply(params):
    told = m.told.told(methods.Weights({"main": {"net": params}}), batch)
    seen = (batch["video"], i["t"], told)
    with hooks.seen("blocks/layers_0/attn") as calls:
      out = m.net.apply({"params": params}, *seen, taps=("block",))
    velocity = m.network({"main": {"net": params}}, *seen)
    return out, velocity, calls["blocks/layers_0/attn"][0].output[0]

  out, velocity, attended = apply(params)
  return {
    "adaln": out["cond"],
    "attn1": attended,
    "block0": out["block"][0],
    "velocity": einops.rearrange(velocity, "b t h w c -> b t c h w"),
  }


def walk(case):
  """Times, and states at recorded velocities."""
  c, v = case.config, jnp.asarray(case.inputs["velocities"])
  process = flow.Flow(
    time="noise" if c.get("reverse") else "signal", shift=1 / c["time_shift"]
  )
  sampling = guided.Guided(sampler="euler", steps=c["sampler_steps"], clip=0.0)
  table = process.table(sampling)

  def denoise(x, level):
    return process.output(
      v[level.index], x, level, channels=x.shape[-1], clip=0.0
    )

  keep = lambda level, x, out: (x, x)
  _, states = samplers.sample(
    table, denoise, jnp.asarray(case.inputs["z0"]), callback=keep
  )
  return {
    "sigmas": process.levels(c["sampler_steps"]).time,
    "z": np.asarray(states),
  }
