// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.cpu;

import dev.gradclip.internal.jni.NativeCpu;
import dev.gradclip.internal.reduce.NormKind;
import dev.gradclip.internal.update.UpdateTable;
import java.lang.ref.Reference;

/** The SIMD kernels of the native library; {@link NativeCpu} documents each call. */
final class NativeKernels implements Kernels {
    private final CpuPlanMemory memory;
    private final int level;
    private final long table;
    private final long coefficients;
    private final long maxima;
    private final long partials;

    NativeKernels(CpuPlanMemory memory, int level) {
        this.memory = memory;
        this.level = level;
        table = NativeCpu.address(memory.table);
        coefficients = NativeCpu.address(memory.coefficients);
        maxima = NativeCpu.address(memory.maxima);
        partials = NativeCpu.address(memory.partials);
    }

    @Override
    public int measure(NormKind norm, double p, long firstTile, long lastTile) {
        try {
            return NativeCpu.measure(
                    level,
                    table,
                    memory.pieces.length,
                    memory.arrays,
                    norm.ordinal(),
                    p,
                    maxima,
                    firstTile,
                    lastTile,
                    partials,
                    memory.planeStride);
        } finally {
            Reference.reachabilityFence(memory);
        }
    }

    @Override
    public void scale(long firstTile, long lastTile) {
        try {
            NativeCpu.scale(level, table, memory.pieces.length, memory.arrays, coefficients, firstTile, lastTile);
        } finally {
            Reference.reachabilityFence(memory);
        }
    }

    @Override
    public long clamp(double min, double max, long firstTile, long lastTile) {
        try {
            return NativeCpu.clamp(level, table, memory.pieces.length, memory.arrays, min, max, firstTile, lastTile);
        } finally {
            Reference.reachabilityFence(memory);
        }
    }

    @Override
    public long update(UpdateTable table, CpuUpdateState state, int firstWeights, long firstTile, long lastTile) {
        try {
            return NativeCpu.update(
                    level,
                    this.table,
                    firstWeights,
                    memory.arrays,
                    NativeCpu.address(table.memory()),
                    NativeCpu.address(state.addresses),
                    NativeCpu.address(state.firstChunks),
                    state.chunksOfSlot,
                    firstTile,
                    lastTile);
        } finally {
            Reference.reachabilityFence(memory);
            Reference.reachabilityFence(table);
            Reference.reachabilityFence(state);
        }
    }

    @Override
    public long zeroNonFinite(long firstTile, long lastTile) {
        try {
            return NativeCpu.zeroNonFinite(level, table, memory.pieces.length, memory.arrays, firstTile, lastTile);
        } finally {
            Reference.reachabilityFence(memory);
        }
    }
}
