import numpy as np

from jmim.convert import table
from jmim.convert.tables import _torch
from jmim.core import tree as trees

W = 3
RNG = np.random.default_rng(0)
THEIRS = {
  "a.in_proj_weight": RNG.normal(size=(3 * W, W)),
  "a.in_proj_bias": RNG.normal(size=3 * W),
  "a.out_proj.weight": RNG.normal(size=(W, W)),
  "a.out_proj.bias": RNG.normal(size=W),
}
X = RNG.normal(size=(2, W))
QKV = X @ THEIRS["a.in_proj_weight"].T + THEIRS["a.in_proj_bias"]
OUT = X @ THEIRS["a.out_proj.weight"].T + THEIRS["a.out_proj.bias"]


def imported(rules):
  return trees.named(table.import_tree(rules, THEIRS))


def test_q_k_and_v_of_a_sequence_are_one_layer():
  own = imported(_torch.attention("a", "b"))
  made = X @ own["b/qkv/kernel"] + own["b/qkv/bias"]
  np.testing.assert_allclose(made, QKV)
  np.testing.assert_allclose(X @ own["b/proj/kernel"] + own["b/proj/bias"], OUT)


def test_q_k_and_v_of_two_sequences_are_three():
  rules = _torch.cross_attention("a", "b")
  own = imported(rules)
  for name, wanted in zip("qkv", np.split(QKV, 3, axis=1), strict=True):
    made = X @ own[f"b/{name}/kernel"] + own[f"b/{name}/bias"]
    np.testing.assert_allclose(made, wanted)
  np.testing.assert_allclose(X @ own["b/proj/kernel"] + own["b/proj/bias"], OUT)
  back = table.export_tree(rules, table.import_tree(rules, THEIRS))
  for name, x in THEIRS.items():
    np.testing.assert_array_equal(back[name], x)
