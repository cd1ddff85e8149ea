"""DiffewS (aim-uofa/DiffewS): both passes of one UNet, and the loss."""

import einops
import golden_kit
import jax
import jax.numpy as jnp
import numpy as np

from jmim.convert import table
from jmim.convert.tables import diffews as convert
from jmim.core import field
from jmim.core import method as methods
from jmim.methods.dense import diffews
from jmim.nn import hooks

SKIPPED = {}


def nchw(x):
  return einops.rearrange(np.asarray(x), "b h w c -> b c h w")


def build(config, time, tokens):
  """The method; `read` says what of the config is not here.

  Transformers may be of another depth at each level, which no config of ours
  says.
  """
  name = "transformer_layers_per_block"
  depths = config.get(name, 1)
  if isinstance(depths, list) and len(set(depths)) > 1:
    config = config | {name: 1}
  fields = convert.read(config)
  m = field.replace(
    diffews.DiffewS(),
    size=fields["size"],
    channels=fields["channels"],
    dims=fields["dims"],
    first_stage=dict(variant="none"),
    episode=dict(scenes=1 + config["nshot"], shots=config["nshot"]),
    prompt=dict(**fields["prompt"], tokens=tokens, time=time),
  )
  if config.get(name, 1) != depths:
    m = field.replace(m, prompt=dict(transformer=tuple(depths)))
  return m


def place(m, theirs):
  """Our name of a self-attention of theirs."""
  rules = convert.network(m.net)
  (found,) = [r.ours for r in rules if r.theirs == f"{theirs}.to_q.weight"]
  return found.removesuffix("/q/kernel")


def run(case):
  (time,) = set(map(int, np.ravel(case.inputs["t"])))
  assert time == case.config["timestep"]
  m = build(case.config, time, case.inputs["text"].shape[1])
  params = table.import_tree(convert.network(m.net), case.params)
  prompt = {"prompt": {"context": jnp.asarray(case.inputs["text"][0])}}
  z, z_mask, z_query, target = (
    golden_kit.images(case.inputs[f"z_{name}"])
    for name in ("support", "support_mask", "query", "query_mask")
  )
  shots = lambda x: x.reshape(-1, m.episode.shots, *x.shape[1:])
  weights = lambda net: methods.Weights({"main": {"net": net}}, {}, prompt)
  first = place(m, case.config["first_attn1"])

  def loss(net):
    bank = m.bank(weights(net), shots(z), shots(z_mask))
    pred, _ = m.query(weights(net), z_query, bank)
    return m.error(pred, target), pred

  @jax.jit
  def everything(net):
    (value, pred), grad = jax.value_and_grad(loss, has_aux=True)(net)
    with hooks.seen(first) as calls:
      ref, taps = m.support(weights(net), z, z_mask)
      bank = m.bank(weights(net), shots(z), shots(z_mask))
      _, seen = m.query(weights(net), z_query, bank)
      alone, _ = m.query(weights(net), z_query, None)
    of_query = calls[first][2]
    k, v = taps.bank[first]
    return {
      "loss": value,
      "grad_conv_in_ref": grad[diffews.STEM]["kernel"],
      "pred": pred,
      "ref_out": ref,
      "pred_no_bank": alone,
      "attn1_first_in_support": calls[first][0].args[0],
      "attn1_first_out_support": taps.attention[first],
      "attn1_first_in_query": of_query.args[0],
      "attn1_first_out_query": seen.attention[first],
      "attn1_first_k_bank": k,
      "attn1_first_v_bank": v,
    }

  found = everything(jax.tree.map(jnp.asarray, params))
  for name in ("pred", "ref_out", "pred_no_bank"):
    found[name] = nchw(found[name])
  kernel = np.asarray(found["grad_conv_in_ref"])
  found["grad_conv_in_ref"] = einops.rearrange(kernel, "p q c d -> d c p q")
  return found
