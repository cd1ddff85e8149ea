"""MDM / FHS: hitting times, truncated noise, SUBS, both losses, MDLM's draw."""

import re

import jax.numpy as jnp
import numpy as np

from jmim.diffusion import categorical
from jmim.diffusion import discrete
from jmim.diffusion import first_hitting
from jmim.diffusion import truncated
from jmim.methods.discrete import mdm
from jmim.methods.parts import token_network

SKIPPED = {}


def run(case):
  return {**times(case), **noise(case), **losses(case)}


def times(case):
  """Tables after each hit, for every schedule the case has."""
  u, length = case.inputs["u"].astype(np.float64), case.config["L"]
  assert u.shape == (case.config["B"], length)
  mean, var = first_hitting.order_statistics(length)
  prefix = "tau_"
  names = {name.removeprefix(prefix) for name in case.outputs}
  eps = case.config["eps"]
  return {
    f"{prefix}{name}": first_hitting.hitting_times(
      u, length, discrete.Absorbing(name, eps)
    )
    for name in sorted(names.intersection(discrete.SCHEDULES))
  } | {"tau_mean_linear": mean, "tau_var_linear": var}


def noise(case):
  """What is drawn with limited noise, alone and in one reverse step."""
  probs = case.inputs["probs"].astype(np.float64)
  probs = probs / probs.sum()
  limits = case.inputs["M"].astype(np.float64)
  # The step is only described in words.
  words = case.info["arrays"]["out/trunc_step_token_probs"]["meaning"]
  unmask = float(re.search(r"unmask probability ([\d.e-]*\d)", words)[1])
  drawn = np.stack([truncated.trunc_probs(probs, m) for m in limits])
  steps = [truncated.step(probs, unmask, m) for m in limits]
  return {
    "trunc_probs": drawn,
    "entropy_true": truncated.entropy(probs),
    "entropy_trunc": np.array([truncated.entropy(p) for p in drawn]),
    "trunc_step_unmask_prob": np.array([total for total, _ in steps]),
    "trunc_step_token_probs": np.stack([tokens for _, tokens in steps]),
    "trunc_step_entropy": np.array([truncated.entropy(p) for _, p in steps]),
    "gumbel_max_f32": truncated.gumbel_max(24),
    "gumbel_max_f64": truncated.gumbel_max(53),
    "cat_samples": categorical.race(
      jnp.asarray(case.inputs["cat_probs"]), jnp.asarray(case.inputs["cat_u"])
    ),
  }


def losses(case):
  """SUBS and both losses of the method, on the case's logits."""
  i = {k: jnp.asarray(v) for k, v in case.inputs.items()}
  x0, xt, length = i["x0"], i["xt"], i["x0"].shape[1]
  network = token_network.TokenNetwork(codes=case.config["V"], length=length)
  m = mdm.MDM(network=network, schedule="loglinear", eps=case.config["eps"])
  assert i["logits"].shape[-1] == network.codes + 1
  masked = xt == network.mask_id
  logp = discrete.subs(i["logits"], xt, network.mask_id)
  ce = discrete.cross_entropy(logp, x0, masked)
  weight = m.process.weight(i["t"])
  return {
    "subs_token_logp": -ce,
    "mdlm_weight": weight,
    "mdlm_nll": weight[:, None] * ce,
    "time_agnostic_nll": length / masked.sum(1) * ce.sum(1),
  }
