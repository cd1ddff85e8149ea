import jax.numpy as jnp
import numpy as np

from jmim.core import tree as trees
from jmim.methods.parts import mixers

PLACE = "net/up1_0_attention/self_0"
HOST = [f"{PLACE}/{n}/kernel" for n in ("q", "k", "v", "proj")]
OTHERS = ["net/up1_0/conv1/kernel", "net/up1_0_attention/cross_0/q/kernel"]
FEATURES = [f"{PLACE}/{n}_features/fc1/kernel" for n in "qk"]


def tree(names):
  return trees.nested({n: jnp.ones((2, 2)) for n in names})


def own(**fields):
  host = lambda key: tree(HOST + OTHERS)
  made = mixers.Mixers(**fields).own(tree(HOST + OTHERS + FEATURES), host)
  return {part: trees.named(x) for part, x in made.items()}


def test_to_the_hosts_maps_is_added_and_features_are_new():
  made = own()
  assert set(made["added"]) == set(HOST) and set(made["new"]) == set(FEATURES)
  assert not any(np.any(x) for x in made["added"].values())


def test_or_all_of_a_mixer_is_new():
  made = own(start="fresh")
  assert made["added"] == {} and set(made["new"]) == {*HOST, *FEATURES}


def test_the_plug_makes_a_mixer_of_the_fields():
  part = mixers.Mixers(form="causal", bottleneck=3, chunk=8, tokens=4)
  net = part.plug(heads=2, name="self_0")
  found = (net.heads, net.form, net.mid, net.chunk, net.tokens)
  assert found == (2, "causal", 3, 8, 4)
