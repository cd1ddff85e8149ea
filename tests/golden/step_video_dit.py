"""The transformer of Step-Video and the walk of its sampler."""

import einops
import golden_kit
import jax
import jax.numpy as jnp
import numpy as np

from jmim.convert.tables import step_video as convert
from jmim.core import runtime
from jmim.diffusion import sampler as samplers
from jmim.methods.parts import flow
from jmim.methods.parts import guided
from jmim.nn import hooks
from jmim.nn import sizes
from jmim.nn.nets import video_dit


def network(config, params, told):
  """As a case has it; the rest is told by its arrays."""
  width = config["heads"] * config["head_dim"]
  hidden = len(params["transformer_blocks.0.ff.net.0.proj.weight"])
  extra = "none"
  if config["use_additional_conditions"]:
    extra = "size" if told.fps is None else "rate"
  return video_dit.VideoDiT(
    size=sizes.Size(
      width=width,
      depth=config["layers"],
      heads=config["heads"],
      mlp_ratio=hidden / width,
    ),
    patch=config["patch"],
    axes=tuple(config["rope_ch_split"]),
    out=len(params["proj_out.bias"]) // config["patch"] ** 2,
    sizes_told=extra,
    rt=runtime.Runtime(scan=False),
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
  told = video_dit.Told(
    text=i["text"],
    clip=i.get("clip"),
    valid=i["mask"].sum(1).astype(jnp.int32),
    fps=i.get("fps") if case.config["use_additional_conditions"] else None,
  )
  net = network(case.config, case.params, told)
  rules = convert.network(net, clip=told.clip is not None)
  # Their embedding of a rate that a case does not tell has no effect.
  theirs = {
    name: array
    for name, array in case.params.items()
    if told.fps is not None or ".fps_embedder." not in name
  }
  x = einops.rearrange(i["x"], "b t c h w -> b t h w c")
  like = jax.eval_shape(net.init, jax.random.key(0), x, i["t"], told)["params"]
  params = golden_kit.import_tree(rules, theirs, like)

  @jax.jit
  def apply(params):
    with hooks.seen("blocks/layers_0/attn") as calls:
      out = net.apply({"params": params}, x, i["t"], told, taps=("block",))
    return out, calls["blocks/layers_0/attn"][0].output[0]

  out, attended = apply(params)
  return {
    "adaln": out["cond"],
    "attn1": attended,
    "block0": out["block"][0],
    "velocity": einops.rearrange(out["pred"], "b t h w c -> b t c h w"),
  }


def walk(case):
  """Times, and states at recorded velocities."""
  c, v = case.config, jnp.asarray(case.inputs["velocities"])
  process = flow.Flow(
    time="noise" if c["reverse"] else "signal", shift=1 / c["time_shift"]
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
