"""LinFusion (Huage001/LinFusion): the attention, and the loss of one."""

import golden_kit
import jax
import jax.numpy as jnp

from jmim.convert import table
from jmim.convert.tables import linfusion as convert
from jmim.methods.diffusion import linfusion
from jmim.methods.parts import copying
from jmim.nn import linear_attention

SKIPPED = {}
LOSS = ("teacher_feat", "noise_pred", "noise", "noise_pred_teacher")


def context(inputs):
  """What is attended to, if it is not the tokens: the input that is left."""
  others = [n for n in inputs if n not in ("x", *LOSS)]
  assert len(others) < 2, others
  return jnp.asarray(inputs[others[0]]) if others else None


def mixer(config):
  assert config["heads"] * config["dim_head"] == config["dim"]
  mid = config.get("projection_mid_dim") or 0  # null: the width
  return linear_attention.LinearAttention(heads=config["heads"], mid=mid)


def run(case):
  net = mixer(case.config)
  params = table.import_tree(convert.mixer(net.mid), case.params)
  x, keys = jnp.asarray(case.inputs["x"]), context(case.inputs)

  def apply(params):
    maps = lambda module, _: module.name in ("q", "k", "v")
    options = {"capture_intermediates": maps}
    return net.apply({"params": params}, x, keys, **options)

  y, seen = jax.jit(apply)(params)
  split = lambda a: a.reshape(*a.shape[:2], net.heads, -1).swapaxes(1, 2)
  heads = {
    n: split(seen["intermediates"][n]["__call__"][0]) for n in ("q", "k", "v")
  }
  heads |= {f"phi_{n}": linear_attention.phi(heads[n]) for n in ("q", "k")}
  outputs = {n: a.reshape(-1, *a.shape[2:]) for n, a in heads.items()}
  outputs["y"] = y
  if "loss" in case.outputs:
    student, teacher, noise = (
      golden_kit.images(case.inputs[n])
      for n in ("noise_pred", "noise_pred_teacher", "noise")
    )
    taught = [jnp.asarray(case.inputs["teacher_feat"])]
    m, b = linfusion.LinFusion(), len(noise)
    t, w = jnp.zeros(b, int), jnp.ones((b, 1, 1, 1))
    each = {"noise": m.weighed({}, t, student - noise, w)[0]}
    each |= copying.terms((student, [y]), (teacher, taught))
    outputs["loss"] = m.copying.total(each)
  return outputs
