"""T5 of Transformers: its names, its definition in numpy, a config.json."""

import jax
import jax.numpy as jnp
import kit
import numpy as np
import numpyt5
import peers
import pytest

from jmim.convert import families

KINDS = {
  "v1.1": dict(),
  "v1.0": dict(act="relu", tied=True, decoder_depth=1, depth=3),
}


def tiny(**network):
  sizes = dict(depth=2, heads=3, head_width=4, buckets=8, distance=12)
  sizes["decoder_depth"] = sizes["depth"]
  return kit.tiny("text.t5", network=sizes | network)


@pytest.fixture(scope="module", params=KINDS)
def written(request):
  return kit.check("hf_t5", tiny(**KINDS[request.param]))


def test_names(written):
  net = written.method.network
  assert ("lm_head.weight" in written.theirs) == (not net.tied)
  shape = written.theirs["decoder.block.0.layer.1.EncDecAttention.o.weight"]
  assert shape.shape == (net.width, 12)
  inner = {n for n in written.theirs if "DenseReluDense" in n}
  assert len(inner) == (3 if net.act == "gelu" else 2) * (
    net.depth + net.decoder_depth
  )


IDS = np.array(
  [[3, 7, 7, 1, 9, 2, 12, 0, 0, 4], [5, 6, 2, 8, 1, 0, 0, 0, 0, 0]]
)
READ = np.array([[1] * 10, [1] * 5 + [0] * 5], bool)
SAID = np.array([[0, 4, 4, 9], [0, 2, 11, 0]])
THERE = np.array([[1] * 4, [1, 1, 1, 0]], bool)


def computed(net, tree):
  """(memory, logits) of the ids above."""

  @jax.jit
  def both(tree):
    memory = net.apply({"params": tree}, IDS, READ, method="encode")
    seen = dict(present=THERE, memory_present=READ)
    ask = lambda name, *a, **k: net.apply(
      {"params": tree}, *a, method=name, **k
    )
    return memory, ask("scores", ask("decode", SAID, memory, **seen))

  return both(tree)


def test_the_definition_computes_the_same(written):
  """Of weights that are small enough for it to be smooth."""
  small = {n: (0.3 * x).astype(x.dtype) for n, x in written.theirs.items()}
  _, leaves = kit.load(written, small)
  net = written.method.network
  tree = peers.trees.nested(leaves)["params"]["main"]
  memory, logits = computed(net.net, tree)
  defined = numpyt5.T5(small, net)
  for i in range(2):
    want = defined.side("encoder", IDS[i], READ[i])
    np.testing.assert_allclose(memory[i], want, atol=2e-5)
    told = dict(memory=want, memory_present=READ[i])
    said = defined.side("decoder", SAID[i], THERE[i], **told)
    want = defined.scores(said)
    assert np.abs(want).max() > 0.05
    np.testing.assert_allclose(logits[i], want, atol=2e-5)


def test_an_encoder_alone_is_read(written):
  alone = {
    n: x for n, x in written.theirs.items() if n.startswith(("shared", "enc"))
  }
  alone["encoder.embed_tokens.weight"] = written.theirs["shared.weight"]
  made, leaves = kit.load(written, alone)
  tops = {n.split("/")[2] for n in made.fresh}
  assert tops == {"decoder"} | (
    {"head"} - {written.method.network.tied and "head"}
  )
  for name, array in leaves.items():
    np.testing.assert_array_equal(array, written.ours[name])


def test_config(written):
  config = kit.check_config("hf_t5", written.method, "network")
  assert config["num_layers"] == written.method.network.depth
  family = families.find("hf_t5")
  newer = family.read_config(config | dict(vocab_size=32_128))
  assert (newer["vocabulary"], newer["sentinel"]) == (32_100, 32_099)
  with pytest.raises(ValueError, match="feed_forward_proj='gated-silu'"):
    family.read_config(config | dict(feed_forward_proj="gated-silu"))
  with pytest.raises(ValueError, match="layer_norm_epsilon"):
    family.read_config(config | dict(layer_norm_epsilon=1e-5))
  other = kit.tiny("text.t5", pad=2, network=dict(decoder_depth=1))
  assert "pad=2" in family.objection("text.t5", other)


@pytest.mark.parametrize("kind", KINDS)
def test_the_library_computes_the_same(kind, tmp_path):
  library = peers.transformers()
  tied = kind == "v1.0"
  config = library.T5Config(
    d_model=16,
    d_kv=4,
    d_ff=24,
    num_layers=2,
    num_heads=3,
    vocab_size=14,
    relative_attention_num_buckets=8,
    relative_attention_max_distance=12,
    feed_forward_proj="relu" if tied else "gated-gelu",
    tie_word_embeddings=tied,
  )
  theirs = peers.shake(library.T5ForConditionalGeneration(config))
  theirs.save_pretrained(tmp_path / "theirs")
  method, params, _ = peers.read_folder("hf_t5", tmp_path / "theirs")
  _, got = computed(method.network.net, params["main"])
  tensor = peers.torch().from_numpy
  asked = dict(
    input_ids=tensor(IDS),
    attention_mask=tensor(READ.astype(int)),
    decoder_input_ids=tensor(SAID),
    decoder_attention_mask=tensor(THERE.astype(int)),
  )
  want = peers.run(theirs, **asked).logits.numpy()
  np.testing.assert_allclose(got, want, atol=1e-4 * max(1, np.abs(want).max()))
  peers.write("hf_t5", method, params, tmp_path / "ours")
  again = peers.reread(type(theirs), tmp_path / "ours")
  np.testing.assert_allclose(peers.run(again, **asked).logits, want, atol=1e-5)


def test_scores_are_summed_in_float32():
  method = tiny()
  small = jax.eval_shape(method.network.init, jax.random.key(0))
  x = jax.ShapeDtypeStruct((1, 2, method.network.width), jnp.bfloat16)
  ask = lambda p, x: method.network.ask(p, "scores", x)
  assert jax.eval_shape(ask, small, x).dtype == jnp.float32
