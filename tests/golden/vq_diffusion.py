"""VQ-Diffusion: schedules, posteriors, network, losses, a whole chain.

Their classes are on axis 1, ours on the last. The history of the times is, in
some cases, that of the importance distribution ("imp_history", every time seen
once more than is asked), in others that of one update; the update is checked in
both.
"""

import math
import re

import golden_kit
import jax
import jax.numpy as jnp
import numpy as np

from jmim.convert.tables import vq_diffusion as convert
from jmim.diffusion import replace
from jmim.diffusion import replace_chain
from jmim.methods.discrete import vq_diffusion
from jmim.methods.parts import code_condition
from jmim.methods.parts import code_network
from jmim.methods.parts import image_codes
from jmim.methods.parts import replacement

SKIPPED = {}
ACTS = {"GELU": "gelu", "GELU2": "quick_gelu"}
MIXERS = {"fc": "linear", "conv_mlp": "conv"}
NORMS = {"adalayernorm": "layer", "adainsnorm": "instance"}
KINDS = {"selfcross": "text", "selfcondition": "class", "self": "none"}
TRUNCATED = re.compile(r"log_x0_top([\d.]+)([rp]?)")


def embedding(name):
  """Learned, or sines: "adalayernorm_abs"."""
  return "sinusoid" if "abs" in name else "learned"


def grid_of(c):
  """(h, w) in codes; their convolutions take a square, or what is near it."""
  if c["mlp_type"] != "conv_mlp":
    return c["grid"]
  side = math.isqrt(c["content_seq_len"])
  return side, c["content_seq_len"] // side


def method(config):
  c = config
  kind = KINDS[c["attn_type"]]
  assert c["attn_pdrop"] == c["resid_pdrop"] == 0
  side, columns = grid_of(c)
  assert side * columns == c["content_seq_len"]
  classed = c.get("class_type", "adalayernorm")
  return vq_diffusion.VQDiffusion(
    codes=image_codes.ImageCodes(
      vocabulary=c["num_codes"], side=side, columns=columns
    ),
    condition=code_condition.CodeCondition(
      kind=kind,
      classes=c["class_number"] if kind == "class" else 0,
      embed=embedding(classed),
      norm=NORMS[classed.removesuffix("_abs")],
      tokens=c.get("condition_seq_len", 1),
      width=c.get("condition_dim", 1),
    ),
    network=code_network.CodeNetwork(
      width=c["n_embd"],
      depth=c["n_layer"],
      heads=c["n_head"],
      mlp_ratio=c["mlp_hidden_times"],
      mlp=MIXERS[c["mlp_type"]],
      act=ACTS[c["block_activate"]],
      timed=embedding(c["timestep_type"]),
      tables=tuple(c["content_spatial_size"]),
    ),
    process=replacement.Replacement(times=c["diffusion_step"]),
    bound=replacement.Bound(
      auxiliary=c["auxiliary_loss_weight"],
      adaptive=c["adaptive_auxiliary_loss"],
      masked=c["mask_weight"][0],
      visible=c["mask_weight"][1],
    ),
  )


def first(x):
  """Classes [..., l, k] -> [..., k, l]."""
  return np.moveaxis(np.asarray(x), -1, -2)


def last(x):
  return jnp.asarray(np.moveaxis(x, -2, -1))


def run(case):
  m, i = method(case.config), case.inputs
  m.inputs()  # checks that the case fits together
  entry = {"class": "label", "text": "context"}.get(m.condition.kind)
  batch = {entry: jnp.asarray(i["cond"])} if entry else {}
  told = m.condition.told(batch)
  x0, t = jnp.asarray(i["x0"]), jnp.asarray(i["t"])
  assert x0.shape == (case.config["batch"], m.codes.length)
  rules = convert.full(m)
  params = golden_kit.import_main(m, rules, case.params, batch)
  p, logq = m.noise, m.noise.forward(m.noise.one_hot(x0), t)
  xt = replace_chain.given(last(i["gumbel_u"])[None])(0, logq)
  outputs = {"log_q": first(logq), "xt": xt, **schedules(p)}
  logits = jax.jit(m.net.apply)({"params": params["main"]["net"]}, xt, t, told)
  logp = replace.predicted(logits["logits"])
  outputs |= {
    "logits": first(logits["logits"]),
    "log_x0_recon": first(logp),
    "log_model_prob": first(p.posterior(logp, xt, t)),
    "log_true_prob": first(p.posterior(p.one_hot(x0), xt, t)),
    **truncations(case, logp),
    **purity(logp),
  }
  outputs |= losses(m, case, rules, params, x0=x0, x=xt, t=t, told=told)
  outputs["chain_tokens"] = chain(m, params, told, i["chain_u"])
  return golden_kit.asked(case, outputs)


def schedules(p):
  names = {"log_at": "keep", "log_bt": "swap", "log_ct": "mask"}
  names |= {
    n.replace("log_", "log_cumprod_"): f"{ours}_all"
    for n, ours in names.items()
  }
  return {f"sched/{n}": getattr(p.tables, o) for n, o in names.items()}


def truncations(case, logp):
  """ "top0.86r" keeps the codes that hold 0.86, "top5p" the best five."""
  found = filter(None, map(TRUNCATED.fullmatch, case.outputs))
  return {
    name[0]: first(
      best(logp, int(name[1]))
      if name[2] == "p"
      else replace_chain.truncated(logp, float(name[1]))
    )
    for name in found
  }


def best(logp, count):
  """The likeliest `count` codes, the others -70."""
  least = jax.lax.top_k(logp, count)[0][..., -1:]
  return jnp.where(logp >= least, logp, replace.LEAST)


def purity(logp):
  score = replace_chain.purity(logp)
  adjusted = replace_chain.sharpened(logp, score, 1.0)
  return {"purity": score, "purity_adjusted": first(adjusted)}


def losses(m, case, rules, params, x0, x, t, told):
  share = jnp.asarray(case.inputs["pt"])

  def of(params):
    logp = m.predicted(params, x, t, told)
    main, total = m.bound.terms(m.noise, logp, x0, x, t)
    return (total / share).sum() / x0.size, (main, total)

  run = jax.jit(jax.value_and_grad(of, has_aux=True))
  (loss, (main, total)), grads = run(params)
  return {
    "loss": loss,
    "vb_loss": total / share,
    "vb_loss_noaux": main / share,
    **golden_kit.named_grads(case, rules, grads["main"]),
    **state(m, case, main, t),
  }


def state(m, case, main, t):
  """The history of the times, and the distribution that it makes."""
  part, times = m.importance, m.noise.times
  history = jnp.asarray(case.inputs["imp_history"])
  known = {"history": history, "seen": jnp.full(times, part.least + 1.0)}
  # Of equal times theirs keeps the last square, and counts all.
  at = {int(time): row for row, time in enumerate(t)}
  rows = jnp.asarray(sorted(at.values()))
  draws = {"examples": jnp.full(len(rows), float(len(rows)))}
  found = part.statistics(times, t[rows], main[rows], draws)
  updated = part.moved(part.extra(times), found)
  expected = np.zeros(times)
  expected[np.asarray(t)[rows]] = 0.1 * np.asarray(main)[rows] ** 2
  np.testing.assert_allclose(updated["history"], expected, rtol=1e-5)
  if not np.array_equal(case.outputs.get("Lt_history"), history):
    known = updated | {"seen": jnp.bincount(t, length=times).astype(float)}
  return {
    "importance_p": part.probabilities(
      {"history": history, "seen": jnp.full(times, part.least + 1.0)}
    ),
    "Lt_history": known["history"],
    "Lt_count": known["seen"],
  }


def chain(m, params, told, u):
  start = jnp.full((u.shape[1], m.codes.length), m.noise.mask_id)
  assert len(u) == m.noise.times
  return jax.jit(
    lambda params, u: replace_chain.chain(
      m.noise,
      lambda x, t: m.predicted(params, x, jnp.full(len(x), t), told),
      replace_chain.given(u),
      start,
    )
  )(params, last(u))
