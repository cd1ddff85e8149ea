"""Qwen2 of Transformers: its names, its definition in numpy, a config.json."""

import jax
import jax.numpy as jnp
import kit
import numpy as np
import peers
import pytest

from jmim.convert import families

TEXT = dict(of=(), words=11, begin=1, end=2, pad=0, length=6)
LM = dict(
  dims=dict(width=32, depth=2, heads=4), hidden=48, kv_heads=2, theta=50.0
)


def tiny(**lm):
  return kit.tiny("latent.mmar", text=TEXT, network=dict(lm=LM | lm))


@pytest.fixture(scope="module", params=[True, False], ids=["tied", "untied"])
def written(request):
  return kit.check("hf_qwen2", tiny(tied=request.param))


def test_names(written):
  layer = {n for n in written.theirs if n.startswith("model.layers.1.")}
  assert len(layer) == 12 and all(n.endswith(("weight", "bias")) for n in layer)
  assert ("lm_head.weight" in written.theirs) == (
    not written.method.network.lm.tied
  )
  shape = written.theirs["model.layers.0.self_attn.k_proj.weight"].shape
  assert shape == (16, 32)


def rms(x, scale, eps):
  return x / np.sqrt((x**2).mean(-1, keepdims=True) + eps) * scale


def turned(x, theta):
  """x [t, heads, d]: rotate_half of Transformers."""
  t, _, d = x.shape
  angle = np.outer(np.arange(t), theta ** (-np.arange(0, d, 2) / d))
  angle = np.concatenate([angle, angle], 1)[:, None]
  half = np.concatenate([-x[..., d // 2 :], x[..., : d // 2]], -1)
  return x * np.cos(angle) + half * np.sin(angle)


def defined(w, ids, method):
  """Logits [t, words] by the definition, of their arrays."""
  lm = method.network.lm
  heads, groups = lm.dims.heads, lm.kv_heads
  d = lm.dims.width // heads
  x, t = w["model.embed_tokens.weight"][ids].astype(float), len(ids)
  for i in range(lm.dims.depth):
    at = lambda name, i=i: w[f"model.layers.{i}.{name}"].astype(float)
    linear = lambda y, n, at=at: y @ at(f"{n}.weight").T
    y = rms(x, at("input_layernorm.weight"), lm.eps)
    part = lambda n, h, y=y, at=at, linear=linear: (
      linear(y, f"self_attn.{n}") + at(f"self_attn.{n}.bias")
    ).reshape(t, h, d)
    q, k = (
      turned(part(n, h), lm.theta)
      for n, h in (("q_proj", heads), ("k_proj", groups))
    )
    v = part("v_proj", groups)
    k, v = (a.repeat(heads // groups, axis=1) for a in (k, v))
    p = np.einsum("qhd,khd->hqk", q, k) / np.sqrt(d)
    p = np.exp(np.where(np.tri(t) > 0, p, -np.inf))
    p /= p.sum(-1, keepdims=True)
    y = np.einsum("hqk,khd->qhd", p, v).reshape(t, -1)
    x = x + linear(y, "self_attn.o_proj")
    y = rms(x, at("post_attention_layernorm.weight"), lm.eps)
    gate = linear(y, "mlp.gate_proj")
    y = gate / (1 + np.exp(-gate)) * linear(y, "mlp.up_proj")
    x = x + linear(y, "mlp.down_proj")
  x = rms(x, w["model.norm.weight"].astype(float), lm.eps)
  name = "model.embed_tokens.weight" if lm.tied else "lm_head.weight"
  return x @ w[name].T


def test_the_definition_computes_the_same(written):
  """Of weights that are small enough for it to be smooth."""
  small = {n: (0.2 * x).astype(x.dtype) for n, x in written.theirs.items()}
  _, leaves = kit.load(written, small)
  method = written.method
  tree = peers.trees.nested(leaves)["params"]["main"]["lm"]
  ids = np.array([3, 7, 7, 1, 9])
  net = method.network.lm.net(method.text.size)
  got = jax.jit(net.apply)({"params": tree}, jnp.asarray(ids[None]))[0]
  want = defined(small, ids, method)
  assert np.abs(want).max() > 0.05
  np.testing.assert_allclose(got, want, rtol=1e-3, atol=2e-5)


def test_config(written):
  config = kit.check_config("hf_qwen2", written.method)
  assert config["num_key_value_heads"] == 2 and config["vocab_size"] == 11
  read = families.find("hf_qwen2").read_config
  few = dict(num_key_value_heads=None, eos_token_id=[5, 6], pad_token_id=None)
  again = read(config | few)
  assert again["network"]["lm"]["kv_heads"] == 4
  assert again["text"] == dict(words=11, begin=1, end=5, pad=5)
  theta = config.pop("rope_theta")
  rope = dict(rope_type="default", rope_theta=theta)  # Transformers 5
  newer = read(config | {"rope_parameters": rope})
  assert newer["network"]["lm"]["theta"] == theta == 50.0
  with pytest.raises(ValueError, match="rope_type='yarn'"):
    read(config | {"rope_parameters": rope | {"rope_type": "yarn"}})
  with pytest.raises(ValueError, match="use_sliding_window"):
    read(config | {"use_sliding_window": True})


def test_a_bare_model_is_read(written):
  if not written.method.network.lm.tied:
    pytest.skip("a bare model has no head")
  bare = {n.removeprefix("model."): x for n, x in written.theirs.items()}
  bare["lm_head.weight"] = written.theirs["model.embed_tokens.weight"]
  made, leaves = kit.load(written, bare)
  assert {n.split("/")[2] for n in made.fresh} == {"vision", "head"}
  for name, array in leaves.items():
    np.testing.assert_array_equal(array, written.ours[name])


def test_the_library_computes_the_same(tmp_path):
  library = peers.transformers()
  config = library.Qwen2Config(
    hidden_size=32,
    num_hidden_layers=2,
    num_attention_heads=4,
    num_key_value_heads=2,
    intermediate_size=48,
    vocab_size=11,
    tie_word_embeddings=True,
    bos_token_id=1,
    eos_token_id=2,
  )
  theirs = peers.shake(library.Qwen2ForCausalLM(config))
  theirs.save_pretrained(tmp_path)
  method, params, _ = peers.read_folder("hf_qwen2", tmp_path)
  ids = np.array([[3, 7, 7, 1, 9]])
  want = peers.run(theirs, peers.tensor(ids)).logits.numpy()
  net = method.network.lm.net(method.text.size)
  got = net.apply({"params": params["main"]["lm"]}, jnp.asarray(ids))
  np.testing.assert_allclose(got, want, atol=1e-4)
