"""RNN, LSTM, GRU, attention, Transformer block, causal convolution: equal to torch's, with its weights; padding, state,
truncation, initial values; compiled."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import npgrad
from npgrad import Tensor, nn, optim

CELLS: dict[str, Any] = {"RNN": nn.RNN, "LSTM": nn.LSTM, "GRU": nn.GRU}
each_cell = pytest.mark.parametrize("cell", list(CELLS))
FLOAT64: Any = {"dtype": np.float64}


def new(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def arrays(theirs: Any) -> dict[str, np.ndarray]:
    return {name: t.detach().numpy() for name, t in theirs.state_dict().items()}


def assert_close(a: Any, b: Any) -> None:
    a, b = np.asarray(a), np.asarray(b)
    assert a.shape == b.shape and np.max(np.abs(a - b), initial=0) <= 1e-10 * (1 + np.max(np.abs(b), initial=0))


def same_gradients(ours: nn.Module, theirs: Any) -> None:
    """The gradients of all parameters, which are loaded as if they were weights."""
    before = ours.state_dict()
    nn.torch_weights(ours, {name: p.grad.numpy() for name, p in theirs.named_parameters()})
    gradients = ours.state_dict()
    for name, p in ours.named_parameters():
        assert_close(p.grad, gradients[name])
    ours.load_state_dict(before)


def numbers(state: Any) -> list[np.ndarray]:
    return [
        t.numpy() if isinstance(t, Tensor) else t.detach().numpy()
        for t in (state if isinstance(state, tuple) else (state,))
    ]


# -- recurrent networks -----------------------------------------------------------------------------------------------


@each_cell
@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("given_state", [True, False])
@pytest.mark.parametrize("padded", [True, False])
def test_recurrent_layers_are_torchs(
    torch: Any, cell: str, layers: int, bias: bool, given_state: bool, padded: bool
) -> None:
    N, T, C, H = 4, 5, 3, 6
    theirs = getattr(torch.nn, cell)(C, H, layers, bias=bias, batch_first=True).double()
    ours = CELLS[cell](C, H, layers, bias, rng=new(), **FLOAT64)
    nn.torch_weights(ours, arrays(theirs))
    rng = new(1)
    x, lengths = rng.normal(size=(N, T, C)), np.array([5, 2, 1, 4]) if padded else None
    states = [rng.normal(size=(layers, N, H)) for _ in range(2 if cell == "LSTM" else 1)]
    a, b = Tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    s = [Tensor(part, requires_grad=True) for part in states] if given_state else None
    r = [torch.tensor(part, requires_grad=True) for part in states] if given_state else None
    y, after = ours(a, s if s is None or cell == "LSTM" else s[0], lengths)
    if lengths is None:
        z, their_after = theirs(b, r if r is None or cell == "LSTM" else r[0])
    else:
        pack = torch.nn.utils.rnn.pack_padded_sequence(b, torch.tensor(lengths), batch_first=True, enforce_sorted=False)
        z, their_after = theirs(pack, r if r is None or cell == "LSTM" else r[0])
        z, _ = torch.nn.utils.rnn.pad_packed_sequence(z, batch_first=True)
    assert_close(y.numpy(), z.detach().numpy())
    for mine, its in zip(numbers(after), numbers(their_after), strict=True):
        assert_close(mine, its)
    # A loss that depends on the output and on all of the returned state.
    weights = [rng.normal(size=y.shape), *(rng.normal(size=part.shape) for part in numbers(after))]
    parts = [y, *(after if isinstance(after, tuple) else (after,))]
    their_parts = [z, *(their_after if isinstance(their_after, tuple) else (their_after,))]
    sum((p * w).sum() for p, w in zip(parts, weights, strict=True)).backward()
    sum((p * torch.tensor(w)).sum() for p, w in zip(their_parts, weights, strict=True)).backward()
    assert_close(a.grad, b.grad.numpy())
    for mine, its in zip(s or [], r or [], strict=True):
        assert_close(mine.grad, its.grad.numpy())
    same_gradients(ours, theirs)


@each_cell
def test_padding_changes_no_number(cell: str) -> None:
    """A batch of sequences of different lengths is what they are one by one, whatever stands in the padding."""
    rng = new()
    net = CELLS[cell](3, 4, 2, rng=rng, **FLOAT64)
    lengths = np.array([2, 5, 3])
    x = rng.normal(size=(3, 5, 3))
    dy = rng.normal(size=(3, 5, 4))

    def gradients(losses: list[Tensor]) -> list[Any]:
        net.zero_grad()
        for loss in losses:
            loss.backward()
        return [p.grad for p in net.parameters()]

    expected = gradients([(net(x[[i], :n])[0] * dy[[i], :n]).sum() for i, n in enumerate(lengths)])
    for filling in (0.0, 1e6):
        filled = np.where(np.arange(5)[None, :, None] < lengths[:, None, None], x, filling)
        y, after = net(filled, None, lengths)
        for a, b in zip(gradients([(y * dy).sum()]), expected, strict=True):
            assert np.allclose(a, b, rtol=1e-12, atol=1e-13)
        for i, n in enumerate(lengths):
            alone, alone_after = net(x[[i], :n])
            assert np.allclose(y.numpy()[i, :n], alone.numpy()[0], rtol=1e-13) and not y.numpy()[i, n:].any()
            for mine, its in zip(numbers(after), numbers(alone_after), strict=True):
                assert np.allclose(mine[:, i], its[:, 0], rtol=1e-13)


@each_cell
def test_the_state_carries_a_sequence_on(cell: str) -> None:
    rng = new()
    net = CELLS[cell](3, 4, 2, rng=rng, **FLOAT64)
    x = rng.normal(size=(2, 6, 3))
    whole, after = net(x)
    first, state = net(x[:, :4])
    second, end = net(x[:, 4:], state)
    assert np.array_equal(np.concatenate((first.numpy(), second.numpy()), axis=1), whole.numpy())
    for a, b in zip(numbers(after), numbers(end), strict=True):
        assert np.array_equal(a, b)


@each_cell
def test_truncated_back_propagation(cell: str) -> None:
    """With a detached state the gradient is that of each stretch with its first state held fixed."""
    rng = new()
    net = CELLS[cell](3, 4, rng=rng, **FLOAT64)
    x, dy = rng.normal(size=(2, 9, 3)), rng.normal(size=(2, 9, 4))
    state, losses, fixed = None, [], []
    for start in range(0, 9, 3):
        fixed.append(state)
        y, state = net(x[:, start : start + 3], state)
        loss = (y * dy[:, start : start + 3]).sum()
        loss.backward()
        losses.append(loss.item())
        state = nn.detach(state)
        assert not any(part.requires_grad for part in (state if isinstance(state, tuple) else (state,)))
    truncated = [p.grad.copy() for p in net.parameters()]
    y, _ = net(x)
    whole = (y * dy).sum()
    assert whole.item() == pytest.approx(sum(losses), rel=1e-12)
    net.zero_grad()
    whole.backward()
    assert all(not np.allclose(p.grad, g) for p, g in zip(net.parameters(), truncated, strict=True))

    def stretches() -> float:
        parts = (net(x[:, 3 * k : 3 * k + 3], fixed[k])[0] * dy[:, 3 * k : 3 * k + 3] for k in range(3))
        return float(sum(part.sum().item() for part in parts))

    for p, g in zip(net.parameters(), truncated, strict=True):
        direction, h = rng.normal(size=p.shape), 1e-5
        p.data = p.numpy() + h * direction
        up = stretches()
        p.data = p.numpy() - 2 * h * direction
        down = stretches()
        p.data = p.numpy() + h * direction
        assert (up - down) / (2 * h) == pytest.approx((g * direction).sum(), rel=1e-6, abs=1e-8)


@each_cell
def test_initial_values(cell: str) -> None:
    net = CELLS[cell](50, 40, 2, rng=new(), **FLOAT64)
    for k in range(2):
        W = net.state_dict()[f"weight_hh_l{k}"]
        for part in np.split(W, W.shape[1] // 40, axis=1):
            assert np.allclose(part @ part.T, np.eye(40), atol=1e-12)
        b = net.state_dict()[f"bias_ih_l{k}"]
        assert b.sum() == (40 if cell == "LSTM" else 0) and not net.state_dict()[f"bias_hh_l{k}"].any()
        if cell == "LSTM":
            assert (b[40:80] == 1).all()
    assert np.std(net.weight_ih_l0.numpy()) == pytest.approx(1 / np.sqrt(50), rel=0.05)
    if cell == "LSTM":
        assert not nn.LSTM(2, 3, forget_bias=0.0, rng=new()).bias_ih_l0.numpy().any()


@each_cell
def test_dropout_is_between_the_layers_and_in_training_only(cell: str) -> None:
    net = CELLS[cell](3, 50, 2, dropout=0.5, rng=new(), **FLOAT64)
    x = new(1).normal(size=(2, 3, 3))
    assert not np.array_equal(net(x)[0].numpy(), net(x)[0].numpy())
    one = CELLS[cell](3, 50, dropout=0.5, rng=new(), **FLOAT64)
    assert np.array_equal(one(x)[0].numpy(), one(x)[0].numpy())
    net.eval()
    assert np.array_equal(net(x)[0].numpy(), net(x)[0].numpy())


@each_cell
@pytest.mark.parametrize(("dropout", "training"), [(0.5, False), (1.0, True)])
def test_dropout_is_torchs_where_nothing_is_drawn(torch: Any, cell: str, dropout: float, training: bool) -> None:
    theirs = getattr(torch.nn, cell)(3, 4, 2, dropout=dropout, batch_first=True).double().train(training)
    ours = CELLS[cell](3, 4, 2, dropout=dropout, rng=new(), **FLOAT64)
    ours.train(training)
    nn.torch_weights(ours, arrays(theirs))
    x, dy = new(1).normal(size=(2, 5, 3)), new(2).normal(size=(2, 5, 4))
    y, z = ours(x)[0], theirs(torch.tensor(x))[0]
    assert_close(y.numpy(), z.detach().numpy())
    y.backward(dy)
    z.backward(torch.tensor(dy))
    same_gradients(ours, theirs)


def test_errors_of_recurrent_layers_say_what_to_do() -> None:
    net = nn.LSTM(3, 4, rng=new())
    x = np.zeros((2, 5, 3), np.float32)
    with pytest.raises(ValueError, match=r"got an input of shape \(2, 3\); it takes \(N, T, 3\)"):
        net(x[:, 0])
    with pytest.raises(ValueError, match="a pair: hidden state and cell"):
        net(x, np.zeros((1, 2, 4)))
    with pytest.raises(
        ValueError, match=r"got a state of shape \(1, 3, 4\); it takes \(layers, N, H\), here \(1, 2, 4\)"
    ):
        net(x, (np.zeros((1, 3, 4)), np.zeros((1, 2, 4))))
    with pytest.raises(ValueError, match="no steps"):
        net(x[:, :0])
    with pytest.raises(ValueError, match="one integer for each of the 2 items"):
        net(x, None, np.array([1.0, 2.0]))
    with pytest.raises(TypeError, match="RNN\\(3, 4\\)"):
        nn.RNN(3, 4)
    with pytest.raises(ValueError, match="at least 1"):
        nn.GRU(3, 0, rng=new())
    assert "3, 4, num_layers=2, bias=False, dropout=0.5" in repr(nn.GRU(3, 4, 2, False, 0.5, rng=new()))


# -- compiled ---------------------------------------------------------------------------------------------------------


class Names(nn.Module):
    """Characters to a recurrent network to logits."""

    def __init__(self, cell: str, hidden: int) -> None:
        rng = new()
        self.embedding = nn.Embedding(27, 10, rng=rng)
        self.net = CELLS[cell](10, hidden, rng=rng)
        self.head = nn.Linear(hidden, 27, rng=rng)

    def forward(self, x: Any, lengths: Any = None) -> Tensor:
        return self.head(self.net(self.embedding(x), None, lengths)[0])  # type: ignore[no-any-return]


@each_cell
@pytest.mark.parametrize("padded", [False, True])
def test_compiled_training_is_eager_training(cell: str, padded: bool) -> None:
    """16 unrolled steps, forward, backward and update: the same bytes after every call."""

    def training(compiled: bool) -> tuple[Any, Names]:
        net = Names(cell, 20)
        optimizer = optim.Adam(net.parameters(), lr=0.01)

        def step(x: Any, t: Any, lengths: Any) -> Any:
            logits = net(x, lengths if padded else None)
            loss = npgrad.cross_entropy(logits.reshape(-1, 27), t.reshape(-1))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            return loss

        return (npgrad.compile(step, warm_up=1) if compiled else step), net

    (eager, net), (compiled, other) = training(False), training(True)
    rng = new(3)
    for _ in range(12):
        x, t = rng.integers(0, 27, size=(2, 8, 16))
        lengths = rng.integers(1, 17, size=8)
        a, b = eager(x, t, lengths), compiled(x, t, lengths)
        assert a.numpy().tobytes() == b.numpy().tobytes()
        for p, q in zip(net.parameters(), other.parameters(), strict=True):
            assert p.numpy().tobytes() == q.numpy().tobytes()
            assert p.grad.tobytes() == q.grad.tobytes()
    source = compiled.source
    assert f"{cell}Step" in source and "Recurrent.forward" not in source


# -- attention --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("option", ["plain", "cross", "padding", "pairs", "pairs by head", "causal", "both"])
def test_multi_head_attention_is_torchs(torch: Any, option: str, bias: bool) -> None:
    N, T, E, heads = 3, 5, 8, 2
    S = 4 if option == "cross" else T
    theirs = torch.nn.MultiheadAttention(E, heads, bias=bias, batch_first=True).double()
    ours = nn.MultiHeadAttention(E, heads, bias=bias, rng=new(), **FLOAT64)
    rng = new(1)
    state = {name: rng.normal(size=a.shape) for name, a in arrays(theirs).items()}
    theirs.load_state_dict({name: torch.tensor(a) for name, a in state.items()})
    nn.torch_weights(ours, state)
    x = [rng.normal(size=(N, n, E)) for n in (T, S, S)]
    x = x if option == "cross" else x[:1] * 3
    padding = pairs = None
    if option in ("padding", "both"):
        padding = np.arange(S) >= np.array([5, 2, 3])[:, None]
    if option in ("pairs", "both"):
        pairs = np.triu(np.ones((T, S), bool), 1)
    if option == "pairs by head":
        pairs = rng.random((N * heads, T, S)) < 0.4
        pairs[:, :, 0] = False
    mask = ~np.tri(T, dtype=bool) if option == "causal" else pairs
    a = [Tensor(v, requires_grad=True) for v in x]
    b = [torch.tensor(v, requires_grad=True) for v in x]
    y, w = ours(*a, padding, pairs, option == "causal", need_weights=True)
    z, u = theirs(
        *b,
        key_padding_mask=None if padding is None else torch.tensor(padding),
        attn_mask=None if mask is None else torch.tensor(mask),
        average_attn_weights=False,
    )
    assert_close(y.numpy(), z.detach().numpy())
    assert_close(w.numpy(), u.detach().numpy())
    dy, dw = rng.normal(size=y.shape), rng.normal(size=w.shape)
    ((y * dy).sum() + (w * dw).sum()).backward()
    ((z * torch.tensor(dy)).sum() + (u * torch.tensor(dw)).sum()).backward()
    for mine, its in zip(a, b, strict=True):
        assert_close(mine.grad, its.grad.numpy())
    same_gradients(ours, theirs)


@pytest.mark.parametrize("norm_first", [True, False])
@pytest.mark.parametrize("activation", ["gelu", "relu"])
@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("dropout", [0.0, 1.0])
def test_transformer_block_is_torchs(
    torch: Any, norm_first: bool, activation: str, masked: bool, bias: bool, dropout: float
) -> None:
    N, T, E = 3, 5, 8
    options: Any = {"dropout": dropout, "activation": activation, "norm_first": norm_first, "bias": bias}
    theirs = torch.nn.TransformerEncoderLayer(E, 2, 12, **options, batch_first=True).double()
    ours = nn.TransformerBlock(E, 2, 12, **options, rng=new(), **FLOAT64)
    nn.torch_weights(ours, arrays(theirs))
    rng = new(1)
    x, dy = rng.normal(size=(N, T, E)), rng.normal(size=(N, T, E))
    causal = ~np.tri(T, dtype=bool) if masked else None
    padding = np.arange(T) >= np.array([5, 2, 3])[:, None] if masked else None
    a, b = Tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    y = ours(a, causal, padding)
    z = theirs(
        b,
        None if causal is None else torch.tensor(causal),
        None if padding is None else torch.tensor(padding),
    )
    assert_close(y.numpy(), z.detach().numpy())
    y.backward(dy)
    z.backward(torch.tensor(dy))
    assert_close(a.grad, b.grad.numpy())
    same_gradients(ours, theirs)


def test_a_causal_block_does_not_see_what_follows() -> None:
    block = nn.TransformerBlock(8, 2, rng=new(), **FLOAT64)
    x = new(1).normal(size=(2, 6, 8))
    before = block(Tensor(x), is_causal=True).numpy()
    x[:, 4:] += 1
    after = block(Tensor(x), is_causal=True).numpy()
    assert np.array_equal(before[:, :4], after[:, :4]) and not np.allclose(before[:, 4:], after[:, 4:])


def test_compiled_transformer_block_is_eager() -> None:
    def training(compiled: bool) -> tuple[Any, nn.Module]:
        rng = new()
        net = nn.TransformerBlock(16, 4, dropout=0.1, rng=rng)
        optimizer = optim.SGD(net.parameters(), lr=0.1)

        def step(x: Any, padding: Any) -> Any:
            y = net(x, None, padding, True)
            loss = (y * y).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            return loss

        return (npgrad.compile(step, warm_up=1) if compiled else step), net

    (eager, net), (compiled, other) = training(False), training(True)
    rng = new(3)
    for _ in range(8):
        x = Tensor(rng.normal(size=(4, 6, 16)).astype(np.float32))
        padding = np.arange(6) >= rng.integers(1, 7, size=4)[:, None]
        a, b = eager(x, padding), compiled(x, padding)
        assert a.numpy().tobytes() == b.numpy().tobytes()
    for p, q in zip(net.parameters(), other.parameters(), strict=True):
        assert p.numpy().tobytes() == q.numpy().tobytes()
    assert "ScaledDotProductAttention.forward" not in compiled.source


@pytest.mark.parametrize("rotary", [True, False])
@pytest.mark.parametrize("norm_first", [True, False])
def test_a_sequence_goes_on_from_its_keys_and_values(rotary: bool, norm_first: bool) -> None:
    block = nn.TransformerBlock(8, 2, norm_first=norm_first, rotary=rotary, rng=new(), **FLOAT64)
    x = new(1).normal(size=(3, 7, 8))
    whole, parts, past = block(Tensor(x), is_causal=True), [], None
    for stretch in (x[:, :3], x[:, 3:4], x[:, 4:]):
        y, past = block.following(Tensor(stretch), past)
        parts.append(y.numpy())
    assert np.allclose(np.concatenate(parts, axis=1), whole.numpy(), rtol=1e-12, atol=1e-13)
    assert past[0].shape == past[1].shape == (3, 2, 7, 4)


def test_rotary_attention_knows_the_distance_and_nothing_else_the_order() -> None:
    x = new(1).normal(size=(1, 6, 8))
    x = np.concatenate((x, x), axis=1)
    window = np.abs(np.subtract.outer(np.arange(12), np.arange(12))) > 2
    turned, plain = (nn.MultiHeadAttention(8, 2, rotary=rotary, rng=new(), **FLOAT64) for rotary in (True, False))
    y = turned(Tensor(x), attn_mask=window).numpy()
    assert np.allclose(y[:, 2:4], y[:, 8:10], rtol=1e-12, atol=1e-13)
    backwards = np.ascontiguousarray(x[:, ::-1])
    assert np.allclose(plain(Tensor(backwards)).numpy()[:, ::-1], plain(Tensor(x)).numpy(), rtol=1e-12, atol=1e-13)
    assert not np.allclose(turned(Tensor(backwards)).numpy()[:, ::-1], turned(Tensor(x)).numpy(), rtol=1e-3)


@pytest.mark.parametrize("dilation", [1, 2, 3])
@pytest.mark.parametrize("bias", [True, False])
def test_causal_convolution_is_torchs_after_padding(torch: Any, dilation: int, bias: bool) -> None:
    theirs = torch.nn.Conv1d(3, 4, 2, dilation=dilation, bias=bias).double()
    ours = nn.CausalConv1d(3, 4, 2, dilation, bias, rng=new(), **FLOAT64)
    nn.torch_weights(ours, arrays(theirs))
    x, dy = new(1).normal(size=(2, 3, 7)), new(2).normal(size=(2, 4, 7))
    a, b = Tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    y, z = ours(a), theirs(torch.nn.functional.pad(b, (dilation, 0)))
    assert_close(y.numpy(), z.detach().numpy())
    y.backward(dy)
    z.backward(torch.tensor(dy))
    assert_close(a.grad, b.grad.numpy())
    same_gradients(ours, theirs)
    x[:, :, 5] += 1
    assert np.array_equal(ours(Tensor(x)).numpy()[:, :, :5], y.numpy()[:, :, :5])


def test_weights_of_a_whole_torch_network(torch: Any) -> None:
    theirs = torch.nn.Sequential(
        torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4), torch.nn.Tanh(), torch.nn.Linear(4, 4), torch.nn.LayerNorm(4)
    ).double()
    rng = new()
    ours = nn.Sequential(
        nn.Linear(3, 4, rng=rng, **FLOAT64), nn.BatchNorm1d(4, **FLOAT64), nn.Tanh(),
        nn.Linear(4, 4, rng=rng, **FLOAT64), nn.LayerNorm(4, **FLOAT64),
    )  # fmt: skip
    nn.torch_weights(ours, arrays(theirs))
    x = rng.normal(size=(5, 3))
    assert_close(ours(Tensor(x)).numpy(), theirs(torch.tensor(x)).detach().numpy())


def test_weights_that_do_not_fit_are_refused() -> None:
    net = nn.GRU(3, 4, rng=new())
    before = net.state_dict()
    with pytest.raises(ValueError, match="missing: weight_hh_l0"):
        nn.torch_weights(net, {"weight_ih_l0": np.zeros((12, 3))})
    state = {name: a.T for name, a in nn.GRU(3, 5, rng=new()).state_dict().items()}
    with pytest.raises(ValueError, match="nothing was loaded"):
        nn.torch_weights(net, state)
    assert all(np.array_equal(a, before[name]) for name, a in net.state_dict().items())


def test_errors_of_attention_say_what_to_do() -> None:
    with pytest.raises(ValueError, match="whole number"):
        nn.MultiHeadAttention(10, 3, rng=new())
    with pytest.raises(ValueError, match="in pairs, and each head gets 3, which is odd"):
        nn.TransformerBlock(6, 2, rotary=True, rng=new())
    with pytest.raises(ValueError, match=r"got a query of shape \(2, 5, 7\); it takes \(N, T, 8\)"):
        nn.MultiHeadAttention(8, 2, rng=new())(Tensor(np.zeros((2, 5, 7))))
    for name in ("attn_mask", "key_padding_mask"):
        with pytest.raises(TypeError, match=f"{name} holds booleans, True where attending is excluded; got float64"):
            nn.MultiHeadAttention(8, 2, rng=new())(Tensor(np.zeros((2, 5, 8))), **{name: np.zeros((2, 5))})
    with pytest.raises(ValueError, match='Say "gelu" or "relu"'):
        nn.TransformerBlock(8, 2, activation="selu", rng=new())
    with pytest.raises(ValueError, match="at least 1"):
        nn.CausalConv1d(3, 4, 0, rng=new())
