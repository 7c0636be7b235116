// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.benchmarks;

import dev.gradclip.DType;
import java.util.ArrayList;
import java.util.List;

/**
 * A set of gradients, the same in {@code gpu_peers.py}.
 *
 * @param name of the case in every report
 * @param tensors their types and lengths
 */
record GpuCase(String name, List<Tensor> tensors) {
    /** One tensor. */
    record Tensor(DType dtype, long length) {
        long bytes() {
            return length * dtype.bytes();
        }
    }

    /** Every case; {@code bytes} is the size of the large ones, so that a small number makes a quick trial. */
    static List<GpuCase> all(long bytes) {
        boolean trial = bytes < 1 << 30;
        return List.of(
                new GpuCase("1 x f32", of(1, DType.FLOAT32, bytes / 4)),
                new GpuCase("1 x bf16", of(1, DType.BFLOAT16, bytes / 2)),
                new GpuCase("500 mixed", mixed(bytes)),
                new GpuCase("1 x bf16 6000261x256", of(1, DType.BFLOAT16, trial ? bytes / 2 : 6_000_261L * 256)),
                new GpuCase("40 MB f32", of(1, DType.FLOAT32, Math.min(bytes, 40_000_000) / 4)),
                new GpuCase("1000 x 4", of(1000, DType.FLOAT32, 4)),
                new GpuCase("2000 x 512", of(2000, DType.FLOAT32, 512)));
    }

    long bytes() {
        return tensors.stream().mapToLong(Tensor::bytes).sum();
    }

    private static List<Tensor> of(int count, DType dtype, long length) {
        List<Tensor> tensors = new ArrayList<>();
        for (int i = 0; i < count; i++) tensors.add(new Tensor(dtype, length));
        return tensors;
    }

    /** Every fifth tensor FLOAT32, the others BFLOAT16; lengths in ratios of 1 to 8, none a multiple of a vector. */
    private static List<Tensor> mixed(long bytes) {
        List<Tensor> tensors = new ArrayList<>();
        long unit = Math.max(16, bytes / 500 / 11);
        for (int i = 0; i < 500; i++) {
            DType dtype = i % 5 == 0 ? DType.FLOAT32 : DType.BFLOAT16;
            tensors.add(new Tensor(dtype, unit * (1 + i % 8) + i % 7));
        }
        return tensors;
    }
}
