"""Memory for the results of a program: blocks that are used again when what they held has had its last use."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from npgrad.compile.tiles import Tiles
from npgrad.compile.trace import Call, Memory, Value
from npgrad.engine.arrays import Array

__all__ = ["Block", "Pool", "last_uses"]


class Block:
    """A piece of memory that holds one array after the other."""

    def __init__(self, size: int) -> None:
        self.size = size
        whole = np.zeros(size + 64, np.uint8)
        start = -whole.ctypes.data % 64  # where the processor's caches begin a line
        self.bytes: Array = whole[start : start + size]

    def array_like(self, a: Array) -> Array:
        """An array of a's shape, dtype and order of axes in this memory."""
        order = sorted(range(a.ndim), key=lambda axis: (-abs(a.strides[axis]), axis))
        shape = [a.shape[axis] for axis in order]
        flat = self.bytes[: a.nbytes].view(a.dtype) if a.nbytes else np.empty(0, a.dtype)
        return flat.reshape(shape).transpose(np.argsort(order)) if a.ndim else flat.reshape(())


class Pool:
    """The memory of one program: `lasting` is wanted after the run, `lent` is looked at by others even later."""

    def __init__(self, lasting: set[Memory], lent: Iterable[Memory]) -> None:
        self.lasting, self.lent = lasting, set(lent)
        self.blocks: list[Block] = []

    @property
    def nbytes(self) -> int:
        """Bytes of all blocks."""
        return sum(block.size for block in self.blocks)

    def new(self, nbytes: int) -> Block:
        """A block that nothing else is put into."""
        self.blocks.append(Block(nbytes))
        return self.blocks[-1]

    def allocate(self, calls: Sequence[Call]) -> None:
        """A block for every planned memory of `calls`."""
        last = last_uses(calls, self.lasting, len(calls))
        free: list[Block] = []
        at: dict[Memory, Block] = {}
        for k, call in enumerate(calls):
            if isinstance(call, Tiles):
                self.allocate_tiles(call, last, k, at, free)
            else:
                self.place(call, last, k, at, free)
            for memory in {*call.reads, *call.writes}:
                if memory in at and last.get(memory, -1) <= k and memory not in self.lasting:
                    free.append(at.pop(memory))

    def place(
        self, call: Call, last: dict[Memory, int], k: int, at: dict[Memory, Block], free: list[Block], step: int = 0
    ) -> None:
        """Memory for what one call makes; for `step` rows of it, if only a tile is needed."""
        for memory in call.writes:
            if memory.kind != "planned" or memory in at or memory.array is not None:
                continue
            value = memory.value
            assert value is not None
            like = np.asarray(value.sample)[:step] if step else np.asarray(value.sample)
            if memory in self.lent:
                # Looked at after the run, and after one that turned out to be stale: nothing else is ever there.
                block = Block(like.nbytes)
            else:
                old = self.in_place(call, value, last, k, at) if call.out is value else None
                block = at.pop(old) if old is not None else take(free, like.nbytes) or Block(like.nbytes)
            if block not in self.blocks:
                self.blocks.append(block)
            at[memory] = block
            memory.array = block.array_like(like)

    def allocate_tiles(
        self, tiles: Tiles, last: dict[Memory, int], k: int, at: dict[Memory, Block], free: list[Block]
    ) -> None:
        """Values that are needed one tile at a time get one tile of memory; the others are allocated whole.

        Whole memory is used again only after the loop.
        """
        outside = {m for m in tiles.writes if m in at or last[m] != k} | self.lasting
        inside = tiles.inside(outside)
        mine = last_uses(tiles.inner, set(), 0)
        lasts = {m: (mine[m] if last.get(m) == k and m not in self.lasting else len(tiles.inner)) for m in mine}
        tile_at: dict[Memory, Block] = {}
        tile_free: list[Block] = []
        for j, call in enumerate(tiles.inner):
            if call.writes[0] in inside:
                self.place(call, lasts, j, tile_at, tile_free, tiles.step)
            else:
                self.place(call, lasts, j, at, free)
            for memory in {*call.reads, *call.writes}:
                if memory in tile_at and lasts[memory] <= j:
                    tile_free.append(tile_at.pop(memory))
        free.extend(tile_free)
        tiles.kwargs["inside"] = inside

    def in_place(
        self, call: Call, out: Value, last: dict[Memory, int], k: int, at: dict[Memory, Block]
    ) -> Memory | None:
        """The memory of an operand that the result may be written into."""
        if call.form != "ufunc" or call.function.signature is not None:
            return None
        like = np.asarray(out.sample)
        for x in call.args:
            if not isinstance(x, Value) or x.memory not in at or x.memory in self.lasting:
                continue
            a = np.asarray(x.sample)
            whole = np.asarray(x.memory.value.sample) if x.memory.value is not None else a
            if a.nbytes != whole.nbytes or a.ctypes.data != whole.ctypes.data:
                continue
            if (
                last.get(x.memory, -1) != k
                or a.shape != like.shape
                or a.dtype != like.dtype
                or a.strides != like.strides
            ):
                continue
            if any(isinstance(y, Value) and y is not x and y.memory is x.memory for y in call.args):
                continue
            return x.memory
        return None


def take(free: list[Block], size: int) -> Block | None:
    """The most recently freed block that fits without much waste."""
    for k in range(len(free) - 1, -1, -1):
        if size <= free[k].size <= 2 * size + 256:
            return free.pop(k)
    return None


def last_uses(calls: Sequence[Call], lasting: set[Memory], end: int) -> dict[Memory, int]:
    """For each memory the last call that reads or writes it."""
    last: dict[Memory, int] = {}
    for k, call in enumerate(calls):
        for memory in (*call.reads, *call.writes):
            last[memory] = k
        if call.form == "opaque_backward":
            last.update((memory, k) for memory in call.function.reads)
    last.update((memory, end) for memory in lasting)
    return last
