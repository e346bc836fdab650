"""More odd networks: layers in threads, in another order, on parts of a batch; what changes itself.

As in odd_networks, a factory's docstring says what is right.
"""

import dataclasses
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import nn

from tests.models.probing.odd_networks import FACTORIES as OLDER
from tests.models.probing.odd_networks import Base, base, cbr, settled, variant

# --- in which thread, in which order, on which images ---------------------------------------------


class Branches(nn.Module):
    """A stem and two branches; `way` computes both from what the stem gives."""

    def __init__(self, way):
        super().__init__()
        self.stem, self.a, self.b = cbr(3, 8, 2), cbr(8, 8, 2), cbr(8, 8, 2)
        self.fc, self.way = nn.Linear(16, 10), way

    def forward(self, x):
        return self.fc(torch.cat([*self.way(self, self.stem(x))], 1).mean((2, 3)))


def _pooled(net, y):
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(lambda branch: branch(y), (net.a, net.b)))


def thread_pool():
    """refused: 'a.0' in another thread"""
    return settled(Branches(_pooled))


def _threaded(net, y):
    found = {}
    threads = [
        threading.Thread(target=lambda k=k: found.update({k: getattr(net, k)(y)})) for k in "ab"
    ]
    for thread in threads:
        thread.start()
        thread.join()
    return found["a"], found["b"]


def threads():
    """refused: 'a.0' in another thread"""
    return settled(Branches(_threaded))


def _forked(net, y):
    other = torch.jit.fork(net.a, y)
    return net.b(y), torch.jit.wait(other)


def forked_by_torch():
    """runs, noted: cannot be traced"""
    return settled(Branches(_forked))


def _future(net, y):
    begun = torch.futures.Future()
    begun.set_result(y)
    other = begun.then(lambda given: net.a(given.value()))
    return net.b(y), other.wait()


def torch_future():
    """runs"""
    return settled(Branches(_future))


def threads_for_large_batches():
    """refused: in another thread"""

    def forward(self, x):
        if len(x) < 8:
            return Base.forward(self, x)
        with ThreadPoolExecutor(2) as pool:
            return torch.cat(list(pool.map(lambda part: Base.forward(self, part), x.chunk(2))))

    return variant(forward)


class Chain(nn.Module):
    """A stem, two layers a and b, a head; `way` takes what the stem gives through them."""

    def __init__(self, way):
        super().__init__()
        self.stem, self.a, self.b = cbr(3, 8, 2), cbr(8, 8), cbr(8, 8)
        self.fc, self.way = nn.Linear(8, 10), way

    def forward(self, x):
        return self.fc(self.way(self, self.stem(x), x).mean((2, 3)))


def order_by_the_images():
    """refused: for some images and behind it for others"""

    def way(net, y, x):
        return net.b(net.a(y)) if float(x.mean()) > 0 else net.a(net.b(y))

    return settled(Chain(way))


def layer_for_bright_images():
    """refused: runs layer 'a.0' for some images and not for others"""
    return settled(Chain(lambda net, y, x: net.b(net.a(y)) if float(x.mean()) > 1 else net.b(y)))


def layer_for_large_batches():
    """refused: runs layer 'a.0' for some images and not for others"""
    return settled(Chain(lambda net, y, x: net.b(net.a(y)) if len(x) > 4 else net.b(y)))


def layer_for_lively_images():
    """runs, noted: stay as they are: a.0"""
    return settled(Chain(lambda net, y, x: net.b(net.a(y)) if float(x.std()) > 1.15 else net.b(y)))


def layer_more_often_for_large_batches():
    """refused: 1 times in one pass and 2 times in another"""
    return settled(Chain(lambda net, y, x: net.b(net.a(net.a(y) if len(x) > 4 else y))))


def each_image_alone():
    """refused: 1 rows to read where there are 2 images"""
    return settled(Chain(lambda net, y, x: torch.cat([net.b(net.a(row)) for row in y.split(1)])))


class Experts(nn.Module):
    """Each image goes to one of three linear layers."""

    def __init__(self, skip):
        super().__init__()
        self.stem, self.gate, self.skip = cbr(3, 8, 2), nn.Linear(8, 3), skip
        self.experts = nn.ModuleList(nn.Linear(8, 10) for _ in range(3))

    def forward(self, x):
        y = self.stem(x).mean((2, 3))
        choice, out = self.gate(y - y.mean(1, keepdim=True)).argmax(1), y.new_zeros(len(x), 10)
        for k, expert in enumerate(self.experts):
            mine = choice == k
            if mine.any() or not self.skip:
                out[mine] = expert(y[mine])
        return out


def experts():
    """refused: layer 'experts."""
    return settled(Experts(skip=True))


def experts_without_images():
    """refused: layer 'experts."""
    return settled(Experts(skip=False))


def early_exit():
    """refused: runs layer 'f.1.0' for some images and not for others"""

    def forward(self, x):
        y = self.f[0](x)
        if float(x.mean()) > 1:
            return self.fc(y.mean((2, 3)).repeat(1, 2))
        return self.fc(self.f[2](self.f[1](y)).mean((2, 3)))

    return variant(forward)


def patches_as_images():
    """runs, noted: cannot be traced"""

    def forward(self, x):
        assert float(x.abs().max()) < 1e6
        parts = x.unfold(2, 16, 16).unfold(3, 16, 16).permute(0, 2, 3, 1, 4, 5)
        return self.fc(self.embed(parts.reshape(-1, 3, 16, 16)).view(len(x), 4, 16).mean(1))

    return variant(forward)


def images_without_a_batch():
    """refused: rows to read where there are 2 images"""

    def forward(self, x):
        return torch.stack([self.fc(self.f[0][0](image).mean((1, 2)).repeat(2)) for image in x])

    return variant(forward)


# --- networks that change themselves ---------------------------------------------------------------


def counts_its_calls():
    """refused: changes 'calls' while it runs"""

    def forward(self, x):
        self.calls += 1
        return Base.forward(self, x) * (1 + 0.1 * self.calls)

    return variant(forward, calls=0)


def counts_in_a_buffer():
    """refused: changes 'calls' while it runs"""

    def forward(self, x):
        self.calls += 1
        return Base.forward(self, x) * (1 + 0.1 * self.calls)

    model = variant(forward)
    model.register_buffer("calls", torch.zeros(()))
    return model


def counts_and_answers_the_same():
    """runs"""

    def forward(self, x):
        self.calls += 1
        return Base.forward(self, x)

    return variant(forward, calls=0)


def shrinks_its_weight():
    """refused: changes 'fc.weight' while it runs"""

    def forward(self, x):
        with torch.no_grad():
            self.fc.weight.mul_(0.99)
        return Base.forward(self, x)

    return variant(forward)


def clips_its_weight():
    """refused: writes the weight of layer 'fc' anew"""

    def forward(self, x):
        self.fc.weight.data = self.fc.weight.data.clamp(-0.2, 0.2)
        return Base.forward(self, x)

    return variant(forward)


class OldBinary(nn.Conv2d):
    """Signs, written over the weight in every pass, as the first binary networks did."""

    def forward(self, x):
        if not hasattr(self.weight, "org"):
            self.weight.org = self.weight.data.clone()
        self.weight.data = self.weight.org.sign()
        return super().forward(x)


def binary_of_old():
    """refused: writes the weight of layer 'f.1.0' anew"""
    model = Base()
    model.f[1][0] = OldBinary(8, 16, 3, 2, 1, bias=False)
    return settled(model)


def rebuilds_a_layer():
    """refused: replaces its module 'fc' while it runs"""

    def forward(self, x):
        self.fc = nn.Linear(16, 10)
        return Base.forward(self, x)

    return variant(forward)


class Standardised(nn.Conv2d):
    def forward(self, x):
        weight = self.weight - self.weight.mean((1, 2, 3), keepdim=True)
        return F.conv2d(x, weight, self.bias, self.stride, self.padding)


def weight_standardised():
    """runs"""
    model = Base()
    model.f[1][0] = Standardised(8, 16, 3, 2, 1, bias=False)
    return settled(model)


class Stop(BaseException):
    """No Exception: what catches these does not catch it."""


def raises_what_is_no_exception():
    """refused: does not run on two images"""

    def forward(self, x):
        raise Stop("here")

    return variant(forward)


# --- tensors of another make -----------------------------------------------------------------------


def sparse_weight():
    """refused: 'fc.weight' as a sparse tensor"""
    model = base()
    model.fc.weight = nn.Parameter(model.fc.weight.detach().to_sparse())
    return model


def sparse_rows():
    """refused: 'fc.weight' as a sparse tensor"""
    model = base()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch, on how new such tensors are
        model.fc.weight = nn.Parameter(model.fc.weight.detach().to_sparse_csr())
    return model


def one_layer_of_doubles():
    """refused: take .double(), .half() and the like out of its forward"""
    return variant(lambda self, x: self.fc(self.embed(x).double()))


def made_ready_by_torch():
    """refused: made ready for quantization by torch.ao"""
    model = base().train()
    model.qconfig = torch.ao.quantization.get_default_qat_qconfig("fbgemm")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch, on what will take its place
        return torch.ao.quantization.prepare_qat(model).eval()


def moves_to_meta():
    """refused: take what names a device"""
    return variant(lambda self, x: self.fc(self.embed(x.to("meta"))))


class _Clamp(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.clamp(-1, 1)


def function_without_backward():
    """runs, noted: no gradient can be computed"""
    return variant(lambda self, x: self.fc(_Clamp.apply(self.embed(x))))


# --- what comes out --------------------------------------------------------------------------------


class Pair(NamedTuple):
    features: torch.Tensor
    scores: torch.Tensor


@dataclasses.dataclass
class Both:
    scores: torch.Tensor
    features: torch.Tensor


def named_pair():
    """output: two tensors, none of a usual name"""
    return variant(lambda self, x: Pair(self.embed(x), Base.forward(self, x)))


def dataclass_of_two():
    """output: two tensors, none of a usual name"""
    return variant(lambda self, x: Both(Base.forward(self, x), self.embed(x)))


def complex_beside_scores():
    """output: complex numbers and scores"""
    return variant(lambda self, x: (torch.fft.fft(self.embed(x)), Base.forward(self, x)))


def returns_sparse():
    """refused: a sparse tensor; write .to_dense()"""
    return variant(lambda self, x: Base.forward(self, x).to_sparse())


def returns_nested():
    """refused: a nested tensor"""
    return variant(lambda self, x: torch.nested.nested_tensor(list(Base.forward(self, x))))


def returns_no_number():
    """refused: which holds no number"""
    return variant(lambda self, x: Base.forward(self, x)[:, :0])


def returns_two_rows():
    """refused: 2 rows of outputs for three images"""
    return variant(lambda self, x: Base.forward(self, x)[:2])


def refuses_an_empty_image():
    """runs, noted: cannot be traced"""

    def forward(self, x):
        assert float(x.std()) > 0.01, "no contrast"
        return Base.forward(self, x)

    return variant(forward)


def returns_a_weight():
    """refused: no convolution or linear layer that runs"""
    return variant(lambda self, x: self.fc.weight[:1].expand(len(x), 16) * 1.0)


def sorts_its_rows():
    """runs, noted: depends on the images that pass with it"""

    def forward(self, x):
        y = Base.forward(self, x)
        return y[y.sum(1).argsort()]

    return variant(forward)


def always_the_same():
    """runs, noted: the same output for every image"""
    return variant(lambda self, x: Base.forward(self, x) * 0 + torch.arange(10.0))


def one_channel():
    """refused: expected input[2, 3, 32, 32] to have 1 channels"""
    model = Base()
    model.f[0][0] = nn.Conv2d(1, 8, 3, 2, 1, bias=False)
    return model


FACTORIES = {
    name: function
    for name, function in list(globals().items())
    if callable(function)
    and (getattr(function, "__doc__", None) or "").startswith(("runs", "refused:", "output:"))
}
EVERY = OLDER | FACTORIES


def place(name):
    """`FILE.py:NAME` of a factory of either file."""
    file = EVERY[name].__code__.co_filename
    return f"{file}:{name}"
