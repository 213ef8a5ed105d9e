# pyright: reportMissingImports=false, reportIndexIssue=false
# torch and triton are optional extras, absent where the sources are checked
"""Gradients of weights on a GPU: products of binary16 numbers, summed in binary32, which PyTorch's convolutions return
in binary16 only."""

from __future__ import annotations

import torch
import triton
import triton.language as tl

__all__ = ["weight_gradient"]

MOST = 128
"""Output channels of a tile, and its columns, which are taps and input channels."""
STEP = 64
"""Pixels that are multiplied at once."""
PROGRAMS = 528
"""At least so many where there are pixels enough: four a multiprocessor."""


@triton.jit
def tile(dy, x, sums, pixels, share, OUTPUTS: tl.constexpr, CHANNELS: tl.constexpr, LINES: tl.constexpr,
         LINE: tl.constexpr, OUT_LINES: tl.constexpr, OUT_LINE: tl.constexpr, KERNEL: tl.constexpr,
         COLUMNS: tl.constexpr, STRIDE: tl.constexpr, PADDING: tl.constexpr, ROWS_AT_ONCE: tl.constexpr,
         COLUMNS_AT_ONCE: tl.constexpr, PIXELS_AT_ONCE: tl.constexpr):
    """sums[part, output, tap, channel] of one part of the pixels, `share` of them."""
    output = tl.program_id(1) * ROWS_AT_ONCE + tl.arange(0, ROWS_AT_ONCE)
    column = tl.program_id(0) * COLUMNS_AT_ONCE + tl.arange(0, COLUMNS_AT_ONCE)
    tap, channel = column // CHANNELS, column % CHANNELS
    line, place = tap // KERNEL - PADDING, tap % KERNEL - PADDING
    first = tl.program_id(2) * share
    total = tl.zeros((ROWS_AT_ONCE, COLUMNS_AT_ONCE), tl.float32)
    for start in range(first, tl.minimum(first + share, pixels), PIXELS_AT_ONCE):
        pixel = start + tl.arange(0, PIXELS_AT_ONCE)
        good = pixel < pixels
        image, rest = pixel // (OUT_LINES * OUT_LINE), pixel % (OUT_LINES * OUT_LINE)
        y = (rest // OUT_LINE * STRIDE)[:, None] + line[None, :]
        z = (rest % OUT_LINE * STRIDE)[:, None] + place[None, :]
        inside = (y >= 0) & (y < LINES) & (z >= 0) & (z < LINE) & good[:, None] & (column < COLUMNS)[None, :]
        right = tl.load(x + ((image[:, None] * LINES + y) * LINE + z) * CHANNELS + channel[None, :], inside, 0.0)
        kept = good[None, :] & (output < OUTPUTS)[:, None]
        left = tl.load(dy + pixel[None, :] * OUTPUTS + output[:, None], kept, 0.0)
        total = tl.dot(left, right, total)
    places = (tl.program_id(2) * OUTPUTS + output)[:, None] * COLUMNS + column[None, :]
    tl.store(sums + places, total, (output < OUTPUTS)[:, None] & (column < COLUMNS)[None, :])


@torch.library.custom_op("lacuna::weight_gradient", mutates_args=(), device_types="cuda",
                         schema="(Tensor dy, Tensor x, int[] kernel, int stride, int padding) -> Tensor")
def weight_gradient(dy, x, kernel, stride, padding):
    """float32 [outputs, channels, lines, columns] of binary16 dY and X, [images, channels, lines, pixels]."""
    dy, x = (values.contiguous(memory_format=torch.channels_last) for values in (dy, x))
    (images, outputs, *out), (channels, *lines) = dy.shape, x.shape[1:]
    pixels, columns = images * out[0] * out[1], kernel[0] * kernel[1] * channels
    at_once = [min(MOST, max(16, triton.next_power_of_2(size))) for size in (outputs, columns)]
    tiles = triton.cdiv(columns, at_once[1]), triton.cdiv(outputs, at_once[0])
    share = triton.cdiv(triton.cdiv(pixels, triton.cdiv(PROGRAMS, tiles[0] * tiles[1])), STEP) * STEP
    sums = dy.new_empty((triton.cdiv(pixels, share), outputs, *kernel, channels), dtype=torch.float32)
    tile[(*tiles, len(sums))](dy, x, sums, pixels, share, outputs, channels, *lines, *out, kernel[1], columns, stride,
                              padding, *at_once, STEP)
    return sums.sum(0).permute(0, 3, 1, 2)


@weight_gradient.register_fake
def _(dy, x, kernel, stride, padding):
    del stride, padding
    return dy.new_empty((dy.shape[1], *kernel, x.shape[1]), dtype=torch.float32).permute(0, 3, 1, 2)
