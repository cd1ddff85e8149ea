"""DiffFit (mkshing/DiffFit-pytorch): a block with all scales; what is tuned.

Beside the outputs the names and the counts of tuned parameters are compared.
"""

import re

import jax
import jax.numpy as jnp
import numpy as np

from jmim.convert import table
from jmim.convert.tables import _difffit as convert
from jmim.core import tree as trees
from jmim.methods.diffusion import difffit
from jmim.methods.parts import scales
from jmim.nn import context_block

SKIPPED = {}
GATED = {"geglu": True, "gelu": False}


def network(config):
  return context_block.Block(
    heads=config["heads"],
    inner=config["heads"] * config["dim_head"],
    gated=GATED[config["activation"]],
    attention_bias=config["attention_bias"],
    scales=context_block.SCALES,
  )


def check_tuned(case, rules, params):
  """The names and counts of the file are those of the rule."""
  count = lambda tree: sum(x.size for x in jax.tree.leaves(tree))
  named = trees.named(params)
  tuned = {n: x for n, x in named.items() if difffit.is_tuned(n)}
  # A table maps names: what is not tuned is marked by NaN.
  marked = trees.map_named(
    lambda n, x: np.full(x.shape, 1.0 if n in tuned else np.nan), params
  )
  theirs = table.export_tree(rules, marked, constants=False)
  found = {n for n, x in theirs.items() if not np.isnan(x).any()}
  assert found == set(case.info["trainable_parameter_names"])
  assert count(tuned) == case.info["trainable_count"]
  assert count(named) == case.info["total_count"]


def run(case):
  net = network(case.config)
  rules = convert.block(net)
  params = table.import_tree(rules, case.params)
  x, context = (jnp.asarray(case.inputs[n]) for n in ("x", "context"))
  check_tuned(case, rules, params)
  apply = jax.jit(lambda p: net.apply({"params": p}, x, context))
  y, found = apply(params)
  grads = jax.jit(jax.grad(lambda p: (apply(p)[0] ** 2).mean()))(params)
  theirs = table.export_tree(rules, grads, constants=False)
  ones = trees.map_named(
    lambda n, w: jnp.ones_like(w) if "gamma" in n else w, params
  )
  # Where every scale is 1 there is nothing to fold, and nothing is lost.
  frozen = net.clone(scales=()).apply(
    {"params": scales.fold_block(ones)}, x, context
  )[0]
  np.testing.assert_allclose(
    frozen, net.apply({"params": ones}, x, context)[0], rtol=1e-5, atol=1e-5
  )
  return {
    "attn1": found["self"],
    "attn2": found["cross"],
    "ff": found["ff"],
    "y": y,
    "y_gamma_one": apply(ones)[0],
    **{
      name: theirs[parameter(case, name, theirs)]
      for name in case.outputs
      if name.startswith("grad_")
    },
  }


def parameter(case, name, theirs):
  """The parameter that an output grad_... belongs to."""
  short = name.removeprefix("grad_")
  if short in theirs:
    return short
  meaning = case.info["out"][f"out/{name}"]["meaning"]
  found = re.search(r"for (\S+)", meaning)
  return found[1] if found else f"attn1.processor.{short}"
