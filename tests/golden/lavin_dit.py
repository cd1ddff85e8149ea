"""LaVin-DiT: streams, velocity, loss and guidance, of any number of frames."""

import einops
import golden_kit
import jax
import jax.numpy as jnp
import numpy as np

from jmim.convert import table
from jmim.convert.tables import lavin_dit as convert
from jmim.methods.latent import lavin_dit
from jmim.methods.parts import flow
from jmim.methods.parts import guided
from jmim.methods.parts import in_context
from jmim.nn.nets import joint_dit

SKIPPED = {}


def method(config):
  rows, columns = folded(config)
  patch = 1 if rows * columns > 1 else pair(config["patch"])[0]
  return lavin_dit.LaVinDiT(
    channels=rows * columns * config["in_channels"],
    dims=joint_dit.Dims(
      width=config["hidden"],
      depth=config["depth"],
      heads=config["heads"],
      kv_group=config["kv_group"],
      patch=patch,
      theta=config.get("rope_theta", 1e4),
    ),
    context=in_context.InContext(target_frames=config["target_frames"]),
    noise=flow.Flow(drawn_shift=config.get("time_shift", 1.0)),
    sampling=guided.Guided(
      sampler="euler", guidance=config["cfg_scale"], clip=0.0
    ),
  )


def pair(patch):
  """[p, q] of a patch: two numbers, or one."""
  return np.broadcast_to(patch, 2).tolist()


def folded(config):
  """Rows and columns that are channels here: of patches that are not square."""
  rows, columns = pair(config["patch"])
  return (1, 1) if rows == columns else (rows, columns)


def ours(array, fold):
  """[b, c, t, h, w] -> [b, t, h / p, w / q, p q c], p and q of `fold`."""
  p, q = fold
  order = "b c t (h p) (w q) -> b t h w (p q c)"
  return jnp.asarray(einops.rearrange(array, order, p=p, q=q))


def theirs(array, fold):
  p, q = fold
  order = "b t h w (p q c) -> b c t (h p) (w q)"
  return einops.rearrange(np.asarray(array), order, p=p, q=q)


def run(case):
  i, m = case.inputs, method(case.config)
  fold = folded(case.config)
  x, noise, context = (ours(i[name], fold) for name in ("x1", "x0", "cond"))
  t, draws = jnp.asarray(i["t"]), {"noise": noise, "t": jnp.asarray(i["t"])}
  params = golden_kit.import_main(m, convert.full(), case.params, {})
  noisy, _, _ = m.noise.add(x, t, noise)

  def loss(params):
    v = m.network(params, noisy, t, context)
    return m.compared(v, x, draws)[0], v

  (total, velocity), grads = jax.jit(jax.value_and_grad(loss, has_aux=True))(
    params
  )
  variables = {"params": params["main"]}
  taps = m.net.apply(variables, noisy, t, context, taps=("block",))["block"]
  place = taps.shape[2] // (context.shape[1] + x.shape[1])
  cut = context.shape[1] * place
  none = m.network(params, noisy, t, in_context.null(context))
  combined = m.sampling.combine(velocity, none, time=t[0], channels=m.channels)
  found = {
    "xt": theirs(noisy, fold),
    "velocity": theirs(velocity, fold),
    "loss": total,
    "guided": theirs(combined, fold),
  }
  for layer, block in enumerate(taps):
    found[f"block{layer}_cond"] = block[:, :cut]
    found[f"block{layer}_x"] = block[:, cut:]
  every = table.export_tree(convert.full(), grads["main"], constants=False)
  found |= {f"grad/{name}": grad for name, grad in every.items()}
  return golden_kit.asked(case, found)
