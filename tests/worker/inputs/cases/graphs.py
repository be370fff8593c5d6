"""Graphs: nodes, edges, and what lies on them."""

from __future__ import annotations

from tests.worker.inputs.search import net

CASES: dict[str, tuple[str, tuple[str, ...]]] = {
    "a batch of graphs is copied, and its entries have a row for each node": (
        net(
            "self.l = nn.Linear(5, 3)",
            "b = data.clone(); x = self.l(b.x)[b.edge_index[0]]; "
            "return torch.zeros(9, 3).index_add(0, b.batch[b.edge_index[1]], x)",
            "data",
        ),
        ("x: float32[32,5], edge_index: int64[2,96], batch: int64[32]",),
    ),
    "a sparse matrix of the edges between nodes": (
        net(
            "self.l = nn.Linear(4, 4)",
            "return torch.sparse.mm(ranks.coalesce(), self.l(x)[edge_index[0]][:ranks.shape[0]])",
            "x, edge_index, ranks",
        ),
        ("float32[32,4]", "int64[2,96]", "float32[32,32]"),
    ),
    "the edges of each type are found by the types at their ends": (
        net(
            "self.l = nn.Linear(4, 4)",
            "h = self.l(x_dict['0']); e = edge_index_dict['0', '0', '0']; "
            "return h.index_add(0, e[1], h[e[0]])",
            "x_dict: dict[str, torch.Tensor], "
            "edge_index_dict: dict[tuple[str, str, str], torch.Tensor]",
        ),
        (
            "{0: float32[32,4], 1: float32[32,4]}",
            "{('0', '0', '0'): int64[2,96], ('1', '1', '1'): int64[2,96]}",
        ),
    ),
    "the kinds of the edges of a graph are given where they are looked up": (
        net(
            "self.w = nn.Parameter(torch.randn(2, 6, 3))",
            "return self.sent(x, edge_index, edge_type)\n"
            "    def sent(self, x, edges, edge_type):\n"
            "        w = self.chosen(edge_type)\n"
            "        return torch.bmm(x[edges[0]].unsqueeze(1), w)\n"
            "    def chosen(self, index): return torch.index_select(self.w, 0, index)",
            "x, edge_index, edge_type=None",
        ),
        ("float32[32,6]", "int64[2,96]", "edge_type: int64[96]"),
    ),
    "the ends of the edges of a graph are told one by one": (
        net(
            "self.a = nn.Linear(12, 4); self.n = nn.BatchNorm1d(4)",
            "return self.n(self.a(torch.cat([node_emb[i], edge_emb], 1)))",
            "node_emb, edge_emb, i",
        ),
        ("float32[32,6]", "float32[96,6]", "int64[96]"),
    ),
    "columns of nodes and of edges are looked up": (
        net(
            "self.e = nn.Embedding(5, 4); self.f = nn.Embedding(6, 4)",
            "h = self.e(x[:, 0]); e = self.f(edge_attr[:, 0]) + self.f(edge_attr[:, 1]); "
            "return h[edge_index[0]] + e",
            "x, edge_index, edge_attr",
        ),
        ("int64[32,16]", "int64[2,96]", "int64[96,16]"),
    ),
    "each node of a graph has a kind": (
        net(
            "self.l = nn.Linear(5, 4); self.num_node_types = 3; "
            "self.w = nn.Parameter(torch.ones(3, 4))",
            "h = self.l(x) * self.w[node_type]; return h[edge_index[0]] + h[edge_index[1]]",
            "x, edge_index, node_type",
        ),
        ("float32[32,5]", "int64[2,96]", "int64[32]"),
    ),
    "the nodes of a graph have the features of its first layer": (
        net(
            "self.w = nn.Parameter(torch.ones(5, 4))",
            "a, b = edge_index[0], edge_index[1]; "
            "return (x @ self.w).index_add(0, b, (x @ self.w)[a])",
            "x, edge_index",
        ),
        ("float32[32,5]", "int64[2,96]"),
    ),
    "a graph comes as a pair that another module takes apart": (
        "class Layer(nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.w = nn.Parameter(torch.ones(5, 4))\n"
        "    def forward(self, data):\n"
        "        nodes, edge_index = data\n"
        "        h = nodes @ self.w\n"
        "        return h.index_add(0, edge_index[1], h[edge_index[0]])\n"
        + net("self.layers = nn.Sequential(Layer())", "return self.layers(data)", "data"),
        ("(float32[32,5], int64[2,96])",),
    ),
    "edges of several kinds are edges": (
        net(
            "self.l = nn.Linear(5, 4)",
            "return self.l(x)[pos_edge_index[0]] - self.l(x)[neg_edge_index[0]]",
            "x, pos_edge_index, neg_edge_index",
        ),
        ("float32[32,5]", "int64[2,96]", "int64[2,96]"),
    ),
    "a graph whose nodes may come as a pair is given its nodes": (
        net(
            "self.l = nn.Linear(5, 4)",
            "x = (x, x) if isinstance(x, torch.Tensor) else x; source, target = x; "
            "return self.l(source)[edge_index[1]]",
            "x, edge_index",
        ),
        ("float32[32,5]", "int64[2,96]"),
    ),
    "a graph has nodes and edges": (
        net(
            "self.l = nn.Linear(6, 3)",
            "h = self.l(x); return torch.zeros_like(h).index_add(0, edge_index[1], "
            "h[edge_index[0]])",
            "x, edge_index",
        ),
        ("float32[32,6]", "int64[2,96]"),
    ),
    "an atomic number is one for each atom": (
        net(
            "self.e = nn.Embedding(100, 1)",
            '"""x (torch.Tensor): The atomic energies.;z (torch.Tensor): The atomic numbers."""; '
            "return x + self.e(z)",
            "x, z",
        ),
        ("float32[32,1]", "int64[32]"),
    ),
    "what the ends of edges pick has a row for each node": (
        net(
            "self.l = nn.Linear(2, 6)",
            "late = edge_time - node_time[edge_index[1]]; "
            "return self.l(torch.stack([late, late.cos()], 1))",
            "edge_index, edge_time, node_time",
        ),
        ("int64[2,96]", "float32[96]", "float32[32]"),
    ),
    "ends of edges pick nodes, which may be kinds, where no argument is called an edge": (
        net(
            "self.e = nn.Embedding(95, 6); self.r = nn.Linear(2, 6); self.l = nn.Linear(18, 4)",
            "h = self.e(x); return self.l(torch.cat([h[i], h[j], self.r(distance)], -1))",
            "x, distance, i, j",
        ),
        ("int64[96]", "float32[96,2]", "int64[96]", "int64[96]"),
    ),
    "a mapping of edges has the keys that the model holds, one of nodes their ends": (
        net(
            "self.l = nn.Linear(4, 2); self.kinds = [('man', 'owns', 'dog')]",
            "row, col = edge_index_dict['man', 'owns', 'dog']; "
            "return self.l(x_dict['man'])[row] + self.l(x_dict['dog'])[col]",
            "x_dict: 'dict[str, torch.Tensor]',"
            " edge_index_dict: 'dict[tuple[str, str, str], torch.Tensor]'",
        ),
        (
            "{man: float32[32,4], dog: float32[32,4]}",
            "{('man', 'owns', 'dog'): int64[2,96]}",
        ),
    ),
    "what messages have of both ends lies on nodes, the rest on edges": (
        net(
            "self.l = nn.Linear(6, 6)",
            "row, col = edge_index;return self.l(x)[col] * gap + kind.index_select(0, row)",
            "x, edge_index, kind, gap",
        )
        + "    def propagate(self): pass\n"
        + "    def message(self, x_j, kind_j, gap): pass\n",
        ("float32[32,6]", "int64[2,96]", "float32[32,6]", "float32[96,6]"),
    ),
    "the first features of nodes are those of nodes": (
        net(
            "self.l = nn.Linear(6, 6)",
            "row, col = edge_index; h = self.l(x) + x_0; return h[row] - h[col]",
            "x, x_0, edge_index",
        ),
        ("float32[32,6]", "float32[32,6]", "int64[2,96]"),
    ),
    "the nodes of a graph in an object have no steps": (
        net(
            "self.b = nn.Parameter(torch.ones(6))",
            "h = data.x * self.b; return h[data.edge_index[0]] - h[data.edge_index[1]]",
            "data",
        ),
        ("x: float32[32,6], edge_index: int64[2,96]",),
    ),
    "the nodes of a graph are no hidden state, whatever they are called": (
        net("self.l = nn.Linear(6, 2)", "return adj @ self.l(h)", "h, adj"),
        ("float32[32,6]", "float32[32,32]"),
    ),
    "an adjacency has one matrix for each graph": (
        net("self.l = nn.Linear(6, 2)", "return torch.bmm(adj, self.l(h))", "h, adj"),
        ("float32[32,32,6]", "float32[32,32,32]"),
    ),
}
