"""Tree-LSTM: Tai et al., Improved Semantic Representations From Tree-Structured LSTM Networks, 2015, arXiv:1503.00075.

What a node is made of depends on the tree, so the model is TorchScript with its loop and branches: no trace has them.
"""

import torch
from torch import Tensor, nn

from pytest_modelconform import Case, generic_weights


class BinaryTreeLSTM(nn.Module):
    """Reads the nodes of a binary tree, each behind its children, and classifies each and the root."""

    def __init__(self, words: int = 50, width: int = 16, classes: int = 5) -> None:
        super().__init__()
        self.embedding = nn.Embedding(words, width)
        self.leaf = nn.Linear(width, 3 * width)
        self.compose = nn.Linear(2 * width, 5 * width)
        self.classifier = nn.Linear(width, classes)

    def read(self, word: Tensor) -> tuple[Tensor, Tensor]:
        """The state of a leaf."""
        i, o, u = self.leaf(self.embedding(word)).chunk(3, -1)
        c = i.sigmoid() * u.tanh()
        return o.sigmoid() * c.tanh(), c

    def join(self, left: tuple[Tensor, Tensor], right: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """The state of a node from those of its two children, with a forget gate for each."""
        i, f_left, f_right, o, u = self.compose(torch.cat((left[0], right[0]), -1)).chunk(5, -1)
        c = i.sigmoid() * u.tanh() + f_left.sigmoid() * left[1] + f_right.sigmoid() * right[1]
        return o.sigmoid() * c.tanh(), c

    def forward(self, words: Tensor, children: Tensor) -> tuple[Tensor, Tensor]:
        """Takes words (nodes,), which count in leaves; children (nodes, 2), -1 in leaves. The last node is the root."""
        states: list[tuple[Tensor, Tensor]] = []
        for node in range(words.size(0)):
            left, right = int(children[node, 0]), int(children[node, 1])
            if left < 0:
                states.append(self.read(words[node]))
            else:
                states.append(self.join(states[left], states[right]))
        hidden = torch.stack([state[0] for state in states])
        return self.classifier(hidden).log_softmax(-1), hidden[-1]


# Children by node: "(the film) (was (not good))", each pair with its node, and a tree that only grows to the right.
FORK = ((-1, -1), (-1, -1), (0, 1), (-1, -1), (-1, -1), (-1, -1), (4, 5), (3, 6), (2, 7))
COMB = ((-1, -1), (-1, -1), (-1, -1), (-1, -1), (2, 3), (1, 4), (0, 5))


def tree(children: tuple[tuple[int, int], ...]) -> tuple[Tensor, Tensor]:
    """Random words at the leaves, the padding word at the other nodes."""
    tensor = torch.tensor(children)
    return torch.randint(1, 50, (len(children),)) * (tensor[:, 0] < 0), tensor


case = Case(
    model=lambda: torch.jit.script(generic_weights(BinaryTreeLSTM())),
    inputs={"fork": lambda: tree(FORK), "comb": lambda: tree(COMB)},
    dynamic_shapes={"words": {0: "nodes"}, "children": {0: "nodes"}},
    tags=("graph", "text", "recurrent", "control_flow", "script"),
    paper="arXiv:1503.00075",
)
